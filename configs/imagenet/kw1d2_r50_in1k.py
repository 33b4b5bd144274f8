_base_ = './r50_in1k.py'
model = dict(backbone=dict(type='KWResNet', budget='1/2x'))
