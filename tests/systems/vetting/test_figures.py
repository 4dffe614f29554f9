"""What the figures of a run and of a candidate show."""

import itertools

import numpy as np
import pytest

from jaxastro import stats
from jaxastro.plots import style
from jaxastro.systems.vetting import figures
from jaxastro.systems.vetting.pages import _coloured_title, _signed


@pytest.fixture
def ax():
    with style():
        import matplotlib.pyplot as plt

        yield plt.subplots()[1]
        plt.close("all")


@pytest.mark.parametrize("epochs", [1, 3])
def test_the_history_of_one_epoch_is_seen(ax, epochs):
    figures.history(ax, {"epoch": np.arange(1, epochs + 1), "loss": np.ones(epochs)})
    assert ax.lines[0].get_marker() == ("o" if epochs == 1 else "")


def test_the_curves_of_a_run_are_those_of_its_scores(ax):
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.4
    p, trees = (np.clip(0.4 * truth + width * rng.random(300), 0.0, 1.0) for width in (0.5, 0.9))
    figures.precision_recall(ax, truth, p, trees)
    lines = [line for line in ax.lines if line.get_drawstyle() == "steps-pre"]
    for line, probability in zip(lines, (trees, p), strict=True):
        recall, precision = line.get_data()
        assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(stats.average_precision(truth, probability))
    ax.clear()
    figures.reliability(ax, truth, p)
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), stats.reliability(truth, p).frequency)


def test_small_contributions_have_two_digits():
    shown = [_signed(x) for x in (0.1234, -0.004, 0.5, -1.0, 3.21e-5, 0.0)]
    assert shown == ["+0.12", "-0.0040", "+0.50", "-1.0", "+3.2e-05", "+0.0"]


def test_words_of_a_title_stand_side_by_side(ax):
    _coloured_title(ax, ("Odd", "C0"), (" and ", "black"), ("even", "C1"))
    ax.figure.draw_without_rendering()
    words = [ax._left_title, *ax.texts]
    boxes = [word.get_window_extent() for word in words]
    for before, after in itertools.pairwise(boxes):
        assert before.x0 < before.x1 == pytest.approx(after.x0, abs=1)
        assert before.y0 == pytest.approx(after.y0, abs=2)
