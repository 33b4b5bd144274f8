"""Find objects in images with a detector: draw boxes and masks, and write all results in COCO's form.

python tools/predict.py configs/mask_rcnn_kw_r50_1x_coco.py epoch_12.pth photos/ --out-dir work_dirs/photos
python tools/predict.py CONFIG CHECKPOINT data/coco/val2017 --out-dir val --no-pictures \\
    --annotations data/coco/annotations/instances_val2017.json

OUT_DIR/predictions.json is a list of {image, category_id, bbox, score, segmentation}: the box is [x, y, width, height]
in pixels, and the mask, if the detector gives masks, is in compressed run lengths. With --annotations the image is
given by "image_id", and it and category_id are those of that file, found by the image's file name and the class's name,
so pycocotools scores the list as it is. (For masks by size of object, remove "bbox" first: pycocotools takes the size
from it.) Without --annotations the image is given by "file_name", and category_id is the number of the class, from 0.
OUT_DIR/pictures/ has a drawing for each image, under the image's name. Existing files of these names are replaced.

Exit status: 0 if all images were predicted; 3 if some could not be read, which are named at the end and left out; 1 if
nothing was written, for the reason given.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
from mmdet.apis import inference_detector
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.utils import track_iter_progress

from command_line import config_parser, load_config, or_exit
from mmkw.checkpoints.files import write_whole
from mmkw.config import LaunchError
from mmkw.engine.predict import coco_results, find_images, identify, load_detector, read_image

SOME_UNREADABLE = 3


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = config_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of the detector')
    parser.add_argument('images', nargs='+', help='images, or folders of images (folders in them are not searched)')
    parser.add_argument('--out-dir', type=Path, required=True, help='folder to write predictions.json and pictures/ to')
    parser.add_argument('--annotations', metavar='FILE', help='annotations in COCO form whose ids to use')
    parser.add_argument('--score-thr', type=float, default=0.3, help='draw boxes above this score (default: 0.3)')
    parser.add_argument('--no-pictures', action='store_true', help='draw nothing')
    parser.add_argument('--device', default=get_device(), help='default: %(default)s')
    args = parser.parse_args(argv)
    with or_exit(FileNotFoundError, ValueError):
        images = find_images(args.images)
        config = load_config(args)
        init_default_scope(config.default_scope)
        model, pipeline = load_detector(config, args.checkpoint, args.device)
        ids, categories = identify(images, model.dataset_meta['classes'], args.annotations)
    painter = DetLocalVisualizer()
    painter.dataset_meta = model.dataset_meta
    results, skipped = [], {}
    for name, path in track_iter_progress(list(images.items())):
        try:
            image = read_image(path)
        except ValueError as error:
            skipped[path] = error
            continue
        sample = inference_detector(model, str(path), pipeline)
        with or_exit():
            results += coco_results(sample, ids[name], categories)
        if not args.no_pictures:
            write_picture(draw(painter, image, sample, args.score_thr), args.out_dir / 'pictures' / name)
    for path, error in skipped.items():
        print(f'skipped {path}: {error}', file=sys.stderr)
    with or_exit():
        if len(skipped) == len(images):
            raise LaunchError('No image could be read, and nothing was written.')
    target = write_whole(args.out_dir / 'predictions.json', lambda path: Path(path).write_text(json.dumps(results)))
    print(f'{target}: {len(results)} objects in {len(images) - len(skipped)} images')
    if skipped:
        print(f'{len(skipped)} of {len(images)} images could not be read, see above', file=sys.stderr)
        sys.exit(SOME_UNREADABLE)


def draw(painter: DetLocalVisualizer, image: np.ndarray, sample: DetDataSample, least_score: float) -> np.ndarray:
    """Draw what was found with more than a score into a copy of an image, ``(H, W, 3)`` in order RGB."""
    painter.add_datasample('image', image, sample, draw_gt=False, pred_score_thr=least_score)
    return painter.get_image()


def write_picture(image: np.ndarray, target: Path) -> None:
    """Write an RGB image in the format that the name ends in, or as PNG if cv2 writes none such."""
    if not cv2.haveImageWriter(target.name):
        target = target.with_name(f'{target.name}.png')
    _, data = cv2.imencode(target.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    write_whole(target, lambda path: Path(path).write_bytes(data))


if __name__ == '__main__':
    main(sys.argv[1:])
