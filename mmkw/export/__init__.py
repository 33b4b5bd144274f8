"""Exports networks with dynamic layers to ONNX."""

from .exportable import exportable
from .onnx import export_onnx, network_to_export

__all__ = ['export_onnx', 'exportable', 'network_to_export']
