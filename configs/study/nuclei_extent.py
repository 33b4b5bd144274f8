# Mask R-CNN on the nuclei, with attention over the padded batch and over each picture's own extent. The first two rows
# are those of nuclei.py, with its work_dir: what is done there is not done again.
# tools/study.py configs/study/nuclei_extent.py --jobs 2
name = 'nuclei_extent'
work_dir = 'work_dirs/study/nuclei'
runs = [
    dict(name='MobileNetV2 0.5x', config='mask_rcnn_mbv2_nuclei.py', seeds=[0]),
    dict(name='KW 1x', config='mask_rcnn_kw_mbv2_nuclei.py', seeds=[0]),
    dict(name='KW 1x, own extent', config='mask_rcnn_kw_mbv2_extent_nuclei.py', seeds=[0]),
]
baseline = 'MobileNetV2 0.5x'
metrics = ['coco/bbox_mAP', 'coco/segm_mAP']
shape = (256, 256)
