"""What all KW backbones do beyond the plain backbone they extend."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Optional, Union

import torch
from mmengine.model import initialize
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkw.checkpoints.names import describe
from mmkw.layers import KWAttention, KWConvNd, Warehouses
from mmkw.plans import Plan, adjust, convert

WarehouseCfg = Optional[Mapping[str, Mapping[str, Any]]]
InitCfg = Optional[Union[dict, Sequence[dict]]]


def init_entries(init_cfg: InitCfg) -> list[dict]:
    """The entries of an ``init_cfg``, which may be a single one or none."""
    return [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or [])


# Arguments of mmdet's backbones that mmpretrain's do not have.
_MMDETS = ('dcn', 'stage_with_dcn', 'plugins', 'pretrained')


def without_mmdets(kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for a class of mmpretrain, of a config that may have been written for mmdet's class of that name.

    Args:
        kind: Name of the class in both libraries, such as ``'ResNet'``.
        arguments: What the config passes. Those that only mmdet has may be there as long as they ask for nothing.

    Raises:
        ValueError: If one of those asks for something.
    """
    for name in _MMDETS:
        value = arguments.get(name)
        if name == 'pretrained' and value:
            raise ValueError(
                f'KW{kind} has no pretrained={value!r}; give it '
                f"init_cfg=dict(type='PlainPretrained', checkpoint={value!r})"
            )
        if any(value or ()):
            raise ValueError(
                f"KW{kind} is mmpretrain's {kind}, which has no {name}; for mmdet's use dict(type='KWBackbone', "
                f"backbone=dict(type='mmdet.{kind}', ...)), which leaves plain what cannot be moved into a warehouse"
            )
    return {name: value for name, value in arguments.items() if name not in _MMDETS}


class KWBackboneMixin:
    """Moves a plain backbone's convolutions into warehouses and keeps the backbone's own switches working.

    ``frozen_stages`` also freezes a warehouse once every layer that mixes from it is frozen; a warehouse that a frozen
    stage shares with a later one stays trainable. ``with_cp`` works under DistributedDataParallel too and changes no
    result: batch statistics are counted once.

    Every KW backbone takes the switches of the paper's ablations, which hold for all its warehouses; ``warehouse_cfg``
    sets them for single ones.

    Args:
        attention: Attention function: ``'caf'``, or ``'softmax'`` or ``'sigmoid'`` as in earlier dynamic convolutions.
        start: Start assignment: ``'one_to_one'``, ``'several_to_one'``, ``'all_to_one'`` or ``'none'``.
        sharing: Who shares a warehouse: ``'stage'``, ``'shape'``, ``'layer'`` or ``'none'``.
        spatial_partition, channel_partition: Whether kernels are cut into cells along these axes. Layers that differ
            where they are not cut cannot share a warehouse: use ``sharing='shape'`` or ``'layer'`` with them.

    All default to None, as the plan says, which for the published models is ``'caf'``, ``'one_to_one'``, ``'stage'``,
    True and True. See :class:`mmkw.plans.WarehousePlan`.
    """

    describe_state = staticmethod(describe)

    def __init__(
        self,
        *args: Any,
        attention: Optional[str] = None,
        start: Optional[str] = None,
        sharing: Optional[str] = None,
        spatial_partition: Optional[bool] = None,
        channel_partition: Optional[bool] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        switches = dict(
            attention=attention,
            start=start,
            sharing=sharing,
            spatial_partition=spatial_partition,
            channel_partition=channel_partition,
        )
        self._switches = {name: value for name, value in switches.items() if value is not None}

    def _move_into_warehouses(self: nn.Module, plan: Plan, warehouse_cfg: WarehouseCfg = None) -> None:
        self.train()  # the time at which backbones freeze their stages; what is frozen stays so
        convert(self, adjust(adjust(plan, {'*': self._switches}), warehouse_cfg))
        for block in self.modules():
            # The blocks' own checkpoint call is the reentrant kind, under which DistributedDataParallel sees the
            # gradient of a shared warehouse arrive more than once.
            if block is not self and getattr(block, 'with_cp', False):
                block.with_cp = False
                contexts = functools.partial(_recompute_contexts, block)
                block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)

    def init_weights(self: nn.Module) -> None:
        """Initialise what is plain as the plain backbone does, and load checkpoints last.

        Warehouses and attentions keep what they hold unless a checkpoint fills them: some backbones initialise by
        loops of their own over all Linear layers or all parameters. A second call loads no checkpoint again.
        """
        entries, again = init_entries(self.init_cfg), self.is_init
        own = [p for m in self.modules() if isinstance(m, (KWAttention, Warehouses)) for p in m.parameters()]
        values = [p.detach().clone() for p in own]
        every, self.init_cfg = self.init_cfg, [entry for entry in entries if 'checkpoint' not in entry] or None
        super().init_weights()
        self.init_cfg = every
        with torch.no_grad():
            for parameter, value in zip(own, values):
                parameter.copy_(value)
        if not again:
            initialize(self, [entry for entry in entries if 'checkpoint' in entry])

    @property
    def get_layer_depth(self: nn.Module) -> Callable[..., tuple[int, int]]:
        """mmpretrain's method for layer-wise rates; a warehouse is as deep as its deepest layer.

        Where the plain backbone has none, this has none.
        """
        of_plain = super().get_layer_depth

        def depth(param_name: str, prefix: str = '') -> tuple[int, int]:
            group = param_name.removeprefix(f'{prefix}warehouses.')
            if group != param_name:
                layers = [
                    name for name, m in self.named_modules() if isinstance(m, KWConvNd) and m.warehouse_name == group
                ]
                param_name = f'{prefix}{layers[-1]}.weight'
            return of_plain(param_name, prefix)

        return depth

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        super().train(mode)
        return self  # as every module does; mmpretrain's backbones return None


def _recompute_contexts(block: nn.Module) -> tuple:
    return nullcontext(), _uncounted_batch_norms(block)


@contextmanager
def _uncounted_batch_norms(block: nn.Module) -> Iterator[None]:
    """Let a recomputed forward pass leave the running statistics, already updated by the first, as they are."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(batches)
