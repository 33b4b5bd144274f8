_base_ = './convnext_t_in1k.py'
model = dict(backbone=dict(type='KWConvNeXt', budget='3/4x', drop_path_rate=0.3))
