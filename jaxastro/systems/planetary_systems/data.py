"""Planet tables in: the rows of any archive, understood, checked, and sorted by star and place."""

import dataclasses
import gzip
from collections.abc import Mapping
from pathlib import Path
from string import ascii_lowercase

import numpy as np
from astropy import units as u
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.columns import ALIASES, Header, Measured, as_text, parse_column
from jaxastro.systems.planetary_systems.discs import context_of, read_discs
from jaxastro.systems.planetary_systems.layout import INNER, OUTER
from jaxastro.systems.planetary_systems.names import host_of, letter_of
from jaxastro.systems.planetary_systems.planets import Planets

DROPPED_LISTS = ("Retracted", "Controversial", "Kepler Objects of Interest", "Orphan")
"""Lists of the Open Exoplanet Catalogue whose planets are left out."""

EARTH_RADII_IN_SOLAR = float(u.Unit("solRad").to("earthRad"))


def read_table(path: Path) -> Table:
    """A CSV, ECSV, FITS or whitespace-separated table, compressed or not; byte-order marks and `#` comments are
    skipped.

    Raises:
        InputError: the file is absent, empty or no table.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected a table with one row per planet (CSV, ECSV or FITS, also .gz)."
        )
    try:
        name = path.name.removesuffix(".gz")
        if name.endswith((".fits", ".fit")):
            return Table.read(path, format="fits")
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig").replace("\r\n", "\n")
        if not text.strip():
            raise ValueError("an empty file")
        if text.startswith("# %ECSV"):
            return Table.read(text.splitlines(), format="ascii.ecsv")
        comma = "," in next((line for line in text.splitlines() if line and not line.startswith("#")), "")
        return Table.read(text.splitlines(), format="ascii.csv" if comma else "ascii.basic", comment="#")
    except Exception as error:
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path}: expected a table with one row per planet (CSV, ECSV or FITS), found: {reason}."
        ) from error


def read_planets(
    path: Path, *, units: Mapping[str, str] | None = None, discs: Path | None = None, split: str | None = None
) -> Planets:
    """The planets of a table: of the NASA Exoplanet Archive, the Bern model, the Open Exoplanet Catalogue or any that
    names alike.

    Args:
        path: the table.
        units: unit of a quantity (`a`, `period`, `mass`, `radius`) where the header does not say it, or says it
        wrongly.
        discs: initial conditions of the discs (`NGPPS_variables.txt`), joined by the number of the system.
        split: only the rows of this split, where the table has a column `split`.

    Raises:
        InputError: a column, cell, unit or split cannot be understood; it is named.
    """
    table = read_table(path)
    if len(table) == 0:
        raise InputError(f"{path}: the table has no rows; expected one row per planet.")
    header = Header(table, str(path), units or {})
    notes: list[str] = []
    system, letter = _names(header, notes)
    quantity = {
        name: header.measured(name) for name in ("mass", "msini", "best_mass", "radius", "radius_ratio", "a", "period")
    }
    weighed = header.measured("star_mass")
    star = {name: _per_star(header.measured(name).value, system) for name in
            ("star_mass", "star_radius", "metallicity", "disc_mass", "inner_edge", "wind")}  # fmt: skip
    mass, msini = _told_apart(header, quantity, notes)
    positive = lambda v: np.where(v > 0, v, np.nan)  # noqa: E731
    with np.errstate(invalid="ignore"):
        context = np.stack(
            [np.log10(positive(star["star_mass"])), star["metallicity"]]
            + [np.log10(positive(star[name])) for name in ("disc_mass", "inner_edge", "wind")], -1
        )  # fmt: skip
    aliases = [as_text(table[header.original[name]]) for name in ALIASES if name in header.original]
    planets = Planets(
        system=system,
        letter=letter,
        row=np.arange(1, len(table) + 1),
        aliases=np.array(
            ["|".join(filter(None, names)) for names in zip(*aliases, strict=True)] or [""] * len(table), object
        ),
        a=_semi_major_axis(
            header, quantity, star["star_mass"], _per_star(weighed.upper / weighed.value, system), notes
        ),
        mass=mass,
        msini=msini,
        radius=_radius(header, quantity, star["star_radius"]),
        star_mass=star["star_mass"],
        context=context,
        notes=tuple(notes),
        used=dict(header.used),
    )
    planets = _in_split(_checked(planets, header), header, split)
    return _with_discs(planets, discs) if discs else planets


def _names(header: Header, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """System and letter of every row; blank cells below a star's first row belong to that star."""
    system, planet = header.text("system"), header.text("planet")
    if system is None and planet is None:
        raise InputError(
            f"{header.where}: found neither a system column (hostname, system_number) nor planet names (pl_name, "
            f"name); the columns are {', '.join(map(str, header.table.colnames[:12]))}."
        )
    named = system if system is not None else planet
    star = header.measured("star_mass").value
    filled = named.copy()  # pyright: ignore
    for i, name in enumerate(named):  # pyright: ignore
        if not name:
            if i == 0 or not np.isnan(star[i]):
                raise InputError(f"{header.where}, row {i + 1}: the name of the star is blank; fill it in.")
            filled[i] = filled[i - 1]
    if any(named != filled):
        notes.append(
            f"{int(sum(named != filled))} rows without a name were taken as further planets of the star above."
        )
    letters = np.array([letter_of(p) for p in (planet if planet is not None else filled)], object)
    if "pl_letter" in header.original:
        letters = as_text(header.table[header.original["pl_letter"]])
    if not any(letters) and any(named != filled):
        letters = np.array([ascii_lowercase[1 + list(filled[:i]).count(name)] for i, name in enumerate(filled)], object)
    if system is None:
        filled = np.array([host_of(name) for name in filled], object)
        if header.dialect == "Open Exoplanet Catalogue":
            filled[[str(v) == "Solar System" for v in header.table["list"]]] = "Sun"
    return filled, letters


