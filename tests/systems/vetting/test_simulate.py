"""The simulator: shapes against the closed form, each kind's guilty branch, and no scalar that tells the label."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from jaxastro.systems.vetting.simulate import KINDS, simulate_curves, simulated_signals, transit_shapes


@pytest.fixture(scope="module")
def signals():
    return simulated_signals(400, seed=7)


def test_transit_shapes_fall_from_one_to_zero_at_contact():
    shapes = transit_shapes(np.array([0.02, 0.05, 0.1]), np.array([0.0, 0.4, 0.8]))
    np.testing.assert_allclose(shapes[:, 0], 1)
    np.testing.assert_allclose(shapes[:, -1], 0, atol=2e-3)
    assert (np.diff(shapes, axis=1) <= 1e-5).all()


def test_depth_of_a_small_planet_follows_the_limb_darkening_law():
    """A point-like planet hides I(r) / <I>: the ratio of depths at two distances is the ratio of intensities."""
    impact = np.array([0.0])
    shape = transit_shapes(np.array([0.01]), impact)[0]
    r = np.linspace(0, 1, len(shape)) * 1.01
    inner = r < 0.9
    mu = np.sqrt(1 - r[inner] ** 2)
    np.testing.assert_allclose(shape[inner], 1 - 0.4 * (1 - mu) - 0.25 * (1 - mu) ** 2, atol=2e-3)


def test_no_single_scalar_tells_planets_from_the_rest(signals):
    truth = signals.labels == "PC"
    for i, name in enumerate(signals.scalar_names):
        column = signals.examples.scalars[:, i]
        best = max(average_precision_score(truth, sign * column) for sign in (1, -1))
        assert best < 0.85, name


def test_the_guilty_branch_differs_from_that_of_planets(signals):
    kind, views = np.asarray(signals.table["kind"]), signals.examples.views
    middle = slice(32, 43)
    secondary = -views["secondary"][:, middle, 0].mean(axis=1)
    odd_even = np.abs(views["odd"][:, middle, 0].mean(axis=1) - views["even"][:, middle, 0].mean(axis=1))
    shift = np.hypot(*views["centroid"][:, middle, :2].mean(axis=1).T)
    for name, statistic in {"secondary": secondary, "odd_even": odd_even, "blend": shift}.items():
        assert np.median(statistic[kind == name]) > 2 * np.percentile(statistic[kind == "planet"], 84), name
        for other in {"secondary", "odd_even", "blend"} - {name}:
            assert np.median(statistic[kind == other]) < np.median(statistic[kind == name]) / 2, (name, other)


def test_seed_decides_everything(signals):
    again = simulated_signals(400, seed=7)
    np.testing.assert_array_equal(again.examples.views["main"], signals.examples.views["main"])
    assert not np.array_equal(simulate_curves(1, 1)[0].curve.flux[:100], simulate_curves(1, 2)[0].curve.flux[:100])


def test_every_signal_can_be_scored_and_shares_are_kept(signals):
    assert (signals.flags == "").mean() > 0.99
    kind = np.asarray(signals.table["kind"])
    for name, (label, share, _) in KINDS.items():
        assert (kind == name).mean() == pytest.approx(share, abs=0.08)
        assert set(signals.labels[kind == name]) == {label}
