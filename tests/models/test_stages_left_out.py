"""A ResNet without its last stages is the whole network with those stages left out."""

import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmkw import set_temperature
from mmkw.checkpoints import warm_start_from_plain
from mmkw.conversion import fold
from mmkw.inspection import bank_table
from mmkw.layers import KWConvNd
from mmkw.models import KWResNet, PlainResNet

SMALL = dict(base_channels=16, stem_channels=16)
NETWORKS = pytest.mark.parametrize('depth, budget', [(18, '1x'), (18, '1/2x'), (50, '1x'), (50, '1/2x'), (50, '4x')])
STAGES = pytest.mark.parametrize('stages', [1, 2, 3])


def of_stages(stages):
    return dict(
        num_stages=stages, strides=(1, 2, 2, 2)[:stages], dilations=(1,) * stages, out_indices=tuple(range(stages))
    )


def whole_network(depth, budget='1x', kind=KWResNet, **settings):
    """The network, with values unlike those that networks start with."""
    torch.manual_seed(0)
    if kind is KWResNet:
        settings['budget'] = budget
    network = kind(depth, **of_stages(4), **SMALL, **settings).double()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not name.endswith('temperature'):
                value.add_(0.1 * torch.rand_like(value))
    network.eval()
    return network


def published(network):
    """The network's values under published names, with a classifier."""
    state = network.state_dict()
    del state['warehouses.temperature']
    named = {key.replace('warehouses.stage', 'warehouse_manager.weights.'): value for key, value in state.items()}
    return {**named, 'fc.weight': torch.zeros(10, 128), 'fc.bias': torch.zeros(10)}


def assert_the_same_stages(part, whole):
    part.double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.double)
    for temperature in (0.0, 0.5, 1.0):
        for network in (part, whole):
            set_temperature(network, temperature)
        with torch.no_grad():
            found, expected = part(x), whole(x)
        for ours, theirs in zip(found, expected):
            assert theirs.std() > 0
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@STAGES
@NETWORKS
def test_a_published_file_of_the_whole_network(tmp_path, depth, budget, stages):
    whole = whole_network(depth, budget)
    torch.save(dict(model=published(whole)), tmp_path / 'published.pth')
    init_cfg = dict(type='PublishedPretrained', checkpoint=str(tmp_path / 'published.pth'))
    part = KWResNet(depth, budget, **of_stages(stages), **SMALL, init_cfg=init_cfg).double()
    part.init_weights()
    assert_the_same_stages(part, whole)


@STAGES
def test_the_plain_network_takes_a_published_file_of_the_whole_network(tmp_path, stages):
    whole = PlainResNet(18, **SMALL)
    torch.save(whole.state_dict(), tmp_path / 'published.pth')
    init_cfg = dict(type='PublishedPretrained', checkpoint=str(tmp_path / 'published.pth'))
    part = PlainResNet(18, **of_stages(stages), **SMALL, init_cfg=init_cfg)
    part.init_weights()
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in part.state_dict().items())


def test_a_classifiers_checkpoint(tmp_path):
    whole = whole_network(50)
    state = {f'backbone.{key}': value for key, value in whole.state_dict().items()}
    torch.save(dict(state_dict={**state, 'head.fc.weight': torch.zeros(10, 512)}), tmp_path / 'classifier.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'classifier.pth'), prefix='backbone.')
    part = KWResNet(50, **of_stages(3), **SMALL, init_cfg=init_cfg).double()
    part.init_weights()
    assert_the_same_stages(part, whole)


@pytest.mark.parametrize('switches', [dict(), dict(sharing='shape'), dict(sharing='layer'), dict(sharing='none')])
@STAGES
@NETWORKS
def test_warehouses_and_starts(depth, budget, stages, switches):
    if switches.get('sharing') == 'none' and budget == '1/2x':
        switches = dict(sharing='layer')  # a layer's own warehouse needs a whole budget
    part, whole = (KWResNet(depth, budget, **of_stages(n), **SMALL, **switches) for n in (stages, 4))
    for name, layer in part.named_modules():
        if isinstance(layer, KWConvNd):
            other = whole.get_submodule(name)
            assert layer.cells.shape == other.cells.shape
            assert torch.equal(layer.beta, other.beta)
    used = {row.name: row.budget for row in bank_table(whole)}
    assert all(row.budget == used[row.name] for row in bank_table(part))


def test_cells_of_the_layers_left_out_are_initialised_as_theirs():
    torch.manual_seed(0)
    cells = KWResNet(18, **of_stages(3), **SMALL).warehouses['stage2']
    assert cells.shape == (3 * 9 + 18 + 2, 64, 64, 1, 1)
    for own, taken in ((cells[27:45], 18), (cells[45:], 2)):  # of a 128 x 64 x 3 x 3 and of a 128 x 64 x 1 x 1 kernel
        assert own.std().item() == pytest.approx((2 / (taken * 64)) ** 0.5, rel=0.05)


@STAGES
@pytest.mark.parametrize('depth', [18, 50])
def test_a_warm_start_and_folding_back(depth, stages):
    whole = whole_network(depth, kind=PlainResNet)
    part = KWResNet(depth, **of_stages(stages), **SMALL).double().eval()
    before = part.warehouses[f'stage{stages - 1}'].clone()
    errors = warm_start_from_plain(part, whole.state_dict(), 'the test')
    x = torch.randn(2, 3, 32, 32, dtype=torch.double)
    with torch.no_grad():
        for network in (part, fold(part)):
            for ours, theirs in zip(network(x), whole(x)):
                torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert set(errors.values()) == {0.0}
    unchanged = (part.warehouses[f'stage{stages - 1}'] == before).flatten(1).all(1)
    assert unchanged.any() and not unchanged.all()


@pytest.mark.parametrize('stages', [1, 3])
def test_another_budget_is_named(tmp_path, stages):
    torch.save(published(whole_network(50)), tmp_path / 'published.pth')
    init_cfg = dict(type='PublishedPretrained', checkpoint=str(tmp_path / 'published.pth'))
    with pytest.raises(ValueError, match='the checkpoint has budget b = 1, the model budget b = 4; take the file'):
        KWResNet(50, '4x', **of_stages(stages), **SMALL, init_cfg=init_cfg).init_weights()


@STAGES
def test_freezing_all_stages_freezes_all_warehouses(stages):
    part = KWResNet(18, **of_stages(stages), **SMALL, frozen_stages=stages)
    assert not any(p.requires_grad for p in part.parameters())


C4 = """
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50-caffe-c4_1x_coco.py'
custom_imports = dict(imports=['mmkw'], allow_failed_imports=False)
model = dict(
    backbone=dict(type='KWResNet', init_cfg=dict(type='PublishedPretrained', checkpoint='published.pth')),
    train_cfg=dict(rpn_proposal=dict(max_per_img=20), rcnn=dict(sampler=dict(num=8))),
)
"""


@pytest.mark.slow
def test_a_stock_c4_detector_trains_from_a_published_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(published(KWResNet(50)), 'published.pth')
    (tmp_path / 'config.py').write_text(C4)
    cfg = Config.fromfile('config.py')
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    model.backbone.init_weights()
    model.train()
    batch = demo_mm_inputs(2, [[3, 64, 64], [3, 64, 64]], with_mask=True)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    for _ in range(2):
        loss, _ = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    assert all(cells.grad.any() for cells in model.backbone.warehouses.parameters())
