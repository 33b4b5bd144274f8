# Mask R-CNN on the nuclei, from scratch.
# tools/study.py configs/study/nuclei.py --jobs 2
name = 'nuclei'
work_dir = 'work_dirs/study/nuclei'
kw = dict(config='mask_rcnn_kw_mbv2_nuclei.py', seeds=[0])
layer_norm = {'model.backbone.warehouse_cfg.*.norm': 'LN'}
half = {'custom_hooks.1.end': 6}
runs = [
    dict(name='MobileNetV2 0.5x', config='mask_rcnn_mbv2_nuclei.py', seeds=[0]),
    dict(name='KW 1x', **kw),
    # As published, gradients explode as tau falls (docs/study.md). The others are not the paper's.
    dict(name='KW 1x, LayerNorm in attentions', cfg_options=layer_norm, **kw),
    dict(name='KW 1x, LayerNorm in attentions, tau to 0 in a half', cfg_options={**layer_norm, **half}, **kw),
    dict(
        name='KW 4x, LayerNorm in attentions, tau to 0 in a half',
        config='mask_rcnn_kw4x_mbv2_nuclei.py',
        seeds=[0],
        cfg_options={**layer_norm, **half},
    ),
]
del kw, layer_norm, half
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
