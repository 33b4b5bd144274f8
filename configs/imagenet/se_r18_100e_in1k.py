# ResNet18 with SE, by the traditional recipe: 100 epochs of SGD. Published: top-1 70.98, top-5 90.03 (KernelWarehouse's
# ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/se_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='SE'),
    ),
)
