"""Runs a tool of mmdet, mmpretrain or another library with mmkw imported, and its arguments after it.

python -m mmkw mmdet publish_model epoch_12.pth mask_rcnn.pth
python -m mmkw mmpretrain analysis_tools/confusion_matrix CONFIG CHECKPOINT

Most tools run without this too. It is for those that read a config named 'mmkw::...' or a checkpoint of a training,
which torch 2.6 and newer refuse until mmkw is imported.
"""

import runpy
import sys
from importlib.util import find_spec
from pathlib import Path


def tool(library: str, name: str) -> Path:
    """Find a tool that a library brings along.

    Args:
        library: Name of the package, such as ``'mmdet'``.
        name: Name of the tool's file without ``.py``, with folders before it if several have it.

    Raises:
        FileNotFoundError: If the library is not installed, or none or several of its tools have this name.
    """
    spec = find_spec(library) if library.isidentifier() else None
    if spec is None or not spec.origin:
        raise FileNotFoundError(f'there is no package {library!r} here: name one such as mmdet or mmpretrain')
    folder = Path(spec.origin).parent / '.mim' / 'tools'
    wanted = Path(name).with_suffix('.py').parts
    names = {path: path.relative_to(folder).with_suffix('') for path in sorted(folder.rglob('*.py'))}
    found = [path for path in names if path.parts[-len(wanted) :] == wanted]
    if len(found) != 1:
        answer = f'has several tools {name!r}' if found else f'has no tool {name!r}'
        raise FileNotFoundError(f'{library} {answer}; name one of {", ".join(str(names[p]) for p in found or names)}')
    return found[0]


def main() -> None:
    """Run the tool that the command line names."""
    if len(sys.argv) < 3 or sys.argv[1].startswith('-'):
        sys.exit(f'usage: python -m mmkw LIBRARY TOOL [options of the tool]\n\n{__doc__}')
    try:
        path = tool(*sys.argv[1:3])
    except FileNotFoundError as error:
        sys.exit(f'error: {error}')
    sys.argv = [str(path), *sys.argv[3:]]
    sys.path[0] = str(path.parent)  # as Python does for a script, whose neighbours it may import
    runpy.run_path(str(path), run_name='__main__')


if __name__ == '__main__':
    main()
