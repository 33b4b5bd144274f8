# The plain network at the width that comes closest to the parameters of KW 4x (3.35 and 3.38 million).
_base_ = './plain_cifar10.py'

width = 35
model = dict(backbone=dict(stem_channels=width, base_channels=width), head=dict(in_channels=8 * width))
