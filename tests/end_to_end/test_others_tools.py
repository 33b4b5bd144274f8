"""Inferencers and tools of mmdet and mmpretrain work with mmkw's configs, checkpoints and results (docs/tools.md)."""

import json
import pickle
import re
import sys

import cv2
import numpy as np
import pytest
import torch

from mmkw.checkpoints.files import build_model
from mmkw.config import read_config
from running import ROOT, TINY_CLASSIFIER, TINY_MASK_RCNN, run, run_tool

pytestmark = pytest.mark.slow

DIGITS = str(ROOT / 'configs' / 'demo' / 'kw1x_r18_digits.py')
# Tool, its arguments, and what it prints (a pattern) or writes (a pattern of paths).
DETECTOR = {
    'print_config': (('{config}',), "type='KWResNet'", None),
    'get_flops': (('{config}', '--num-images', '1'), 'Params: {millions}M', None),
    'analysis_tools/browse_dataset': (('{config}', '--not-show', '--output-dir', 'browsed'), None, 'browsed/*.png'),
    'analyze_results': (('{config}', 'det.pkl', 'analysed', '--topk', '1'), None, 'analysed/good/*.png'),
    'confusion_matrix': (('{config}', 'det.pkl', 'matrix'), None, 'matrix/confusion_matrix.png'),
    'eval_metric': (('{config}', 'det.pkl'), r"'coco/segm_mAP': {ap}\b", None),
    'coco_error_analysis': (
        ('det.segm.json', 'errors', '--ann', 'truth.json', '--types', 'segm'),
        None,
        'errors/segm/segm-allclass-allarea.png',
    ),
}
WORKERS = (
    '--cfg-options',
    'test_dataloader.num_workers=1',
)  # mmpretrain's tool keeps workers, so there have to be some
CLASSIFIER = {
    'print_config': (('{config}',), "type='KWResNet'", None),
    'get_flops': (('{config}', '--shape', '32', '32'), 'Params: {millions}M', None),
    'analyze_results': (('{config}', 'cls.pkl', '--out-dir', 'cls_analysed'), None, 'cls_analysed/*/*.png'),
    'confusion_matrix': (('{config}', 'cls.pkl', '--show-path', 'cls.png'), None, 'cls.png'),
    'eval_metric': (('cls.pkl', '--metric', 'type=Accuracy', 'topk=1'), "'accuracy/top1': {accuracy}", None),
    'analyze_logs': (('plot_curve', '{log}', '--keys', 'loss', '--out', 'loss.png'), None, 'loss.png'),
    # It trains a stand-in, which has no temperature, so mmkw's hook has to be left out.
    'vis_scheduler': (
        (DIGITS, '-d', '898', '--not-show', '-s', 'lr.png', '--cfg-options', 'custom_hooks=[]'),
        None,
        'lr.png',
    ),
    'train': (
        ('{config}', '--work-dir', 'theirs', '--no-persistent-workers', '--cfg-options', 'train_cfg.max_epochs=1'),
        r'Epoch\(val\) \[1\]\[2/2\] +accuracy/top1',
        'theirs/epoch_1.pth',
    ),
    'test': (('{config}', 'cls/epoch_3.pth', *WORKERS), 'accuracy/top1: {accuracy}', None),
    'verify_dataset': (('{config}', '--out-path', 'broken.log'), 'There is no broken file', None),
}
RUNS = [('mmdet', name) for name in DETECTOR] + [('mmpretrain', name) for name in CLASSIFIER]
CONFIGS = {'mmdet': TINY_MASK_RCNN, 'mmpretrain': TINY_CLASSIFIER}


@pytest.fixture(scope='module')
def folder(trained):
    """A folder with the detector's training in `whole`, a classifier's in `cls`, and the predictions of both."""
    options = ('--out', 'det.pkl', '--cfg-options', 'test_evaluator.outfile_prefix=det')
    log = run_tool('test.py', TINY_MASK_RCNN, 'whole/epoch_4.pth', *options, cwd=trained)
    (trained / 'det_log').write_text(log)
    truth = json.loads((trained / 'shapes' / 'annotations' / 'instances_val.json').read_text())
    for category in truth['categories']:
        category['supercategory'] = 'shape'  # COCO has it, and coco_error_analysis asks for it
    (trained / 'truth.json').write_text(json.dumps(truth))
    rng = np.random.default_rng(0)
    for name, shade in (('dark', 40), ('light', 160)):
        (trained / 'images' / name).mkdir(parents=True)
        for number in range(4):
            image = (shade + 60 * rng.random((32, 32, 3))).astype(np.uint8)
            cv2.imwrite(str(trained / 'images' / name / f'{number}.png'), image)
    run_tool('train.py', TINY_CLASSIFIER, '--work-dir', 'cls', cwd=trained)
    log = run_tool('test.py', TINY_CLASSIFIER, 'cls/epoch_3.pth', '--out', 'cls.pkl', cwd=trained)
    (trained / 'cls_log').write_text(log)
    return trained


