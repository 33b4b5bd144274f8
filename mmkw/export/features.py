"""Runs an exported backbone and neck in onnxruntime inside a detector whose head stays in torch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmkw.checkpoints.files import PathLike

from .onnx import require


class OnnxNetwork(nn.Module):
    """A network of one input from an ONNX file, for inference.

    Args:
        path: A file that :func:`export_onnx` wrote.
        providers: Where onnxruntime computes, by its own names. Default: the CPU.
    """

    def __init__(self, path: PathLike, providers: Sequence[str] = ('CPUExecutionProvider',)) -> None:
        super().__init__()
        self.path = str(path)
        self.session = require('onnxruntime').InferenceSession(self.path, providers=list(providers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the file's outputs, on the device of the input.

        Raises:
            ValueError: If the file is for inputs of another shape.
        """
        wanted = self.session.get_inputs()[0].shape
        if any(isinstance(size, int) and size != found for size, found in zip(wanted, x.shape)):
            raise ValueError(
                f'{self.path} is for images (N, C, H, W) of shape {tuple(wanted)}, got {tuple(x.shape)}: pad all to '
                "this size, by dict(type='Pad', size=(W, H)) after the Resize of the test pipeline"
            )
        found = self.session.run(None, {'input': x.cpu().numpy()})
        return tuple(torch.from_numpy(output).to(x.device) for output in found)


def take_features_from_onnx(
    detector: nn.Module, path: PathLike, providers: Sequence[str] = ('CPUExecutionProvider',)
) -> None:
    """Let a detector of mmdet take its features from an ONNX file; its backbone and neck are dropped.

    Args:
        detector: A detector in evaluation mode.
        path: A file of its backbone and neck, as ``tools/export_onnx.py --neck`` writes it.
        providers: See :class:`OnnxNetwork`.
    """
    detector.backbone = OnnxNetwork(path, providers)
    detector.neck = None
