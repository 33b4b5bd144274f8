# The plain network at the width that comes closest to the parameters of KW 1x (887 and 861 thousand).
_base_ = './plain_cifar10.py'

width = 18
model = dict(backbone=dict(stem_channels=width, base_channels=width), head=dict(in_channels=8 * width))
