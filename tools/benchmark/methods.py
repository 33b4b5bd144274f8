"""The methods by the names that rows give them, and the table of all that ``tools/benchmark --methods`` prints."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Optional

# As in the names of configs. KernelWarehouse is named by its budget.
METHODS: dict[str, dict[str, Any]] = {
    'se': dict(type='SE'),
    'cbam': dict(type='CBAM'),
    'eca': dict(type='ECA'),
    'cgc': dict(type='CGC'),
    'weightnet': dict(type='WeightNet'),
    'condconv8x': dict(type='CondConv', experts=8),
    'dyconv4x': dict(type='DYConv', kernels=4),
    'dcd': dict(type='DCD'),
    'odconv1x': dict(type='ODConv', kernels=1),
    'odconv4x': dict(type='ODConv', kernels=4),
}
COMPARED = {
    'se': 'SE',
    'cbam': 'CBAM',
    'eca': 'ECA',
    'cgc': 'CGC',
    'weightnet': 'WeightNet',
    'condconv8x': 'CondConv 8x',
    'dyconv4x': 'DY-Conv 4x',
    'dcd': 'DCD',
    'odconv1x': 'ODConv 1x',
    'odconv4x': 'ODConv 4x',
    '1x': 'KernelWarehouse 1x',
    '4x': 'KernelWarehouse 4x',
}
COLUMNS = tuple((backbone, mode) for backbone in ('r18', 'r50') for mode in ('train', 'test'))
COMPARED_ROWS = tuple(f'{b},{method},{mode},16,224x224' for b, mode in COLUMNS for method in COMPARED)


def table(rows: Sequence[dict]) -> str:
    """Times and peak memory over plain, a line for each method; the first line has plain's own.

    Args:
        rows: Results of :func:`measure.measure`; a method that has no row for a column gets ``-`` there.
    """
    work = [f'{backbone.upper()} {mode}' for backbone, mode in COLUMNS]
    lines = ['| method | ' + ' | '.join([*work, *(f'memory, {name}' for name in work)]) + ' |', '|' + '---|' * 9]
    by_place = {(row['backbone'], row['mode'], row['method']): row for row in rows}

    def plain(kind: str, unit: float) -> list[str]:
        found = [
            [row[kind]['plain'] / unit for (*place, _), row in by_place.items() if tuple(place) == column and row[kind]]
            for column in COLUMNS
        ]
        return [f'{median(values):.4g}' if values else '-' for values in found]

    def ratio(row: Optional[dict], kind: str) -> str:
        return f'{row[kind]["method"] / row[kind]["plain"]:.2f}' if row and row[kind] else '-'

    lines.append('| plain, s and MB | ' + ' | '.join([*plain('seconds', 1), *plain('peak_bytes', 2**20)]) + ' |')
    for method, title in COMPARED.items():
        found = [by_place.get((*column, method)) for column in COLUMNS]
        cells = [ratio(row, kind) for kind in ('seconds', 'peak_bytes') for row in found]
        if any(found):
            lines.append(f'| {title} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)
