"""Saying what does not fit, in a few readable lines."""

from collections.abc import Mapping, Sequence


def raise_on_misfits(headline: str, problems: Mapping[str, Sequence[str]]) -> None:
    """Raise a ValueError that names the first few keys of each kind of problem, if there is any.

    Args:
        headline: First line of the message.
        problems: Kind, such as ``'missing'``, to keys.
    """
    found = [
        f'  {len(keys)} {kind}: {", ".join(keys[:3])}{", ..." if len(keys) > 3 else ""}'
        for kind, keys in problems.items()
        if keys
    ]
    if found:
        raise ValueError('\n'.join([headline, *found]))
