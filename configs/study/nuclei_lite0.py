# Mask R-CNN on the nuclei with EfficientNet-Lite0 from its real ImageNet weights: plain, and warm in warehouses.
# tools/study.py configs/study/nuclei_lite0.py --jobs 2
name = 'nuclei_lite0'
work_dir = 'work_dirs/study/nuclei_lite0'
runs = [
    dict(name='EfficientNet-Lite0', config='mask_rcnn_lite0_nuclei.py', seeds=[0]),
    dict(
        name='KW 1x',
        config='mask_rcnn_kw_lite0_nuclei.py',
        seeds=[0],
        # The best of lite0_held_back.py.
        cfg_options={
            'model.backbone.attention_init': 'start',
            'optim_wrapper.paramwise_cfg.custom_keys.attention.lr_mult': 0.01,
        },
    ),
]
baseline = 'EfficientNet-Lite0'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
