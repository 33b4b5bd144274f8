# Mask R-CNN on the nuclei, with attention over the padded batch and over each picture's own extent. The first two rows
# are those of nuclei.py, with its work_dir: what is done there is not done again.
# tools/study.py configs/study/nuclei_extent.py --jobs 2
name = 'nuclei_extent'
work_dir = 'work_dirs/study/nuclei'
# What was best there, and is not the paper's: LayerNorm in attentions, tau to 0 in half of the epochs.
best = {'model.backbone.warehouse_cfg.*.norm': 'LN', 'custom_hooks.1.end': 6}
best_name = 'KW 1x, LayerNorm in attentions, tau to 0 in a half'
runs = [
    dict(name='MobileNetV2 0.5x', config='mask_rcnn_mbv2_nuclei.py', seeds=[0]),
    dict(name=best_name, config='mask_rcnn_kw_mbv2_nuclei.py', seeds=[0], cfg_options=best),
    dict(name=f'{best_name}, own extent', config='mask_rcnn_kw_mbv2_extent_nuclei.py', seeds=[0], cfg_options=best),
]
del best, best_name
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
