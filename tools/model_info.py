"""Print parameters, multiply-adds and warehouses of a config's model.

python tools/model_info.py configs/imagenet/kw1x_r50_in1k.py
python tools/model_info.py configs/mask_rcnn_kw_r50_1x_coco.py --shape 800 1216
"""

import torch
from mmengine.registry import MODELS, DefaultScope

from command_line import config_parser, load_config, or_exit
from mmkw.inspection import ModelInfo, counted_pass, image_channels, model_info


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument(
        '--shape', type=int, nargs='+', default=None, help='height and width (default: 224, or 800 1216 in a detector)'
    )
    parser.add_argument('--layers', action='store_true', help='name the layers that share each warehouse')
    args = parser.parse_args()
    if args.shape is not None and (len(args.shape) > 2 or min(args.shape) < 1):
        parser.error(f'--shape takes one or two sizes above 0, got {args.shape}')

    with or_exit():
        cfg = load_config(args)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval().to('meta')
    forward, counted = counted_pass(model)
    default = (224, 224) if counted == 'network' else (800, 1216)
    size = tuple(args.shape * 2)[:2] if args.shape else default
    image = torch.zeros(1, image_channels(model, forward, size), *size, device='meta')
    info = model_info(model, forward, image)
    print(_report(info, size, counted, args.layers))


def _report(info: ModelInfo, size: tuple[int, int], counted: str, name_layers: bool) -> str:
    total = info.convolution + info.attention + info.assembly
    lines = [
        f'parameters              {info.parameters:>15,}',
        f'multiply-adds           {total:>15,}   ({counted}, one image of {size[0]} x {size[1]})',
        f'  convolution           {info.convolution:>15,}   ({info.convolution / total:.1%})',
        f'  attention             {info.attention:>15,}   ({info.attention / total:.1%})',
        f'  kernel assembly       {info.assembly:>15,}   ({info.assembly / total:.1%})',
    ]
    if info.inference_memory:
        lines.append(
            f'kept in inference, bytes {info.inference_memory:>14,}   (mmkw.set_inference_memory sets the limit)'
        )
    if info.banks:
        width = max(len(row.name) for row in info.banks)
        lines += ['', f'{"warehouse":{width}}  cells  cell shape          budget  mixtures  layers']
    for row in info.banks:
        shape = ' x '.join(map(str, row.shape[1:]))
        numbers = f'{row.budget:>6g}  {row.mixtures:>8}  {len(row.layers):>6}'
        lines.append(f'{row.name:{width}}  {row.shape[0]:>5}  {shape:18}  {numbers}')
        if name_layers:
            lines.extend(f'{"":{width}}    {name}' for name in row.layers)
    return '\n'.join(lines)


if __name__ == '__main__':
    main()
