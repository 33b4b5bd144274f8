"""Reads published and plain checkpoints, and writes folded ones."""

from .convert import convert_plain, convert_published
from .init import PlainPretrained, PublishedPretrained
from .plain import plain_to_mmkw, read_plain, warm_start_from_plain
from .published import published_to_mmkw, read_published

__all__ = [
    'PlainPretrained',
    'PublishedPretrained',
    'convert_plain',
    'convert_published',
    'plain_to_mmkw',
    'published_to_mmkw',
    'read_plain',
    'read_published',
    'warm_start_from_plain',
]
