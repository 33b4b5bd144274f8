# ResNet18 with ECA, its windows by the paper's formula, by the traditional recipe: 100 epochs of SGD. Published: top-1
# 70.60, top-5 89.68 (KernelWarehouse's ResNet18 table as the MCL paper quotes it). ECA's own release has 70.92 / 89.93
# with sizes=(3, 5, 7, 7).
# tools/dist_train.sh configs/imagenet/eca_r18_100e_in1k.py 8
_base_ = './r18_100e_in1k.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ConvertedBackbone',
        backbone=dict(type='PlainResNet', depth=18),
        method=dict(type='ECA'),
    ),
)
