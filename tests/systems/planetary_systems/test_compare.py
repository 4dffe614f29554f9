"""Comparisons of populations that can be counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.systems.planetary_systems.compare import giants_by_metallicity
from jaxastro.systems.planetary_systems.simulate import PodSim

pytestmark = pytest.mark.core


def of_metallicity(metallicity: list[float], heaviest: list[float]):
    """One system per metallicity, whose first planet is the heaviest."""
    n = len(metallicity)
    pods = PodSim().sample(jax.random.key(0), n)
    return pods._replace(
        log_mass=jnp.zeros_like(pods.log_mass).at[:, 0].set(jnp.array(heaviest)),
        context=pods.context.at[:, 1].set(jnp.array(metallicity)),
        has_context=pods.has_context.at[:, 1].set(jnp.isfinite(jnp.array(metallicity))),
    )


def test_giants_are_counted_in_bins_of_metallicity_that_have_any_stars():
    real = of_metallicity([-0.3, -0.1, 0.3, 0.3, np.nan], [1.0, 3.0, 2.4, 2.5, 3.0])
    made = of_metallicity([-0.3, 0.3, 0.3, 0.3, 0.3], [2.6, 2.6, 2.6, 2.6, 2.4])
    poor, rich = giants_by_metallicity(real, made)
    assert (poor["value"], poor["baseline"], poor["n"], poor["drawn"]) == (1.0, 0.0, 1, 1)
    assert (rich["value"], rich["baseline"], rich["n"], rich["drawn"]) == (0.75, 0.5, 2, 4)
    assert rich["low"] < 0.75 < rich["high"]
