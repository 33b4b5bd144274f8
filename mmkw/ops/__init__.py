"""The arithmetic of KernelWarehouse on tensors and integers; imports torch and nothing else."""

from .cut import cut_kernel
from .functional import ATTENTION_FUNCTIONS, assemble_kernel, contrasting_attention, dynamic_conv
from .partition import cell_shape, num_cells, num_mixtures, start_assignment
from .start import START_STRATEGIES, start_matrix

__all__ = [
    'ATTENTION_FUNCTIONS',
    'START_STRATEGIES',
    'assemble_kernel',
    'cell_shape',
    'contrasting_attention',
    'cut_kernel',
    'dynamic_conv',
    'num_cells',
    'num_mixtures',
    'start_assignment',
    'start_matrix',
]
