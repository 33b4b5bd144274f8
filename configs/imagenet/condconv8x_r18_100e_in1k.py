# ResNet18 with CondConv, 8 experts, by the traditional recipe: 100 epochs of SGD. Published: top-1 71.99, top-5 90.27
# (KernelWarehouse's ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/condconv8x_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='CondConv', experts=8),
    ),
    head=dict(type='ConvertedLinearClsHead', method=dict(type='CondConv', experts=8)),
)
