"""The scan-safe convolution against XLA's own, values and gradients, and its cost inside a scan."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.nn.conv import Conv1d, conv1d, max_pool

pytestmark = pytest.mark.core


def reference(x, kernel):
    layout = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x[None], kernel, (1,), "SAME", dimension_numbers=layout)[0]


@pytest.mark.parametrize("channels", [1, 3, 24])
@pytest.mark.parametrize("width", [1, 4, 5, 30])
def test_values_and_both_gradients_equal_xla(channels, width):
    x = jax.random.normal(jax.random.key(0), (3, 41, channels))
    kernel = jax.random.normal(jax.random.key(1), (width, channels, 7))
    weight = jax.random.normal(jax.random.key(2), (3, 41, 7))

    def value(f, x, kernel):
        return jnp.sum(weight * jnp.tanh(jax.vmap(f, (0, None))(x, kernel)))

    np.testing.assert_allclose(
        jax.vmap(conv1d, (0, None))(x, kernel), jax.vmap(reference, (0, None))(x, kernel), atol=2e-4
    )
    ours = jax.grad(value, (1, 2))(conv1d, x, kernel)
    theirs = jax.grad(value, (1, 2))(reference, x, kernel)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-3)


def test_layer_starts_with_unit_variance():
    layer = Conv1d(32, 64, 5, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (200, 32))
    assert 1.2 < layer(x).std() < 1.6  # He: sqrt(2), for the half that a rectifier takes away


@pytest.mark.parametrize(("width", "stride"), [(2, 2), (3, 3), (3, 2), (5, 1)])
def test_max_pool_equals_reduce_window(width, stride):
    x = jax.random.normal(jax.random.key(0), (38, 4))
    theirs = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (width, 1), (stride, 1), "VALID")
    np.testing.assert_array_equal(max_pool(x, width, stride), theirs)


def test_gradients_in_a_scan_cost_what_they_cost_outside():
    x = jax.random.normal(jax.random.key(0), (6, 64, 98, 24))
    kernel = 0.1 * jax.random.normal(jax.random.key(1), (5, 24, 32))

    def step(kernel, x):
        return kernel - 1e-6 * jax.grad(lambda k: jnp.sum(jnp.tanh(jax.vmap(conv1d, (0, None))(x, k))))(kernel), None

    scan = jax.jit(lambda kernel, x: jax.lax.scan(step, kernel, x)[0])
    one = jax.jit(lambda kernel, x: step(kernel, x)[0])

    def loop(kernel, x):
        for batch in x:
            kernel = one(kernel, batch)
        return kernel

    def best(f):
        f(kernel, x).block_until_ready()
        times = []
        for _ in range(5):
            start = time.perf_counter()
            f(kernel, x).block_until_ready()
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(scan) < 4 * best(loop)  # XLA's own gradients: about 30 times
