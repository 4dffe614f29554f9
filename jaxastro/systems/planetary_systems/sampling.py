"""Sampling: one compiled loop over planets with cached keys and values, in chunks that stay in a core's cache."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray

from jaxastro.systems.planetary_systems.layout import CONTEXT, PLANETS, Known, System, nothing_known
from jaxastro.systems.planetary_systems.sharpness import Sharpness

CHUNK = 250
"""Systems written side by side: more would push keys and values out of the processor's cache."""
UNIFORMS = 7
"""Uniform numbers that pick one planet."""


class Condition(NamedTuple):
    """What a system is written under."""

    context: Float[Array, "*system context"]
    has_context: Bool[Array, "*system context"]
    known: Known


class Draws(NamedTuple):
    """Systems drawn from a model.

    Attributes:
        system: the systems.
        truncated: which of them filled the longest system without an end.
    """

    system: System
    truncated: Bool[Array, "*system"]


@runtime_checkable
class Writer(Protocol):
    """A model that writes one system planet by planet; its state is a pytree of its own."""

    def begin(self, condition: Condition, planets: int) -> Any:
        """The state before the first planet, with room for so many."""
        ...

    def write(self, state: Any, condition: Condition, u: Array, sharp: Sharpness) -> tuple[Any, Array, Array]:
        """The next state, the planet (log a, log M, log R) that uniform numbers pick, and whether there is one."""
        ...

    def finish(self, system: System) -> System:
        """What is left to do once all planets are written."""
        ...


def sample(
    model: Writer,
    key: PRNGKeyArray,
    n: int,
    *,
    context: Float[Array, "*n context"] | None = None,
    has_context: Bool[Array, "*n context"] | None = None,
    known: Known | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    planets: int = PLANETS,
    devices: int | None = None,
) -> Draws:
    """Systems drawn from the model, each from its own key, so that the first n are the same however many are drawn.

    Args:
        model: the trained density.
        key: split into one key per system by its number.
        n: how many.
        context: properties of star and disc in the units of `CONTEXT`, one row for all systems or one for each.
        has_context: which of them are given; default: all, where `context` is given.
        known: known planets, one set for all systems or one for each (with a leading axis).
        temperature: see `Sharpness`; anything but 1 biases the population.
        top_p: likewise.
        planets: longest system.
        devices: how many share the work; all local ones if not given.
    """
    if context is None:
        context, has_context = jnp.zeros(len(CONTEXT)), jnp.zeros(len(CONTEXT), bool)
    has_context = jnp.ones_like(context, bool) if has_context is None else has_context
    known = Known(*(a[:0] for a in nothing_known())) if known is None else known
    devices = min(devices or jax.local_device_count(), -(-n // CHUNK))
    total = -(-n // (CHUNK * devices)) * CHUNK * devices

    def rows(a: Array, axes: int) -> Array:
        a = jnp.broadcast_to(a, (n, *a.shape)) if a.ndim == axes else a
        return jnp.concatenate([a, jnp.repeat(a[:1], total - n, axis=0)])

    condition = Condition(rows(context, 1), rows(has_context, 1), Known(*(rows(a, 2) for a in known)))
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(total))
    draws = _sample(model, keys, condition, planets, Sharpness(temperature, top_p), devices)
    return jax.tree.map(lambda a: a[:n], draws)


@eqx.filter_jit
def _sample(
    model: Writer, keys: Key[Array, " system"], condition: Condition, planets: int, sharp: Sharpness, devices: int
) -> Draws:
    """Chunk by chunk, shared by the devices."""
    run: Callable = lambda blocks: jax.lax.map(lambda block: _chunk(model, *block, planets, sharp), blocks)  # noqa: E731  # pyright: ignore
    if devices > 1:
        mesh = jax.make_mesh((devices,), ("device",), (AxisType.Auto,), devices=jax.local_devices()[:devices])
        along = PartitionSpec("device")
        run = jax.shard_map(run, mesh=mesh, in_specs=along, out_specs=along, check_vma=False)
    blocks = jax.tree.map(lambda a: a.reshape(len(a) // CHUNK, CHUNK, *a.shape[1:]), (keys, condition))
    return jax.tree.map(lambda a: a.reshape(len(a) * CHUNK, *a.shape[2:]), run(blocks))


def _chunk(model: Writer, keys: Key[Array, " system"], condition: Condition, planets: int, sharp: Sharpness) -> Draws:
    """Systems written side by side until the last of them ends."""
    u = jax.vmap(lambda k: jax.random.uniform(k, (planets, UNIFORMS)))(keys)
    state = jax.vmap(lambda c: model.begin(c, planets))(condition)
    rows, mask = jnp.zeros((*u.shape[:2], 3)), jnp.zeros(u.shape[:2], bool)

    def planet(carry):
        i, state, going, rows, mask = carry
        write = lambda state, condition, u: model.write(state, condition, u, sharp)  # noqa: E731
        state, row, more = jax.vmap(write)(state, condition, u[:, i])
        going &= more
        return i + 1, state, going, rows.at[:, i].set(jnp.where(going[:, None], row, 0.0)), mask.at[:, i].set(going)

    first = (0, state, jnp.ones(len(keys), bool), rows, mask)
    *_, going, rows, mask = jax.lax.while_loop(lambda c: (c[0] < planets) & c[2].any(), planet, first)
    log_a, log_mass, log_radius = jnp.moveaxis(rows, -1, 0)
    system = System(log_a, log_mass, log_radius, mask, mask, *condition)
    return Draws(jax.vmap(model.finish)(system), going)
