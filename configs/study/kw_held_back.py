# Why KernelWarehouse is behind, one change at a time: KW 1x alone, on images of fit.txt, judged by those of
# held_back.txt, as plain is in cifar10_recipe.py. The 10,000 test images are not looked at.
# tools/study.py configs/study/kw_held_back.py --jobs 2
name = 'kw_held_back'
work_dir = 'work_dirs/study/kw_held_back'
held_back = {
    'train_dataloader.dataset.ann_file': 'fit.txt',
    'val_dataloader.dataset.ann_file': 'held_back.txt',
    'val_dataloader.dataset.data_prefix': 'train',
}
epochs = 3  # of the config
temperature = 'custom_hooks.1'
slow = {
    'optim_wrapper.paramwise_cfg.custom_keys': {
        'basis_bias': dict(decay_mult=0.0),
        'attention': dict(lr_mult=0.1),
    }
}
from_start = {'model.backbone.method.attention_init': 'start'}
runs = [
    dict(name=title, config='kw1x_cifar10.py', seeds=[0], cfg_options={**held_back, **changes})
    for title, changes in (
        ("attention_init='start'", from_start),
        ("attention_init='start', attentions at a tenth of the rate", {**from_start, **slow}),
        ('as published', {}),
        ('to 0.5 in a fifteenth', {f'{temperature}.end_value': 0.5}),
        ('to 0 in a half', {f'{temperature}.end': epochs / 2}),
        ('attentions at a tenth of the rate', slow),
    )
]
del held_back, epochs, temperature, slow, from_start
baseline = 'as published'
metrics = ['accuracy/top1']
shape = (32, 32)
