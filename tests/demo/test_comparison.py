"""The figure of two trainings; the tests check what the axes hold, not pixels."""

from mmkw.demo.comparison import plot_comparison

PLAIN = {'loss': [(10, 2.0), (20, 1.0)], 'accuracy/top1': [(1, 50.0), (2, 60.0)]}
KW = {**PLAIN, 'loss': [(10, 2.1), (20, 0.9)], 'temperature': [(10, 0.5), (20, 0.0)]}


def curves(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_losses_accuracies_and_temperature():
    losses, accuracies, temperatures = plot_comparison({'plain': PLAIN, 'KW': KW}).axes
    assert curves(losses) == {'plain': [[10, 2], [20, 1]], 'KW': [[10, 2.1], [20, 0.9]]}
    assert curves(accuracies) == dict.fromkeys(('plain', 'KW'), [[1, 50], [2, 60]])
    assert curves(temperatures) == {'KW': [[10, 0.5], [20, 0]]}
