# KW-ResNet18 2x, by the traditional recipe: 100 epochs of SGD. No result was found for this recipe.
# tools/dist_train.sh configs/imagenet/kw2x_r18_100e_in1k.py 8
_base_ = './kw1x_r18_100e_in1k.py'
model = dict(backbone=dict(budget='2x'))
