"""PodSim: its density is normalised, and its samples follow it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.systems.planetary_systems.simulate import LONGEST, PodSim, letters

pytestmark = pytest.mark.core


@pytest.mark.parametrize("log_mass", [-0.5, 0.6, 2.5])
def test_place_density_integrates_to_one_and_to_its_tail(log_mass):
    pod, grid = PodSim(), jnp.linspace(-1, 3, 40001)
    density = np.exp(np.asarray(jax.jit(jax.vmap(lambda a: pod.log_prob_a(a, log_mass, -1.0, 0.3)))(grid)))
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=2e-4)
    beyond = np.exp(float(pod.log_above(jnp.asarray(-0.75), jnp.asarray(log_mass), -1.0, 0.3)))
    assert np.trapezoid(np.where(grid > -0.75, density, 0), grid) == pytest.approx(beyond, abs=2e-3)


def test_number_density_is_a_truncated_poisson():
    p = np.exp(np.asarray(PodSim().log_number()))
    assert p[0] == 0
    assert p.sum() == pytest.approx(1, abs=1e-6)
    assert (p * np.arange(LONGEST + 1)).sum() == pytest.approx(5 / (1 - np.exp(-5)), rel=1e-4)


def test_samples_follow_the_density():
    """E[q(x)/p(x)] = 1 over samples of p for another density q of the same family: all factors must be right."""
    pod, other = PodSim(), PodSim(planets=4.7, mean_mass=0.62, between=0.44, within=0.29, first=-1.08, spacing=1.31)
    made = pod.sample(jax.random.key(0), 20000)
    log_p, log_q = (np.asarray(jax.jit(jax.vmap(p.log_prob))(made)) for p in (pod, other))
    ratio = np.exp(log_q - log_p)
    assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(len(ratio)))
    nll = -log_p.sum() / np.asarray(made.mask).sum()
    assert nll == pytest.approx(0.003, abs=0.02)  # two published evaluations: +0.008 and -0.0015


def test_the_same_systems_however_many():
    few, many = (PodSim().sample(jax.random.key(3), n) for n in (5, 9))
    np.testing.assert_allclose(few.log_a, many.log_a[:5], rtol=1e-6)


def test_letters_start_at_b():
    assert list(letters(np.array([0, 1, 24, 25]))) == ["b", "c", "z", "aa"]
