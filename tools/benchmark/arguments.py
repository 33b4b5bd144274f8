"""Reads the command-line arguments that the benchmarks share."""

import argparse
from typing import Optional

from measure import BACKBONES, Workload
from methods import METHODS


def workload(text: str) -> Workload:
    """Read a row such as ``r50,1x,train,2,480x640``; an argument type for argparse."""
    try:
        backbone, method, mode, batch, size, *memory = text.split(',')
        height, width = (int(side) for side in size.split('x'))
        return Workload(backbone, method, mode, int(batch), height, width, *map(int, memory))
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f'{text!r}: {error}; write BACKBONE,METHOD,train|test,BATCH,HEIGHTxWIDTH[,MB] with one of the backbones '
            f'{", ".join(BACKBONES)} and a budget of KernelWarehouse or one of {", ".join(METHODS)}, such as '
            'r50,1x,train,2,480x640'
        ) from error


def check_counts(parser: argparse.ArgumentParser, **counts: Optional[int]) -> None:
    """End the program if an option that is a number of things is given and below 1."""
    for name, count in counts.items():
        if count is not None and count < 1:
            parser.error(f'--{name} must be at least 1, got {count}')
