"""Which rows a member trains on and which it holds out, as index arrays padded with -1."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxastro.errors import InputError


def is_rows(value: Any) -> bool:
    """Whether `value` is a one-dimensional array of indices."""
    return isinstance(value, np.ndarray | jax.Array) and value.ndim == 1 and np.issubdtype(value.dtype, np.integer)


def length(data: Any, name: str = "data") -> int:
    """The leading axis that all arrays of `data` share.

    Raises:
        InputError: there is no array, or two leading axes differ.
    """
    sizes = {np.shape(x)[:1] for x in jax.tree.leaves(data)}
    if len(sizes) != 1 or () in sizes:
        raise InputError(f"The arrays of {name} have leading axes {sorted(sizes)}; expected one shared leading axis.")
    return sizes.pop()[0]


def held_out(data: Any, validation: Any, members: int) -> tuple[Any, list[np.ndarray]]:
    """The pytree that holds the validation examples, and every member's rows in it."""
    if type(validation) is not list:
        return validation, [np.arange(length(validation, "validation"))] * members
    return data, _checked(validation, length(data), members, "validation")


def training(data: Any, rows: Sequence[Any] | None, held: list[np.ndarray] | None, members: int) -> list[np.ndarray]:
    """Every member's training rows: those given, or all that it does not hold out."""
    n = length(data)
    if rows is not None:
        return _checked(rows, n, members, "rows")
    return [np.setdiff1d(np.arange(n), h) for h in held] if held else [np.arange(n)] * members


def padded(rows: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Rows in order as (member, batch, batch_size), padded with -1."""
    size = min(batch_size, max(len(r) for r in rows))
    steps = -(-max(len(r) for r in rows) // size)
    index = np.full((len(rows), steps * size), -1, np.int32)
    for member, r in enumerate(rows):
        index[member, : len(r)] = r
    return index.reshape(len(rows), steps, size)


def shuffled(rows: list[np.ndarray], seeds: np.ndarray, epoch: int, steps: int, batch_size: int) -> np.ndarray:
    """Rows in the random order of `epoch` as (member, step, batch_size), padded with -1.

    The order depends on a member's seed and the epoch alone: it is the same after a resume and for any device count.
    """
    index = np.full((len(rows), steps * batch_size), -1, np.int32)
    for member, r in enumerate(rows):
        index[member, : len(r)] = np.random.default_rng([epoch, *seeds[member]]).permutation(r)
    return index.reshape(len(rows), steps, batch_size)


def padded_batch(batch: Any, batch_size: int, members: int) -> tuple[Any, np.ndarray]:
    """A streamed batch filled up to `batch_size`, with its index as (member, 1, batch_size)."""
    n = length(batch, "a batch")
    if n > batch_size:
        raise InputError(
            f"A batch has {n} examples, expected at most batch_size = {batch_size}; raise it or cut the batch."
        )
    fill = lambda x: np.concatenate([x, np.repeat(np.asarray(x[:1]), batch_size - n, axis=0)])  # noqa: E731
    index = np.where(np.arange(batch_size) < n, np.arange(batch_size), -1).astype(np.int32)
    return jax.tree.map(fill, batch), np.broadcast_to(index, (members, 1, batch_size))


def _checked(rows: Sequence[Any], n: int, members: int, name: str) -> list[np.ndarray]:
    if len(rows) != members:
        raise InputError(f"{name} holds {len(rows)} arrays for {members} members; expected one array per member.")
    arrays = [np.asarray(r, np.int32) for r in rows]
    for r in arrays:
        if r.ndim != 1 or not len(r) or r.min() < 0 or r.max() >= n:
            raise InputError(
                f"{name} must be non-empty arrays of row indices from 0 to {n - 1}; found shape {r.shape}."
            )
    return arrays
