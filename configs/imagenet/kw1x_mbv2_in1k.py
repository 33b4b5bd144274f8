_base_ = './mbv2_in1k.py'
model = dict(
    backbone=dict(type='KWMobileNetV2', budget='1x'),
    head=dict(loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1)),
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=15)]  # noqa: F821
