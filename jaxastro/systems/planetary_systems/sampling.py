"""Sampling: one compiled loop over planets with cached keys and values, in chunks that stay in a core's cache."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxastro.nn.mixture import Mixture, choose_index
from jaxastro.nn.transformer import Cache
from jaxastro.systems.planetary_systems.layout import CONTEXT, PLANETS, Known, System, nothing_known
from jaxastro.systems.planetary_systems.model import GIVEN, STOP, Generator, pooled_kind, pooled_mixture
from jaxastro.systems.planetary_systems.walk import Behind, log_spacing, look_ahead, nothing_behind

CHUNK = 250


class Draws(NamedTuple):
    """Systems drawn from a model.

    Attributes:
        system: the systems, with radii.
        truncated: which of them were cut off because they did not end within the longest system.
    """

    system: System
    truncated: Bool[Array, "*system"]


class Sharpness(NamedTuple):
    """How far sampling departs from the density: (1, 1) is the density itself, the only unbiased choice.

    Attributes:
        temperature: below one prefers what is likely.
        top_p: keeps only the likeliest choices that hold this probability.
    """

    temperature: float = 1.0
    top_p: float = 1.0

    def __call__(self, log_weight: Float[Array, " choice"]) -> Float[Array, " choice"]:
        """The log weights, sharpened."""
        if self.temperature != 1.0:
            log_weight = jax.nn.log_softmax(log_weight / self.temperature)
        if self.top_p < 1.0:
            order = jnp.argsort(-log_weight)
            before = jnp.cumsum(jnp.exp(log_weight[order])) - jnp.exp(log_weight[order])
            log_weight = jnp.where((before < self.top_p)[jnp.argsort(order)], log_weight, -jnp.inf)
        return log_weight

    def mixture(self, mixture: Mixture) -> Mixture:
        """The mixture with sharpened weights; widths scale with the root of the temperature."""
        if self == Sharpness():
            return mixture
        log_sd = mixture.log_sd + 0.5 * jnp.log(self.temperature)
        return mixture._replace(log_weight=self(mixture.log_weight), log_sd=log_sd)


class _State(NamedTuple):
    behind: Behind
    hidden: tuple[Float[Array, " width"], ...]
    cache: tuple[Cache, ...]
    open: Bool[Array, ""]
    rows: Float[Array, "planet 3"]


def _start(model: Generator, condition: tuple, planets: int) -> _State:
    hidden, cache = zip(*(member.start(*condition, planets) for member in model.members), strict=True)
    return _State(nothing_behind(), hidden, cache, jnp.asarray(True), jnp.zeros((planets, 3)))


def _planet(model: Generator, state: _State, known: Known, u: Float[Array, " 7"], sharp: Sharpness):
    """The next planet (or the end) that seven uniform numbers pick."""
    behind, pairs = state.behind, list(zip(model.members, state.hidden, strict=True))
    ahead = look_ahead(known, behind.log_a)
    mean = lambda mixtures: sharp.mixture(pooled_mixture(mixtures))  # noqa: E731
    what = choose_index(u[0], sharp(pooled_kind([m.next_kind(h, behind.index, ahead.left) for m, h in pairs])))
    spacing = mean([m.next_spacing(h, behind.index) for m, h in pairs])
    step = 10 ** spacing.draw(u[1], u[2], top=log_spacing(behind.log_a, ahead.limit))
    log_a = jnp.where(what == GIVEN, ahead.limit, jnp.minimum(behind.log_a + step, ahead.limit))
    given = jnp.where(what == GIVEN, ahead.features(behind.log_a), 0.0)
    log_mass = mean([m.next_mass(h, behind, log_a, given) for m, h in pairs]).draw(u[3], u[4])
    log_radius = mean([m.next_radius(h, log_a, log_mass, given) for m, h in pairs]).draw(u[5], u[6])
    return what, jnp.stack([log_a, log_mass, log_radius])


def _write(model: Generator, state: _State, known: Known, u: Float[Array, " 7"], sharp: Sharpness) -> _State:
    what, planet = _planet(model, state, known, u, sharp)
    index, behind = state.behind.index, state.behind.after(planet[0], planet[1])
    still = state.open & (what != STOP)
    rows = jax.lax.dynamic_update_slice(state.rows, jnp.where(still, planet, 0.0)[None], (index, 0))
    ahead = look_ahead(known, planet[0])
    hidden, cache = zip(
        *(m.step(behind, ahead, known, c) for m, c in zip(model.members, state.cache, strict=True)), strict=True
    )
    return _State(behind, hidden, cache, still, rows), still


def _chunk(model: Generator, keys: PRNGKeyArray, condition: tuple, planets: int, sharp: Sharpness) -> Draws:
    """One chunk of systems, all written together until the last of them ends."""
    u = jax.vmap(lambda k: jax.random.uniform(k, (planets, 7)))(keys)
    state = jax.vmap(lambda c: _start(model, c, planets))(condition)
    known = condition[-1]

    def body(carry):
        i, state, mask = carry
        state, still = jax.vmap(lambda s, k, r: _write(model, s, k, r, sharp))(state, known, u[:, i])
        return i + 1, state, mask.at[:, i].set(still)

    mask = jnp.zeros((keys.shape[0], planets), bool)
    _, state, mask = jax.lax.while_loop(lambda c: (c[0] < planets) & c[1].open.any(), body, (0, state, mask))
    log_a, log_mass, log_radius = jnp.moveaxis(state.rows, -1, 0)
    context, has_context, known = condition
    system = System(log_a, log_mass, log_radius, mask, mask, context, has_context, known)
    return Draws(system, state.open)


@eqx.filter_jit
def _sample(
    model: Generator, keys: PRNGKeyArray, condition: tuple, planets: int, sharp: Sharpness, devices: int
) -> Draws:
    chunk = lambda block: _chunk(model, *block, planets, sharp)  # noqa: E731
    blocks = jax.tree.map(lambda a: a.reshape(len(a) // CHUNK, CHUNK, *a.shape[1:]), (keys, condition))
    run = lambda blocks: jax.lax.map(chunk, blocks)  # noqa: E731
    if devices > 1:
        mesh = jax.make_mesh((devices,), ("device",), axis_types=(AxisType.Auto,))
        along = PartitionSpec("device")
        run = jax.shard_map(run, mesh=mesh, in_specs=along, out_specs=along, check_vma=False)
    return jax.tree.map(lambda a: a.reshape(len(a) * CHUNK, *a.shape[2:]), run(blocks))


def sample(
    model: Generator,
    key: PRNGKeyArray,
    n: int,
    *,
    context: Float[Array, "*n context"] | None = None,
    has_context: Bool[Array, "*n context"] | None = None,
    known: Known | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    planets: int = PLANETS,
) -> Draws:
    """Systems drawn from the model, each from its own key, so that the first n are the same however many are drawn.

    Args:
        model: the trained density.
        key: split into one key per system by its number.
        n: how many.
        context: properties of star and disc in the units of `CONTEXT`, one row for all systems or one for each.
        has_context: which of them are given; all where `context` is given and this is not.
        known: known planets, one set for all systems or one for each (with a leading axis).
        temperature, top_p: see `Sharpness`; anything but 1 biases the population.
        planets: longest system.
    """
    if context is None:
        context, has_context = jnp.zeros(len(CONTEXT)), jnp.zeros(len(CONTEXT), bool)
    has_context = jnp.ones_like(context, bool) if has_context is None else has_context
    known = Known(*(a[:0] for a in nothing_known())) if known is None else known
    devices = len(jax.local_devices())
    total = -(-n // (CHUNK * devices)) * CHUNK * devices
    rows = lambda a, axes: jnp.broadcast_to(a, (n, *a.shape)) if a.ndim == axes else a  # noqa: E731
    condition = (rows(context, 1), rows(has_context, 1), jax.tree.map(lambda a: rows(a, 2), known))
    condition = jax.tree.map(lambda a: jnp.concatenate([a, jnp.repeat(a[:1], total - n, 0)]), condition)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(total))
    draws = _sample(model, keys, condition, planets, Sharpness(temperature, top_p), devices)
    return jax.tree.map(lambda a: a[:n], draws)
