# Where ImageNet comes from; mmkw.engine.check_files prints this if something is missing.
sources = {
    'data/imagenet/': (
        'ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar of https://image-net.org (with a free account), unpacked '
        'to one folder per class: train/n01440764/*.JPEG, ... and val/n01440764/*.JPEG, ...'
    )
}