@pytest.mark.parametrize('library, name', RUNS)
def test_a_tool_runs(folder, library, name):
    arguments, printed, written = (DETECTOR if library == 'mmdet' else CLASSIFIER)[name]
    (log,) = (folder / 'cls').glob('*/vis_data/scalars.json')
    config = CONFIGS[library]
    filled = [argument.format(config=config, log=log) for argument in arguments]
    output = run(sys.executable, '-m', 'mmkw', library, name, *filled, cwd=folder)
    if printed:
        count = sum(p.numel() for p in build_model(read_config(config)).parameters())
        expected = dict(
            millions=re.escape(f'{count / 1e6:.3f}'),
            ap=re.escape(str(float(last(folder / 'det_log', 'coco/segm_mAP')))),
            accuracy=float(last(folder / 'cls_log', 'accuracy/top1')),
        )
        assert re.search(re.sub(r'\{(\w+)\}', lambda key: str(expected[key[1]]), printed), output)
    if written:
        assert list(folder.glob(written))


def last(log, metric):
    return re.findall(rf'{metric}: (\S+)', log.read_text())[-1]


@pytest.mark.parametrize(
    'library, checkpoint, pattern',
    [('mmdet', 'whole/epoch_4.pth', 'det_small-*.pth'), ('mmpretrain', 'cls/epoch_3.pth', 'cls_small_*.pth')],
)
def test_a_training_checkpoint_is_published(folder, library, checkpoint, pattern):
    """Without ``-m mmkw``, torch 2.6 and newer refuse the log in a training checkpoint."""
    target = f'{pattern[:9]}.pth'
    run(sys.executable, '-m', 'mmkw', library, 'publish_model', checkpoint, target, cwd=folder)
    (small,) = folder.glob(pattern)
    before, after = (torch.load(path, weights_only=True)['state_dict'] for path in (folder / checkpoint, small))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_tool_is_found_by_its_name(tmp_path):
    def answer(*arguments):
        return run(sys.executable, '-m', 'mmkw', *arguments, cwd=tmp_path, status=1)

    assert 'has no tool' in answer('mmdet', 'no_such')
    assert 'analysis_tools/mot/browse_dataset' in answer('mmdet', 'browse_dataset')
    assert 'no package' in answer('no_such', 'train')
    assert 'usage' in answer()


INFER = {
    'detector': """
        from mmdet.apis import DetInferencer, inference_detector, init_detector
        image = 'shapes/val/{image}'
        inferencer = DetInferencer(model=config, weights='whole/epoch_4.pth', device='cpu', show_progress=False)
        found = inferencer(image, out_dir='drawn', pred_score_thr=0.0)['predictions'][0]
        model = init_detector(config, 'whole/epoch_4.pth', device='cpu')
        direct = inference_detector(model, image).pred_instances
        result = found['scores'], direct.scores.tolist(), found['bboxes'], direct.bboxes.tolist()
    """,
    'classifier': """
        from mmpretrain import ImageClassificationInferencer, get_model
        inferencer = ImageClassificationInferencer(config, 'cls/epoch_3.pth', device='cpu')
        found = inferencer('images/dark/0.png')[0]
        model = get_model(config, pretrained='cls/epoch_3.pth', device='cpu')
        direct = ImageClassificationInferencer(model)('images/dark/0.png')[0]
        result = found['pred_scores'].tolist(), found['pred_label'], float(direct['pred_score']), direct['pred_label']
    """,
}


def infer(folder, kind, config, **names):
    """What the snippet of INFER computes, in a Python that imports mmkw only through the config."""
    lines = [line.strip() for line in INFER[kind].format(**names).splitlines() if line.strip()]
    code = [f'config = {str(config)!r}', *lines, 'import pickle', "pickle.dump(result, open('result.pkl', 'wb'))"]
    run(sys.executable, '-c', '\n'.join(code), cwd=folder)
    return pickle.loads((folder / 'result.pkl').read_bytes())


def test_detection_inferencer(folder):
    """The inferencers and the test give the same detections."""
    tested = pickle.loads((folder / 'det.pkl').read_bytes())[0]
    image = tested['img_path'].rpartition('/')[2]
    scores, direct_scores, boxes, direct_boxes = infer(folder, 'detector', TINY_MASK_RCNN, image=image)
    wanted = tested['pred_instances']
    assert len(scores) == len(wanted['scores']) > 0
    for found in (scores, direct_scores):
        np.testing.assert_allclose(found, wanted['scores'], atol=1e-5)
    for found in (boxes, direct_boxes):
        np.testing.assert_allclose(found, wanted['bboxes'], atol=1e-2)
    assert list((folder / 'drawn' / 'vis').glob('*'))


def test_classification_inferencer(folder):
    scores, label, direct_score, direct_label = infer(folder, 'classifier', TINY_CLASSIFIER)
    (wanted,) = (
        one for one in pickle.loads((folder / 'cls.pkl').read_bytes()) if one['img_path'].endswith('dark/0.png')
    )
    np.testing.assert_allclose(scores, wanted['pred_score'], atol=1e-5)
    assert label == direct_label == int(wanted['pred_label'])
    assert direct_score == pytest.approx(float(wanted['pred_score'].max()), abs=1e-5)


def test_the_page_names_every_tool_that_is_run_here():
    page = (ROOT / 'docs' / 'tools.md').read_text()
    for _, name in RUNS:
        assert f'`{name.rpartition("/")[2]}`' in page
