"""Trains one layer in mmengine's Runner and notes the temperature of every pass."""

from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, arange, nn

from mmkw.layers import DYConv2d, KWLinear, ODConv2d, temperature_ranges

EPOCH = 4  # iterations

# Makes a layer of each method that has a temperature.
LAYERS = {
    'KW': lambda: KWLinear(4, 4),
    'ODConv': lambda: nn.Sequential(nn.Unflatten(1, (4, 1, 1)), ODConv2d(4, 4, 1)),
    'DYConv': lambda: nn.Sequential(nn.Unflatten(1, (4, 1, 1)), DYConv2d(4, 4, 1)),
}


class Model(BaseModel):
    """A model that notes for each pass (training or not, temperature)."""

    def __init__(self, layer=None):
        super().__init__()
        self.layer, self.seen = KWLinear(4, 4) if layer is None else layer, []

    @property
    def temperature(self):
        """Of the first layer."""
        return next((float(layer.temperature) for layer, _ in temperature_ranges(self).values()), None)

    def forward(self, x: Tensor, mode: str = 'tensor'):
        self.seen.append((self.training, self.temperature))
        loss = self.layer(x).square().mean()
        return dict(loss=loss) if mode == 'loss' else [loss]

    def temperatures(self, training=True):
        return [temperature for was_training, temperature in self.seen if was_training == training]


class NoMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return dict(nothing=0.0)


def loader(sampler='DefaultSampler', samples=2 * EPOCH):
    return dict(
        dataset=[dict(x=x) for x in (arange(4.0 * samples).view(samples, 4) % 7)],
        batch_size=2,
        sampler=dict(type=sampler, shuffle=False),
        collate_fn=dict(type='default_collate'),
    )


def make_runner(tmp_path, hook, epochs=3, by_epoch=True, layer=None, val=False, accumulate=1, hooks=(), **kwargs):
    """Make the Runner; ``epochs`` counts epochs of EPOCH iterations on an iteration-based loop too."""
    if by_epoch:
        train_cfg = dict(by_epoch=True, max_epochs=epochs)
    else:
        train_cfg = dict(by_epoch=False, max_iters=epochs * EPOCH, val_interval=EPOCH)
    if val:
        validation = dict(val_dataloader=loader(), val_cfg={}, val_evaluator=Evaluator(NoMetric()))
        kwargs = {**validation, **kwargs}
    saving = dict(type='CheckpointHook', by_epoch=by_epoch, interval=1 if by_epoch else EPOCH)
    default_hooks = dict(checkpoint=saving) | kwargs.pop('default_hooks', {})
    make_runner.count += 1
    return Runner(
        Model(layer),
        str(tmp_path),
        train_dataloader=loader('DefaultSampler' if by_epoch else 'InfiniteSampler'),
        train_cfg=train_cfg,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01), accumulative_counts=accumulate),
        custom_hooks=[*hooks, dict(type='TemperatureHook', **hook)],
        default_hooks=default_hooks,
        log_processor=dict(by_epoch=by_epoch),
        experiment_name=f'{tmp_path.name}-{make_runner.count}',  # mmengine keeps loggers by name
        **kwargs,
    )


make_runner.count = 0


def train(tmp_path, hook, **kwargs):
    """Train, and return the Runner and the temperature of every training pass."""
    runner = make_runner(tmp_path, hook, **kwargs)
    runner.train()
    return runner, runner.model.temperatures()


def published(length, iterations, method='KW'):
    """tau(t) of the published schedule, t = 0, 1, ..."""
    rest = [max(0.0, 1 - (t + 1) / length) for t in range(iterations)]
    return rest if method == 'KW' else [1 + 29 * part for part in rest]
