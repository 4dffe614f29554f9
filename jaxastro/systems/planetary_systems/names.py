"""Names of stars and planets: a planet's star, its letter, and the star that a name means."""

import difflib
import re
from collections.abc import Iterable

from jaxastro.errors import InputError


def host_of(planet: str) -> str:
    """The star of a planet's name: the letter, or the number of a candidate, is stripped."""
    return re.sub(r"(?<=\S)\s+[b-z]$|(?<=\d)[b-z]$|\.\d\d$", "", planet.strip())


def letter_of(planet: str) -> str:
    """The letter (or candidate number) at the end of a planet's name, '' without one."""
    return planet.strip()[len(host_of(planet)) :].strip(" .")


def star_meant(name: str, names: Iterable[tuple[str, str]]) -> str:
    """The star that a star's, planet's or alias's name means.

    Args:
        name: as a user writes it; spaces, underscores and capitals do not matter.
        names: every name that a star has, with the star.

    Raises:
        InputError: there is no such star; the nearest names are given.
    """
    plain = lambda text: re.sub(r"[\s_]+", "", text).lower()  # noqa: E731
    names = list(names)
    stars = {plain(alias): star for alias, star in reversed(names)}
    for wanted in (name, host_of(name)):
        if plain(wanted) in stars:
            return stars[plain(wanted)]
    near = [stars[n] for n in difflib.get_close_matches(plain(host_of(name)), stars, n=3)]
    first = ", ".join(list(dict.fromkeys(star for _, star in names))[:5])
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"its first stars are {first}."
    raise InputError(f"The table has no star '{name}'; {hint}")
