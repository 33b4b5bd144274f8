# What all ImageNet recipes share: the classifier's frame, decay rules, and where the images come from.
_base_ = ['mmpretrain::_base_/default_runtime.py', './runtime.py']

model = dict(type='ImageClassifier', head=dict(type='LinearClsHead', num_classes=1000))
# 1-d tensors and biases do not decay. In the basis form of the attention the bias is a matrix.
optim_wrapper = dict(paramwise_cfg=dict(flat_decay_mult=0.0, custom_keys={'basis_bias': dict(decay_mult=0.0)}))
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))

# Told when something is missing (mmkw.engine.check_files).
sources = {
    'data/imagenet/': (
        'ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar of https://image-net.org (with a free account), unpacked '
        'to one folder a class: train/n01440764/*.JPEG, ... and val/n01440764/*.JPEG, ...'
    )
}
