"""What an example of vetting is: folded views with a mask, scalars with a mask; and a set of them with identities."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float

from jaxastro.systems.vetting.recipe import Recipe

ArrayLike = Any  # of NumPy on the host, of jax inside


class Example(NamedTuple):
    """One transit signal as a model sees it; with a leading axis `object` on every array, many signals.

    Attributes:
        views: folded views by name, each (bin, channel); the value channels are flux in units of the main depth
            (out of transit 0, main transit -1), centroid shift in sigma (RA, Dec), or halo minus core flux. Where the
            recipe counts validity, the last channel is 1 in bins that hold cadences and 0 in interpolated ones.
            Absent views are all zero.
        view_present: whether the view exists, by name; scalar booleans.
        scalars: named physical quantities in the units of their source, unscaled; 0 where missing.
        scalar_present: whether each scalar is known.
    """

    views: dict[str, Float[ArrayLike, "... bin channel"]]
    view_present: dict[str, Bool[ArrayLike, "..."]]
    scalars: Float[ArrayLike, "... scalar"]
    scalar_present: Bool[ArrayLike, "... scalar"]


@dataclasses.dataclass(frozen=True)
class Signals:
    """Transit signals read from files: the examples, what is known of them, and who they are. All host arrays.

    Attributes:
        examples: batched `Example` of NumPy arrays, leading axis `object`; views float32, scalars float64 (false-alarm
            probabilities underflow float32: scale, then cast).
        scalar_names: name of every scalar column.
        labels: label of every signal as the file spells it, empty where it has none.
        groups: star of every signal, for folds and bootstraps that keep a star together.
        split: name of the split of every signal, empty where the file has none.
        table: identities and ephemeris, one row per signal in input order.
        flags: empty, or why the signal cannot be scored.
        remarks: empty, or what is odd about a signal that can be scored.
        recipe: how the views were made.
        notes: sentences about what reading found (unmatched rows, dropped columns).
    """

    examples: Example
    scalar_names: tuple[str, ...]
    labels: np.ndarray
    groups: np.ndarray
    split: np.ndarray
    table: Table
    flags: np.ndarray
    remarks: np.ndarray
    recipe: Recipe
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Signals":
        """The signals of the given row numbers or boolean mask, in that order."""
        pick = jax.tree.map(lambda array: array[rows], self.examples)
        per_row = ("labels", "groups", "split", "table", "flags", "remarks")
        return dataclasses.replace(self, examples=pick, **{name: getattr(self, name)[rows] for name in per_row})
