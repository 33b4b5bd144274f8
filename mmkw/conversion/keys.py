"""Whether a state dict fits a model."""

from collections.abc import Mapping

from torch import Tensor


def check_keys(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], message: str) -> None:
    """Compare a state dict with a model's, key by key and shape by shape.

    Raises:
        ValueError: If they differ: the message, and a line each on what is missing, unexpected and of another shape.
    """
    problems = {
        'missing': [key for key in expected if key not in found],
        'unexpected': [key for key in found if key not in expected],
        'of another shape': [k for k, v in expected.items() if k in found and found[k].shape != v.shape],
    }
    lines = [
        f'  {len(keys)} {kind}: {", ".join(keys[:3])}{", ..." if len(keys) > 3 else ""}'
        for kind, keys in problems.items()
        if keys
    ]
    if lines:
        raise ValueError('\n'.join([f'{message}:', *lines]))
