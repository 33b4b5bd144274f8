"""Exports networks to ONNX files and checks each with onnxruntime: what ``tools/export_onnx.py`` does."""

import warnings
from importlib import import_module
from typing import Any, Optional

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmkw.checkpoints.files import PathLike, build_model, load_into, write_whole
from mmkw.config import type_name
from mmkw.inspection import image_channels

from .exportable import check_exportable, exportable

_BATCHES = (1, 2, 5)


def network_to_export(config: Config, checkpoint: PathLike, backbone: bool = False, neck: bool = False) -> nn.Module:
    """Build a config's classifier, or the backbone of its model with or without neck, and fill it from a checkpoint.

    Args:
        config: Config of a classifier or detector.
        checkpoint: A checkpoint of this model.
        backbone: Whether to take the backbone alone. Default: False, the classifier.
        neck: Whether to take the backbone followed by the neck. Default: False.

    Raises:
        FileNotFoundError, ValueError: If the model is no classifier or has no neck, or the checkpoint is not for it.
    """
    model = config.get('model') or {}
    if neck and not model.get('neck'):
        raise ValueError(f'the {type_name(model) or "model"} of {config.filename} has no neck; export its backbone')
    if not (backbone or neck) and 'head' not in model:
        raise ValueError(
            f'a whole {type_name(model) or "model"} cannot be exported: how many boxes its proposals and non-maximum '
            'suppression keep depends on the image, and mmdet does this in code, not in operations of ONNX; '
            '--neck exports its backbone and neck, for a head in torch'
        )
    config = config.copy()
    if 'backbone' in model:
        config.model.backbone.pop('with_cp', None)  # checkpointing is for training
    part = 'backbone' if backbone else None
    network = build_model(config, part)
    load_into(network, checkpoint, part)
    return nn.Sequential(network.backbone, network.neck).eval() if neck else network


def export_onnx(
    network: nn.Module,
    target: PathLike,
    shape: tuple[int, int],
    batch: Optional[int] = 1,
    tolerance: float = 1e-3,
) -> tuple[float, float]:
    """Write a network to an ONNX file, if onnxruntime gives what torch gives on random inputs.

    Args:
        network: A float32 network that maps ``(B, C, H, W)`` to one tensor or several. C is what
            :func:`mmkw.inspection.image_channels` finds. It is set to evaluation mode.
        target: The file. It appears whole and checked, or not at all.
        shape: Height and width of the input, which are fixed.
        batch: Batch size, which is fixed; None leaves it open, and the check uses 1, 2 and 5. Default: 1.
        tolerance: Largest difference, relative to the largest value of the output. Default: 1e-3.

    Returns:
        The largest difference of any output value from torch's, absolute and relative to the output's largest value.

    Raises:
        ImportError: If a package for ONNX is missing.
        ValueError: If the network cannot be exported, or onnxruntime gives something else.
    """
    onnxruntime = require('onnxruntime')
    require('onnx'), require('onnxscript')
    if batch is not None and batch < 1:
        raise ValueError(f'batch must be at least 1, or None for a dynamic one, got {batch}')
    check_exportable(network)
    network.eval()
    channels = image_channels(network, network, shape)
    inputs = [torch.randn(size, channels, *shape) for size in (_BATCHES if batch is None else (batch,))]
    with torch.no_grad():
        try:
            expected = [_flat(network(x)) for x in inputs]
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'the network does not run on an input of {shape[0]} x {shape[1]}: {error}') from error
    differences: list[tuple[float, float]] = []

    def write_and_check(path: str) -> None:
        _trace(network, inputs[-1], len(expected[0]), batch is None, path)
        session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
        for x, outputs in zip(inputs, expected):
            found = session.run(None, {'input': x.numpy()})
            for theirs, ours in zip(found, outputs):
                if theirs.shape != tuple(ours.shape):
                    raise ValueError(f'onnxruntime gives shape {theirs.shape}, torch {tuple(ours.shape)}')
                absolute = (torch.from_numpy(theirs) - ours).abs().max().item()
                differences.append((absolute, absolute / max(ours.abs().max().item(), 1e-30)))
                # Written so that a difference of NaN fails too.
                if not differences[-1][1] <= tolerance:
                    raise ValueError(
                        f'onnxruntime differs from torch by up to {absolute:.3g} at batch {len(x)}, '
                        f'{differences[-1][1]:.3g} of the largest value; {tolerance:g} is allowed; no file was written'
                    )

    write_whole(target, write_and_check)
    return max(absolute for absolute, _ in differences), max(relative for _, relative in differences)


def _trace(network: nn.Module, x: Tensor, outputs: int, dynamic_batch: bool, path: str) -> None:
    names = ['output'] if outputs == 1 else [f'output{index}' for index in range(outputs)]
    dynamic = dict(dynamic_shapes=({0: torch.export.Dim('batch')},)) if dynamic_batch else {}
    with exportable(network, dynamic_batch), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the exporter warns about its own code
        try:
            program = torch.onnx.export(
                network, (x,), dynamo=True, verbose=False, input_names=['input'], output_names=names, **dynamic
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise ValueError(f'{type(network).__name__} cannot be exported: {reason}') from error
    found = program.model.graph.inputs[0].shape[0]
    if dynamic_batch and isinstance(found, int):
        raise ValueError(f'{type(network).__name__} works for a batch of {found} only; export it with a fixed batch')
    program.save(path)


def _flat(outputs: Any) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else [tensor for out in outputs for tensor in _flat(out)]


def require(package: str) -> Any:
    """Import a package that exporting needs.

    Raises:
        ImportError: If it is missing; the message says how to get it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f"exporting to ONNX needs {package} ({error}); pip install 'mmkw[onnx]'") from error
