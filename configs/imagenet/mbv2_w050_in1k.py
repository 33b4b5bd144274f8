_base_ = '../_base_/in1k_mbv2.py'
model = dict(backbone=dict(widen_factor=0.5))
