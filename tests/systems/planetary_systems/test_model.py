"""The density over systems: normalised, equal to its own draws, cached as in full, and honest about known planets."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from jaxastro.systems.planetary_systems.complete import Completion
from jaxastro.systems.planetary_systems.interpret import attention
from jaxastro.systems.planetary_systems.known import log_count_prob, log_reveal_prob, reveal
from jaxastro.systems.planetary_systems.layout import INNER, KNOWN, OUTER, Known, System
from jaxastro.systems.planetary_systems.model import Generator, Member
from jaxastro.systems.planetary_systems.sampling import sample
from jaxastro.systems.planetary_systems.sharpness import Sharpness
from jaxastro.systems.planetary_systems.simulate import PodSim
from jaxastro.systems.planetary_systems.walk import all_behind, look_ahead, nothing_behind

pytestmark = pytest.mark.core


@eqx.filter_jit
def member(key) -> Member:
    """A small untrained network, seldom at an end so that systems have planets."""
    net = Member(width=16, layers=1, heads=2, components=3, mass_edge=-1.0, key=key)
    net = eqx.tree_at(lambda m: m.kind.bias, net, jnp.array([-1.5, 0.0, -1.0]))
    return eqx.nn.inference_mode(net)


NET, OTHER = member(jax.random.key(0)), member(jax.random.key(1))
MODEL = Generator((NET,))
SYSTEMS = PodSim().sample(jax.random.key(0), 6)
SHOWN = jax.jit(jax.vmap(reveal))(SYSTEMS, jax.random.split(jax.random.key(3), 6))
log_prob = eqx.filter_jit(lambda model, systems: jax.vmap(model.log_prob)(systems))
terms = eqx.filter_jit(lambda model, systems: jax.vmap(model.terms)(systems))
POINTS = 1500


@pytest.fixture(scope="module")
def draws():
    """Many draws of the model."""
    return sample(MODEL, jax.random.key(1), 2000).system


def known_at(*log_a: float) -> Known:
    """Exactly known axes, nothing measured besides."""
    present = jnp.arange(KNOWN)[:, None] < jnp.array([len(log_a), 0, 0])
    value = jnp.zeros((KNOWN, 3)).at[: len(log_a), 0].set(jnp.array(log_a))
    return Known(value, jnp.zeros((KNOWN, 3)), present)


def test_attention_without_keys_is_shared_by_all_tokens_so_far():
    blind = lambda m: [b.qkv for b in m.decoder.blocks]  # noqa: E731
    net = eqx.tree_at(blind, NET, jax.tree.map(jnp.zeros_like, blind(NET)))
    n, which = np.asarray(SYSTEMS.mask.sum(-1)), jnp.full(SYSTEMS.mask.shape, -1).at[:, 0].set(1)
    one_each = jnp.log(jnp.full(len(n), 1 / len(n)))
    done = Completion(SYSTEMS, which, one_each, jnp.zeros(()), jnp.zeros(()))
    given = sum(sum(1 / (step + 1) for step in range(1, k + 1)) for k in n)  # step s sees itself and s steps before it
    np.testing.assert_allclose(attention(Generator((net,)), done, 2), [0, given / n.sum()], rtol=1e-5)


@pytest.mark.parametrize("log_a", [INNER - 0.1, OUTER + 0.1])
def test_there_are_no_planets_outside_of_the_range(log_a):
    one = jax.tree.map(lambda a: a[:1], SYSTEMS)._replace(mask=jnp.arange(32)[None] < 1, known=known_at())
    one = one._replace(log_a=one.log_a.at[0, 0].set(log_a), known=jax.tree.map(lambda a: a[None], one.known))
    assert float(log_prob(MODEL, one)[0]) == -jnp.inf
    slope = jax.grad(lambda a: MODEL.log_prob(jax.tree.map(lambda v: v[0], one._replace(log_a=a))))(one.log_a)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("known", [(), (0.3,)], ids=["free", "a planet known at 2 AU"])
def test_the_density_of_the_first_planet_integrates_to_one(known):
    limit = known[0] if known else OUTER
    one = jax.tree.map(lambda a: a[0], SYSTEMS)._replace(mask=jnp.arange(32) < 1, known=known_at(*known))
    log_a = INNER + jnp.logspace(-6, np.log10(limit - INNER) - 1e-6, POINTS)
    many = jax.vmap(lambda a: one._replace(log_a=one.log_a.at[0].set(a)))(log_a)
    density = np.exp(np.asarray(terms(MODEL, many).log_a[:, 0]))
    np.testing.assert_allclose(np.trapezoid(density, log_a), 1, atol=0.02)
    log_mass = jnp.linspace(-6.0, 9.0, POINTS)
    many = jax.vmap(lambda m: one._replace(log_mass=one.log_mass.at[0].set(m)))(log_mass)
    np.testing.assert_allclose(
        np.trapezoid(np.exp(np.asarray(terms(MODEL, many).log_mass[:, 0])), log_mass), 1, atol=0.02
    )
    if known:
        assert terms(MODEL, many).kind[0].sum() < -1e8  # it may not end before the known planet


def test_draws_follow_the_density(draws):
    one = jax.tree.map(lambda a: a[0], SYSTEMS)._replace(mask=jnp.arange(32) < 1)
    log_a = INNER + jnp.logspace(-6, np.log10(OUTER - INNER) - 1e-6, POINTS)
    many = jax.vmap(lambda a: one._replace(log_a=one.log_a.at[0].set(a)))(log_a)
    density = np.exp(np.asarray(terms(MODEL, many).log_a[:, 0]))
    cdf = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(log_a)))
    assert kstest(np.asarray(draws.log_a[:, 0]), lambda x: np.interp(x, log_a, cdf)).pvalue > 1e-3


def test_cached_steps_equal_the_full_pass():
    system = jax.tree.map(lambda a: a[4], SHOWN)

    @jax.jit
    def both():
        behind = all_behind(system)
        ahead = jax.vmap(look_ahead, (None, 0))(system.known, behind.log_a)
        told = NET.context_token(system.context, system.has_context)
        hidden, cache = NET.start(told, system.known, 32)

        def write(carry, planet):
            last, cache = carry
            last = last.after(*planet)
            hidden, cache = NET.step(told, last, look_ahead(system.known, last.log_a), system.known, cache)
            return (last, cache), hidden

        rest = jax.lax.scan(write, (nothing_behind(), cache), (system.log_a, system.log_mass))[1]
        return NET.hidden(system, behind, ahead, None), jnp.concatenate([hidden[None], rest])

    n = int(system.mask.sum()) + 1
    full, cached = both()
    np.testing.assert_allclose(cached[:n], full[:n], atol=1e-5)


def test_known_planets_appear_in_every_draw_and_their_order_does_not_matter():
    known = known_at(0.5, -0.7)
    draws = sample(MODEL, jax.random.key(2), 50, known=known).system
    for log_a, mask in zip(np.asarray(draws.log_a), np.asarray(draws.mask), strict=True):
        assert (np.diff(log_a[mask]) > 0).all()
        assert np.isin(np.float32([0.5, -0.7]), log_a[mask]).all()
    draws = jax.tree.map(lambda a: a[:6], draws)
    swapped = draws._replace(known=jax.tree.map(lambda a: a[:, ::-1], draws.known))
    np.testing.assert_allclose(log_prob(MODEL, draws), log_prob(MODEL, swapped), atol=2e-4)


def test_draws_do_not_depend_on_how_many_are_drawn(draws):
    few = sample(MODEL, jax.random.key(1), 3, known=known_at()).system
    for a, b in zip(few[:-1], draws[:-1], strict=True):
        np.testing.assert_allclose(a, b[:3], atol=1e-5)


def test_padding_changes_nothing():
    shorter = System(*(a[:, :20] for a in SYSTEMS[:5]), *SYSTEMS[5:])
    np.testing.assert_allclose(log_prob(MODEL, SYSTEMS), log_prob(MODEL, shorter), rtol=1e-5)


def test_twins_say_what_one_says_and_a_pool_more_than_its_members_on_average():
    alone, other = (np.asarray(log_prob(Generator((net,)), SYSTEMS)) for net in (NET, OTHER))
    np.testing.assert_allclose(log_prob(Generator((NET, NET)), SYSTEMS), alone, rtol=1e-5)
    assert (np.asarray(log_prob(Generator((NET, OTHER)), SYSTEMS)) >= (alone + other) / 2 - 1e-4).all()


def test_gradients_by_the_planets_equal_differences():
    system = jax.tree.map(lambda a: a[1], SHOWN)
    moved = lambda mass: MODEL.log_prob(system._replace(log_mass=jnp.where(system.mask, mass, 0.0)))  # noqa: E731
    value = jax.jit(jax.value_and_grad(moved))
    gradient = value(system.log_mass)[1]
    step = 1e-2 * jax.nn.one_hot(1, 32)
    difference = (value(system.log_mass + step)[0] - value(system.log_mass - step)[0]) / 2e-2
    np.testing.assert_allclose(gradient[1], difference, rtol=2e-2, atol=2e-2)
    assert jnp.isfinite(gradient).all()


def test_sets_of_known_planets_are_as_likely_as_the_closed_form_says():
    n = jnp.full(13, 12)
    np.testing.assert_allclose(jnp.exp(log_count_prob(n, jnp.arange(13))).sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(
        jnp.exp(log_reveal_prob(n[:1], jnp.array([1]))) * 12, jnp.exp(log_count_prob(n[:1], jnp.array([1]))), rtol=1e-5
    )
    system = jax.tree.map(lambda a: a[0], SYSTEMS)._replace(mask=jnp.arange(32) < 5)
    shown = jax.jit(jax.vmap(lambda k: reveal(system, k).known))(jax.random.split(jax.random.key(0), 4000))
    count = np.asarray(shown.present[..., 0].sum(-1))
    expected = np.exp(np.asarray(log_count_prob(jnp.full(6, 5), jnp.arange(6))))
    np.testing.assert_allclose(np.bincount(count, minlength=6) / 4000, expected, atol=0.03)
    error = (shown.value - jnp.where(shown.present, shown.value, 0))[..., 0]
    assert (error == 0).all()
    assert np.isin(np.asarray(shown.value[..., 0][shown.present[..., 0]]), np.asarray(system.log_a[:5])).all()


def test_sharpness_tempers_and_keeps_the_likeliest():
    weight = jnp.log(jnp.array([0.15, 0.5, 0.05, 0.3]))
    squared = np.array([0.15, 0.5, 0.05, 0.3]) ** 2
    np.testing.assert_allclose(jnp.exp(Sharpness(temperature=0.5)(weight)), squared / squared.sum(), rtol=1e-5)
    kept = np.isfinite(Sharpness(top_p=0.75)(weight))
    np.testing.assert_array_equal(kept, [False, True, False, True])
    np.testing.assert_array_equal(Sharpness()(weight), weight)
