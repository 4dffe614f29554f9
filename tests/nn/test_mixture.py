"""Mixtures and binned densities against scipy, numerical integrals and their own draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

from jaxastro.nn import Binned, BinnedHead, Mixture, MixtureHead
from jaxastro.nn.mixture import NO_LIMIT, choose_index, pool

pytestmark = pytest.mark.core

MIXTURE = Mixture(jnp.log(jnp.array([0.2, 0.5, 0.3])), jnp.array([-1.0, 0.5, 2.0]), jnp.log(jnp.array([0.3, 0.1, 1.0])))
EDGED = MIXTURE._replace(low=jnp.array([-0.9, -0.9, NO_LIMIT]))
GRID = np.linspace(-8, 10, 200_001)


def on_grid(mixture):
    return np.exp(np.asarray(mixture.log_prob(jnp.asarray(GRID)), float))


def test_log_prob_and_cdf_equal_scipy():
    parts = [w * norm(m, s).pdf(GRID) for w, m, s in ((0.2, -1, 0.3), (0.5, 0.5, 0.1), (0.3, 2, 1))]
    np.testing.assert_allclose(on_grid(MIXTURE), sum(parts), rtol=2e-4, atol=1e-12)
    below = 0.2 * norm.cdf(0.6, -1, 0.3) + 0.5 * norm.cdf(0.6, 0.5, 0.1) + 0.3 * norm.cdf(0.6, 2, 1)
    np.testing.assert_allclose(jnp.exp(MIXTURE.log_cdf(jnp.asarray(0.6))), below, rtol=1e-5)


@pytest.mark.parametrize("mixture", [MIXTURE, EDGED], ids=["free", "edged"])
def test_a_density_integrates_to_one_and_its_draws_follow_it(mixture):
    density = on_grid(mixture)
    np.testing.assert_allclose(np.trapezoid(density, GRID), 1, atol=1e-4)
    draws = np.asarray(jax.vmap(mixture.sample)(jax.random.split(jax.random.key(0), 4000)))
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(GRID))])
    assert kstest(draws, lambda x: np.interp(x, GRID, cdf)).pvalue > 1e-3
    np.testing.assert_allclose(
        np.exp(mixture.log_cdf(jnp.asarray([-0.95, 0.4, 3.0]))), np.interp([-0.95, 0.4, 3.0], GRID, cdf), atol=2e-4
    )


@pytest.mark.parametrize("mixture", [MIXTURE, EDGED], ids=["free", "edged"])
def test_draws_below_a_top_follow_the_cut_density(mixture):
    u = jax.random.uniform(jax.random.key(1), (4000, 2))
    draws = np.asarray(jax.vmap(lambda u: mixture.draw(u[0], u[1], top=jnp.asarray(0.45)))(u))
    inside = GRID <= 0.45
    density = on_grid(mixture)[inside]
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(GRID[inside]))])
    assert draws.max() <= 0.45
    assert kstest(draws, lambda x: np.interp(x, GRID[inside], cdf / cdf[-1])).pvalue > 1e-3


def test_pooled_density_is_the_mean_of_the_members():
    two = jax.tree.map(lambda *a: jnp.stack(a), EDGED, EDGED._replace(mean=EDGED.mean + 1))
    mean = (on_grid(EDGED) + on_grid(EDGED._replace(mean=EDGED.mean + 1))) / 2
    np.testing.assert_allclose(on_grid(pool(two)), mean, rtol=1e-3, atol=1e-9)


def test_an_index_is_chosen_as_often_as_its_weight_says():
    u = (jnp.arange(1000) + 0.5) / 1000
    index = choose_index(u, jnp.broadcast_to(jnp.log(jnp.array([0.1, 0.6, 0.3])), (1000, 3)))
    np.testing.assert_array_equal(np.bincount(index), [100, 600, 300])


def test_anchors_hold_their_place_and_can_be_switched_off():
    head = MixtureHead(4, 3, low=-1.0, high=1.0, anchors=(0.25,), key=jax.random.key(0))
    one, other = head(jnp.ones(4)), head(-jnp.ones(4))
    assert one.mean[-1] == other.mean[-1] == 0.25
    assert jnp.exp(head(jnp.ones(4), anchored=False).log_weight[-1]) == 0


def test_gradients_stay_finite_on_both_sides_of_an_edge():
    head = MixtureHead(4, 3, low=-1.0, high=1.0, edge=-1.0, key=jax.random.key(0))
    for x in (-3.0, -1.0, -0.999, 5.0):
        gradient = jax.grad(lambda v, x=x: head(v).log_prob(jnp.asarray(x)))(jnp.ones(4))
        assert jnp.isfinite(gradient).all()


def test_binned_density_is_constant_in_bins_and_normalised():
    binned = Binned(jnp.log(jnp.array([0.25, 0.75])), jnp.array([0.0, 1.0, 4.0]))
    np.testing.assert_allclose(jnp.exp(jax.vmap(binned.log_prob)(jnp.array([0.5, 3.9]))), [0.25, 0.25], rtol=1e-6)
    assert binned.log_prob(jnp.asarray(4.1)) == -jnp.inf
    np.testing.assert_allclose(jax.vmap(binned.cdf)(jnp.array([-1.0, 0.5, 2.5, 9.0])), [0, 0.125, 0.625, 1], rtol=1e-6)
    draws = jax.vmap(binned.sample)(jax.random.split(jax.random.key(0), 4000))
    assert kstest(np.asarray(draws), lambda x: np.interp(x, [0, 1, 4], [0, 0.25, 1])).pvalue > 1e-3
    head = BinnedHead(3, (0.0, 1.0, 4.0), key=jax.random.key(0))
    np.testing.assert_allclose(jnp.exp(head(jnp.ones(3)).log_weight).sum(), 1, rtol=1e-6)
