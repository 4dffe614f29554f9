"""What the columns of the field's tables mean: identities, ephemerides in one set of units, inputs, verdicts."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxastro.errors import InputError

Columns = Mapping[str, np.ndarray]

STAR = (
    "kepid",
    "tic_id",
    "tid",
    "tic id",
    "tic",
    "epic",
    "epic_id",
    "object_id",
    "obj_id",
    "star",
    "target_id",
    "object",
)
PLANET = ("tce_plnt_num", "koi_tce_plnt_num", "planet number", "planet_number", "planet")
ROW = ("row_id",)
DELIVERY = ("tce_delivname", "koi_tce_delivname", "delivery")
LABEL = ("label", "av_training_set", "disposition", "koi_disposition", "tfopwg_disp")
NAME = ("kepoi_name", "toi", "name", "tce id", "candidate")
EPOCHS = {  # name -> days to add for BJD (TDB); None: the file does not say, `time_system` decides
    **dict.fromkeys(("koi_time0bk", "tce_time0bk", "t0_bkjd"), 2454833.0),
    **dict.fromkeys(("koi_time0", "pl_tranmid", "t0_bjd"), 0.0),
    **dict.fromkeys(("epoc", "transit epoch [btjd]", "t0_btjd"), 2457000.0),
    **dict.fromkeys(("t0", "epoch", "tce_time0"), None),
}
CANONICAL = {  # name here -> the names it has elsewhere
    "period_day": ("period", "koi_period", "tce_period", "pl_orbper", "orbital period [day]"),
    "duration_hour": ("duration", "koi_duration", "tce_duration", "pl_trandurh", "transit duration [hour]"),
    "depth_ppm": ("depth", "koi_depth", "tce_depth", "pl_trandep", "transit_depth", "transit depth [ppm]"),
    "snr": ("sn", "koi_model_snr", "tce_model_snr", "transit model snr"),
    "radius_earth": ("koi_prad", "tce_prad", "pl_rade", "planet radius [earth radii]"),
    "star_teff_K": ("koi_steff", "tce_steff", "st_teff", "teff"),
    "star_logg": ("koi_slogg", "tce_slogg", "st_logg", "logg"),
    "star_radius_sun": ("koi_srad", "tce_sradius", "st_rad", "star_rad"),
}
SPELLED = {alias: name for name, aliases in CANONICAL.items() for alias in (name.lower(), *aliases)}

# What is never an input. A verdict, or a count of other verdicts on the star, gives the answer away; an identity, a
# place on the sky, an absolute epoch or the observing sector tells which survey campaign labelled the row; of the error
# columns of KOI and TOI tables already their absence does: nobody fits what is not believed to be a planet.
VERDICT = re.compile(
    r"^av_|fpflag|score|disp|label|nkoi|toi|koi_count|pnum|is_multi|vet|class|comment|name|planet$|prob|fpp|unc\."
)
IDENTITY = re.compile(
    r"^(rowid|loc_rowid|kepid|tid|epic|star|object|split|weight|sectors?|camera|ccd|ra|dec|rastr|decstr|epoc|epoch|t0)$"
    r"|(^|_| )id$|row_id|plnt_num|planet.number|sector run|deliv|datalink|rogue|quarters|update|created|_prov$|url"
    r"|time0(bk)?$|tranmid$|^t0_|\[btjd\]|^(elat|elon|glat|glon)$|fwm_s(ra|dec)(_err)?$|^st_pm"
    r"|err[12](lim)?$"
)


def is_input(name: str) -> bool:
    """Whether a column of this name may become an input: neither a verdict nor an identity."""
    return not (VERDICT.search(name.lower()) or IDENTITY.search(name.lower()))


class Key(NamedTuple):
    """A column that a file has, under the name it has there."""

    name: str
    values: np.ndarray


def find(columns: Columns, names: Iterable[str]) -> Key | None:
    """The first of `names` that the columns hold, whatever its case, or None."""
    lower = {name.lower(): name for name in reversed(list(columns))}
    for name in names:
        if name in lower:
            return Key(lower[name], columns[lower[name]])
    return None


def required(columns: Columns, names: Iterable[str], what: str, path: Path | None = None) -> Key:
    """The first of `names` that the columns hold.

    Raises:
        InputError: they hold none.
    """
    key = find(columns, names)
    if key is None:
        where = "The table" if path is None else f"{path}:"
        raise InputError(f"{where} has no column for the {what}; expected one of {', '.join(list(names)[:4])}.")
    return key


def numbers(values: np.ndarray) -> np.ndarray | None:
    """The column as float64 with NaN where it is empty, or None where it holds text."""
    values = np.ma.filled(np.ma.asarray(values).astype(object), "") if np.ma.isMaskedArray(values) else values
    try:
        if values.dtype.kind in "OUS":
            text = np.char.strip(values.astype(str))
            values = np.where(np.isin(np.char.lower(text), ["", "null", "none", "--"]), "nan", text)
        return values.astype(np.float64)
    except ValueError:
        return None


def scalars(columns: Columns, *, duration_hours: float, depth_ppm: float = 1.0) -> dict[str, np.ndarray]:
    """Every numeric column that may be an input and varies, float64 with NaN where missing, under canonical names.

    Args:
        columns: the columns of a file, by name.
        duration_hours: hours in the file's unit of duration (1 in archive tables, 24 in AstroNet's records).
        depth_ppm: ppm in the file's unit of depth.
    """
    factors = {"duration_hour": duration_hours, "depth_ppm": depth_ppm}
    found = {}
    for name, values in columns.items():
        canonical = SPELLED.get(name.lower(), name)
        if values.ndim != 1 or not (canonical in CANONICAL or is_input(name)) or canonical in found:
            continue
        column = numbers(values)
        if column is not None and (canonical in CANONICAL or np.unique(column[np.isfinite(column)]).size > 1):
            found[canonical] = np.where(np.isfinite(column), column, np.nan) * factors.get(canonical, 1.0)
    return found


def epoch_bjd(columns: Columns, time_system: str) -> np.ndarray | None:
    """The transit epochs of a file in BJD, or None where it has none.

    Args:
        columns: the columns of a file, by name.
        time_system: `bjd`, `bkjd`, `btjd` or `auto`, of epochs not above 2,400,000 in a column that names no system.

    Raises:
        InputError: neither values, column name nor option tell the system.
    """
    key = find(columns, EPOCHS)
    if key is None or (values := numbers(key.values)) is None:
        return None
    return values + offset(values, time_system, EPOCHS[key.name.lower()], f"Column '{key.name}'")


OFFSETS = {"bjd": 0.0, "bkjd": 2454833.0, "btjd": 2457000.0}


def offset(values: np.ndarray | float, time_system: str, stated: float | None, what: str) -> float:
    """Days to add for BJD: none where times can only be BJD, else what the file states, else what the option says.

    Raises:
        InputError: the times could be of more than one system, or the option names none.
    """
    if time_system not in ("auto", *OFFSETS):
        raise InputError(f"Time system '{time_system}' is unknown; choose from auto, {', '.join(OFFSETS)}.")
    finite = np.asarray(values)[np.isfinite(values)]
    if not finite.size or np.median(finite) > 2400000:
        return 0.0
    if stated is not None:
        return stated
    if time_system == "auto":
        raise InputError(f"{what} does not say its time system; pass time_system bjd, bkjd or btjd.")
    return OFFSETS[time_system]
