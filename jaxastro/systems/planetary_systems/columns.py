"""What the columns of a planet table mean: archives' names, units, errors, limits, numbers written as text or HTML."""

import dataclasses
import difflib
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table
from jaxtyping import Bool, Float

from jaxastro.errors import InputError

DEX = "dex"
"""The unit of metallicities, which are logarithms already and never converted."""

UNIT_OF = {
    "a": "AU",
    "period": "day",
    "mass": "earthMass",
    "best_mass": "earthMass",
    "msini": "earthMass",
    "radius": "earthRad",
    "radius_ratio": "",
    "star_mass": "solMass",
    "star_radius": "solRad",
    "metallicity": DEX,
    "disc_mass": "solMass",
    "inner_edge": "AU",
    "wind": "solMass / yr",
}
"""The unit in which every quantity is kept."""

NAMES: dict[str, dict[str, str | None]] = {
    "system": dict.fromkeys(
        ["hostname", "system_number", "system_id", "system", "host", "star", "kepid", "target_id", "pl_hostname"]
    ),
    "planet": dict.fromkeys(["pl_name", "planet", "planet_name", "name", "kepoi_name"]),
    "a": {"pl_orbsmax": "AU", "semimajoraxis": "AU", "a": "AU", "sma": "AU", "semi_major_axis": "AU"},
    "period": {"pl_orbper": "day", "koi_period": "day", "period": "day", "p": "day", "orbital_period": "day"},
    "mass": {
        "pl_masse": "earthMass",
        "pl_massj": "jupiterMass",
        "total_mass": "earthMass",
        "mass": None,
        "m": None,
    },
    "best_mass": {"pl_bmasse": "earthMass", "pl_bmassj": "jupiterMass"},
    "msini": {"pl_msinie": "earthMass", "pl_msinij": "jupiterMass", "msini": None, "m_sini": None, "mass_sini": None},
    "radius": {
        "pl_rade": "earthRad",
        "pl_radj": "jupiterRad",
        "koi_prad": "earthRad",
        "radius": None,
        "r": None,
    },
    "radius_ratio": {"pl_ratror": "", "koi_ror": "", "rr": ""},
    "star_mass": {"st_mass": "solMass", "hoststar_mass": "solMass", "koi_smass": "solMass", "mstar": "solMass",
                  "star_mass": "solMass"},
    "star_radius": {"st_rad": "solRad", "hoststar_radius": "solRad", "koi_srad": "solRad", "rstar": "solRad",
                    "star_radius": "solRad"},
    "metallicity": {"st_met": DEX, "hoststar_metallicity": DEX, "koi_smet": DEX, "feh": DEX, "metallicity": DEX},
    "disc_mass": {"disc_mass": "solMass", "disk_mass": "solMass"},
    "inner_edge": {"inner_edge": "AU", "disc_inner_edge": "AU"},
    "wind": {"wind": "solMass / yr", "disc_wind": "solMass / yr"},
}  # fmt: skip
"""Column names of each quantity, best first, with the unit their archive gives them (None: it must be said)."""

DIALECTS: dict[str, tuple[set[str], dict[str, str]]] = {
    "Open Exoplanet Catalogue": ({"semimajoraxis", "hoststar_mass", "list"}, {"mass": "jupiterMass", "radius":
    "jupiterRad"}),
    "Bern model": ({"system_number", "total_mass", "r"}, {"r": "earthRad"}),
}  # fmt: skip
"""Tables known by their columns, whose bare names have a unit of their own."""

ALIASES = ("hd_name", "hip_name", "tic_id", "gaia_id", "kepler_name", "alias", "aliases")
"""Columns that hold further names of the star."""

SUFFIXES = (
    ("err1", "err2"),
    ("_upper", "_lower"),
    ("_E", "_e"),
    ("_err", "_err"),
    ("_error", "_error"),
    ("_std", "_std"),
)
"""Endings of the columns with the upper and the lower error."""

