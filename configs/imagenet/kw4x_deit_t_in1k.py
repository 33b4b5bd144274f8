# DeiT-Tiny with KernelWarehouse 4x. Published: top-1 76.51, without the model's details; see docs/any_backbone.md.
_base_ = './deit_t_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='KWBackbone',
        backbone=dict(type='VisionTransformer', arch='deit-tiny', img_size=224, patch_size=16),
        plan='vit',
        budget='4x',
    )
)
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=20)]  # noqa: F821
