"""Missing files are found before a run starts."""

import pytest
from mmengine.config import Config

from mmkw.engine import LaunchError, check_files


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('')


def dataset(**changes):
    return dict(type='CocoDataset', data_root='data', ann_file='a.json', data_prefix=dict(img='images')) | changes


def missing(stage='train', **cfg):
    """The files that the message names, in the order of the message."""
    with pytest.raises(LaunchError) as error:
        check_files(Config(cfg), stage)
    return [line.removeprefix('missing: ') for line in str(error.value).splitlines() if line.startswith('missing: ')]


def test_annotations_and_images():
    assert missing(train_dataloader=dict(dataset=dataset())) == ['data/a.json', 'data/images']


def test_all_there(folder):
    put(folder, 'data/a.json', 'data/images/1.jpg')
    check_files(Config(dict(train_dataloader=dict(dataset=dataset()))))


def test_an_empty_image_folder_counts_as_missing(folder):
    put(folder, 'data/a.json')
    (folder / 'data' / 'images').mkdir()
    assert missing(train_dataloader=dict(dataset=dataset())) == ['data/images']


def test_wrapped_datasets():
    inner = [dataset(ann_file='b.json', data_prefix={}), dataset(ann_file='c.json', data_prefix={})]
    wrapped = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=inner))
    assert missing(train_dataloader=dict(dataset=wrapped)) == ['data/b.json', 'data/c.json']


def test_a_text_prefix_and_a_bare_root():
    loader = dict(dataset=[dict(data_root='x', data_prefix='train'), dict(data_root='y')])
    assert missing(train_dataloader=loader) == ['x/train', 'y']


def test_the_split_of_imagenet_is_a_folder(folder):
    put(folder, 'data/imagenet/val/n01440764/1.jpg')
    imagenet = [dict(type='ImageNet', data_root='data/imagenet', split=split) for split in ('train', 'val')]
    assert missing(train_dataloader=dict(dataset=imagenet)) == ['data/imagenet/train']


def test_an_absolute_path_is_not_joined():
    assert missing(train_dataloader=dict(dataset=dataset(ann_file='/no/a.json', data_prefix={}))) == ['/no/a.json']


def test_settings_of_validation_may_be_empty():
    assert missing(val_cfg={}, val_dataloader=dict(dataset=dataset(data_prefix={}))) == ['data/a.json']


def test_metrics():
    metrics = [dict(type='CocoMetric', ann_file='m.json'), dict(type='DumpResults')]
    assert missing(val_cfg=dict(type='ValLoop'), val_evaluator=metrics) == ['m.json']


def test_each_file_is_named_once():
    loader = dict(dataset=dataset(data_prefix={}))
    cfg = dict(val_cfg=dict(type='ValLoop'), train_dataloader=loader, val_dataloader=loader)
    assert missing(**cfg, val_evaluator=dict(ann_file='./data/a.json')) == ['data/a.json']


def test_training_does_not_need_the_test_set():
    check_files(Config(dict(test_dataloader=dict(dataset=dataset()))), 'train')


def test_training_without_validation_does_not_need_its_data():
    check_files(Config(dict(val_dataloader=dict(dataset=dataset()), val_cfg=None)))


def test_testing_needs_neither_training_data_nor_start_weights():
    model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='w.pth')))
    cfg = dict(train_dataloader=dict(dataset=dataset()), model=model, test_evaluator=dict(ann_file='t.json'))
    assert missing('test', **cfg) == ['t.json']


@pytest.mark.parametrize('kind', ['Pretrained', 'PublishedPretrained'])
def test_start_weights_anywhere_in_the_model(kind):
    init_cfg = [dict(type='Kaiming', layer='Conv2d'), dict(type=kind, checkpoint='w.pth')]
    assert missing(model=dict(student=dict(backbone=dict(init_cfg=init_cfg)))) == ['w.pth']


def test_resuming_needs_its_checkpoint_and_no_start_weights():
    model = dict(init_cfg=dict(type='Pretrained', checkpoint='w.pth'))
    assert missing(model=model, load_from='epoch_1.pth', resume=True) == ['epoch_1.pth']


@pytest.mark.parametrize(
    'url', ['https://host/w.pth', 'torchvision://resnet50', 'open-mmlab://r50', 's3://bucket/w.pth']
)
def test_remote_files_are_not_looked_at(url):
    model = dict(init_cfg=dict(type='Pretrained', checkpoint=url))
    check_files(Config(dict(model=model, load_from=url, train_dataloader=dict(dataset=dict(ann_file=url)))))


def test_data_of_another_backend_is_not_looked_at():
    check_files(Config(dict(train_dataloader=dict(dataset=dataset(backend_args=dict(backend='petrel'))))))


def test_data_that_fetches_itself_is_not_looked_at():
    check_files(Config(dict(train_dataloader=dict(dataset=dict(type='CIFAR10', data_root='data/cifar10')))))


def test_message_names_the_files_then_where_to_get_and_put_them(folder):
    sources = {'data/': 'the archive at https://host/data.zip, unpacked', 'data/other/': 'elsewhere'}
    with pytest.raises(LaunchError) as error:
        check_files(Config(dict(train_dataloader=dict(dataset=dataset()), sources=sources)))
    assert str(error.value).splitlines() == [
        'missing: data/a.json',
        'missing: data/images',
        '    get it: the archive at https://host/data.zip, unpacked',
        f'    put it: {folder}/data/',
        f'Nothing was started. Paths are relative to {folder}; --cfg-options changes the config.',
    ]


def test_the_closest_source_counts():
    sources = {'data/': 'far', 'data/a.json': 'near'}
    with pytest.raises(LaunchError, match='get it: near'):
        check_files(Config(dict(train_dataloader=dict(dataset=dataset(data_prefix={})), sources=sources)))


def test_a_file_without_source_is_named_by_its_config_key():
    with pytest.raises(LaunchError, match='missing: w.pth\n    named by: model.backbone.init_cfg.checkpoint'):
        check_files(Config(dict(model=dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='w.pth'))))))
