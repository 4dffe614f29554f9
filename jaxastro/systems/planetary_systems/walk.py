"""The walk outwards along a system: what is behind the last planet written, and which known planet lies ahead."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxastro.systems.planetary_systems.layout import INNER, OUTER, Known, System

SMALL = -1.0
"""log10 Earth masses added to sums of masses, so that their logarithm exists before the first planet."""
BROAD, FINE = (1.0, 2.0, 4.0), (1.0, 2.0, 4.0, 8.0)
"""Frequencies of `waves` in radians per dex."""


class Behind(NamedTuple):
    """What has been written: number of planets, the last planet, the place before it, total and largest log mass."""

    index: Int[Array, "*step"]
    log_a: Float[Array, "*step"]
    log_mass: Float[Array, "*step"]
    before: Float[Array, "*step"]
    total: Float[Array, "*step"]
    largest: Float[Array, "*step"]

    def after(self, log_a: Float[Array, ""], log_mass: Float[Array, ""]) -> "Behind":
        """The same one planet later."""
        total = jnp.logaddexp(self.total * math.log(10), log_mass * math.log(10)) / math.log(10)
        return Behind(self.index + 1, log_a, log_mass, self.log_a, total, jnp.maximum(self.largest, log_mass))

    def features(self) -> Float[Array, " 36"]:
        """Numbers of order one, zero before the first planet."""
        spacing = log_spacing(self.before, self.log_a) + 1
        numbers = waves(jnp.stack([self.log_a, self.log_mass, spacing, self.total, self.largest]))
        return jnp.where(self.index > 0, jnp.append(numbers, self.index / 10), 0.0)


class Ahead(NamedTuple):
    """The nearest known planet farther out: how many are left, what was measured of it (zero where none is left)."""

    left: Int[Array, "*step"]
    value: Float[Array, "*step 3"]
    error: Float[Array, "*step 3"]
    present: Bool[Array, "*step 3"]

    @property
    def limit(self) -> Float[Array, "*step"]:
        """log10 AU that the next hidden planet cannot pass."""
        return jnp.where(self.left > 0, self.value[..., 0], OUTER)

    def features(self, log_a: Float[Array, ""]) -> Float[Array, " 8"]:
        """Eight numbers of order one that describe it as seen from `log_a`."""
        near = jnp.stack([self.left / 4, log_spacing(log_a, self.limit)])
        known = jnp.concatenate([near, self.value[1:], self.error[1:], self.present[1:].astype(near.dtype)])
        return jnp.where(self.left > 0, known, 0.0)


def waves(x: Float[Array, " number"], radians: tuple[float, ...] = BROAD) -> Float[Array, " feature"]:
    """The numbers with sines and cosines of them, along which a small network bends faster than along the numbers."""
    phase = jnp.outer(x, jnp.asarray(radians, x.dtype)).ravel()
    return jnp.concatenate([x, jnp.sin(phase), jnp.cos(phase)])


def log_spacing(inner: Float[Array, "*batch"], outer: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """log10 of the distance in log10 AU, not below that of the closest pair that float32 tells apart."""
    return jnp.log10(jnp.maximum(outer - inner, 1e-7))


def nothing_behind() -> Behind:
    """Before the first planet."""
    return Behind(jnp.asarray(0), *map(jnp.asarray, (INNER, 0.0, INNER, SMALL, SMALL)))


def all_behind(system: System) -> Behind:
    """What is behind each step of a finished system: one step more than places for planets."""
    first = nothing_behind()
    grow = lambda start, rest: jnp.concatenate([start[None], rest])  # noqa: E731
    log_a, log_mass = grow(first.log_a, system.log_a), grow(first.log_mass, system.log_mass)
    mass = grow(first.total, jnp.where(system.mask, system.log_mass, -9.0))
    return Behind(
        jnp.arange(log_a.shape[0]),
        log_a,
        log_mass,
        grow(first.before, log_a[:-1]),
        jax.lax.cumlogsumexp(mass * math.log(10)) / math.log(10),
        jax.lax.cummax(mass),
    )


def look_ahead(known: Known, log_a: Float[Array, ""]) -> Ahead:
    """The nearest known planet beyond `log_a`."""
    if known.value.shape[0] == 0:
        zero = jnp.zeros(3, log_a.dtype)
        return Ahead(jnp.asarray(0), zero, zero, zero > 0)
    beyond = known.present[:, 0] & (known.value[:, 0] > log_a)
    nearest = jnp.argmin(jnp.where(beyond, known.value[:, 0], jnp.inf))
    return Ahead(beyond.sum(), *(jnp.where(beyond.any(), a[nearest], jnp.zeros_like(a[nearest])) for a in known))