def _per_star(values: np.ndarray, system: np.ndarray) -> np.ndarray:
    """A property of the star, filled from the first row of the system that has it."""
    first: dict[str, float] = {}
    for name, value in zip(system, values, strict=True):
        if not np.isnan(value):
            first.setdefault(name, value)
    return np.array([v if not np.isnan(v) else first.get(s, np.nan) for s, v in zip(system, values, strict=True)])


def _told_apart(header: Header, quantity: dict[str, Measured], notes: list[str]) -> tuple[Measured, Measured]:
    """True and minimum masses; the archive's best mass is sorted by its provenance."""
    mass, msini, best = quantity["mass"], quantity["msini"], quantity["best_mass"]
    if "pl_bmassprov" in header.original:
        source = np.char.lower(as_text(header.table[header.original["pl_bmassprov"]]).astype(str))
        minimum, true = source == "msini", (source == "mass") | (source == "msin(i)/sin(i)")
        guessed = ~minimum & ~true & ~np.isnan(best.value)
        if guessed.any():
            notes.append(f"{int(guessed.sum())} best masses are not measured (pl_bmassprov) and were left out.")
    else:
        true = ~np.isnan(quantity["radius"].value)
        minimum = ~true
        if not np.isnan(best.value).all():
            notes.append("pl_bmassprov is absent, so pl_bmasse was taken as m sin i where there is no radius.")
    if header.dialect == "Open Exoplanet Catalogue":
        velocity = as_text(header.table[header.original["discoverymethod"]]) == "RV"
        tilted = velocity & np.isnan(parse_column(header.table[header.original["inclination"]], header.where).value)
        notes.append(
            f"{int((tilted & ~np.isnan(mass.value)).sum())} masses of planets found by radial velocity, of unknown "
            f"inclination, are m sin i."
        )
        return mass.where(~tilted), mass.where(tilted)
    return _first(mass, best, true), _first(msini, best, minimum)


def _first(measured: Measured, other: Measured, where: np.ndarray) -> Measured:
    """`measured`, filled from `other` where it is absent and `where` allows."""
    fill = np.isnan(measured.value) & where
    return Measured(
        *(np.where(fill, getattr(other, f.name), getattr(measured, f.name)) for f in dataclasses.fields(measured))
    )


def _semi_major_axis(
    header: Header, quantity: dict[str, Measured], star_mass: np.ndarray, mass_error: np.ndarray, notes: list[str]
) -> Measured:
    """Semi-major axis in AU, by Kepler's third law where only the period is given."""
    if not header.find("a") and not header.find("period"):
        raise InputError(
            f"{header.where}: found neither a semi-major axis (pl_orbsmax, a) nor a period (pl_orbper) with stellar "
            f"mass (st_mass)."
        )
    a, period = quantity["a"], quantity["period"]
    for name, q in (("semi-major axis", a), ("period", period)):
        bad = np.flatnonzero(q.value <= 0)
        if bad.size:
            raise InputError(
                f"{header.where}, row {bad[0] + 1}: the {name} is {q.value[bad[0]]:g}; expected a positive number, "
                f"or an empty cell."
            )
    with np.errstate(invalid="ignore"):
        from_period = (period.value / 365.25) ** (2 / 3) * star_mass ** (1 / 3)
    upper, lower = (
        from_period * np.hypot(2 / 3 * np.nan_to_num(e) / period.value, np.nan_to_num(mass_error) / 3)
        for e in (period.upper, period.lower)
    )
    kepler = Measured(from_period, upper, lower, np.zeros(len(star_mass), bool))
    used = np.isnan(a.value) & ~np.isnan(from_period)
    if used.any():
        notes.append(f"{int(used.sum())} semi-major axes were computed from period and stellar mass.")
    return _first(a, kepler, np.ones(len(star_mass), bool))


