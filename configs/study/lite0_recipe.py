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
runs = [
    dict(
        name=name,
        config='lite0_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, 'optim_wrapper.optimizer': dict(_delete_=True, **optimizer)},
    )
    for name, optimizer in (
        *(
            (f'SGD {lr}', dict(type='SGD', lr=lr, momentum=0.9, nesterov=True, weight_decay=1e-4))
            for lr in (0.003, 0.01, 0.03)
        ),
        ('AdamW 0.001', dict(type='AdamW', lr=1e-3, weight_decay=0.05)),
    )
]
del held_back
metrics = ['accuracy/top1']
shape = (96, 96)
