# Mask R-CNN with KW-MobileNetV2 0.5x 1x on the nuclei, whose attention pools over each picture's own extent, not over
# the padded batch.
_base_ = './mask_rcnn_kw_mbv2_nuclei.py'

model = dict(backbone=dict(attention_extent='picture'))
