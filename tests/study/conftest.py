"""A study of two networks whose trainings only write what a training logs."""

import sys

import pytest

from mmkw.study.plan import read_study
from mmkw.study.running import Runner

CONFIG = """
model = dict(
    type='mmpretrain.ImageClassifier',
    backbone=dict(type='PlainResNet', depth=18, stem_channels=4, base_channels=4),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(type='mmpretrain.LinearClsHead', num_classes=2, in_channels=32),
)
custom_imports = dict(imports=['mmkw'])
train_dataloader = dict(dataset=dict(type='CustomDataset', data_root='images'))
train_cfg = dict(by_epoch=True, max_epochs=2)
default_scope = 'mmpretrain'
level = 70
"""
STUDY = """
name = 'tiny'
work_dir = 'runs'
runs = [
    dict(name='plain', config='plain.py', seeds=[0, 1]),
    dict(name='better net', config='plain.py', seeds=[0, 1], cfg_options={'level': 80}),
]
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (32, 32)
"""
# Logs two epochs; after the first it stops, once, where a file `stop` names its seed.
TRAINER = """
import json, os, runpy, sys, time
from pathlib import Path
cfg, folder = runpy.run_path(sys.argv[1]), Path(sys.argv[3])
level, seed = cfg['level'], cfg['randomness']['seed']
assert sys.argv[2] == '--work-dir' and sys.argv[4] == '--resume'
parts = sorted(folder.glob('*/vis_data/scalars.json'))
log = folder / str(len(parts)) / 'vis_data' / 'scalars.json'
log.parent.mkdir(parents=True)
with open('calls.txt', 'a') as calls:
    calls.write(f'{folder.name} {len(parts)} {os.environ["OMP_NUM_THREADS"]}\\n')
time.sleep(0.5 * os.path.exists('slow'))
stop = Path('stop')
for epoch in (1, 2)[len(parts):]:
    lines = [{'loss': 2 / epoch, 'time': 0.01 * level, 'epoch': epoch, 'step': 5 * epoch},
             {'accuracy/top1': level + seed + epoch, 'step': epoch}]
    with open(log, 'a') as file:
        file.writelines(json.dumps(line) + '\\n' for line in lines)
    if stop.is_file() and int(stop.read_text()) == seed:
        stop.unlink()
        with open(log, 'a') as file:
            file.write('{"loss": 1.')  # cut off
        sys.exit(3)
"""


class Tiny:
    """The study in a folder, which is the current one, and its trainer."""

    def __init__(self, folder):
        self.folder = folder
        self.said = []

    def study(self):
        return read_study(self.folder / 'study.py')

    def run(self, **settings):
        runner = Runner(self.study(), [sys.executable, 'trainer.py'], **{'say': self.said.append, **settings})
        return runner.run()

    def calls(self):
        """(folder, trainings before in it, threads) of each training."""
        path = self.folder / 'calls.txt'
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.is_file() else []

    def change(self, name, old, new):
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (('plain.py', CONFIG), ('study.py', STUDY), ('trainer.py', TRAINER), ('images/cat/1.png', 'a')):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Tiny(tmp_path)