def _radius(header: Header, quantity: dict[str, Measured], star_radius: np.ndarray) -> Measured:
    """Radius in Earth radii, from the ratio to the star's where only that is given."""
    ratio = quantity["radius_ratio"]
    scale = star_radius * EARTH_RADII_IN_SOLAR
    from_ratio = Measured(ratio.value * scale, ratio.upper * scale, ratio.lower * scale, ratio.limit)
    return _first(quantity["radius"], from_ratio, np.ones(len(scale), bool))


def _checked(planets: Planets, header: Header) -> Planets:
    """Planets that can be used, sorted; refuses impossible values and contradictions, drops repeats."""
    notes = [*planets.notes, *header.ignored]
    for name in ("mass", "msini", "radius"):
        bad = np.flatnonzero(getattr(planets, name).value <= 0)
        if bad.size:
            value = getattr(planets, name).value[bad[0]]
            raise InputError(
                f"{header.where}, row {bad[0] + 1}: {name} is {value:g}; expected a positive number, or an empty "
                f"cell if it is unknown."
            )
    keep = ~np.isnan(planets.a.value)
    if not keep.all():
        notes.append(
            f"{int((~keep).sum())} rows have neither a semi-major axis nor a period with stellar mass and were left "
            f"out."
        )
    outside = keep & ((planets.a.value <= 10**INNER) | (planets.a.value >= 10**OUTER))
    if outside.any():
        notes.append(
            f"{int(outside.sum())} planets inside {10**INNER:.2g} AU or beyond {10**OUTER:.0f} AU were left out."
        )
    keep &= ~outside
    if "list" in header.original and header.dialect:
        listed = as_text(header.table[header.original["list"]])
        doubted = np.array([any(word in text for word in DROPPED_LISTS) for text in listed])
        if doubted.any():
            notes.append(f"{int(doubted.sum())} planets on the lists {', '.join(DROPPED_LISTS)} were left out.")
        keep &= ~doubted
    if "default_flag" in header.original:
        keep &= np.asarray(header.table[header.original["default_flag"]]).astype(float) == 1
    keep &= ~_repeated(planets, keep, header, notes)
    if not keep.any():
        raise InputError(f"{header.where}: no row has a planet that can be used; {' '.join(notes)}")
    order = {name: i for i, name in enumerate(dict.fromkeys(planets.system))}
    rank = np.lexsort((planets.a.value, [order[name] for name in planets.system]))  # pyright: ignore
    return dataclasses.replace(planets.at(rank[keep[rank]]), notes=tuple(notes))


def _repeated(planets: Planets, keep: np.ndarray, header: Header, notes: list[str]) -> np.ndarray:
    """Rows that say the same as an earlier one; a planet with two different rows is refused."""
    seen: dict[tuple, int] = {}
    repeated = np.zeros(len(planets), bool)
    numbers = np.stack([planets.a.value, planets.mass.value, planets.msini.value, planets.radius.value], -1)
    for i in np.flatnonzero(keep):
        letter = planets.letter[i]
        name = (
            (planets.system[i], letter)
            if letter
            else (planets.system[i], *map(float, np.nan_to_num(numbers[i], nan=-1)))
        )
        if name in seen and not np.array_equal(numbers[i], numbers[seen[name]], equal_nan=True):
            raise InputError(
                f"{header.where}: planet '{planets.system[i]} {letter}' stands in rows {seen[name] + 1} and {i + 1} "
                "with different values; keep one row per planet (the archive's default_flag column does)."
            )
        repeated[i] = name in seen
        seen.setdefault(name, int(i))
    if repeated.any():
        notes.append(f"{int(repeated.sum())} repeated rows were left out.")
    return repeated


def _in_split(planets: Planets, header: Header, split: str | None) -> Planets:
    """The planets of one split; all where none is asked for."""
    if split is None:
        return planets
    if "split" not in header.original:
        raise InputError(f"{header.where}: split '{split}' was asked for, but there is no column 'split'.")
    names = as_text(header.table[header.original["split"]])[planets.row - 1]
    if split not in names:
        there = ", ".join(sorted(filter(None, set(names)))) or "none"
        raise InputError(f"{header.where}: split '{split}' is not in the data; its splits are: {there}.")
    return planets.at(np.flatnonzero(names == split))


def _with_discs(planets: Planets, discs: Path) -> Planets:
    """The planets with the discs of a file; what the table itself says of a star stands where the file is silent."""
    context = context_of(read_discs(discs), planets.system)
    lonely = len(set(planets.system[np.isnan(context[:, 0])]))
    notes = (*planets.notes, *([f"{lonely} systems have no disc."] if lonely else []))
    return dataclasses.replace(planets, context=np.where(np.isnan(context), planets.context, context), notes=notes)
