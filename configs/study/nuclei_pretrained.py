# Mask R-CNN on the nuclei, its backbone pre-trained by configs/study/cifar10_mbv2.py, plain and KW alike. The
# checkpoints bring tau = 0, where it stays.
# tools/study.py configs/study/nuclei_pretrained.py --jobs 2
name = 'nuclei_pretrained'
work_dir = 'work_dirs/study/nuclei_pretrained'
layer_norm = {'model.backbone.warehouse_cfg.*.norm': 'LN'}
runs = [
    dict(
        name=title,
        config=f'mask_rcnn_{config}_nuclei.py',
        seeds=[0],
        cfg_options={
            'model.backbone.init_cfg': dict(
                type='Pretrained',
                checkpoint=f'work_dirs/study/cifar10_mbv2/{folder}_seed0/epoch_3.pth',
                prefix='backbone.',
            ),
            'custom_hooks': [dict(type='EpochSeedHook')],
            **norm,
        },
    )
    for title, config, folder, norm in (
        ('MobileNetV2 0.5x', 'mbv2', 'plain', {}),
        (
            'KW 1x, LayerNorm in attentions',
            'kw_mbv2',
            'KW_1x_LayerNorm_in_attentions_tau_to_0_in_a_half',
            layer_norm,
        ),
        (
            'KW 4x, LayerNorm in attentions',
            'kw4x_mbv2',
            'KW_4x_LayerNorm_in_attentions_tau_to_0_in_a_half',
            layer_norm,
        ),
        ('KW 1x', 'kw_mbv2', 'KW_1x', {}),
    )
]
del layer_norm
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
