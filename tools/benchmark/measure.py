"""Measures what ``tools/benchmark`` prints: time and peak memory of a step, in several variants."""

import functools
import gc
import logging
import multiprocessing
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Optional
from unittest import mock

# Importing mmengine raises this warning, in every child process too.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.registry import MODELS, DefaultScope  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import mmkw  # noqa: E402
import mmkw.models  # noqa: E402
from methods import METHODS  # noqa: E402
from mmkw import set_inference_memory  # noqa: E402
from mmkw.layers import DynamicLayer, KWConvNd, by_definition, dynamic_layers  # noqa: E402
from mmkw.ops.association import mixes_basis_first, uses_kept_basis  # noqa: E402
from mmkw.ops.products import product, stacked_product  # noqa: E402
from mmkw.plans import parse_budget  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs'
BACKBONES = ('r18', 'r50', 'mbv2', 'convnext_t')
VARIANTS = ('plain', 'method', 'textbook')


@dataclass(frozen=True)
class Workload:
    """One row: a backbone with a method, trained or tested on a batch of images of a size.

    The method is a name of ``METHODS``, or a budget of KernelWarehouse. ``memory`` is in MB what layers of
    KernelWarehouse may keep in inference; None is the default of :func:`mmkw.set_inference_memory`.
    """

    backbone: str
    method: str
    mode: str
    batch: int
    height: int
    width: int
    memory: Optional[int] = None

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f'unknown backbone {self.backbone!r}')
        if self.mode not in ('train', 'test'):
            raise ValueError(f'mode must be train or test, got {self.mode!r}')
        if self.method not in METHODS:
            parse_budget(self.method)
        for name, least in (('batch', 2 if self.mode == 'train' else 1), ('height', 32), ('width', 32)):
            if getattr(self, name) < least:
                raise ValueError(f'{name} must be at least {least}, got {getattr(self, name)}')
        if self.memory is not None and (self.memory < 0 or self.mode == 'train' or self.method in METHODS):
            raise ValueError(f'MB are for test rows of KernelWarehouse, and at least 0, got {self.memory}')

    def __str__(self) -> str:
        mode = 'train step' if self.mode == 'train' else 'inference'
        kept = '' if self.memory is None else f', {self.memory} MB to keep'
        return f'{self.backbone} {self.method}, {mode}, batch {self.batch}, {self.height}x{self.width}{kept}'


@dataclass(frozen=True)
class Setting:
    """Settings that hold for all rows."""

    device: str = 'cpu'
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    detector: bool = False
    threads: Optional[int] = None

    def prepare(self) -> dict[str, str]:
        """Set torch up in this process, and return the versions and the machine to report.

        Raises:
            ValueError: If a GPU is asked for and torch sees none, or if a detector cannot run with these settings.
        """
        if self.detector and self.amp and self.device == 'cpu':
            raise ValueError("--detector --amp needs --device cuda: mmcv's CPU operators refuse bfloat16")
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ValueError('--device cuda: torch sees no GPU here')
        if self.threads:
            torch.set_num_threads(self.threads)
        machine = torch.cuda.get_device_name() if self.device == 'cuda' else platform.machine()
        return dict(
            mmkw=mmkw.__version__,
            torch=torch.__version__,
            python=platform.python_version(),
            machine=machine,
            threads=str(torch.get_num_threads()),
            precision=str(self._amp_dtype()).rpartition('.')[-1] if self.amp else 'float32',
            layout='channels last' if self.channels_last else 'channels first',
            compiled=str(self.compile),
        )

    def _amp_dtype(self) -> torch.dtype:
        return torch.float16 if self.device == 'cuda' else torch.bfloat16

    def autocast(self) -> Any:
        """Context of a forward pass."""
        return torch.autocast(self.device, self._amp_dtype()) if self.amp else nullcontext()

    def place(self, thing: Any) -> Any:
        """Move a model or tensor to the device, in the memory layout of the setting."""
        layout = dict(memory_format=torch.channels_last) if self.channels_last else {}
        return thing.to(self.device, **layout)

    def synchronize(self) -> None:
        """Wait for the device to finish."""
        if self.device == 'cuda':
            torch.cuda.synchronize()


