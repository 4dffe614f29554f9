"""The NumPyro distribution against the model it wraps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.systems.planetary_systems import PodSim, Systems
from jaxastro.systems.planetary_systems.tokens import Grid, GridGenerator, GridMember
from jaxastro.systems.planetary_systems.training import alone, inference_mode

pytestmark = pytest.mark.core


def test_any_order_of_planets_has_the_density_of_the_system():
    systems = alone(PodSim().sample(jax.random.key(0), 5))
    log_prob = jax.jit(Systems(PodSim()).log_prob)
    value = jnp.stack([systems.log_a, systems.log_mass, systems.mask.astype(jnp.float32)], -1)
    expected = jax.jit(jax.vmap(PodSim().log_prob))(systems)
    np.testing.assert_allclose(log_prob(value), expected, rtol=1e-5)
    np.testing.assert_allclose(log_prob(value[:, ::-1]), expected, rtol=1e-5)
    moved = jax.jit(jax.grad(lambda mass: log_prob(value[0].at[:, 1].set(mass))))(value[0][:, 1])
    assert jnp.isfinite(moved).all()
    assert (moved[systems.mask[0]] != 0).any()


def test_draws_have_finite_density():
    net = eqx.filter_jit(GridMember)(grid=Grid(5), width=16, layers=1, key=jax.random.key(0))
    prior = Systems(GridGenerator((inference_mode(net),)), planets=8)
    value = prior.sample(jax.random.key(0), (2, 3))
    assert value.shape == (2, 3, 8, 3)
    assert jnp.isfinite(jax.jit(prior.log_prob)(value)).all()
