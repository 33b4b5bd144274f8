"""The attention that weighs cells, one per layer (section 3.3), in its plain and in its basis form."""

from typing import Optional

import torch
from torch import Tensor, nn

from mmkw.ops.attention import Norm, attention_weights
from mmkw.ops.autocast import no_autocast
from mmkw.ops.observed import is_observed

from ..dynamic import SINGLE_SAMPLE, takes_own_statistics

_NORMS = {'BN': nn.BatchNorm1d, 'LN': nn.LayerNorm}


class KWAttention(nn.Module):
    """Logits of every cell, and of a zero cell, for every mixture of a layer: ``GAP -> fc1 -> norm -> ReLU -> fc2``.

    Args:
        in_channels: Width of the layer's input.
        mixtures: Number of mixtures m of the layer.
        cells: Number of cells n of the warehouse.
        reduction: Hidden width over ``in_channels``; the hidden width is at least 16. Default: 1/16.
        norm: ``'BN'`` (BatchNorm1d, fc1 without bias) or ``'LN'`` (LayerNorm, fc1 with bias). Default: ``'BN'``.
        nonlocal_basis_ratio: Below 1, the basis form: logits of the cells that other layers brought are mapped from
            ``max(int((n - L) * ratio), 16)`` basis logits a mixture. Default: 1, the plain form.
        local_cells: For the basis form, ``(first, L)``: the L cells from ``first`` on are the layer's own.

    Raises:
        ValueError: If the norm is unknown or a ratio is not above 0.
    """

    def __init__(
        self,
        in_channels: int,
        mixtures: int,
        cells: int,
        reduction: float = 1 / 16,
        norm: str = 'BN',
        nonlocal_basis_ratio: float = 1.0,
        local_cells: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        if norm not in _NORMS:
            raise ValueError(f'norm must be one of {sorted(_NORMS)}, got {norm!r}')
        if reduction <= 0 or nonlocal_basis_ratio <= 0:
            raise ValueError(
                f'reduction and nonlocal_basis_ratio must be above 0, got {reduction} and {nonlocal_basis_ratio}'
            )
        self.mixtures, self.cells = mixtures, cells
        hidden = max(int(in_channels * reduction), 16)
        self.fc1 = nn.Linear(in_channels, hidden, bias=norm == 'LN')
        self.norm1 = _NORMS[norm](hidden)
        self.relu = nn.ReLU(inplace=True)
        self.has_basis = nonlocal_basis_ratio < 1
        if self.has_basis:
            self.first_local, self.local = local_cells
            nonlocal_cells = cells - self.local
            self.basis = max(int(nonlocal_cells * nonlocal_basis_ratio), 16)
            self.fc2 = nn.Linear(hidden, mixtures * (self.local + self.basis + 1), bias=False)
            self.fc3 = nn.Linear(self.basis, nonlocal_cells, bias=False)
            self.basis_bias = nn.Parameter(torch.zeros(mixtures, cells + 1))
        else:
            self.fc2 = nn.Linear(hidden, mixtures * (cells + 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise as at first: Linear layers kaiming-normal, biases 0, norm weights 1."""
        for module in self.children():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.norm1.reset_parameters()
        if self.has_basis:
            nn.init.zeros_(self.basis_bias)

    @torch.no_grad()
    def start_at(self, logits: Tensor) -> None:
        """Give some logits ``(m, n + 1)``, the zero cell last, for every input at first: the second layer maps to them.

        It learns to depend on the input, since the hidden vector stays as initialised.
        """
        nn.init.zeros_(self.fc2.weight)
        self.bias.copy_(logits.reshape(self.bias.shape))

    @property
    def bias(self) -> nn.Parameter:
        """The part of the logits that is the same for all inputs, of ``m (n + 1)`` values."""
        return self.basis_bias if self.has_basis else self.fc2.bias

    @property
    def needs_two_samples(self) -> bool:
        """Whether its norm would take statistics, in the present mode, over the samples of this process alone."""
        return self.training and not isinstance(self.norm1, nn.LayerNorm) and takes_own_statistics(self.norm1)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map an input that is pooled already, ``(B, in_channels)``, to logits ``(B, m, n + 1)``, the zero cell last.

        Under autocast too it computes in the type of its weights: it is next to no work, and half precision is too
        coarse for a division by the sum of hundreds of logits.
        """
        with no_autocast(pooled.device.type):
            return self._logits(pooled.to(self.fc1.weight.dtype))

    @property
    def hidden(self) -> int:
        """Width of the hidden vector."""
        return self.fc1.out_features

    def runs_as_one(self) -> bool:
        """Whether nobody would see if the modules did not run: they are the ones built here, and none has hooks."""
        norm, linear = self.norm1, (self.fc1, self.fc2, *([self.fc3] if self.has_basis else []))
        is_known = type(norm) in (nn.BatchNorm1d, nn.LayerNorm) or (
            isinstance(norm, nn.modules.batchnorm._BatchNorm)
            and not norm.training  # a synchronized one, or one of those
        )
        return (
            not is_observed()
            and is_known
            and norm.weight is not None
            and norm.bias is not None
            and all(type(layer) is nn.Linear for layer in linear)
            and type(self.relu) is nn.ReLU
            and not self.fc1.weight.is_meta
            and not _has_hooks(self)
        )

    def weights(
        self,
        pooled: Tensor,
        temperature: Optional[Tensor],
        beta: Tensor,
        second: Optional[tuple[Tensor, Tensor]] = None,
        as_code: bool = False,
    ) -> Tensor:
        """Weights of the mix for a pooled input, or their code, in one node: see :func:`attention_weights`.

        Args:
            pooled: ``(B, in_channels)``.
            temperature: tau; None is a layer that is at 0 whatever the temperature is.
            beta: ``(m, n)``.
            second: What :meth:`second_layer` returns. Default: None, it is called.
            as_code: Whether to return the code. Default: False.
        """
        self._check_batch(pooled)
        with no_autocast(pooled.device.type):
            fc1, second = (self.fc1.weight, self.fc1.bias), second or self.second_layer()
            norm = (Norm.of(self.norm1), self.norm1.weight, self.norm1.bias)
            return attention_weights(pooled.to(fc1[0].dtype), fc1, norm, second, temperature, beta, as_code)

    def second_layer(self) -> tuple[Tensor, Tensor]:
        """Weight ``(m (n + 1), K)`` and bias of the linear map from the hidden vector to the logits."""
        if not self.has_basis:
            return self.fc2.weight, self.fc2.bias
        with no_autocast(self.fc2.weight.device.type):
            weight = self.fc2.weight.unflatten(0, (self.mixtures, -1))
            local, basis, zero = weight.split((self.local, self.basis, 1), 1)
            others = torch.matmul(self.fc3.weight, basis)
            before, after = others[:, : self.first_local], others[:, self.first_local :]
            return torch.cat((before, local, after, zero), 1).flatten(0, 1), self.basis_bias.flatten()

    def _check_batch(self, pooled: Tensor) -> None:
        if self.needs_two_samples and len(pooled) == 1:
            raise ValueError(f"{SINGLE_SAMPLE}, or norm='LN'")

    def _logits(self, pooled: Tensor) -> Tensor:
        return self.logits_of(self.hidden_vector(pooled))

    def hidden_vector(self, pooled: Tensor) -> Tensor:
        """What the second layer maps, ``(B, K)``, for a pooled input in the type of the weights."""
        self._check_batch(pooled)
        return self.relu(self.norm1(self.fc1(pooled)))

    def logits_of(self, hidden: Tensor) -> Tensor:
        """Logits ``(B, m, n + 1)`` of the hidden vector."""
        # The batch size is not named here, since naming it would fix it in an exported graph.
        logits = self.fc2(hidden).unflatten(-1, (self.mixtures, -1))
        if not self.has_basis:
            return logits
        local, basis, zero = logits.split((self.local, self.basis, 1), dim=-1)
        others = self.fc3(basis)
        before, after = others[..., : self.first_local], others[..., self.first_local :]
        return torch.cat((before, local, after, zero), dim=-1) + self.basis_bias


_HOOKS = [name for name in nn.Module().__dict__ if name.endswith('_hooks') and 'state_dict' not in name]


def _has_hooks(module: nn.Module) -> bool:
    """Whether a module, a part of it, or all modules have hooks that run in a pass."""
    everywhere = nn.modules.module
    return any(getattr(everywhere, f'_global{name}', None) for name in _HOOKS) or any(
        part.__dict__.get(name) for part in (module, *module.children()) for name in _HOOKS
    )
