# KernelWarehouse, b = 4.
_base_ = './kw1x_cifar10.py'

model = dict(backbone=dict(method=dict(budget='4x')))
