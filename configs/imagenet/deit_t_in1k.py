# DeiT-Tiny, 300 epochs, by mmpretrain's recipe. Published in KernelWarehouse's paper: top-1 72.13.
_base_ = ['mmpretrain::deit/deit-tiny_4xb256_in1k.py', '../_base_/runtime.py', '../_base_/in1k_sources.py']
