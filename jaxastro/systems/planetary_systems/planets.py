"""The planets of a table, one entry per row, and the star that a name means."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from jaxastro.systems.planetary_systems.columns import Measured
from jaxastro.systems.planetary_systems.names import star_meant


@dataclasses.dataclass(frozen=True)
class Planets:
    """The planets of a table, one entry per row that was kept, ordered by system (as first met) and semi-major axis.

    Attributes:
        system: name or number of the star.
        letter: letter of the planet, or its place counted from the star.
        row: row in the file, counted from 1.
        aliases: further names of the star, joined by `|`.
        a: semi-major axis in AU, from the period where the table has none.
        mass: true mass in Earth masses, or its upper limit.
        msini: minimum mass in Earth masses, or its upper limit.
        radius: radius in Earth radii.
        star_mass: in solar masses.
        context: what `CONTEXT` names, NaN where unknown.
        notes: sentences on what was understood, filled in or left out.
        used: the column that each quantity came from.
    """

    system: np.ndarray
    letter: np.ndarray
    row: np.ndarray
    aliases: np.ndarray
    a: Measured
    mass: Measured
    msini: Measured
    radius: Measured
    star_mass: Float[np.ndarray, " planet"]
    context: Float[np.ndarray, "planet context"]
    notes: tuple[str, ...] = ()
    used: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.system)

    def at(self, index: np.ndarray) -> "Planets":
        """The chosen planets in the given order."""
        names = [f.name for f in dataclasses.fields(self) if f.name not in ("notes", "used")]
        return dataclasses.replace(self, **{name: getattr(self, name)[index] for name in names})

    def weighed(self) -> Bool[np.ndarray, " planet"]:
        """Which planets have a true mass that is no limit."""
        return ~np.isnan(self.mass.value) & ~self.mass.limit

    def hosts(self) -> list[str]:
        """The stars in the order of the table."""
        return list(dict.fromkeys(self.system))


def find_host(planets: Planets, name: str) -> str:
    """The star that a star's, planet's or alias's name means, as the table writes it.

    Raises:
        InputError: the table has no such star; the nearest names are given.
    """
    pairs = list(zip(map(str, planets.system), planets.aliases, strict=True))
    return star_meant(name, [(n, star) for star, more in pairs for n in (star, *filter(None, more.split("|")))])
