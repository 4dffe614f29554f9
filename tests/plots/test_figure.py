"""Figures: style undone, files whole, what is drawn is what was given."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from jaxastro import plots, stats

pytestmark = pytest.mark.core


@pytest.fixture
def plt():
    with plots.style():
        import matplotlib.pyplot as plt

        yield plt
        plt.close("all")


def test_style_is_undone():
    before = matplotlib.rcParams["axes.spines.top"]
    with plots.style():
        assert matplotlib.rcParams["axes.spines.top"] is False
    assert matplotlib.rcParams["axes.spines.top"] == before


def test_save_replaces_whole_files_and_leaves_nothing_behind(plt, tmp_path):
    target = tmp_path / "figures" / "a.png"
    fig, ax = plt.subplots(figsize=(3, 2))
    assert plots.save(fig, target) == target
    assert Image.open(target).size == (540, 360)
    assert not plt.get_fignums()
    before = target.read_bytes()

    fig, ax = plt.subplots()
    ax.set_title(r"$\nosuchcommand$")  # fails only while drawing
    with pytest.raises(ValueError, match="nosuchcommand"):
        plots.save(fig, target)
    assert target.read_bytes() == before
    assert [f.name for f in target.parent.iterdir()] == ["a.png"]


def test_importing_plots_does_not_import_matplotlib():
    code = "import sys, jaxastro.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reliability_shows_the_frequencies_and_their_intervals(plt):
    rng = np.random.default_rng(0)
    p = rng.random(1000)
    bins = stats.reliability(rng.random(1000) < p, p)
    assert np.all((bins.low < bins.frequency) & (bins.frequency < bins.high))
    assert np.mean((bins.low < bins.forecast) & (bins.forecast < bins.high)) >= 0.8
    _, ax = plt.subplots()
    plots.reliability(ax, *bins)
    diagonal, line = ax.lines
    np.testing.assert_allclose(line.get_xydata(), np.c_[bins.forecast, bins.frequency])
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    bars = ax.collections[0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], np.c_[bins.low, bins.high])


def test_area_under_the_drawn_curve_is_the_score(plt):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    score = np.round(truth + rng.normal(size=400), 1)
    c = stats.curve(truth, score)
    _, ax = plt.subplots()
    plots.precision_recall(ax, c.recall, c.precision)
    recall, precision = ax.lines[0].get_data()
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(stats.average_precision(truth, score))
    assert ax.lines[0].get_drawstyle() == "steps-pre"
