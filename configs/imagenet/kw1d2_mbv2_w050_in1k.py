_base_ = './mbv2_w050_in1k.py'
model = dict(backbone=dict(type='KWMobileNetV2', budget='1/2x'), head=dict(type='KWLinearClsHead'))
