"""attention_extent='picture': what a detector computes for a picture depends on its batch as the plain one's does."""

import copy
import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.apis import inference_detector
from mmdet.models import MaskRCNN
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import nn

from mmkw import set_temperature
from mmkw.config import read_config
from mmkw.conversion import fold, mean_attention
from mmkw.engine.mean_folding import _outputs
from mmkw.export import exportable
from mmkw.inspection import counted_pass, model_info
from mmkw.layers import Pictures, known_pictures, pools_over_pictures
from mmkw.models import KWResNet, PlainResNet, converted_backbone, kw_backbone
from running import TINY_CLASSIFIER, TINY_MASK_RCNN

SMALL = dict(depth=18, stem_channels=8, base_channels=8, out_indices=(0, 1, 2, 3))
UNKNOWN = 'it is not known here how much of the batch each picture fills'


# --- the effect ---------------------------------------------------------------------------------------------------


def change(x, y):
    return ((x - y).norm() / x.norm()).item()


def padded_more(backbone):
    """Relative change of the far corner of the last map, and of all of it, as 256 x 256 is padded to 512 x 512."""
    x = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    backbone.eval()
    with torch.no_grad():
        with known_pictures(backbone, Pictures.filling(x)):
            before = backbone(x)[-1]
        with known_pictures(backbone, Pictures([(256, 256)], (512, 512))):
            after = backbone(F.pad(x, (0, 256, 0, 256)))[-1][:, :, :8, :8]
    return change(before[..., 0, 0], after[..., 0, 0]), change(before, after)


def converted(method, extent):
    torch.manual_seed(0)
    if method == 'KernelWarehouse':
        return KWResNet(**SMALL, attention_extent=extent)
    return converted_backbone(dict(type='PlainResNet', **SMALL), dict(type=method), attention_extent=extent)


# DCD is left out: untrained, its features leave the range of numbers at this depth.
METHODS = ('SE', 'CBAM', 'ECA', 'CGC', 'WeightNet', 'CondConv', 'DYConv', 'ODConv', 'KernelWarehouse')


@pytest.mark.parametrize('method', METHODS)
def test_the_far_corner_changes_a_fraction_of_what_it_did(method):
    """What is left comes from the border, where convolutions see the padding, in the plain network too."""
    over_input, over_picture = (padded_more(converted(method, extent)) for extent in ('input', 'picture'))
    assert over_input[0] > 1e-3
    assert over_picture[0] < over_input[0] / 5


def test_padding_changes_a_kw_network_as_much_as_the_plain_one():
    torch.manual_seed(0)
    corner, all_of_it = padded_more(PlainResNet(**SMALL))
    assert corner < 1e-6 < 0.01 < all_of_it
    over_input, over_picture = (padded_more(converted('KernelWarehouse', extent))[1] for extent in ('input', 'picture'))
    assert over_picture < 1.1 * all_of_it < over_input / 1.4


# --- in a detector ------------------------------------------------------------------------------------------------


def detector(**options):
    torch.manual_seed(0)
    cfg = Config.fromfile(TINY_MASK_RCNN)
    cfg.merge_from_dict({f'model.backbone.{key}': value for key, value in options.items()})
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    return model


@pytest.fixture
def over_pictures():
    return detector(attention_extent='picture')


def batch_of(*sizes):
    """What a data loader gives: pictures of these sizes, the same ones in every batch, each with a box."""
    inputs, samples = [], []
    for height, width in sizes:
        rng = torch.Generator().manual_seed(height + 1000 * width)
        inputs.append(torch.randint(256, (3, height, width), generator=rng, dtype=torch.uint8))
        meta = dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0), img_id=0)
        samples.append(DetDataSample(metainfo=meta))
    return dict(inputs=inputs, data_samples=samples)


def with_boxes(batch):
    for sample in batch['data_samples']:
        box = torch.tensor([[4.0, 4.0, 28.0, 28.0]])
        sample.gt_instances = InstanceData(bboxes=box, labels=torch.zeros(1, dtype=torch.long), masks=masks(sample))
    return batch


