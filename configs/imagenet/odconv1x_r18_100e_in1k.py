# ResNet18 with ODConv, 1 kernel, by the traditional recipe: 100 epochs of SGD. Published: top-1 73.05, top-5 91.05
# (ODConv's release).
# tools/dist_train.sh configs/imagenet/odconv1x_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='ODConv', kernels=1),
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
