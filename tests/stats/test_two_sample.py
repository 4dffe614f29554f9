"""Two-sample tests: SciPy's distances, closed forms, no alarm for equal samples, objects kept whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm, wasserstein_distance

from jaxastro import stats
from jaxastro.errors import InputError

pytestmark = pytest.mark.core

VALUES = st.lists(st.one_of(st.integers(0, 4).map(float), st.floats(-5, 5)), min_size=1, max_size=25).map(np.array)


@settings(max_examples=80, deadline=None)
@given(VALUES, VALUES)
def test_distances_equal_scipy_with_ties(a, b):
    assert stats.ks(a, b, n=2).value == pytest.approx(ks_2samp(a, b).statistic, abs=1e-12)
    assert stats.earth_mover(a, b, n=2).value == pytest.approx(wasserstein_distance(a, b), abs=1e-9)


def test_distances_of_shifted_gaussians_are_covered():
    rng = np.random.default_rng(0)
    gap = 2 * norm.cdf(0.15) - 1
    inside = []
    for i in range(60):
        a, b = rng.normal(size=300), rng.normal(0.3, 1, 200)
        k, w = stats.ks(a, b, n=100, seed=i), stats.earth_mover(a, b, n=100, seed=i)
        inside.append((k.low <= gap <= k.high, w.low <= 0.3 <= w.high))
    assert np.all(np.mean(inside, 0) >= 0.9)


def test_equal_populations_of_clustered_rows_raise_no_alarm_once_objects_are_whole():
    """Planets of one system are alike: treating them as independent rows would find a difference that is not there."""
    rng = np.random.default_rng(1)
    alarms = {True: 0, False: 0}
    for i in range(60):
        system = np.repeat(np.arange(40), 8)
        a, b = (rng.normal(size=40)[system] + 0.1 * rng.normal(size=320) for _ in range(2))
        for whole in alarms:
            groups = {"groups_a": system, "groups_b": system} if whole else {}
            alarms[whole] += stats.ks(a, b, n=100, seed=i, **groups).low > 0
    assert alarms[True] <= 9
    assert alarms[False] >= 25


def test_a_forest_separates_what_differs_and_not_what_is_equal():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(120, 4)), rng.normal(size=(120, 4))
    equal = stats.c2st(a, b, seeds=(0,), n=200)
    assert equal.low <= 0.5 <= equal.high
    shifted = b + np.array([1.0, 0, 0, 0])
    found = stats.c2st(a, shifted, seeds=(0,), n=200)
    best = norm.cdf(1 / np.sqrt(2))  # the AUC that no classifier can pass
    assert found.low > 0.55
    assert found.low < best
    assert found.n == 240


def test_a_forest_never_sees_the_object_that_it_scores():
    """Copies of one row under one object: by row they would be recognised, whole they are not."""
    rng = np.random.default_rng(3)
    a, b = np.repeat(rng.normal(size=(30, 3)), 6, 0), np.repeat(rng.normal(size=(30, 3)), 6, 0)
    objects = np.repeat(np.arange(30), 6)
    assert stats.c2st(a, b, seeds=(0,), n=50).value > 0.95
    whole = stats.c2st(a, b, groups_a=objects, groups_b=objects, seeds=(0,), n=200)
    assert whole.value < 0.6
    assert whole.low < 0.5
    assert whole.n == 60


def test_wrong_input_is_one_sentence():
    with pytest.raises(InputError, match="1 of them not finite"):
        stats.ks(np.array([1.0, np.nan]), np.array([1.0]))
    with pytest.raises(InputError, match="same features in both samples, found 2 and 3"):
        stats.c2st(np.ones((5, 2)), np.ones((5, 3)))
