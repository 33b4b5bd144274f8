"""Draw the mean attention of every warehouse over some images, and the start assignment, as heat maps.

python tools/plot_attention.py configs/imagenet/kw1x_r18_in1k.py kw1x_r18.pth images/*.jpg --out-dir work_dirs/attention
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope

from mmkw.checkpoints.files import build_model, load_into
from mmkw.config import scope_of, type_name
from mmkw.demo.attention_figure import plot_attention
from mmkw.demo.figures import save
from mmkw.engine.launch import or_exit
from mmkw.engine.preflight import LaunchError
from mmkw.models.attention_maps import attention_maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='of a classifier or a detector')
    parser.add_argument('checkpoint', help='of its training')
    parser.add_argument('images', nargs='+', help='image files; they go through the test pipeline of the config')
    parser.add_argument('--out-dir', type=Path, default=Path('.'), help='for attention.png and start.png (default: .)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override settings of the config')
    args = parser.parse_args()
    with or_exit():
        for path in (args.config, args.checkpoint, *args.images):
            if not os.path.isfile(path):
                raise LaunchError(f'there is no file {path} (in {os.getcwd()})')
        for path in args.images:
            if not cv2.haveImageReader(path):
                raise LaunchError(f'{path} is no image that can be read')
        cfg = Config.fromfile(args.config)
        cfg.merge_from_dict(args.cfg_options or {})
        init_default_scope(scope_of(cfg))
        model = load_model(cfg, args.checkpoint)
        try:
            maps = attention_maps(model, model.test_step, load_images(cfg, args.images))
        except ValueError as error:
            raise LaunchError(str(error)) from error
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, start in (('attention', False), ('start', True)):
        path = args.out_dir / f'{name}.png'
        save(plot_attention(maps, start), path)
        print(f'{path}: {len(maps)} warehouses, {len(args.images)} images')


def load_model(cfg: Config, checkpoint: str) -> torch.nn.Module:
    try:
        model = build_model(cfg)
        load_into(model, checkpoint)
    except ValueError as error:
        raise LaunchError(f'{checkpoint} does not fit the config, or is no checkpoint: {error}') from error
    return model


def load_images(cfg: Config, paths: list[str]) -> Iterator[dict]:
    # Annotations are for scoring; these images have none.
    pipeline = [
        step for step in cfg.test_dataloader.dataset.pipeline if not type_name(step).endswith('LoadAnnotations')
    ]
    prepare = Compose(pipeline)
    for path in paths:
        yield pseudo_collate([prepare(dict(img_path=path, img_id=0))])


if __name__ == '__main__':
    main()
