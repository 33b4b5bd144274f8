# Mask R-CNN on the nuclei, from scratch.
# tools/study.py configs/study/nuclei.py --jobs 2
name = 'nuclei'
work_dir = 'work_dirs/study/nuclei'
runs = [
    dict(name='MobileNetV2 0.5x', config='mask_rcnn_mbv2_nuclei.py', seeds=[0]),
    dict(name='KW 1x', config='mask_rcnn_kw_mbv2_nuclei.py', seeds=[0]),
    dict(name='KW 4x', config='mask_rcnn_kw4x_mbv2_nuclei.py', seeds=[0]),
]
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
