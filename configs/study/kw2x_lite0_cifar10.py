# EfficientNet-Lite0 in warehouses, b = 2, from the same weights: at tau = 1 it is the plain network.
_base_ = './kw_lite0_cifar10.py'

model = dict(backbone=dict(budget='2x'))
