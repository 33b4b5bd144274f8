# ConvNeXt-T on ImageNet.
_base_ = './in1k_300e.py'
model = dict(
    backbone=dict(type='ConvNeXt', arch='tiny', layer_scale_init_value=1e-6),
    head=dict(in_channels=768),
)
# Decay 0.9999, once in the four passes of a step.
custom_hooks = [
    *_base_.custom_hooks,  # noqa: F821
    dict(type='EMAHook', momentum=1e-4, interval=4, priority='ABOVE_NORMAL'),
]
