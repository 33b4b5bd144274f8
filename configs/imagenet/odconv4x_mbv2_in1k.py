# MobileNetV2 1.0x with ODConv, 4 kernels, by KernelWarehouse's recipe of 150 epochs. No result was found for this
# recipe. ODConv's own recipe gives 75.29 / 92.18 (its release).
# tools/dist_train.sh configs/imagenet/odconv4x_mbv2_in1k.py 8
_base_ = './mbv2_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='MobileNetV2'),
        method=dict(type='ODConv', kernels=4),
    ),
    head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
