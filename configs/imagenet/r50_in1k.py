_base_ = '../_base_/in1k_resnet.py'
model = dict(backbone=dict(depth=50, drop_path_rate=0.1), head=dict(in_channels=2048))
