# Which recipe the classification study uses: the plain network alone, trained on nine tenths of the training images and
# judged by the tenth held back. The 10,000 test images are not looked at.
# tools/study.py configs/study/cifar10_recipe.py --jobs 2
name = 'cifar10_recipe'
work_dir = 'work_dirs/study/cifar10_recipe'
held_back = {
    'train_dataloader.dataset.ann_file': 'fit.txt',
    'val_dataloader.dataset.ann_file': 'held_back.txt',
    'val_dataloader.dataset.data_prefix': 'train',
}
sgd = 'optim_wrapper.optimizer'
adamw = dict(_delete_=True, type='AdamW', weight_decay=0.05)
runs = [
    dict(
        name=f'SGD {rate}, decay {decay}',
        config='plain_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, f'{sgd}.lr': rate, f'{sgd}.weight_decay': decay},
    )
    for rate, decay in ((0.02, 5e-4), (0.05, 5e-4), (0.1, 5e-4), (0.05, 1e-4))
] + [
    dict(
        name=f'AdamW {rate}',
        config='plain_cifar10.py',
        seeds=[0],
        cfg_options={**held_back, sgd: dict(adamw, lr=rate)},
    )
    for rate in (1e-3, 3e-3)
]
del held_back, sgd, adamw
metrics = ['accuracy/top1']
shape = (32, 32)
