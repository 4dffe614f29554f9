"""Exact Shapley values of a few players: every coalition is played, in one vectorised call."""

from collections.abc import Callable
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxastro.errors import InputError

_MOST = 16


def shapley_values(value: Callable[[Bool[Array, "player"]], Array], players: int) -> Float[Array, "player *output"]:
    """How much every player adds to `value`, averaged over all orders in which players can join.

    The values sum to `value(all) - value(none)`; a player that changes nothing gets 0 (Shapley 1953).

    Args:
        value: worth of a coalition, from a mask of those who take part; any output shape, differentiable.
        players: how many there are; `value` is called, under `jax.vmap`, on all 2^players masks.

    Raises:
        InputError: more than 16 players.
    """
    if not 1 <= players <= _MOST:
        raise InputError(f"Exact Shapley values need 1 to {_MOST} players, found {players}; join some of them.")
    masks = coalitions(players)
    return jnp.tensordot(jnp.asarray(_weights(masks), jnp.float32), jax.vmap(value)(jnp.asarray(masks)), 1)


def coalitions(players: int) -> Bool[np.ndarray, "coalition player"]:
    """Every subset of the players as a mask, the empty one first and the full one last."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)


def _weights(masks: np.ndarray) -> np.ndarray:
    """(player, coalition): with s others inside, joining counts s! (n - 1 - s)! / n!, with sign minus when left out."""
    n = masks.shape[1]
    size = masks.sum(1)
    share = np.array([factorial(s) * factorial(n - 1 - s) / factorial(n) for s in range(n)])
    others = size[:, None] - masks
    return np.where(masks, 1, -1).T * share[others].T
