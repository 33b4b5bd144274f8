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
from_start = {'model.backbone.attention_init': 'start'}
layer_norm = {'model.backbone.warehouse_cfg.*.norm': 'LN'}
runs = [
    dict(
        name=title,
        config='kw_lite0_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, 'custom_hooks.1.end': end, 'custom_hooks.1.end_value': end_value, **others},
    )
    for title, end, end_value, others in (
        ("attention_init='start', to 0 in a third", epochs / 3, 0.0, from_start),
        ('LayerNorm in attentions, to 0 in a third', epochs / 3, 0.0, layer_norm),
        ('LayerNorm in attentions, to 0.5 in a third', epochs / 3, 0.5, layer_norm),
        ('to 0.5 in a third', epochs / 3, 0.5, {}),
        ('to 0 in two thirds', 2 * epochs / 3, 0.0, {}),
    )
]
del held_back, epochs, from_start, layer_norm
metrics = ['accuracy/top1']
shape = (96, 96)
