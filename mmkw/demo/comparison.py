"""Draws the trainings of several classifiers into the same axes."""

from collections.abc import Mapping

from matplotlib.figure import Figure

_COLOURS = ('#222222', '#d55e00', '#0072b2', '#009e73')


def plot_comparison(runs: Mapping[str, dict[str, list[tuple[int, float]]]]) -> Figure:
    """Plot training losses, top-1 on held-out images, and the temperature.

    Args:
        runs: Up to four trainings by name, each as :func:`mmkw.demo.figures.read_scalars` reads it. A scalar that
            a run lacks is left out, such as the temperature of a network without KW layers.
    """
    figure = Figure(figsize=(13, 4), layout='constrained')
    losses, accuracies, temperatures = figure.subplots(1, 3)
    for (run, scalars), colour in zip(runs.items(), _COLOURS):
        for axes, name, style in (
            (losses, 'loss', '-'),
            (accuracies, 'accuracy/top1', 'o-'),
            (temperatures, 'temperature', '-'),
        ):
            if name in scalars:
                axes.plot(*zip(*scalars[name]), style, label=run, color=colour, markersize=3)
    losses.set(title='Training loss', xlabel='iteration', ylabel='loss', ylim=(0, None))
    accuracies.set(title='Held-out images', xlabel='epoch', ylabel='top-1, %', ylim=(None, 100))
    temperatures.set(title='Temperature', xlabel='iteration', ylabel='tau', ylim=(0, 1))
    for axes in (losses, accuracies, temperatures):
        axes.grid(color='#dddddd', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    return figure
