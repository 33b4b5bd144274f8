# KernelWarehouse, b = 1/2.
_base_ = './kw1x_cifar10.py'

model = dict(backbone=dict(method=dict(budget='1/2x')))
