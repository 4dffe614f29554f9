"""Folds that keep every object whole and every label equally frequent."""

import numpy as np
from jaxtyping import Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from jaxastro.errors import InputError
from jaxastro.stats.scores import Rows


def grouped_folds(groups: Rows, labels: Rows | None = None, *, k: int = 10, seed: int = 0) -> Int[np.ndarray, "row"]:
    """The fold, 0 to k - 1, in which each row is held out; no group stands in two folds.

    Args:
        groups: object of each row (star, source, system); join several keys by `merge_groups`.
        labels: class of each row, kept equally frequent in all folds as far as whole groups allow.
        k: number of folds.
        seed: of the shuffle.

    Raises:
        InputError: a class, or all rows together, has fewer than k groups.
    """
    groups = np.unique(np.asarray(groups), return_inverse=True)[1]
    labels = np.zeros(len(groups), int) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    if len(labels) != len(groups):
        raise InputError(f"Expected one label per row, found {len(labels)} labels and {len(groups)} rows in groups.")
    fewest = min((len(np.unique(groups[labels == label])) for label in np.unique(labels)), default=0)
    if k < 2 or fewest < k:
        raise InputError(f"Cannot make {k} folds: the rarest class has {fewest} objects; choose 2 to {fewest} folds.")
    folds = np.empty(len(groups), int)
    splits = StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(groups, labels, groups)
    for fold, (_, held_out) in enumerate(splits):
        folds[held_out] = fold
    return folds


def merge_groups(*keys: Shaped[np.ndarray, "row ..."]) -> Int[np.ndarray, "row"]:
    """Group numbers such that rows which agree in any one of the keys share a group, directly or through other rows.

    `merge_groups(star_id, views)` keeps the rows of one star together, and exact duplicates that stand under two stars.

    Args:
        keys: each one value per row, or an array per row, compared bit by bit. Give missing identities distinct
            values, or they become one group.
    """
    n = len(keys[0])
    if {len(key) for key in keys} != {n}:
        raise InputError(f"Expected keys of equal length, found {[len(key) for key in keys]}.")
    owners, start = [], n
    for key in keys:
        value = np.unique(_comparable(np.asarray(key)), return_inverse=True)[1]
        owners.append(start + value)
        start += n
    rows = np.tile(np.arange(n), len(keys))
    links = coo_array((np.ones(len(rows), bool), (rows, np.concatenate(owners))), shape=(start, start))
    return np.unique(connected_components(links, directed=False)[1][:n], return_inverse=True)[1]


def _comparable(key: np.ndarray) -> np.ndarray:
    """One value per row: as it is, or the bytes of the row's array."""
    if key.ndim == 1:
        return key
    rows = np.ascontiguousarray(key.reshape(len(key), -1))
    return rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
