# KW-ResNet18 1x, by the traditional recipe: 100 epochs of SGD. No result was found for this recipe.
# tools/dist_train.sh configs/imagenet/kw1x_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(backbone=dict(type='KWResNet', budget='1x'))
custom_hooks = [*_base_.custom_hooks, dict(type='TemperatureHook', end=10)]  # noqa: F821
