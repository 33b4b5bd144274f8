_base_ = '../_base_/in1k_convnext.py'
model = dict(backbone=dict(drop_path_rate=0.1))
