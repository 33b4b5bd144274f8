# Mask R-CNN on the nuclei, from scratch.
# tools/study.py configs/study/nuclei.py --jobs 2
name = 'nuclei'
work_dir = 'work_dirs/study/nuclei'
runs = [
    dict(name='MobileNetV2 0.5x', config='mask_rcnn_mbv2_nuclei.py', seeds=[0]),
    dict(name='KW 1x', config='mask_rcnn_kw_mbv2_nuclei.py', seeds=[0]),
    # What helped most on the images held back (kw_held_back.py), and is not the paper's.
    dict(
        name='KW 1x, tau to 0 in a half',
        config='mask_rcnn_kw_mbv2_nuclei.py',
        seeds=[0],
        cfg_options={'custom_hooks.1.end': 6},
    ),
    dict(name='KW 4x', config='mask_rcnn_kw4x_mbv2_nuclei.py', seeds=[0]),
]
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
