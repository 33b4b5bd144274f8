# ResNet18 with CGC, by the traditional recipe: 100 epochs of SGD. Published: top-1 71.60, top-5 90.35
# (KernelWarehouse's ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/cgc_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='CGC'),
    ),
)
