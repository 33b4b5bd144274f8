_base_ = '../_base_/in1k_mbv2.py'