def masks(sample):
    height, width = sample.img_shape
    return BitmapMasks(np.ones((1, height, width), np.uint8), height, width)


def attentions(model, *sizes):
    """What the first dynamic layer of each stage decides for the first picture of a batch that is predicted."""
    found = []

    def note(layer, inputs):
        found.append(layer.alpha(inputs[0])[0])

    layers = [getattr(model.backbone, f'layer{i}')[0].conv1 for i in range(1, 5)]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        model.test_step(batch_of(*sizes))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def test_attention_to_a_picture_depends_little_on_its_neighbours(over_pictures):
    changes = {}
    for name, model in dict(input=detector(), picture=over_pictures).items():
        alone = attentions(model, (128, 128))
        beside = attentions(model, (128, 128), (256, 240), (64, 32), (33, 250), *[(128, 128)] * 4)
        changes[name] = [change(x, y) for x, y in zip(alone, beside)]
    # The first layer's is the same. Deeper ones pool borders at which convolutions have seen the padding.
    assert changes['picture'][0] < 1e-6 < 1e-3 < changes['input'][0]
    assert sum(changes['picture']) < 0.6 * sum(changes['input']), changes


def test_pictures_without_padding_are_predicted_by_the_same_bits(over_pictures):
    for sizes in ([(64, 96)], [(64, 64)] * 8):
        mine, theirs = (model.test_step(batch_of(*sizes)) for model in (over_pictures, detector()))
        for x, y in zip(mine, theirs):
            assert torch.equal(x.pred_instances.bboxes, y.pred_instances.bboxes)
            assert torch.equal(x.pred_instances.scores, y.pred_instances.scores)


def test_the_detector_is_what_it_was(over_pictures):
    assert isinstance(over_pictures, MaskRCNN) and type(over_pictures).__name__ == 'MaskRCNN'
    assert over_pictures.state_dict().keys() == detector().state_dict().keys()
    assert type(detector()) is MaskRCNN
    x = batch_of((64, 64), (50, 80))
    expected = over_pictures.test_step(copy.deepcopy(x))[1].pred_instances.scores
    buffer = io.BytesIO()
    torch.save(over_pictures, buffer)
    buffer.seek(0)
    for same in (copy.deepcopy(over_pictures), torch.load(buffer, weights_only=False)):
        assert torch.equal(same.test_step(copy.deepcopy(x))[1].pred_instances.scores, expected)


@pytest.mark.parametrize('with_cp', [False, True], ids=['whole', 'with_cp'])
def test_it_trains(with_cp):
    model = detector(attention_extent='picture', with_cp=with_cp).train()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    before = [p.detach().clone() for p in model.backbone.parameters()]
    losses = model.train_step(with_boxes(batch_of((64, 64), (50, 80))), optimizer)
    assert all(value.isfinite().all() for value in losses.values())
    assert any(not torch.equal(p, old) for p, old in zip(model.backbone.parameters(), before))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_autocast_is_close_to_float32(dtype):
    backbone = converted('KernelWarehouse', 'picture')
    set_temperature(backbone, 0.5)  # at 0 the outputs of an untrained network are tiny
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with known_pictures(backbone.eval(), Pictures([(64, 40), (20, 64)], (64, 64))):
        exact = backbone(x)[-1]
        with torch.autocast('cpu', dtype):
            out = backbone(x)[-1]
    out.float().square().mean().backward()
    assert (out.float() - exact).norm() < 0.1 * exact.norm()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


def test_recomputed_blocks_know_the_pictures_of_the_first_pass():
    gradients = {}
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for with_cp in (False, True):
        torch.manual_seed(0)
        backbone = KWResNet(**SMALL, with_cp=with_cp, attention_extent='picture').double().train()
        with known_pictures(backbone, Pictures([(64, 40), (20, 64)], (64, 64))):
            out = backbone(x.double())[-1]
        out.square().sum().backward()
        gradients[with_cp] = [p.grad for p in backbone.parameters()]
    torch.testing.assert_close(gradients[True], gradients[False], rtol=1e-9, atol=1e-12)


