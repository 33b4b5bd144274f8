# How fast the temperature of a warm-started EfficientNet-Lite0 falls, and where it may stay: KW 1x alone, on images of
# fit.txt, judged by those of held_back.txt. The 10,000 test images are not looked at.
# tools/study.py configs/study/lite0_held_back.py --jobs 2
name = 'lite0_held_back'
work_dir = 'work_dirs/study/lite0_held_back'
held_back = {
    'train_dataloader.dataset.dataset.ann_file': 'fit.txt',
    'val_dataloader.dataset.ann_file': 'held_back.txt',
    'val_dataloader.dataset.data_prefix': 'train',
}
epochs = 3  # of the config
end = epochs / 3
from_start = {'model.backbone.attention_init': 'start'}
layer_norm = {'model.backbone.warehouse_cfg.*.norm': 'LN'}
# An attention whose output is one cell of hundreds is lost when each of its weights moves as far as a kernel's do.
slow, very_slow = ({'optim_wrapper.paramwise_cfg.custom_keys.attention.lr_mult': rate} for rate in (0.1, 0.01))
runs = [
    dict(
        name=title,
        config='kw_lite0_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, 'custom_hooks.1.end': end, 'custom_hooks.1.end_value': end_value, **others},
    )
    for title, end_value, others in (
        ("attention_init='start', to 0 in a third", 0.0, from_start),
        ('LayerNorm in attentions, to 0 in a third', 0.0, layer_norm),
        ('to 0.5 in a third', 0.5, {}),
        ("attention_init='start', attentions at a tenth of the rate, to 0 in a third", 0.0, {**from_start, **slow}),
        (
            "attention_init='start', attentions at a hundredth of the rate, to 0 in a third",
            0.0,
            {**from_start, **very_slow},
        ),
    )
]
del held_back, epochs, end, from_start, layer_norm, slow, very_slow
metrics = ['accuracy/top1']
shape = (96, 96)
