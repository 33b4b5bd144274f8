_base_ = './mbv2_in1k.py'
model = dict(backbone=dict(type='KWMobileNetV2', budget='1x'))
