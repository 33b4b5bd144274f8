# EfficientNet-Lite0 in warehouses, b = 1, whose temperature stays above 0: mixtures keep a part of their start cells.
_base_ = './kw_lite0_cifar10.py'

# Where tau stays is chosen by lite0_held_back.py; 0.5 until then.
custom_hooks = [*_base_.custom_hooks[:-1], dict(_base_.custom_hooks[-1], end_value=0.5)]  # noqa: F821
