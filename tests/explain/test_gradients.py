"""Integrated gradients: exact on polynomials, complete, and silent where the score does not look."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.explain import integrated_gradients

pytestmark = pytest.mark.core


def test_polynomial_in_closed_form():
    # The integral of 2 t x y over t is x y: each of x and y accounts for half of x y.
    found = integrated_gradients(lambda v: v["x"] * v["y"], {"x": 3.0, "y": 4.0}, {"x": 0.0, "y": 0.0}, steps=4)
    np.testing.assert_allclose([found["x"], found["y"]], [6, 6], rtol=1e-6)


def test_parts_sum_to_the_difference_and_dead_inputs_get_nothing():
    weight = jax.random.normal(jax.random.key(0), (20,)).at[7].set(0.0)
    score = lambda x: jnp.tanh(weight @ x) + 0.1 * jnp.sin(3 * weight @ x)  # noqa: E731
    x, base = jax.random.normal(jax.random.key(1), (2, 20))
    parts = integrated_gradients(score, x, base)
    np.testing.assert_allclose(parts.sum(), score(x) - score(base), atol=1e-4)
    assert parts[7] == 0
