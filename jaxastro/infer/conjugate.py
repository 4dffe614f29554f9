"""Conjugate gradients for a batch of independent systems in one loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int


class Solution(NamedTuple):
    """Result of `conjugate_gradient`: solutions (row, unknown) and how many iterations the slowest row took."""

    x: Array
    steps: Array


def conjugate_gradient(
    residual: Callable[[Array, Any], Array],
    source: Any,
    target: Float[Array, "row unknown"],
    start: Float[Array, "row unknown"],
    *,
    steps: int | Int[Array, ""],
    gain: float | Float[Array, ""] = 0.0,
    share: float | Float[Array, ""] = 0.0,
) -> Solution:
    """Solve A x = target + B source for every row, where ``residual(x, source) = A x - B source``, A positive definite.

    The residual function, usually two large linear maps, occurs once in the compiled program: the first turn of the
    loop forms the residual of `start`, every later one multiplies a direction by A. A row stops when an iteration
    lowers its energy by less than `gain`, or by less than the fraction `share` of the mean decrease per iteration so
    far (Nash and Sofer 1990), or after `steps` iterations, none for 0; the limits may be traced.
    """
    tiny = jnp.finfo(target.dtype).tiny

    def one(state):
        i, x, r, p, rr, total, going = state
        first = i == 0
        q = residual(p, jax.tree.map(lambda s: jnp.where(first, s, 0), source))
        alpha = jnp.where(going & ~first, rr / jnp.maximum(jnp.sum(p * q, -1), tiny), 0)
        x, r = x + alpha[:, None] * p, jnp.where(first, target - q, r - alpha[:, None] * q)
        new = jnp.sum(r * r, -1)
        beta = jnp.where(first, 0, new / jnp.maximum(rr, tiny))
        drop = alpha * rr / 2
        total = total + drop
        going &= first | ((drop > gain) & (i * drop > share * total) & (new > 0))
        return i + 1, x, r, r + beta[:, None] * p, new, total, going

    nothing = jnp.zeros(target.shape[0], target.dtype)
    state = (jnp.asarray(0), start, jnp.zeros_like(start), start, nothing, nothing, nothing == 0)
    turns = jnp.where(jnp.asarray(steps) > 0, jnp.asarray(steps) + 1, 0)
    i, x, *_ = lax.while_loop(lambda s: (s[0] < turns) & s[-1].any(), one, state)
    return Solution(x, i)
