"""From signals of any file to the arrays of one network: which views and scalars it knows."""

import dataclasses
from typing import Any

import numpy as np

from jaxastro.errors import InputError
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.model import BRANCHES, Layout
from jaxastro.systems.vetting.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What a network takes in; the model card stores it and prediction applies it to every file.

    Attributes:
        recipe: how the views were made.
        views: (bins, channels) of the views used, by name.
        scalar_names: of the scalars used.
    """

    recipe: Recipe
    views: dict[str, tuple[int, int]]
    scalar_names: tuple[str, ...]

    @classmethod
    def fit(cls, signals: Signals, *, use: str = "all", global_bins: int = 301) -> "Inputs":
        """The inputs that these training rows can give: `use` is "all", "views" or "scalars"."""
        views: dict[str, tuple[int, int]] = {}
        if use != "scalars":
            usable = [
                v for branch in BRANCHES.values() for v in branch if all(w in signals.examples.views for w in branch)
            ]
            for name in usable:
                if np.asarray(signals.examples.view_present[name]).any():
                    bins, channels = signals.examples.views[name].shape[1:]
                    views[name] = (min(bins, global_bins) if name == "global" else bins, channels)
        pick = np.flatnonzero(signals.examples.scalar_present.any(0)) if use != "views" else np.zeros(0, int)
        names = tuple(signals.scalar_names[i] for i in pick)
        if not views and not names:
            raise InputError(f"The signals have nothing to train on with use = '{use}'; give views or scalars.")
        return cls(signals.recipe, views, names)

    @property
    def layout(self) -> Layout:
        """What the network is built for."""
        return Layout(dict(self.views), len(self.scalar_names))

    def __call__(self, signals: Signals) -> Example:
        """The examples of `signals` as the network takes them: known views and scalars only, the rest marked missing.

        Raises:
            InputError: the views were made in another way than those of training.
        """
        found = signals.recipe.as_dict()
        if self.views and found != self.recipe.as_dict():
            different = [k for k, v in self.recipe.as_dict().items() if found.get(k) != v]
            raise InputError(
                f"The views of the data are '{signals.recipe.kind}' and differ from the model's "
                f"'{self.recipe.kind}' in {', '.join(different)}; give views made like those of training."
            )
        n, source = len(signals), signals.examples
        views, present = {}, {}
        for name, (bins, channels) in self.views.items():
            known = name in source.views
            views[name] = _rebinned(source.views[name], bins) if known else np.zeros((n, bins, channels), np.float32)
            present[name] = np.asarray(source.view_present[name]) if known else np.zeros(n, bool)
        index = {name: i for i, name in enumerate(signals.scalar_names)}
        values = np.zeros((n, len(self.scalar_names)))
        there = np.zeros(values.shape, bool)
        for column, name in enumerate(self.scalar_names):
            if name in index:
                values[:, column] = source.scalars[:, index[name]]
                there[:, column] = source.scalar_present[:, index[name]]
        return Example(views, present, values.astype(np.float32), there)

    def as_dict(self) -> dict[str, Any]:
        """All constants as plain JSON types, for the model card."""
        return {
            "recipe": self.recipe.as_dict(),
            "views": {name: list(shape) for name, shape in self.views.items()},
            "scalar_names": list(self.scalar_names),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Inputs":
        """The inputs that a model card holds."""
        return cls(
            Recipe.from_dict(values["recipe"]),
            {name: (shape[0], shape[1]) for name, shape in values["views"].items()},
            tuple(values["scalar_names"]),
        )


def _rebinned(view: np.ndarray, bins: int) -> np.ndarray:
    """Views (object, bin, channel) averaged down to `bins` bins; the mean of what falls into each new bin."""
    n, old, channels = view.shape
    if bins == old:
        return view
    edges = np.linspace(0, old, bins + 1)
    total = np.concatenate([np.zeros((n, 1, channels)), np.cumsum(view, axis=1, dtype=np.float64)], axis=1)
    low = np.minimum(edges.astype(int), old - 1)
    at = total[:, low] + (edges - low)[None, :, None] * view[:, low]
    return (np.diff(at, axis=1) / (old / bins)).astype(np.float32)
