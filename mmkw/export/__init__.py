"""Exports networks with dynamic layers to ONNX."""

from .exportable import exportable
from .features import OnnxNetwork, take_features_from_onnx
from .onnx import export_onnx, network_to_export

__all__ = ['OnnxNetwork', 'export_onnx', 'exportable', 'network_to_export', 'take_features_from_onnx']
