"""Draws the picture of each method as a small SVG: what is computed from the input, and what it does to the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

BOX_HEIGHT, GAP, MARGIN, LETTER = 46, 30, 14, 7.4
CONTEXT, MAIN = ('#fff3e0', '#e65100'), ('#e8eaf6', '#283593')  # fill and outline of the two rows


@dataclass(frozen=True)
class Picture:
    """Two rows of boxes. The upper is computed from the input and decides something in the lower.

    Args:
        context: Boxes of the upper row; a newline splits the text of a box.
        main: Boxes of the lower row.
        joins: Index of the box in ``main`` that the end of ``context`` points at.
        source: What the upper row begins with, such as the input of the whole block.
    """

    context: Sequence[str]
    main: Sequence[str]
    joins: int
    source: str = 'x'


PICTURES = {
    'se': Picture(
        ['means of\nchannels', 'C to C/16', 'ReLU', 'C/16 to C', 'sigmoid'],
        ['block', 'norm', 'times one number\nper channel', 'sum with\nshortcut'],
        2,
        'output of the norm',
    ),
    'cbam': Picture(
        ['means and maxima\nof channels', 'C to C/16 to C\nfor both', 'sum, sigmoid'],
        ['block', 'norm', 'times one number\nper channel', 'times one number\nper position', 'sum with\nshortcut'],
        2,
        'output of the norm',
    ),
    'eca': Picture(
        ['means of\nchannels', 'convolution along\nthe channels', 'sigmoid'],
        ['block', 'norm', 'times one number\nper channel', 'sum with\nshortcut'],
        2,
        'output of the norm',
    ),
    'cgc': Picture(
        ['means at k x k\npositions', 'k x k to D', 'A: per input channel\nZ: per filter', 'sigmoid(A + Z)'],
        ['one kernel W', 'times one number\nper weight', 'W_b', 'convolve x', 'y'],
        1,
    ),
    'weightnet': Picture(
        ['means of\nchannels', 'q, once\nper block', 'linear', 'sigmoid'],
        ['grouped\nlinear layer', 'W_b', 'convolve x', 'y'],
        0,
        'input of the block',
    ),
    'condconv': Picture(
        ['means of\nchannels', 'linear', 'sigmoid', 'r, once\nper block'],
        ['8 kernels', 'sum of r_j W_j', 'W_b', 'convolve x', 'y'],
        1,
        'input of the block',
    ),
    'dyconv': Picture(
        ['means of\nchannels', 'C to C/4', 'ReLU', 'C/4 to 4', 'softmax(. / tau)'],
        ['4 kernels', 'mean with\nweights a_j', 'W_b', 'convolve x', 'y'],
        1,
    ),
    'dcd': Picture(
        ['means of x', 's, gated\nby itself', 'Phi: L x L\nLambda: per filter'],
        ['W * x', 'Lambda times it, plus\nP (u + BN(Phi u))', 'y'],
        1,
    ),
    'odconv': Picture(
        [
            'means of\nchannels',
            'C to C/16\nBN, ReLU',
            'four linear layers\nover tau',
            'a_w: softmax\na_f a_c a_s: sigmoids',
        ],
        ['n kernels', 'sum of a_w W_j, scaled\nalong each axis', 'W_b', 'convolve x', 'y'],
        1,
    ),
    'kernel_warehouse': Picture(
        [
            'means of\nchannels',
            'C to C/16\nnorm, ReLU',
            'm x (n + 1)\nlogits z',
            'signed weights\n(1 - tau) f(z) + tau beta',
        ],
        [
            'warehouse: n cells\nthat layers share',
            'm mixtures\nof the cells',
            'W_b, put together\nfrom mixtures',
            'convolve x',
            'y',
        ],
        1,
    ),
}


def svg(picture: Picture, title: str) -> str:
    """Draw a picture.

    Args:
        picture: What is in it.
        title: Text for those who cannot see it.

    Returns:
        The SVG file's content.
    """
    upper = [picture.source, *picture.context]
    main_y = MARGIN + 2 * BOX_HEIGHT
    shapes, upper_ends = _row(upper, MARGIN, *CONTEXT)
    lower, lower_ends = _row(picture.main, main_y, *MAIN)
    start, target = upper_ends[-1], lower_ends[picture.joins]
    x_from, x_to = sum(start) / 2, sum(target) / 2
    middle = MARGIN + 1.5 * BOX_HEIGHT
    path = f'M{x_from:.0f},{MARGIN + BOX_HEIGHT} V{middle:.0f} H{x_to:.0f} V{main_y - 2}'
    width = max(upper_ends[-1][1], lower_ends[-1][1]) + MARGIN
    height = main_y + BOX_HEIGHT + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="13"><title>{escape(title)}</title>'
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#616161"/></marker></defs>'
        f'<rect width="{width:.0f}" height="{height}" rx="6" fill="#ffffff"/>'
        f'{shapes}{lower}{_line(path, CONTEXT[1])}</svg>\n'
    )


def _row(texts: Sequence[str], y: float, fill: str, outline: str) -> tuple[str, list[tuple[float, float]]]:
    """Boxes from left to right with arrows between them, and where each begins and ends."""
    shapes, ends, x = '', [], float(MARGIN)
    for text in texts:
        lines = text.split('\n')
        width = max(len(line) for line in lines) * LETTER + 18
        if ends:
            shapes += _line(f'M{ends[-1][1]:.0f},{y + BOX_HEIGHT / 2:.0f} H{x - 2:.0f}', '#616161')
        shapes += (
            f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="5" fill="{fill}" '
            f'stroke="{outline}"/>'
        )
        for number, line in enumerate(lines):
            middle = y + BOX_HEIGHT / 2 + 4.5 + (number - (len(lines) - 1) / 2) * 16
            shapes += (
                f'<text x="{x + width / 2:.0f}" y="{middle:.0f}" text-anchor="middle" fill="#212121">'
                f'{escape(line)}</text>'
            )
        ends.append((x, x + width))
        x += width + GAP
    return shapes, ends


def _line(path: str, colour: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" marker-end="url(#a)"/>'
