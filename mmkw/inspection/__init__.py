"""Looks into networks: parameters, multiply-adds, attention, gradients."""

from .attention_maps import AttentionMap, attention_maps
from .gradients import gradient_norms
from .images import image_channels
from .info import ModelInfo, bank_table, counted_pass, model_info

__all__ = [
    'AttentionMap',
    'ModelInfo',
    'attention_maps',
    'bank_table',
    'counted_pass',
    'gradient_norms',
    'image_channels',
    'model_info',
]
