"""Published KernelWarehouse checkpoints in."""

from .convert import convert_published
from .init import PublishedPretrained
from .published import published_to_mmkw, read_published

__all__ = ['PublishedPretrained', 'convert_published', 'published_to_mmkw', 'read_published']
