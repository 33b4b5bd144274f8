# MobileNetV2 0.5x with DY-Conv, 4 kernels, by KernelWarehouse's recipe of 150 epochs. No result was found for this
# recipe.
# tools/dist_train.sh configs/imagenet/dyconv4x_mbv2_w050_in1k.py 8
_base_ = './mbv2_w050_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='MobileNetV2', widen_factor=0.5),
        method=dict(type='DYConv', kernels=4),
    ),
    head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
