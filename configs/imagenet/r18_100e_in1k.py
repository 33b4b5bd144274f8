# The plain ResNet18, to compare with, by the traditional recipe: 100 epochs of SGD. Published: top-1 70.25, top-5 89.38
# (KernelWarehouse's ResNet18 table as the MCL paper quotes it, and ODConv's release).
# tools/dist_train.sh configs/imagenet/r18_100e_in1k.py 8
_base_ = '../_base_/in1k_100e.py'
