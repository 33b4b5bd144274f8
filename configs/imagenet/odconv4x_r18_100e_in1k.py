# ResNet18 with ODConv, 4 kernels, by the traditional recipe: 100 epochs of SGD. Published: top-1 74.19, top-5 91.47
# (ODConv's release); 73.97 / 91.35 (KernelWarehouse's ResNet18 table as the MCL paper quotes it).
# tools/dist_train.sh configs/imagenet/odconv4x_r18_100e_in1k.py 8
_base_ = './odconv1x_r18_100e_in1k.py'
model = dict(
    backbone=dict(method=dict(kernels=4)),
    head=dict(type='DropoutLinearClsHead', dropout=0.2),
)
