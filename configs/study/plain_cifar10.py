# ResNet18 at a quarter of its width with a 3x3 stem of stride 1, the network that all methods are put into.
_base_ = '../_base_/cifar10.py'

width = 16
model = dict(
    backbone=dict(type='ResNet_CIFAR', depth=18, stem_channels=width, base_channels=width, zero_init_residual=False),
    head=dict(in_channels=8 * width),
)
