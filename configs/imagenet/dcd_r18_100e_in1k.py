# ResNet18 with DCD, by the traditional recipe: 100 epochs of SGD. Published: top-1 72.33, top-5 90.65
# (KernelWarehouse's ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/dcd_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='DCD'),
    ),
    head=dict(type='ConvertedLinearClsHead', method=dict(type='DCD')),
)
