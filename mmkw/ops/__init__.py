"""The arithmetic of KernelWarehouse on tensors and integers; imports torch and nothing else."""

from . import mixture
from .functional import contrasting_attention
from .mixture import mixture_conv
from .partition import cell_shape, num_cells, num_mixtures, start_assignment
from .textbook import assemble_kernel, dynamic_conv

__all__ = [
    'assemble_kernel',
    'cell_shape',
    'contrasting_attention',
    'dynamic_conv',
    'mixture_conv',
    'num_cells',
    'num_mixtures',
    'start_assignment',
]
