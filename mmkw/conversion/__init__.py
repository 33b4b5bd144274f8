"""From a plain network to a dynamic one and back; imports torch and nothing else, and knows no method by name."""

from .converting import convert
from .folding import fold, mean_attention, output_difference
from .keys import check_keys
from .warm import fit_plain, warm_start

__all__ = ['check_keys', 'convert', 'fit_plain', 'fold', 'mean_attention', 'output_difference', 'warm_start']
