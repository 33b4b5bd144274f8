# Where ImageNet comes from, told when something is missing (mmkw.engine.check_files).
sources = {
    'data/imagenet/': (
        'ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar of https://image-net.org (with a free account), unpacked '
        'to one folder a class: train/n01440764/*.JPEG, ... and val/n01440764/*.JPEG, ...'
    )
}
