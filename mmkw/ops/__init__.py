"""The arithmetic of KernelWarehouse on tensors and integers; imports torch and nothing else."""

from . import flops, mixture
from .cut import cut_kernel
from .functional import ATTENTION_FUNCTIONS, contrasting_attention
from .mixture import mixture_conv
from .partition import ZERO_CELL, Cut, cell_shape, num_cells, num_mixtures, start_assignment
from .start import START_STRATEGIES, start_matrix
from .textbook import assemble_kernel, dynamic_conv
from .windows import window_conv

__all__ = [
    'ATTENTION_FUNCTIONS',
    'START_STRATEGIES',
    'ZERO_CELL',
    'Cut',
    'assemble_kernel',
    'cell_shape',
    'contrasting_attention',
    'cut_kernel',
    'dynamic_conv',
    'mixture_conv',
    'num_cells',
    'num_mixtures',
    'start_assignment',
    'start_matrix',
    'window_conv',
]
