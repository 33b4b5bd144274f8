# Mask R-CNN on MS-COCO as in KernelWarehouse's paper, without the backbone: 12 epochs, 8 GPUs x 2 images.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    './datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',  # warm-up over 500 iterations, steps at 8 and 11
    'mmdet::_base_/default_runtime.py',
    './runtime.py',
]

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    # The norm of the attentions does not decay; a backbone's BatchNorm2d, named bn*, does.
    paramwise_cfg=dict(custom_keys={'norm': dict(decay_mult=0.0)}),
)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
