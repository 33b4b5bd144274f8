# The classification study for a GPU: the whole width of ResNet18, 100 epochs.
# tools/study.py configs/study/cifar10_full.py --jobs 1
name = 'cifar10_full'
work_dir = 'work_dirs/study/cifar10_full'
epochs = 100
length = {
    'train_cfg.max_epochs': epochs,
    'train_cfg.val_interval': 10,
    'param_scheduler.1.end': epochs,
    'train_dataloader.batch_size': 128,
    'train_dataloader.num_workers': 6,
    'train_dataloader.persistent_workers': True,
}
seeds = [0, 1, 2]
# Name, config, where its plain network is in the config, width, part of the training in which the temperature falls.
runs = [
    dict(
        name=title,
        config=f'{config}_cifar10.py',
        seeds=seeds,
        cfg_options={
            **length,
            f'{where}.stem_channels': width,
            f'{where}.base_channels': width,
            'model.head.in_channels': 8 * width,
            **({'custom_hooks.1.end': epochs / part} if part else {}),
        },
    )
    for title, config, where, width, part in (
        ('plain', 'plain', 'model.backbone', 64, None),
        ('KW 1x', 'kw1x', 'model.backbone.backbone', 64, 15),
        ('KW 4x', 'kw4x', 'model.backbone.backbone', 64, 15),
        ('ODConv 4x', 'odconv4x', 'model.backbone.backbone', 64, 10),
        ('DY-Conv 4x', 'dyconv4x', 'model.backbone.backbone', 64, 10),
        ('plain, parameters of KW 1x', 'plain', 'model.backbone', 65, None),
        ('plain, parameters of KW 4x', 'plain', 'model.backbone', 129, None),
        ('plain, multiply-adds of KW 1x', 'plain', 'model.backbone', 83, None),
        ('KW 1/2x', 'kw1d2', 'model.backbone.backbone', 64, 15),
        ('SE', 'se', 'model.backbone.backbone', 64, None),
        ('CBAM', 'cbam', 'model.backbone.backbone', 64, None),
        ('ECA', 'eca', 'model.backbone.backbone', 64, None),
        ('CGC', 'cgc', 'model.backbone.backbone', 64, None),
        ('WeightNet', 'weightnet', 'model.backbone.backbone', 64, None),
        ('CondConv', 'condconv', 'model.backbone.backbone', 64, None),
        ('DCD', 'dcd', 'model.backbone.backbone', 64, None),
    )
]
del epochs, length, seeds
baseline = 'plain'
metrics = ['accuracy/top1']
shape = (32, 32)
