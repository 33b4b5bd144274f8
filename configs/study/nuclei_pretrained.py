# Mask R-CNN on the nuclei, its backbone pre-trained by configs/study/cifar10_mbv2.py, plain and KW alike. The
# checkpoints bring tau = 0, where it stays.
# tools/study.py configs/study/nuclei_pretrained.py --jobs 2
name = 'nuclei_pretrained'
work_dir = 'work_dirs/study/nuclei_pretrained'
# As from ImageNet weights (lite0_held_back.py): AdamW moves each logit as far as any other weight.
careful = {
    'model.backbone.attention_init': 'start',
    'optim_wrapper.paramwise_cfg.custom_keys.attention.lr_mult': 0.01,
}
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
            **changes,
        },
    )
    for title, config, folder, changes in (
        ('MobileNetV2 0.5x', 'mbv2', 'plain', {}),
        (
            "KW 1x, attention_init='start', attentions at a hundredth of the rate",
            'kw_mbv2',
            'KW_1x_attention_init_start_logits_at_a_ten_thousandth_of_the_rate_tau_to_0_in_a_half',
            careful,
        ),
    )
]
del careful
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
