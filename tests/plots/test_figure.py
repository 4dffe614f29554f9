"""Figures: style undone, files whole, what is drawn is what was given."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from astropy.wcs import WCS
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


def test_area_under_the_drawn_curves_is_the_score(plt):
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    score = np.round(truth + rng.normal(size=400), 1)
    c = stats.curve(truth, score)
    _, (left, right) = plt.subplots(1, 2)
    plots.precision_recall(left, c.recall, c.precision)
    plots.roc(right, c.false_alarm, c.recall)
    recall, precision = left.lines[0].get_data()
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(stats.average_precision(truth, score))
    assert left.lines[0].get_drawstyle() == "steps-pre"
    assert np.trapezoid(*right.lines[1].get_data()[::-1]) == pytest.approx(stats.roc_auc(truth, score))


def test_by_class_counts_every_row_once(plt):
    rng = np.random.default_rng(2)
    _, ax = plt.subplots()
    plots.by_class(ax, rng.normal(size=500), np.repeat(["a", "b"], [200, 300]), names={"a": "planet"})
    outlines = ax.patches[1::2]
    assert [p.get_data().values.sum() for p in outlines] == [200, 300]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["planet", "b"]


@pytest.mark.parametrize("stretch", ["linear", "asinh", "log"])
def test_triptych_shares_limits_and_its_residual_is_in_sigma(plt, stretch, tmp_path):
    rng = np.random.default_rng(3)
    model = 10 + np.add.outer(np.arange(20.0), np.arange(30.0))
    data = model + 2 * rng.normal(size=model.shape)
    data[0, 0] = np.nan
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [-0.01, 0.01], [80.0, 20.0]
    fig = plt.figure()
    axes = plots.residual_triptych(fig, data, model, 2.0, stretch=stretch, wcs=wcs)
    first, second, third = (ax.images[0] for ax in axes)
    assert first.get_clim() == second.get_clim()
    np.testing.assert_allclose(third.get_array().filled(np.nan), (data - model) / 2)
    assert third.get_clim()[0] == -third.get_clim()[1]
    assert axes[0].get_xlabel() == "RA"
    plots.save(fig, tmp_path / "t.png")


def test_series_residual_is_in_units_of_its_error(plt):
    x, y = np.arange(9.0), np.arange(9.0) ** 2
    _, bottom = plots.series_with_residual(plt.figure(), x, y, np.full(9, 0.5), y - 1)
    np.testing.assert_allclose(bottom.lines[1].get_ydata(), 2.0)


def test_predicted_against_true_has_equal_axes_around_all_but_outliers(plt):
    rng = np.random.default_rng(4)
    for n in (100, 5000):
        _, ax = plt.subplots()
        truth = rng.normal(size=n)
        plots.predicted_against_true(ax, truth, truth + 0.1, name="mass", note="bias 0.1")
        assert ax.get_xlim() == ax.get_ylim()
        assert ax.get_xlim()[1] > np.percentile(truth, 99)
