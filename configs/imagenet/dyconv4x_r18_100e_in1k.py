# ResNet18 with DY-Conv, 4 kernels, by the traditional recipe: 100 epochs of SGD. Published: top-1 72.76, top-5 90.79
# (KernelWarehouse's ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/dyconv4x_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='DYConv', kernels=4),
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
