"""What backbones with dynamic layers do beyond the plain backbone that they extend."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Optional

import torch
from mmengine.logging import MMLogger
from mmengine.model import initialize
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkw.checkpoints.names import describe
from mmkw.config import init_entries
from mmkw.conversion import convert
from mmkw.layers import (
    DynamicConvNd,
    Pictures,
    Plan,
    SharedState,
    dynamic_layers,
    known_pictures,
    pictures_now,
    pool_over_pictures,
    shared_banks,
)
from mmkw.plans import method_plan

# What attention pools over: the whole padded input, as published, or each picture's own part of it.
EXTENTS = ('input', 'picture')


def plan_of(network: nn.Module, method: Mapping[str, Any]) -> Plan:
    """The plan that a config asks for, which goes to the log.

    Args:
        network: The plain network.
        method: ``type``, a registered name of :mod:`mmkw.plans.methods`, and the method's arguments.

    Raises:
        ValueError: If there is no such method, or it has no place in this network.
    """
    settings = dict(method)
    log = MMLogger.get_current_instance().info
    return method_plan(network, settings.pop('type', None), log=log, **settings)


class ConvertedMixin:
    """Replaces layers of a plain backbone by dynamic ones and keeps the backbone's own switches working.

    ``frozen_stages`` freezes dynamic layers with their stage, and what layers share once every one of them is frozen; a
    warehouse that a frozen stage shares with a later one stays trainable. ``with_cp`` works under
    DistributedDataParallel too and changes no result: batch statistics are counted once.
    """

    # What messages about checkpoints call the network that a state dict is of.
    describe_state = staticmethod(describe)

    def _convert(self: nn.Module, plan: Plan, attention_extent: str = 'input') -> None:
        if attention_extent not in EXTENTS:
            raise ValueError(f'attention_extent must be one of {", ".join(EXTENTS)}, got {attention_extent!r}')
        self.train()  # the time at which backbones freeze their stages; what is frozen stays so
        convert(self, plan)
        if attention_extent == 'picture':
            pool_over_pictures(self)
        for block in self.modules():
            # The blocks' own checkpoint call is the reentrant kind, under which DistributedDataParallel sees the
            # gradient of a shared warehouse arrive more than once.
            if block is not self and getattr(block, 'with_cp', False):
                block.with_cp = False
                contexts = functools.partial(_recompute_contexts, block)
                block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)

    def init_weights(self: nn.Module) -> None:
        """Initialise what is plain as the plain backbone does, and load checkpoints last.

        What is not plain keeps what it holds unless a checkpoint fills it: some backbones initialise by loops of their
        own over all Linear layers or all parameters. A second call loads no checkpoint again.
        """
        init_cfg, again = self.init_cfg, self.is_init
        kept = [(p, p.detach().clone()) for p in _dynamic_parameters(self)]
        self.init_cfg = [entry for entry in init_entries(init_cfg) if 'checkpoint' not in entry] or None
        super().init_weights()
        self.init_cfg = init_cfg
        with torch.no_grad():
            for parameter, value in kept:
                parameter.copy_(value)
        if not again:
            initialize(self, [entry for entry in init_entries(init_cfg) if 'checkpoint' in entry])

    @property
    def get_layer_depth(self: nn.Module) -> Callable[..., tuple[int, int]]:
        """mmpretrain's method for layer-wise rates; what layers share is as deep as the deepest of them.

        Where the plain backbone has none, this has none.
        """
        of_plain = super().get_layer_depth

        def depth(param_name: str, prefix: str = '') -> tuple[int, int]:
            deepest = shared_banks(self).get(param_name.removeprefix(prefix))
            return of_plain(f'{prefix}{deepest[-1]}.weight' if deepest else param_name, prefix)

        return depth

    def train(self: nn.Module, mode: bool = True) -> nn.Module:
        super().train(mode)
        for layer in dynamic_layers(self).values():
            # A backbone holds the norm after its frozen stem, but not those that a dynamic convolution has itself.
            if isinstance(layer, DynamicConvNd) and not any(p.requires_grad for p in layer.parameters()):
                layer.eval()
        return self  # as every module does; mmpretrain's backbones return None


def _dynamic_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Parameters that the plain network has not: those of dynamic layers and of what these share."""
    layers = dynamic_layers(model).values()
    plain = {id(value) for layer in layers for value in layer.plain_values().values()}
    owners = [*layers, *(module for module in model.modules() if isinstance(module, SharedState))]
    return [p for owner in owners for p in owner.parameters() if id(p) not in plain]


def _recompute_contexts(block: nn.Module) -> tuple:
    return nullcontext(), _recomputing(block, pictures_now(block))


@contextmanager
def _recomputing(block: nn.Module, pictures: Optional[Pictures]) -> Iterator[None]:
    """Let a recomputed forward pass know the pictures of the first, and leave the running statistics as they are.

    The first has updated these already. The second runs in the backward pass, when no detector is at hand.
    """
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        with known_pictures(block, pictures):
            yield
    finally:
        for norm, (momentum, batches) in zip(norms, before):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(batches)
