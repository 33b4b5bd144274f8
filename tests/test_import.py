"""Importing mmkw works with torch alone, and says which versions cannot work together."""

import subprocess
import sys


def run(code):
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)


def test_ops_layers_and_plans_need_only_torch():
    blocked = "import sys; sys.modules.update(dict.fromkeys(['mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'numpy']));"
    result = run(
        f'{blocked} import torch; from mmkw.layers import KWConv2d; import mmkw.plans, mmkw.ops;'
        'print(KWConv2d(4, 8, 3)(torch.zeros(2, 4, 5, 5)).shape)'
    )
    assert result.returncode == 0, result.stderr
    assert 'torch.Size([2, 8, 3, 3])' in result.stdout


def test_versions_that_cannot_work_are_one_sentence_at_import():
    code = (
        'import importlib.metadata as m; real = m.version;'
        "m.version = lambda name: '2.2.0' if name == 'mmcv' else real(name); import mmkw"
    )
    result = run(code)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('ImportError: ')
    assert 'mmcv' in last
    assert 'mmdet/__init__' not in result.stderr