SPELLINGS = {
    "m_earth": "earthMass", "mearth": "earthMass", "m_jup": "jupiterMass", "mjup": "jupiterMass", "m_sun": "solMass",
    "msun": "solMass", "r_earth": "earthRad", "rearth": "earthRad", "r_jup": "jupiterRad", "rjup": "jupiterRad",
    "r_sun": "solRad", "rsun": "solRad", "days": "day", "d": "day", "au": "AU",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Measured:
    """One quantity of every row.

    Attributes:
        value: in the unit of `UNIT_OF`; NaN where it is absent.
        upper: error towards larger values, NaN where unknown.
        lower: error towards smaller values (positive), NaN where unknown.
        limit: whether `value` is an upper limit.
    """

    value: Float[np.ndarray, " row"]
    upper: Float[np.ndarray, " row"]
    lower: Float[np.ndarray, " row"]
    limit: Bool[np.ndarray, " row"]

    def where(self, keep: Bool[np.ndarray, " row"]) -> "Measured":
        """The same, absent where `keep` is false."""
        return Measured(*(np.where(keep, v, np.nan) for v in (self.value, self.upper, self.lower)), self.limit & keep)  # pyright: ignore

    def __getitem__(self, index: Any) -> "Measured":
        return Measured(self.value[index], self.upper[index], self.lower[index], self.limit[index])


def unit(text: str, where: str) -> u.UnitBase:
    """The astropy unit that `text` names, with the field's usual spellings.

    Raises:
        InputError: no such unit.
    """
    try:
        return u.Unit(SPELLINGS.get(text.strip().lower(), text.strip()))
    except ValueError as error:
        near = difflib.get_close_matches(text.lower(), [*SPELLINGS, *SPELLINGS.values()], n=1)
        hint = (
            f"did you mean '{SPELLINGS.get(near[0], near[0])}'?"
            if near
            else "write it as astropy does, e.g. earthMass."
        )
        raise InputError(f"{where}: unknown unit '{text}'; {hint}") from error


def split_header(name: str) -> tuple[str, str | None]:
    """Name and unit of a header such as `m[M_Earth]` or `mass (jupiterMass)`."""
    match = re.fullmatch(r"\s*(.*?)\s*[\[(]([^\])]*)[\])]\s*", name)
    return (match[1], match[2]) if match else (name.strip(), None)


_NUMBER = re.compile(r"[-+\u2212]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_BLANK = {"", "nan", "none", "null", "n/a", "na", "-", "--", "…", "..."}


def parse_cell(cell: Any) -> tuple[float, float, float, bool]:
    """Value, upper error, lower error and upper-limit flag of one cell, which may be text such as `<5` or the
    archive's HTML.

    Raises:
        ValueError: the text holds no number.
    """
    if cell is np.ma.masked:
        return np.nan, np.nan, np.nan, False
    if not isinstance(cell, str):
        return float(cell), np.nan, np.nan, False
    text = html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", " ", cell)).replace("±", " +").strip().strip('"').strip()
    if text.lower() in _BLANK:
        return np.nan, np.nan, np.nan, False
    limit = text[0] in "<≤"
    found = _NUMBER.findall(text)
    if not found or re.search(r"[A-DF-Za-df-z]{2,}", text):
        raise ValueError(cell)
    value, *errors = (float(f.replace("\u2212", "-")) for f in found[:3])
    upper = abs(errors[0]) if errors else np.nan
    return value, upper, abs(errors[1]) if len(errors) > 1 else upper, limit


def parse_column(column: Any, where: str) -> Measured:
    """The numbers of a column; text and HTML cells are read one by one.

    Raises:
        InputError: a cell is not a number; its row is named.
    """
    if column.dtype.kind in "iufb":
        values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
        nothing = np.full(len(values), np.nan)
        return Measured(values, nothing, nothing, np.zeros(len(values), bool))
    cells = []
    for row, cell in enumerate(column):
        try:
            cells.append(parse_cell(cell))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{where}, row {row + 1}: expected a number in column '{column.name}', found '{str(cell)[:40]}'; "
                "correct the cell or leave it empty."
            ) from error
    value, upper, lower, limit = zip(*cells, strict=True) if cells else ((), (), (), ())
    return Measured(np.array(value, float), np.array(upper, float), np.array(lower, float), np.array(limit, bool))


def dialect(names: Sequence[str]) -> str | None:
    """The archive whose columns these are, where it is known by them."""
    return next((name for name, (columns, _) in DIALECTS.items() if columns <= set(names)), None)


class Header:
    """The columns of one table by quantity, with units from the header, the options or the archive, in this order."""

    def __init__(self, table: Table, where: str, units: Mapping[str, str]):
        self.table, self.where, self.units = table, where, units
        self.original = {split_header(name)[0].lower(): name for name in reversed(table.colnames)}
        self.exact = {split_header(name)[0]: name for name in table.colnames}
        self.dialect = dialect(list(self.original))
        self.used: dict[str, str] = {}
        self.ignored: list[str] = []

    def find(self, quantity: str) -> list[str]:
        """The table's columns that hold a quantity, best first."""
        return [self.original[name] for name in NAMES[quantity] if name in self.original]

    def unit_of(self, quantity: str, name: str) -> u.UnitBase:
        """The unit of a column.

        Raises:
            InputError: none is known, or it measures something else.
        """
        bare, written = split_header(name)
        archive = DIALECTS[self.dialect][1] if self.dialect else {}
        given = self.units.get(quantity) or written or self.table[name].unit
        text = given or archive.get(bare.lower()) or NAMES[quantity][bare.lower()]
        where = f"{self.where}: column '{name}'"
        if text is None:
            raise InputError(f"{where} has no unit; name it in the header, e.g. '{bare}[{UNIT_OF[quantity]}]', "
                             f"or with --{quantity.split('msini')[0] or 'mass'}-unit.")  # fmt: skip
        found = unit(str(text), where)
        wanted = u.Unit(UNIT_OF[quantity])
        if quantity != "metallicity" and not found.is_equivalent(wanted):
            raise InputError(f"{where} is in '{text}', which cannot be read as {wanted}; correct the unit.")
        return found

    def measured(self, quantity: str) -> Measured:
        """The first value of each row among the columns of a quantity, with errors and limits, in `UNIT_OF`'s units."""
        n = len(self.table)
        total = Measured(np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, bool))
        for name in self.find(quantity):
            part = self._one(quantity, name)
            fresh = np.isnan(total.value) & ~np.isnan(part.value)
            if fresh.any():
                self.used.setdefault(quantity, name)
            total = Measured(
                *(np.where(fresh, getattr(part, f), getattr(total, f)) for f in ("value", "upper", "lower", "limit"))
            )
        return total

    def _one(self, quantity: str, name: str) -> Measured:
        try:
            read = parse_column(self.table[name], self.where)
        except InputError:
            if any(map(_is_number, self.table[name])):
                raise
            self.ignored.append(f"Column '{name}' holds no numbers and was ignored.")
            nothing = np.full(len(self.table), np.nan)
            return Measured(nothing, nothing, nothing, np.zeros(len(self.table), bool))
        factor = 1.0
        if quantity != "metallicity" and not np.isnan(read.value).all():
            factor = self.unit_of(quantity, name).to(UNIT_OF[quantity])
        bare = split_header(name)[0]
        upper, lower = read.upper, read.lower
        for high, low in SUFFIXES:
            if bare + high in self.exact and bare + low in self.exact:
                upper = np.abs(parse_column(self.table[self.exact[bare + high]], self.where).value)
                lower = np.abs(parse_column(self.table[self.exact[bare + low]], self.where).value)
                break
        limit = read.limit
        if bare + "lim" in self.exact:
            limit = limit | (np.nan_to_num(parse_column(self.table[self.exact[bare + "lim"]], self.where).value) > 0)
        return Measured(read.value * factor, upper * factor, lower * factor, limit)

    def text(self, quantity: str) -> np.ndarray | None:
        """The first column of names of a kind as text, '' where it is blank; None without such a column."""
        found = self.find(quantity)
        if not found:
            return None
        self.used[quantity] = found[0]
        return as_text(self.table[found[0]])


def _is_number(cell: Any) -> bool:
    try:
        return not np.isnan(parse_cell(cell)[0])
    except (ValueError, TypeError):
        return False


def as_text(column: Any) -> np.ndarray:
    """A column as stripped text, '' where it is masked or blank."""
    return np.array(["" if cell is np.ma.masked else _plain(cell) for cell in column], dtype=object)


def _plain(cell: Any) -> str:
    text = str(cell).strip()
    return text[:-2] if isinstance(cell, float | np.floating) and text.endswith(".0") else text
