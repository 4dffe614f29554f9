"""Completing systems: PodSim's exact answers by brute force, calibration for random subsets, limits, surveys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.systems.planetary_systems.complete import complete
from jaxastro.systems.planetary_systems.detection import RadialVelocity, Transit, velocity_amplitude
from jaxastro.systems.planetary_systems.interpret import gradients, shapley
from jaxastro.systems.planetary_systems.inverse import infer_disc
from jaxastro.systems.planetary_systems.observation import (
    LIMIT,
    MINIMUM,
    VALUE,
    Observation,
    draw_split_normal,
)
from jaxastro.systems.planetary_systems.simulate import PodSim

POD = PodSim()
N = 8000
"""Draws of every completion: one number, so that all share one compiled program."""


def observation(log_a, log_mass, *, error=0.05, kind=VALUE, size=2):
    """Known planets at these places, with masses known to `error` dex."""
    n = len(log_a)
    value, errors = np.zeros((size, 3), np.float32), np.zeros((size, 3, 2), np.float32)
    value[:n, 0], value[:n, 1], errors[:n, 1] = log_a, log_mass, error
    kinds = jnp.zeros((size, 2), int).at[:n, 0].set(kind)
    zero = jnp.zeros(5)
    return Observation(
        jnp.asarray(value), jnp.asarray(errors), kinds, jnp.arange(size) < n, jnp.float32(1), zero, zero > 0
    )


@pytest.fixture(scope="module")
def pods():
    """Many PodSim systems: log a, log M, mask."""
    made = [POD.sample(jax.random.key(seed), 100_000) for seed in (7, 8, 9)]
    return tuple(np.concatenate([getattr(m, f) for m in made]) for f in ("log_a", "log_mass", "mask"))


def analogues(pods, log_a, likelihood):
    """Weights of every planet near `log_a` as the known one, and which system and place it has."""
    a, m, mask = pods
    s, j = np.nonzero((np.abs(a - log_a) < 0.02) & mask)
    weight = likelihood(m[s, j])
    return s, j, weight / weight.sum()


def brute_number_inside(pods, log_a, likelihood, survive=None):
    """Probability of 0..4 planets inside of the known one, by weighing simulated systems."""
    s, j, weight = analogues(pods, log_a, likelihood)
    if survive is not None:
        weight = weight * survive(s, j)
        weight /= weight.sum()
    return np.bincount(np.minimum(j, 9), weight, minlength=10)[:5]


def amplitude(log_a, log_mass):
    return np.asarray(velocity_amplitude(jnp.asarray(log_a), jnp.asarray(log_mass)))


def gauss(at, sd):
    return lambda m: np.exp(-0.5 * ((m - at) / sd) ** 2)


@pytest.mark.core
def test_one_planet_with_an_error_agrees_with_brute_force(pods):
    done = complete(POD, observation([-0.5], [0.9], error=0.2), key=jax.random.key(0), n=N)
    want = brute_number_inside(pods, -0.5, gauss(0.9, 0.2))
    np.testing.assert_allclose(done.count(inside=-0.5)[:5], want, atol=0.03)
    assert float(done.ess) > 1000
    given = done.which >= 0
    assert bool((given.sum(-1) == 1).all())
    np.testing.assert_allclose(done.system.log_a[given], -0.5, atol=1e-6)


def test_an_upper_limit_is_a_likelihood(pods):
    done = complete(POD, observation([-0.5], [0.3], kind=LIMIT), key=jax.random.key(0), n=N)
    want = brute_number_inside(pods, -0.5, lambda m: np.exp(-0.5 * (1.96 * 10 ** (m - 0.3)) ** 2))
    np.testing.assert_allclose(done.count(inside=-0.5)[:5], want, atol=0.035)


def test_m_sin_i_is_averaged_over_inclinations(pods):
    done = complete(POD, observation([-0.5], [0.9], kind=MINIMUM, error=0.1), key=jax.random.key(0), n=N)
    tilt = np.log10(np.sqrt(1 - ((np.arange(200) + 0.5) / 200) ** 2))  # cos i uniform
    want_mass = lambda m: np.mean([gauss(0.9, 0.1)(m + t) for t in tilt], 0)  # noqa: E731
    s, j, weight = analogues(pods, -0.5, want_mass)
    mine = jnp.where(done.which == 0, done.system.log_mass, 0).sum(-1)
    assert float(done.mean(mine)) == pytest.approx(float((weight * pods[1][s, j]).sum()), abs=0.02)


def test_what_a_survey_did_not_find_counts(pods):
    find = RadialVelocity(threshold=1.5, outer=0.0, width=0.0)
    done = complete(POD, observation([-0.5], [0.9], error=0.2), key=jax.random.key(0), n=N, completeness=find)
    a, m, mask = pods
    seen = mask & (amplitude(a, m) > 1.5) & (a < 0)

    def survive(s, j):
        others = seen[s].copy()
        others[np.arange(len(s)), j] = False
        return (~others.any(1)).astype(float)

    likelihood = lambda m: gauss(0.9, 0.2)(m) * (amplitude(np.full_like(m, -0.5), m) > 1.5)  # noqa: E731
    np.testing.assert_allclose(
        done.count(inside=-0.5)[:3], brute_number_inside(pods, -0.5, likelihood, survive)[:3], atol=0.05
    )


@pytest.mark.slow
def test_ranks_are_uniform_for_random_known_subsets(pods):
    """The true number of hidden planets, and the log mass of the innermost, among the draws: any subset calibrated."""
    a, m, mask = pods
    rng, ranks = np.random.default_rng(0), []
    usable = np.flatnonzero((mask.sum(1) >= 2) & (mask.sum(1) <= 10))
    for trial, s in enumerate(usable[:150]):
        n = mask[s].sum()
        # the probability of a known set may not depend on the number of planets: weigh by keeping with C(n, k)
        k = 1 if trial % 2 else 2
        known = [n - 1] if trial % 4 == 1 else sorted(rng.choice(n, min(k, n - 1), replace=False))
        sd = 0.1
        seen = observation(a[s, known], m[s, known] + sd * rng.normal(size=len(known)), error=sd)
        done = complete(POD, seen, key=jax.random.key(trial), n=N)
        mean = np.asarray(jnp.where(done.system.mask, done.system.log_mass, 0).sum(-1) / done.system.mask.sum(-1))
        truth = m[s][mask[s]].mean()
        ranks.append(float((np.asarray(done.weight) * (mean < truth)).sum()))
    from scipy.stats import kstest

    assert kstest(ranks, "uniform").pvalue > 0.001


@pytest.mark.core
def test_few_effective_draws_show(pods):
    hard = complete(POD, observation([-1.6], [3.4], error=0.01), key=jax.random.key(0), n=N)
    easy = complete(POD, observation([-0.5], [0.9]), key=jax.random.key(0), n=N)
    assert float(hard.log_evidence) < float(easy.log_evidence) - 5


def test_gradient_equals_a_difference():
    """Same random numbers on both sides of a central difference of the mean log mass of the others."""
    ask = lambda done: done.mean(done.hidden.sum(-1))  # noqa: E731
    seen = observation([-0.5], [0.9], error=0.0)
    done = complete(POD, seen, key=jax.random.key(1), n=N)
    slope = gradients(POD, done, done.hidden.sum(-1).astype(float), 2)
    step = 0.1
    sides = [
        ask(complete(POD, observation([-0.5], [0.9 + d], error=0.0), key=jax.random.key(1), n=N)) for d in (-step, step)
    ]
    assert float(slope[0, 1]) == pytest.approx(float(sides[1] - sides[0]) / (2 * step), abs=0.3)


def test_shapley_values_add_up():
    seen = observation([-0.9, -0.5], [0.9, 1.0])
    moves, nothing, everything = shapley(
        POD, seen, key=jax.random.key(0), n=N, value=lambda c: c.mean(c.hidden.sum(-1))
    )
    assert moves.sum() == pytest.approx(everything - nothing, abs=1e-5)
    assert nothing == pytest.approx(5 / (1 - np.exp(-5)), abs=0.4)  # the mean number of planets


def test_discs_that_do_nothing_stay_as_they_were():
    prior = jax.random.normal(jax.random.key(0), (300, 5))
    discs = infer_disc(POD, observation([-0.5], [0.9]), prior, key=jax.random.key(1), n=N)
    np.testing.assert_allclose(discs.mean(), prior.mean(0), atol=0.12)
    np.testing.assert_allclose(discs.sd(), prior.std(0), rtol=0.1)


@pytest.mark.core
def test_known_amplitudes_and_depths():
    assert float(velocity_amplitude(jnp.array(0.0), jnp.array(0.0))) == pytest.approx(0.0894, rel=1e-3)  # Earth
    assert float(velocity_amplitude(jnp.log10(5.203), jnp.log10(317.8))) == pytest.approx(12.5, rel=0.01)  # Jupiter
    see, star = Transit(noise_ppm=10.0, spread=90.0), jnp.float32(1)
    hot = jnp.array([np.log10(0.05), 2.5, 1.05], jnp.float32)
    assert float(see(hot, star)) == pytest.approx(0.0465 * 2, rel=0.01)  # R*/a = 0.093
    assert float(see(hot.at[0].set(1.0), star)) == 0  # its period is longer than the survey


@pytest.mark.core
def test_split_normal_has_its_quantiles():
    u = (jnp.arange(100_000) + 0.5) / 100_000
    x = np.asarray(draw_split_normal(u, 1.0, 0.1, 0.3))
    assert (x < 1).mean() == pytest.approx(0.25, abs=1e-3)
    assert np.sqrt(((x[x > 1] - 1) ** 2).mean()) == pytest.approx(0.3, rel=0.01)
    assert np.sqrt(((x[x < 1] - 1) ** 2).mean()) == pytest.approx(0.1, rel=0.01)
