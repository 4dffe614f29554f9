"""What a star's planets came from: mass, inner edge and wind of the disc, by the number of its system."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from jaxtyping import Float

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.layout import CONTEXT


def read_discs(path: Path) -> dict[str, np.ndarray]:
    """The properties in `CONTEXT` of each disc of an `NGPPS_variables.txt`, by the number of its system.

    The mass of gas is 2 pi Sigma0 r0^b rc^(2-b) / (2-b) with r0 = 5.2 AU (Emsenhuber et al. 2021, A&A 656, A69, eq. 1).

    Raises:
        InputError: a line is not of the form `SIM00000001 MSTAR=... SIGMA=...`.
    """
    discs = {}
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text file of disc properties, found: {error}.") from error
    for number, line in enumerate(filter(str.strip, lines), start=1):
        try:
            value = {k: float(v) for k, v in (word.split("=") for word in line.split()[1:])}
            slope = 2 - value["EXPO"]
            grams = (
                2 * np.pi * value["SIGMA"] * 5.2 ** value["EXPO"] * value["AOUT"] ** slope / slope * u.AU.to("cm") ** 2
            )
            discs[str(int(re.sub(r"\D", "", line.split()[0])))] = np.array([
                np.log10(value["MSTAR"]), np.log10(value["FPG"] / 0.0149), np.log10(grams * u.g.to("solMass")),
                np.log10(value["AIN"]), np.log10(value["MWIND"]),
            ])  # fmt: skip
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{path}, line {number}: expected 'SIM00000001 MSTAR=1 SIGMA=147 EXPO=0.9 AIN=.. AOUT=.. FPG=.. "
                f"MWIND=..', "
                f"found '{line.strip()[:50]}'."
            ) from error
    return discs


def context_of(discs: Mapping[str, np.ndarray], systems: Iterable[Any]) -> Float[np.ndarray, "planet context"]:
    """The context of the disc that has the number of each planet's system, NaN where there is none.

    Raises:
        InputError: no disc fits any system.
    """
    unknown, names = np.full(len(CONTEXT), np.nan), [str(name) for name in systems]
    context = np.stack([discs.get(name, unknown) for name in names])
    if np.isnan(context).all():
        raise InputError(
            f"None of the systems (the first is '{names[0]}') has a disc; disc and planet tables must share their "
            f"numbers."
        )
    return context
