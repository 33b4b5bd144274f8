# ConvNeXt-T on ImageNet.
_base_ = './in1k_300e.py'
model = dict(
    backbone=dict(type='ConvNeXt', arch='tiny', layer_scale_init_value=1e-6),
    head=dict(in_channels=768),
)
# The average decays by 0.9999 with each optimizer step, which has four passes.
custom_hooks = [
    *_base_.custom_hooks,  # noqa: F821
    dict(type='EMAHook', momentum=1e-4, interval=4, priority='ABOVE_NORMAL'),
]
