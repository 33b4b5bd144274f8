"""What holds for all tests."""

import functools
import logging
from collections import OrderedDict
from unittest import mock

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

import mmkw  # noqa: F401  it wraps the method below too

# For each base that a config takes from a library, mmengine reads a hundred files of this library anew.
_find = Config._get_cfg_path
_find_by_name = functools.cache(lambda name: _find(name, ''))
Config._get_cfg_path = staticmethod(lambda path, file: _find_by_name(path) if '::' in path else _find(path, file))


@pytest.fixture(scope='module', autouse=True)
def _default_scope_of_its_own():
    """Begin each file without mmengine's default scope, which Runners and tools of other files leave behind them."""
    with mock.patch.object(DefaultScope, '_instance_dict', OrderedDict()):
        yield


@pytest.fixture
def messages():
    """What is logged meanwhile."""
    found: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files with slow tests first: two processes end together only if short files are the last."""
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: item.path not in slow)
