"""How the views of a set of signals were made, so that a model meets the same views again."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxastro.errors import InputError

VIEWS = ("global", "main", "secondary", "odd", "even", "centroid", "ghost")

NATIVE = {"astronet-kepler": {"global": 2001, "main": 201}, "astronet-tess": {"global": 201, "main": 61}}


@dataclasses.dataclass(frozen=True, eq=True)
class Recipe:
    """Everything that decides what a folded view looks like; an artefact stores it and prediction rebuilds from it.

    Attributes:
        kind: `watson` (all views from a light curve, WATSON-Net's phases), `astronet-kepler` or `astronet-tess`
            (the ready-made views of those pipelines), `unknown` (ready-made views of another length).
        bins: bins of every view that exists, by view name.
        channels: channels of every view, by view name; where the recipe has validity the last channel is 1 where a
            bin holds cadences and 0 where it was interpolated.
        secondary_cut: bins of the secondary view that is cut out of the global view around phase 0.5; 0 for none.
        focus_durations: half-width of all views but the global one, in transit durations (at most a quarter period).
        window_durations: length of the detrending window in transit durations.
        window_day: the least that it is long, days.
        clip_sigma: outliers beyond so many standard deviations are dropped, dips within transits excepted.
    """

    kind: str = "watson"
    bins: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {"global": 300, **dict.fromkeys(VIEWS[1:], 75)},
    )
    channels: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {**dict.fromkeys(VIEWS, 2), "centroid": 3},
    )
    secondary_cut: int = 0
    focus_durations: float = 3.0
    window_durations: float = 4.0
    window_day: float = 1.0
    clip_sigma: float = 5.0

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON types, for the model card."""
        return {**dataclasses.asdict(self), "bins": dict(self.bins), "channels": dict(self.channels)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """The recipe that a model card holds.

        Raises:
            InputError: the card holds a field that this version does not know.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if extra := sorted(set(values) - known):
            raise InputError(f"The view recipe has unknown fields {', '.join(extra)}; update jaxastro to read it.")
        return cls(**values)

    def native_bins(self, view: str) -> int:
        """Bins of a view as its pipeline makes it, before any rebinning of the reader."""
        return NATIVE.get(self.kind, {}).get(view, self.bins[view])

    def __hash__(self) -> int:
        return hash(repr(self.as_dict()))


def ready_made_recipe(bins: Mapping[str, int]) -> Recipe:
    """The recipe of ready-made views, known by their lengths: AstroNet's for Kepler (2001, 201) or TESS (201, 61)."""
    known = {(2001, 201): ("astronet-kepler", 75), (201, 61): ("astronet-tess", 0)}
    kind, cut = known.get((bins["global"], bins["main"]), ("unknown", 0))
    bins = {**bins, **({"secondary": cut} if cut and "secondary" not in bins else {})}
    return Recipe(kind=kind, bins=bins, channels=dict.fromkeys(bins, 1), secondary_cut=cut)