def build_step(variant: str, work: Workload, setting: Setting) -> tuple[nn.Module, Callable[[], None]]:
    """Build the model of a variant, and the function that makes one step of it, which is timed."""
    cfg = _model_config(variant, work, setting.detector)
    torch.manual_seed(0)
    with _without_info(), DefaultScope.overwrite_default_scope('mmdet' if setting.detector else 'mmpretrain'):
        model = MODELS.build(cfg)
    model.train(work.mode == 'train')
    if variant == 'method' and work.method not in METHODS:
        set_inference_memory(model, None if work.memory is None else work.memory * 2**20)
    model = setting.place(model)
    images = setting.place(torch.randn(work.batch, 3, work.height, work.width))
    run = _detector_pass(model, images, work) if setting.detector else _backbone_pass(model, images, work, setting)

    def step() -> None:
        form = by_definition(model) if variant == 'textbook' else nullcontext()
        with form, torch.set_grad_enabled(work.mode == 'train'):
            model.zero_grad(set_to_none=True)
            with setting.autocast():
                loss = run()
            if work.mode == 'train':
                loss.backward()
        setting.synchronize()

    return model, step


@contextmanager
def _without_info() -> Iterator[None]:
    """Keep from the log which layers a method replaces."""
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _model_config(variant: str, work: Workload, detector: bool) -> dict:
    name, method = work.backbone, METHODS.get(work.method)
    is_kw = variant != 'plain' and method is None
    if detector:
        path = CONFIGS / f'mask_rcnn_{f"kw_{name}" if is_kw else name}_1x_coco.py'
        if not path.exists():
            raise ValueError(f'there is no Mask R-CNN config {path.name}')
    else:
        path = CONFIGS / 'imagenet' / f'{f"kw1x_{name}" if is_kw else name}_in1k.py'
    model = Config.fromfile(path).model
    backbone = model.backbone
    backbone.pop('init_cfg', None)
    if is_kw:
        backbone.budget = work.method
    if not detector:
        backbone.out_indices = (1, 2, 4, 7) if work.backbone == 'mbv2' else (0, 1, 2, 3)
    if variant != 'plain' and method is not None:
        model.backbone = dict(type='ConvertedBackbone', backbone=backbone, method=method)
    return model if detector else model.backbone


def _backbone_pass(model: nn.Module, images: Tensor, work: Workload, setting: Setting) -> Callable[[], Tensor]:
    network = torch.compile(model) if setting.compile else model
    return lambda: sum(out.float().mean() for out in network(images))


def _detector_pass(model: nn.Module, images: Tensor, work: Workload) -> Callable[[], Any]:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    size, generator = (work.height, work.width), torch.Generator().manual_seed(0)
    samples = []
    for _ in range(work.batch):
        # Eight objects, a quarter of the image wide and high, are about what COCO has.
        corner = torch.rand(8, 2, generator=generator) * torch.tensor([size[1] * 0.7, size[0] * 0.7])
        boxes = torch.cat((corner, corner + torch.tensor([size[1] * 0.25, size[0] * 0.25])), 1)
        masks = torch.zeros(8, *size, dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist()):
            mask[y1:y2, x1:x2] = 1
        sample = DetDataSample(
            metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1, 1))
        )
        labels = torch.randint(0, 80, (8,), generator=generator)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels, masks=BitmapMasks(masks.numpy(), *size))
        samples.append(sample.to(images.device))
    if work.mode == 'train':
        return lambda: model.parse_losses(model.loss(images, samples))[0]
    return lambda: model.predict(images, samples, rescale=False)


