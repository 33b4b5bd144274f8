_base_ = './r18_in1k.py'
model = dict(backbone=dict(type='KWResNet', budget='1/4x'))
