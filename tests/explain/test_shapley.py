"""Shapley values against closed forms, their axioms, and the definition written out over all orders."""

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.errors import InputError
from jaxastro.explain import coalitions, shapley_values

pytestmark = pytest.mark.core


def test_a_sum_gives_every_player_its_own_part():
    parts = jnp.array([1.5, -2.0, 0.25, 7.0])
    np.testing.assert_allclose(shapley_values(lambda m: 3 + (m * parts).sum(), 4), parts, atol=1e-6)


def test_glove_game():
    # Two left gloves, one right: a pair is worth 1 (Shapley's own example).
    value = lambda m: jnp.minimum(m[0] + m[1], m[2]).astype(jnp.float32)  # noqa: E731
    np.testing.assert_allclose(shapley_values(lambda m: value(m.astype(int)), 3), [1 / 6, 1 / 6, 2 / 3], atol=1e-6)


@pytest.mark.parametrize("players", [1, 3, 5])
def test_mean_over_all_orders(players):
    worth = np.random.default_rng(players).normal(size=2**players).astype(np.float32)
    bits = 2 ** np.arange(players)
    expected = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        inside = 0
        for player in order:
            expected[player] += worth[inside + bits[player]] - worth[inside]
            inside += bits[player]
    found = shapley_values(lambda m: jnp.asarray(worth)[(m * bits).sum()], players)
    np.testing.assert_allclose(found, expected / len(orders), atol=1e-5)
    assert abs(found.sum() - (worth[-1] - worth[0])) < 1e-5


def test_vector_values_batches_and_gradients():
    def value(mask, x):
        return jnp.stack([(mask * x).sum() ** 2, mask.sum() * 1.0])

    x = jnp.arange(12.0).reshape(4, 3)
    found = jax.vmap(lambda row: shapley_values(lambda m: value(m, row), 3))(x)
    np.testing.assert_allclose(found[:, :, 0].sum(1), x.sum(1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(found[:, :, 1], 1, atol=1e-6)
    gradient = jax.grad(lambda row: shapley_values(lambda m: value(m, row), 3)[0, 0])(x[1])
    assert jnp.isfinite(gradient).all()


def test_too_many_players_are_refused():
    with pytest.raises(InputError, match="1 to 16 players, found 17"):
        shapley_values(lambda m: m.sum(), 17)
    assert coalitions(2).tolist() == [[False, False], [True, False], [False, True], [True, True]]
