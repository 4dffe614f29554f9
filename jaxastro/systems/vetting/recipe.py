"""How the views of a set of signals were made, so that a model meets the same views again."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxastro.errors import InputError

VIEWS = ("global", "main", "secondary", "odd", "even", "centroid", "ghost")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a folded view looks like; an artefact stores it and prediction rebuilds from it.

    Attributes:
        kind: `watson` (all views from a light curve, WATSON-Net's phases), `astronet-kepler` or `astronet-tess`
            (the ready-made views of those pipelines), `unknown` (ready-made views of another length).
        bins: bins of every view that exists, by view name.
        channels: channels of every view, by view name; where the recipe has validity the last channel is 1 where a
            bin holds cadences and 0 where it was interpolated.
    """

    kind: str = "watson"
    bins: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {"global": 300, **dict.fromkeys(VIEWS[1:], 75)},
    )
    channels: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {**dict.fromkeys(VIEWS, 2), "centroid": 3},
    )

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
