"""The grid of the published model: exact round trip, ordered words, and a density that a closed form confirms."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln

from jaxastro.systems.planetary_systems.layout import nothing_known
from jaxastro.systems.planetary_systems.sampling import Condition, sample
from jaxastro.systems.planetary_systems.simulate import PodSim
from jaxastro.systems.planetary_systems.tokens import Grid, GridGenerator, GridMember
from jaxastro.systems.planetary_systems.training import alone

pytestmark = pytest.mark.core


@eqx.filter_jit
def untrained(cells: int) -> GridMember:
    """A small network over words of `cells` by `cells`."""
    return eqx.nn.inference_mode(GridMember(grid=Grid(cells), width=16, layers=1, key=jax.random.key(0)))


MODEL = GridGenerator((untrained(6),))
NOTHING = Condition(jnp.zeros(5), jnp.zeros(5, bool), jax.tree.map(lambda a: a[:0], nothing_known()))
SYSTEMS = alone(PodSim().sample(jax.random.key(0), 8))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.data())
def test_a_token_survives_decoding_and_encoding(n, u, v, data):
    grid, token = Grid(n), data.draw(st.integers(0, n * n - 1))
    log_a, log_mass = grid.decode(jnp.asarray(token), u, v)
    assert int(grid.encode(log_a, log_mass)) == token


def test_words_are_never_out_of_order_and_draws_are_sorted():
    draws = sample(MODEL, jax.random.key(0), 200).system
    word = np.asarray(MODEL.grid.encode(draws.log_a, draws.log_mass)) // MODEL.grid.n
    both = np.asarray(draws.mask)[:, 1:]
    assert both.sum() > 100
    assert (np.diff(word, axis=1)[both] >= 0).all()
    assert (np.diff(np.asarray(draws.log_a), axis=1)[both] >= 0).all()


def test_with_one_cell_the_density_is_that_of_sorted_uniform_planets():
    net = untrained(1)
    heads = lambda m: (m.out, m.out_column, m.out_row)  # noqa: E731
    net = eqx.tree_at(heads, net, jax.tree.map(jnp.zeros_like, heads(net)))
    log_prob = jax.jit(jax.vmap(GridGenerator((net,)).log_prob))(SYSTEMS)
    n = np.asarray(SYSTEMS.mask.sum(-1))
    # The first planet is certain, every further one and the end are heads or tails; n! orders are one system.
    expected = -n * math.log(2) - n * math.log(math.prod(net.grid.cell)) + gammaln(n + 1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


def test_cached_words_equal_the_full_pass():
    net, system = MODEL.members[0], jax.tree.map(lambda a: a[1], SYSTEMS)
    token = net.grid.encode(system.log_a, system.log_mass)

    @jax.jit
    def both():
        start = MODEL.begin(NOTHING, 32)

        def write(carry, token):
            hidden, cache, before, i = carry
            said = net.next_token(hidden, before, i)
            seen = jnp.arange(cache.key[0].shape[-2]) <= i + 1
            hidden, cache = net.decoder.step(net.token(token, i + 1), cache, i + 1, seen)
            return (hidden, cache, token, i + 1), said

        first = (start.hidden[0], start.cache[0], start.before, start.index)
        return net.predictions(system), jax.lax.scan(write, first, token)[1]

    n = int(system.mask.sum())
    full, cached = both()
    np.testing.assert_allclose(cached[:n], full[:n], atol=1e-5)