def measure(
    work: Workload, setting: Setting, repeat: int, memory: bool = True, variants: Sequence[str] = VARIANTS
) -> dict:
    """Measure variants of a row: median seconds, peak bytes, and the floor if the method mixes kernels from banks."""
    models, steps = zip(*(build_step(variant, work, setting) for variant in variants))
    for step in steps:
        step()
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(repeat):
        for variant, step in zip(variants, steps):
            seconds[variant].append(seconds_of(step))
    medians = {variant: statistics.median(times) for variant, times in seconds.items()}
    if banked := [m for m in dynamic_layers(models[1]).values() if m.bank is not None and len(m.bank) > 1]:
        medians['floor'] = medians['plain'] + _bare_products(banked, work, setting, repeat)
    del models, steps, banked
    gc.collect()
    # Of the plain network, a row of any method says the same.
    works = {variant: replace(work, method='1x', memory=None) if variant == 'plain' else work for variant in variants}
    peak = {variant: _peak_in_child(variant, works[variant], setting) for variant in variants} if memory else {}
    return dict(asdict(work), work=str(work), seconds=medians, runs=seconds, peak_bytes=peak)


def seconds_of(step: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _bare_products(layers: Sequence[DynamicLayer], work: Workload, setting: Setting, repeat: int) -> float:
    """Seconds that the products which mix take alone, those of each layer for themselves.

    For kernels and, in training, for both gradients, in the order that the layer chooses
    (:mod:`mmkw.ops.association`); where its basis is kept, the last product alone.
    """
    dtype = setting._amp_dtype() if setting.amp else torch.float32
    shapes: dict[tuple, int] = {}
    for layer in layers:
        for shape in _shapes_of(layer, work, dtype):
            shapes[shape] = shapes.get(shape, 0) + 1
    total = 0.0
    for shape, count in shapes.items():
        products = _products(shape, dtype, work.mode == 'train', setting)
        products()
        total += count * statistics.median(seconds_of(products) for _ in range(repeat))
    return total


def _shapes_of(layer: DynamicLayer, work: Workload, dtype: torch.dtype) -> list[tuple]:
    """Products that mix the kernels of a layer, each as ``(count, rows, inner, length)``."""
    if not isinstance(layer, KWConvNd):
        return [(1, layer.mixtures * work.batch, len(layer.bank), layer.bank[0].numel())]
    m, k, n, c = layer.factors
    if work.mode == 'test' and layer.inference_memory and uses_kept_basis(layer.factors, work.batch):
        return [(m, work.batch, k, c)]
    if mixes_basis_first(layer.factors, work.batch, dtype):
        return [(1, m * k, n, c), (m, work.batch, k, c)]
    return [(1, work.batch * m, n, c)]


def _products(shape: tuple, dtype: torch.dtype, is_training: bool, setting: Setting) -> Callable[[], None]:
    """So many products ``(rows, inner) @ (inner, length)`` and, in training, what gives both gradients."""
    count, rows, inner, length = shape
    left, right, out = (
        torch.randn(count, *size, device=setting.device).to(dtype)
        for size in ((rows, inner), (inner, length), (rows, length))
    )

    def run() -> None:
        if count == 1:
            product(left[0], right[0].t())
        else:
            stacked_product(left, right.transpose(1, 2), out)
        if is_training:
            for a, b, mixed in zip(left, right, out):
                product(mixed, b)
                product(a.t(), mixed.t())
        setting.synchronize()

    return run


@functools.cache
def _peak_in_child(variant: str, work: Workload, setting: Setting) -> int:
    """Measure in a child process by how many bytes two steps exceed the memory before the model was built."""
    # With this setting glibc gives every large block back at once, so that resident memory is memory in use.
    others = {name: value for name, value in os.environ.items() if not name.startswith('MALLOC_')}
    with mock.patch.dict(os.environ, {**others, 'MALLOC_MMAP_THRESHOLD_': str(2**16)}, clear=True):
        pool = multiprocessing.get_context('spawn').Pool(1)
    with pool:
        return pool.apply(_peak, (variant, work, setting))


def _peak(variant: str, work: Workload, setting: Setting) -> int:
    setting.prepare()
    on_gpu = setting.device == 'cuda'
    if on_gpu:
        torch.cuda.init()
    start = torch.cuda.memory_allocated() if on_gpu else _resident('VmRSS')
    _, step = build_step(variant, work, setting)
    for _ in range(2):
        step()
    return (torch.cuda.max_memory_allocated() if on_gpu else _resident('VmHWM')) - start


def _resident(field: str) -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(f'{field}:'):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f'/proc/self/status has no {field}')
