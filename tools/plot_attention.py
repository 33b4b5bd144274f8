"""Draw the mean attention of every warehouse over some images, and the start assignment, as heat maps.

python tools/plot_attention.py configs/imagenet/kw1x_r18_in1k.py kw1x_r18.pth images/*.jpg --out-dir work_dirs/attention
"""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from command_line import config_parser, load_config, or_exit
from mmkw.checkpoints.files import build_model, load_into
from mmkw.config import LaunchError, type_name
from mmkw.demo.figures import save
from mmkw.inspection import attention_maps
from mmkw.inspection.attention_figure import plot_attention


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of the model')
    parser.add_argument('images', nargs='+', help='image files; they go through the test pipeline of the config')
    parser.add_argument(
        '--out-dir', type=Path, default=Path('.'), help='folder of attention.png, start.png (default: .)'
    )
    args = parser.parse_args()
    with or_exit(FileNotFoundError, ValueError):
        cfg = load_config(args)
        for path in args.images:
            if not os.path.isfile(path):
                raise LaunchError(f'there is no file {path} (in {os.getcwd()})')
            if not cv2.haveImageReader(path):
                raise LaunchError(f'{path} is no image that can be read')
        init_default_scope(cfg.default_scope)
        model = build_model(cfg)
        load_into(model, args.checkpoint)
        maps = attention_maps(model, model.test_step, load_images(cfg, args.images))
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, start in (('attention', False), ('start', True)):
        path = args.out_dir / f'{name}.png'
        save(plot_attention(maps, start), path)
        print(f'{path}: {len(maps)} warehouses, {len(args.images)} images')


def load_images(cfg: Config, paths: list[str]) -> Iterator[dict]:
    """Load images one by one through the config's test pipeline, as inputs of ``test_step``."""
    # Annotations are for scoring, and these images have none.
    pipeline = [
        step for step in cfg.test_dataloader.dataset.pipeline if not type_name(step).endswith('LoadAnnotations')
    ]
    prepare = Compose(pipeline)
    for path in paths:
        yield pseudo_collate([prepare(dict(img_path=path, img_id=0))])


if __name__ == '__main__':
    main()
