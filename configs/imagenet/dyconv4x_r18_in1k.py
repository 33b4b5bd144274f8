# ResNet18 with DY-Conv, 4 kernels, by KernelWarehouse's recipe of 300 epochs. No result was found for this recipe.
# tools/dist_train.sh configs/imagenet/dyconv4x_r18_in1k.py 8
_base_ = './r18_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18, drop_path_rate=0.1),
        method=dict(type='DYConv', kernels=4),
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
