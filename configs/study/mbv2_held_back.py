# What KW-MobileNetV2 needs under the classifiers' recipe, in one epoch on images of fit.txt, judged by those of
# held_back.txt. The 10,000 test images are not looked at.
# tools/study.py configs/study/mbv2_held_back.py --jobs 2
name = 'mbv2_held_back'
work_dir = 'work_dirs/study/mbv2_held_back'
one_epoch = {
    'train_dataloader.dataset.ann_file': 'fit.txt',
    'val_dataloader.dataset.ann_file': 'held_back.txt',
    'val_dataloader.dataset.data_prefix': 'train',
    'train_cfg.max_epochs': 1,
    'param_scheduler.1.end': 1,
}
to_zero = {'custom_hooks.1.end': 0.5}
from_start = {'model.backbone.attention_init': 'start', **to_zero}
rate = 'optim_wrapper.paramwise_cfg.custom_keys.{}.lr_mult'.format
runs = [
    dict(name=title, config=f'{config}_cifar10.py', seeds=[0], cfg_options={**one_epoch, **changes})
    for title, config, changes in (
        ('plain', 'mbv2', {}),
        ('LayerNorm in attentions', 'kw_mbv2', {'model.backbone.warehouse_cfg.*.norm': 'LN', **to_zero}),
        (
            "attention_init='start', attentions at a tenth of the rate",
            'kw_mbv2',
            {**from_start, rate('attention'): 0.1},
        ),
        # As if its logits were a hundred times as large: weights of the mix do not change with their scale.
        (
            "attention_init='start', logits at a ten-thousandth of the rate",
            'kw_mbv2',
            {**from_start, rate('fc2'): 1e-4},
        ),
    )
]
del one_epoch, to_zero, from_start, rate
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (64, 64)
