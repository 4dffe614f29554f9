"""Calibrators against scikit-learn and closed forms; cross-fitting; prior shift."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from jaxastro import stats
from jaxastro.errors import InputError

pytestmark = pytest.mark.core

METHODS = (stats.temperature, stats.platt, stats.beta, stats.isotonic)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def forecasts():
    """Over-confident and biased: the true probability is sigmoid(logit(p) / 2 - 0.3)."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, 6000)
    return sigmoid(x), (rng.random(6000) < sigmoid(x / 2 - 0.3)).astype(int), rng.integers(1, 4, 6000)


@pytest.mark.parametrize("weighted", [False, True])
def test_platt_equals_unregularised_logistic_regression(forecasts, weighted):
    p, y, w = forecasts
    w = w if weighted else None
    x = np.log(p / (1 - p))[:, None]
    sk = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(x, y, w)
    fitted = stats.platt(p, y, w)
    assert fitted.slope == pytest.approx(sk.coef_[0, 0], abs=1e-5)
    with jax.enable_x64():
        np.testing.assert_allclose(fitted(p), sk.predict_proba(x)[:, 1], atol=1e-6)


@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_isotonic_equals_sklearn_between_and_outside_the_knots(forecasts, floor):
    p, y, w = forecasts
    p = np.clip(p, 0.05, 0.9)
    sk = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip").fit(p, y, w)
    grid = np.linspace(0, 1, 777)
    with jax.enable_x64():
        np.testing.assert_allclose(stats.isotonic(p, y, w, floor=floor)(grid), sk.predict(grid), atol=1e-6)


def test_temperature_is_the_minimum_of_the_log_loss(forecasts):
    p, y, _ = forecasts
    x = np.log(p / (1 - p))
    found = minimize(lambda t: stats.log_loss(y, sigmoid(x / t[0])), [1.0], method="Nelder-Mead", tol=1e-10).x[0]
    assert stats.temperature(p, y).temperature == pytest.approx(found, rel=1e-4)


def test_beta_does_not_blow_up_scores_that_hardly_vary():
    """Barely trained members of two folds: what one calls .41 the other calls .43, whatever the label."""
    rng = np.random.default_rng(3)
    fold = np.arange(400) % 2
    y = rng.random(400) < 0.4
    p = np.where(fold == 0, 0.41, 0.43) + 1e-3 * rng.normal(size=400)
    calibrated, _ = stats.cross_fit(stats.beta, p, y, fold)
    assert stats.log_loss(y, calibrated) < stats.log_loss(y, np.full(400, y.mean())) + 0.02


def test_a_shifted_calibrator_is_the_shift_of_its_output(forecasts):
    p, y = forecasts[:2]
    plain = stats.platt(p, y)
    shifted = stats.Shifted(plain, 0.4, 0.01)
    np.testing.assert_allclose(shifted(p), stats.shift_prior(plain(p), 0.4, 0.01), rtol=1e-6)


def test_beta_recovers_its_own_family_and_keeps_the_order():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.001, 0.999, 60_000)
    truth = sigmoid(0.6 * np.log(p) - 1.4 * np.log1p(-p) + 0.5)
    found = stats.beta(p, rng.random(p.size) < truth)
    assert (found.a, found.b, found.c) == pytest.approx((0.6, 1.4, 0.5), abs=0.06)
    backwards = stats.beta(p, (rng.random(p.size) < 1 - truth))
    assert (backwards.a, backwards.b) == (0, 0)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_calibrators_run_under_jit_with_finite_gradients_at_the_edges(method, forecasts):
    p, y, _ = forecasts
    calibrator = method(p, y)
    some = jnp.asarray([0.0, 1e-30, 0.2, 0.5, 0.99, 1.0], jnp.float32)
    eager, compiled = calibrator(some), eqx.filter_jit(calibrator)(some)
    np.testing.assert_allclose(eager, compiled, atol=1e-6)
    assert eager.dtype == some.dtype
    assert np.all(np.diff(eager) >= 0)
    assert np.all((eager >= 0) & (eager <= 1))
    assert np.isfinite(jax.jacobian(calibrator)(some)).all()
    if method is not stats.isotonic:
        with jax.enable_x64():
            check_grads(calibrator, (jnp.array([0.1, 0.6]),), order=1)
    leaves = jax.tree.leaves(calibrator)
    assert all(leaf.dtype == np.float64 for leaf in leaves)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_cross_fitting_calibrates_rows_it_has_not_seen(method, forecasts):
    p, y, _ = forecasts
    fold = stats.grouped_folds(np.arange(len(y)) // 2, y, k=5)
    calibrated, final = stats.cross_fit(method, p, y, fold)
    assert stats.ece(y, p) > 0.1
    assert stats.ece(y, calibrated) < (0.08 if method is stats.temperature else 0.025)  # temperature has no offset
    with jax.enable_x64():
        np.testing.assert_allclose(final(p), method(p, y)(p), atol=1e-12)
        held_out = fold == 2
        by_hand = method(p[~held_out], y[~held_out])(p[held_out])
    np.testing.assert_allclose(calibrated[held_out], by_hand, atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.__name__)
def test_permuted_labels_leave_nothing_to_calibrate(method):
    """The average precision of cross-fitted probabilities is the prevalence when the labels are permuted."""
    rng = np.random.default_rng(2)
    p, y = np.round(rng.random(4000), 2), np.arange(4000) < 1000
    found = []
    for _ in range(4):
        shuffled = rng.permutation(y)
        calibrated, _ = stats.cross_fit(method, p, shuffled, np.arange(4000) % 5)
        found.append(stats.average_precision(shuffled, calibrated))
    assert np.mean(found) == pytest.approx(0.25, abs=0.02)


def test_separable_labels_do_not_break_a_fit():
    p, y = np.array([0.1, 0.2, 0.3, 0.7, 0.8]), np.array([0, 0, 0, 1, 1])
    for method in METHODS:
        calibrated = np.asarray(method(p, y)(p))
        assert np.all(np.abs(calibrated - y) < 0.1)


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 1), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_shifting_the_prior_there_and_back_is_the_identity(p, first, second):
    assert stats.shift_prior(stats.shift_prior(p, first, second), second, first) == pytest.approx(p, abs=1e-9)


def test_shifted_prior_is_calibrated_in_the_new_population():
    rng = np.random.default_rng(3)
    prior, target = 0.5, 0.05
    y = (rng.random(100_000) < target).astype(int)
    x = rng.normal(size=y.size) + 1.5 * y
    posterior = prior * np.exp(1.5 * x - 1.5**2 / 2) / (1 - prior + prior * np.exp(1.5 * x - 1.5**2 / 2))
    assert stats.ece(y, posterior) > 0.1
    assert stats.ece(y, stats.shift_prior(posterior, prior, target)) < 0.004
    traced = jax.jit(stats.shift_prior)(jnp.asarray(posterior[:9], jnp.float32), 0.5, 0.05)
    np.testing.assert_allclose(traced, stats.shift_prior(posterior[:9], prior, target), rtol=1e-4)


def test_wrong_input_is_one_sentence():
    p = np.array([0.1, 0.7, 0.4])
    with pytest.raises(InputError, match="one class only; a calibration needs"):
        stats.platt(p, np.ones(3, int))
    with pytest.raises(InputError, match=r"probability 1\.4; expected 0 to 1 \(apply a sigmoid to logits\)"):
        stats.temperature(p * 2, np.array([0, 1, 1]))
    with pytest.raises(InputError, match="at least two folds"):
        stats.cross_fit(stats.platt, p, np.array([0, 1, 1]), np.zeros(3, int))
