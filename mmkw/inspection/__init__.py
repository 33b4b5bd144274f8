"""Looks into networks: parameters, multiply-adds, attention."""

from .attention_maps import AttentionMap, attention_maps
from .images import image_channels
from .info import ModelInfo, bank_table, counted_pass, model_info

__all__ = ['AttentionMap', 'ModelInfo', 'attention_maps', 'bank_table', 'counted_pass', 'image_channels', 'model_info']
