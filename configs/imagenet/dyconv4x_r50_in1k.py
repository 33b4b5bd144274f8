# ResNet50 with DY-Conv, 4 kernels, by KernelWarehouse's recipe of 300 epochs. Published: top-1 79.00, top-5 94.27
# (KernelWarehouse's table as the Core-KAN paper quotes it).
# tools/dist_train.sh configs/imagenet/dyconv4x_r50_in1k.py 8
_base_ = './r50_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=50, drop_path_rate=0.1),
        method=dict(type='DYConv', kernels=4),
    ),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
