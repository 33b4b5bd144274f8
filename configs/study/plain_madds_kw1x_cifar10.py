# The plain network at the width that comes closest to the multiply-adds of KW 1x (60.2 and 59.3 million).
_base_ = './plain_cifar10.py'

width = 21
model = dict(backbone=dict(stem_channels=width, base_channels=width), head=dict(in_channels=8 * width))