def test_inference_detector(over_pictures):
    image = np.random.default_rng(0).integers(256, size=(60, 90, 3), dtype=np.uint8)
    with DefaultScope.overwrite_default_scope('mmdet'):
        one, two = inference_detector(over_pictures, [image, image])
    assert torch.equal(one.pred_instances.scores, two.pred_instances.scores)


def test_a_classifier_knows_its_pictures_too():
    cfg = read_config(TINY_CLASSIFIER, {'model.backbone.attention_extent': 'picture'})
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    inputs = [torch.zeros(3, 64, 64, dtype=torch.uint8), torch.zeros(3, 40, 64, dtype=torch.uint8)]
    known = [DataSample(metainfo=dict(img_shape=tuple(x.shape[1:]))) for x in inputs]
    assert len(model.test_step(dict(inputs=inputs, data_samples=known))) == 2
    with pytest.raises(ValueError, match=UNKNOWN):
        model.test_step(dict(inputs=inputs, data_samples=[known[0], DataSample()]))


def test_a_backbone_may_be_taken_away(over_pictures):
    for model in (over_pictures, detector()):
        backbone, model.backbone = model.backbone, None
        assert pools_over_pictures(backbone) == (model is over_pictures)


def test_folding_at_the_mean_knows_the_pictures(over_pictures):
    batch = batch_of((64, 64), (50, 80))
    plain = fold(over_pictures, mean_attention(over_pictures, [batch], over_pictures.test_step))
    assert not pools_over_pictures(plain)
    before, after = (_outputs(model, batch) for model in (over_pictures, plain))
    assert before[0].shape == after[0].shape and not torch.equal(before[0], after[0])


def test_counting_needs_no_data_samples(over_pictures):
    counts = [model_info(m, counted_pass(m)[0], torch.zeros(1, 3, 64, 64)) for m in (over_pictures, detector())]
    assert counts[0] == counts[1]


def test_synchronized_norms_and_back():
    network = nn.Sequential(converted('SE', 'picture'))
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for change_norms in (nn.SyncBatchNorm.convert_sync_batchnorm, revert_sync_batchnorm):
        network = change_norms(network)
        with pytest.raises(ValueError, match=UNKNOWN):
            network(torch.zeros(2, 3, 32, 32))


# --- what is refused ----------------------------------------------------------------------------------------------


def test_a_pass_that_knows_no_pictures(over_pictures):
    x = torch.zeros(1, 3, 64, 64)
    for forward in (over_pictures, over_pictures.backbone, over_pictures.extract_feat):
        with pytest.raises(ValueError, match=UNKNOWN):
            forward(x)
    batch = batch_of((64, 64))
    over_pictures.test_step(batch)
    with pytest.raises(ValueError, match=UNKNOWN):  # it is forgotten after the pass
        over_pictures.extract_feat(x)
    batch['data_samples'] = [DetDataSample()]
    with pytest.raises(ValueError, match=UNKNOWN):
        over_pictures.test_step(batch)


def test_a_picture_larger_than_its_input(over_pictures):
    batch = batch_of((64, 64))
    batch['data_samples'][0].set_metainfo(dict(img_shape=(65, 64)))
    with pytest.raises(ValueError, match=r'a picture of size \(65, 64\) does not fit in an input of \(64, 64\)'):
        over_pictures.test_step(batch)


def test_an_export(over_pictures):
    with pytest.raises(ValueError, match="'picture' cannot be exported"), exportable(over_pictures.backbone, False):
        pass


@pytest.mark.parametrize(
    'build', [lambda **kw: KWResNet(18, **kw), lambda **kw: converted('SE', kw['attention_extent'])]
)
def test_another_word(build):
    with pytest.raises(ValueError, match="attention_extent must be one of input, picture, got 'image'"):
        build(attention_extent='image')


def test_a_backbone_whose_layers_see_tokens():
    plain = dict(type='mmpretrain.VisionTransformer', arch='deit-t', img_size=32, patch_size=16)
    with pytest.raises(ValueError, match=r"'layers\.0\..*' is a KWLinear: leave it plain"):
        kw_backbone(plain, attention_extent='picture')
