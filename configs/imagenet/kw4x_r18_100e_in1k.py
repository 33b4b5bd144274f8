# KW-ResNet18 4x, by the traditional recipe: 100 epochs of SGD. Published: top-1 74.16, top-5 91.42 (KernelWarehouse's
# ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/kw4x_r18_100e_in1k.py 8
_base_ = './kw1x_r18_100e_in1k.py'
model = dict(backbone=dict(budget='4x'))
