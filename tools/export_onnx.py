"""Export a classifier, a backbone, or a backbone and its neck to ONNX, and check the file on random inputs.

python tools/export_onnx.py configs/imagenet/kw1x_r18_in1k.py kw1x_r18.pth kw1x_r18.onnx --dynamic
python tools/export_onnx.py configs/mask_rcnn_kw_r50_1x_coco.py epoch_12.pth features.onnx --neck --shape 800 1216

The input of the file is what the model's data_preprocessor returns: normalized images.
"""

from command_line import config_parser, load_config, or_exit
from mmkw.export import export_onnx, network_to_export


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of the model')
    parser.add_argument('out', help='the file to write')
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--batch', type=int, default=1, help='fixed batch size (default: 1)')
    size.add_argument('--dynamic', action='store_true', help='leave the batch size open; the file is slower')
    parser.add_argument('--shape', type=int, nargs=2, metavar=('H', 'W'), help='height and width (default: 224 224)')
    part = parser.add_mutually_exclusive_group()
    part.add_argument('--backbone', action='store_true', help='export the backbone alone')
    part.add_argument('--neck', action='store_true', help='export the backbone and the neck, for a head in torch')
    args = parser.parse_args()
    with or_exit(FileNotFoundError, ImportError, ValueError):
        network = network_to_export(load_config(args), args.checkpoint, args.backbone, args.neck)
        batch = None if args.dynamic else args.batch
        absolute, relative = export_onnx(network, args.out, tuple(args.shape or (224, 224)), batch)
    print(f'wrote {args.out}')
    print(f'largest difference of onnxruntime from torch: {absolute:.3g} ({relative:.3g} of the largest value)')


if __name__ == '__main__':
    main()
