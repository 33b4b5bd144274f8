# What all ImageNet recipes share: the frame of the classifier and the rules for weight decay.
_base_ = ['mmpretrain::_base_/default_runtime.py', './runtime.py', './in1k_sources.py']

# mmengine.hub.get_model does not read default_scope, so the model says where its classes are.
model = dict(_scope_='mmpretrain', type='ImageClassifier', head=dict(type='LinearClsHead', num_classes=1000))
# 1-d tensors and biases do not decay. In the basis form of the attention the bias is a matrix.
optim_wrapper = dict(paramwise_cfg=dict(flat_decay_mult=0.0, custom_keys={'basis_bias': dict(decay_mult=0.0)}))
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
