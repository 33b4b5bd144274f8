# KW-MobileNetV2 0.5x on CIFAR-10; configs/study/nuclei_pretrained.py starts from what it leaves.
# tools/study.py configs/study/cifar10_mbv2.py --jobs 2
name = 'cifar10_mbv2'
work_dir = 'work_dirs/study/cifar10_mbv2'
# As published, gradients explode as tau falls within few steps (docs/study.md); what mends it is not the paper's.
slow_fall = {'custom_hooks.1.end': 1.5}  # half of the epochs
layer_norm = {'model.backbone.warehouse_cfg.*.norm': 'LN', **slow_fall}
# The best of mbv2_held_back.py, which was made when LayerNorm had not helped.
careful = {
    'model.backbone.attention_init': 'start',
    'optim_wrapper.paramwise_cfg.custom_keys.fc2.lr_mult': 1e-4,
    **slow_fall,
}
runs = [
    dict(name='plain', config='mbv2_cifar10.py', seeds=[0]),
    dict(
        name='KW 1x, LayerNorm in attentions, tau to 0 in a half',
        config='kw_mbv2_cifar10.py',
        seeds=[0],
        cfg_options=layer_norm,
    ),
    dict(
        name='KW 4x, LayerNorm in attentions, tau to 0 in a half',
        config='kw4x_mbv2_cifar10.py',
        seeds=[0],
        cfg_options=layer_norm,
    ),
    dict(
        name="KW 1x, attention_init='start', logits at a ten-thousandth of the rate, tau to 0 in a half",
        config='kw_mbv2_cifar10.py',
        seeds=[0],
        cfg_options=careful,
    ),
]
del slow_fall, layer_norm, careful
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (64, 64)
