# Which recipe fine-tunes EfficientNet-Lite0: the plain network alone, on images of fit.txt, judged by those of
# held_back.txt. The 10,000 test images are not looked at.
# tools/study.py configs/study/lite0_recipe.py --jobs 2
name = 'lite0_recipe'
work_dir = 'work_dirs/study/lite0_recipe'
held_back = {
    'train_dataloader.dataset.dataset.ann_file': 'fit.txt',
    'val_dataloader.dataset.ann_file': 'held_back.txt',
    'val_dataloader.dataset.data_prefix': 'train',
}
optimizer = 'optim_wrapper.optimizer'
runs = [
    dict(
        name=f'SGD {rate}',
        config='lite0_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, f'{optimizer}.lr': rate},
    )
    for rate in (0.003, 0.01, 0.03)
] + [
    dict(
        name='AdamW 0.001',
        config='lite0_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, optimizer: dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05)},
    )
]
del held_back, optimizer
metrics = ['accuracy/top1']
shape = (96, 96)
