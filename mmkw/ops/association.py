"""In which order the factors of a kernel are multiplied: the only place where that is decided.

The kernel of a sample is made of m mixtures, each a product ``code . basis . cells``:

    W[b, i] = sum_k code[b, i, k] * G[i, k],    G[i, k] = sum_j basis[i, k, j] * E[j]

with cells E ``(n, c)``, a basis ``(m, K, n)`` that is the same for all samples, and a code ``(B, m, K)``. Multiplied
from the left, ``alpha = code . basis`` are the weights of the mix ``(B, m, n)`` of the paper's equation 1: the direct
form, which every layer has. The mixed basis G comes first where that is less work, and can be kept as long as basis and
cells stay what they are.

KernelWarehouse has a basis because the logits of its attention are linear in the hidden vector h, and the
contrasting-driven attention function (equation 3) divides them by one number per mixture,
``s[i] = sum_p |z[i, p]| + 1e-3``. With the second layer's weight F ``(m, n + 1, K)`` and bias f,

    W[i] = (1 - tau) / s[i] * (sum_k h[k] * sum_j F[i, k, j] E[j] + sum_j f[i, j] E[j]) + tau * sum_j beta[i, j] E[j]

so the rows of the basis are F transposed, f and beta, without the zero cell, and the code is ``(1 - tau) / s * h``,
``(1 - tau) / s`` and tau. Neither the paper nor its release does this; it is exact.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

# About how many multiply-adds a value takes that is read from memory or written to it; `tools/benchmark/shapes.py`
# measures what this rests on.
TRAFFIC = 24
# A mixed basis that is made for one pass takes at most so much memory.
BASIS_BYTES = 2**26


class Factors(NamedTuple):
    """Sizes of a layer's factors: m mixtures, K rows of the basis per mixture, n cells of c values."""

    mixtures: int
    rows: int
    cells: int
    cell: int

    @property
    def mixed_basis(self) -> int:
        """Number of values of G."""
        return self.mixtures * self.rows * self.cell

    def direct_work(self, batch: int) -> int:
        """Work of the direct form, in multiply-adds per value of a cell."""
        return _work(batch * self.mixtures, self.cells)

    def kept_work(self, batch: int) -> int:
        """Work with a mixed basis that is there already."""
        return self.mixtures * _work(batch, self.rows)

    def new_work(self, batch: int) -> int:
        """Work with a mixed basis that has to be made."""
        return _work(self.mixtures * self.rows, self.cells) + self.kept_work(batch)


def _work(rows: int, inner: int) -> int:
    """Work of a product ``(rows, inner) @ (inner, c)`` per column."""
    return rows * inner + TRAFFIC * (rows + inner)


def mixes_basis_first(factors: Factors, batch: int, dtype: torch.dtype) -> bool:
    """Whether to make the mixed basis for a single pass: about where ``1 / B + 1 / n < 1 / K``.

    Weights of the mix are at most 1, factors of them are not, and would leave the range of float16: there the direct
    form stays.
    """
    fits = factors.mixed_basis * torch.finfo(dtype).bits // 8 <= BASIS_BYTES
    return fits and dtype != torch.float16 and factors.new_work(batch) < factors.direct_work(batch)


def uses_kept_basis(factors: Factors, batch: int) -> bool:
    """Whether a mixed basis that is kept anyway is less work than the direct form."""
    return factors.kept_work(batch) < factors.direct_work(batch)


def worth_keeping(layers: Sequence[Factors], values: int) -> set[int]:
    """Choose the layers whose mixed basis is kept: those that save most per value, as far as these fit.

    Args:
        layers: The factors of each layer.
        values: How many values may be kept in all.

    Returns:
        Indices of the layers.
    """
    chosen: set[int] = set()
    for index in sorted(range(len(layers)), key=lambda i: layers[i].rows / layers[i].cells):
        size = layers[index].mixed_basis
        if layers[index].rows < layers[index].cells and size <= values:
            chosen.add(index)
            values -= size
    return chosen


def kept_values(layers: Iterable[Factors]) -> int:
    """How many values the mixed bases of these layers have."""
    return sum(factors.mixed_basis for factors in layers)
