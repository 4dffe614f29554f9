"""Raw light curves of one star: Kepler and TESS FITS files or CSV, stitched, in BJD, flagged cadences dropped."""

import dataclasses
import gzip
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxastro.errors import InputError
from jaxastro.systems.vetting.columns import offset

SUFFIXES = (".fits", ".fit", ".csv")
FLUX = ("PDCSAP_FLUX", "KSPSAP_FLUX", "DET_FLUX", "SAP_FLUX")
# Cadences that lightkurve's default bitmasks reject (attitude tweaks, safe modes, cosmic rays, scattered light, ...).
BAD_CADENCE = {"SAP_QUALITY": 1130799, "QUALITY": 17087}
GAP_DAY = 0.5


@dataclasses.dataclass(frozen=True)
class LightCurve:
    """The good cadences of one star in time order, host arrays.

    Attributes:
        time: mid-cadence times, BJD (TDB) days, float64.
        flux: flux over the median of its file, about 1, float64.
        segment: number of the uninterrupted stretch that a cadence stands in; a file or a gap of half a day ends one.
        centroid: offset of the flux centroid from its mean (cadence, 2), any unit, or None.
        ghost: halo minus core flux, both relative (cadence,), or None.
        star: the object id that the file states, or None.
        offset: days that were added to the file's times for BJD; add them to an epoch in the file's time system. None
            where that is not known, or differs between the files.
    """

    time: np.ndarray
    flux: np.ndarray
    segment: np.ndarray
    centroid: np.ndarray | None = None
    ghost: np.ndarray | None = None
    star: int | None = None
    offset: float | None = None

    def __len__(self) -> int:
        return len(self.time)


def light_curve(
    time: np.ndarray,
    flux: np.ndarray,
    *,
    file: np.ndarray | None = None,
    centroid: np.ndarray | None = None,
    ghost: np.ndarray | None = None,
    star: int | None = None,
) -> LightCurve:
    """A light curve from arrays in any order, each file over its median; not finite or repeated cadences are dropped.

    Args:
        time: BJD days; of two cadences at one time the first counts.
        flux: positive, any unit.
        file: number of the file that a cadence comes from (default: one).
        centroid: (cadence, 2), any unit.
        ghost: halo minus core flux.
        star: object id.

    Raises:
        InputError: no cadence has a finite time and flux, or the median flux is not positive.
    """
    file = np.zeros(len(time), dtype=int) if file is None else file
    good = np.isfinite(time) & np.isfinite(flux)
    if not good.any():
        raise InputError("The light curve has no cadence with finite time and flux; is it the right column?")
    rows = np.flatnonzero(good)[np.argsort(time[good], kind="stable")]
    rows = rows[np.diff(time[rows], prepend=-np.inf) > 0]
    time, flux, file = time[rows].astype(np.float64), flux[rows].astype(np.float64), file[rows]
    for number in np.unique(file):
        median = np.median(flux[file == number])
        if median <= 0:
            raise InputError(f"The median flux is {median:g}; it must be positive (neither magnitudes nor residuals).")
        flux[file == number] /= median
    breaks = (np.diff(time, prepend=time[0]) > GAP_DAY) | (np.diff(file, prepend=file[0]) != 0)
    return LightCurve(
        time=time,
        flux=flux,
        segment=np.cumsum(breaks),
        centroid=None if centroid is None else centroid[rows],
        ghost=None if ghost is None else ghost[rows],
        star=star,
    )


def read_light_curve(paths: Path | Sequence[Path], *, time_system: str = "auto") -> LightCurve:
    """The light curve of one star from one file, the files of a folder, or a list of files, stitched.

    Args:
        paths: FITS of Kepler or TESS (`.gz` too), or CSV with columns time, flux and, where known, quality,
            centroid_x, centroid_y (or centroids_ra, centroids_dec), core_flux and halo_flux.
        time_system: `bjd`, `bkjd`, `btjd` or `auto`, of times that are not above 2,400,000 (those are BJD) in a file
            that does not say it (FITS files do).

    Raises:
        InputError: no file, a damaged file, a missing column, or no finite cadence.
    """
    if isinstance(paths, str | Path):
        paths = light_curve_files(Path(paths)) if Path(paths).is_dir() else [Path(paths)]
    if not paths:
        raise InputError(
            "No light-curve file (.fits, .csv, with or without .gz) was found; name the folder that has them."
        )
    parts = [(_read_fits if ".fit" in path.name else _read_csv)(path, time_system) for path in sorted(paths)]
    stars = {part["star"] for part in parts}
    if len(stars) > 1:
        raise InputError(
            f"{paths[0].parent}: the files are of {len(stars)} stars ({sorted(map(str, stars))}); pass one star's."
        )
    file = np.repeat(np.arange(len(parts)), [len(part["time"]) for part in parts])
    joined: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) if all(part[name] is not None for part in parts) else None
        for name in ("time", "flux", "centroid", "ghost")
    }
    try:
        curve = light_curve(**joined, file=file, star=stars.pop())
    except InputError as error:
        raise InputError(f"{paths[0]}: {error}") from error
    offsets = {part["offset"] for part in parts}
    return dataclasses.replace(curve, offset=offsets.pop() if len(offsets) == 1 else None)


def light_curve_files(folder: Path) -> list[Path]:
    """The light-curve files below a folder, sorted.

    Raises:
        InputError: there is none.
    """
    files = sorted(p for p in folder.rglob("*") if p.name.removesuffix(".gz").lower().endswith(SUFFIXES))
    if not files:
        raise InputError(f"{folder}: no light-curve file (.fits, .csv, with or without .gz) in the folder.")
    return files


def files_by_star(folder: Path) -> dict[int, list[Path]]:
    """The light-curve files of every object id that stands in their names, or in the name of the folder they lie in.

    `kplr011442793-2009166043257_llc.fits` belongs to 11442793; sectors and dates are numbers too and do no harm.
    """
    found: dict[int, list[Path]] = {}
    for path in light_curve_files(folder):
        for number in {int(n) for part in (path.parent.name, path.name) for n in re.findall(r"\d{3,}", part)}:
            found.setdefault(number, []).append(path)
    return found


def _read_fits(path: Path, time_system: str) -> dict:
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            warnings.filterwarnings("error", "File may have been truncated")
            with fits.open(path, memmap=False) as hdus:
                header, data, top = hdus[1].header, np.asarray(hdus[1].data), hdus[0].header  # pyright: ignore
        names = [name.upper() for name in data.dtype.names or ()]
        data.dtype.names = tuple(names)
    except (
        OSError, EOFError, ValueError, TypeError, IndexError, AttributeError, zlib.error, AstropyUserWarning
    ) as error:  # fmt: skip
        raise InputError(f"{path}: expected a light-curve FITS with a table, found: {error}; copy it again.") from error
    flux = next((name for name in FLUX if name in names), None)
    if flux is None or "TIME" not in names:
        raise InputError(f"{path}: needs columns TIME and one of {', '.join(FLUX)}, found {', '.join(names)}.")
    good = np.ones(len(data), dtype=bool)
    for name, bits in BAD_CADENCE.items():
        if name in names:
            good &= (data[name].astype(np.int64) & bits) == 0
    stated = header["BJDREFI"] + header.get("BJDREFF", 0.0) if "BJDREFI" in header else None
    time = data["TIME"].astype(np.float64)
    centroid = None
    if {"MOM_CENTR1", "MOM_CENTR2"} <= set(names):
        centroid = np.stack([data[f"MOM_CENTR{i}"].astype(np.float64) for i in (1, 2)], axis=1)
        if {"POS_CORR1", "POS_CORR2"} <= set(names):
            centroid -= np.stack([data[f"POS_CORR{i}"] for i in (1, 2)], axis=1)
        centroid = np.where(np.isfinite(centroid), centroid, np.nan)[good]
    star = next((top[key] for key in ("KEPLERID", "TICID") if top.get(key) is not None), None)
    add = offset(time, time_system, stated, f"{path}: TIME")
    return {
        "time": time[good] + add,
        "flux": data[flux].astype(np.float64)[good],
        "centroid": centroid,
        "ghost": None,
        "star": star,
        "offset": add,
    }


def _read_csv(path: Path, time_system: str) -> dict:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a file without a line
            table = np.genfromtxt(file, delimiter=",", names=True, comments="#", dtype=np.float64, encoding="utf-8")
    except (OSError, EOFError, ValueError, IndexError, StopIteration, zlib.error) as error:
        lines = str(error).splitlines()  # of ragged rows the second line names the first of them
        found = "no header line" if isinstance(error, IndexError) or not lines else lines[1 % len(lines)].strip()
        raise InputError(f"{path}: expected a CSV light curve with a header, found: {found}.") from error
    table = np.atleast_1d(table)
    names = {name.lower(): name for name in table.dtype.names or ()}
    for name in ("time", "flux"):
        if name not in names:
            raise InputError(
                f"{path}: column '{name}' is missing among {', '.join(names)}; expected time,flux,flux_err."
            )

    def column(name: str) -> np.ndarray:
        return np.asarray(table[names[name]])  # pyright: ignore[reportCallIssue, reportArgumentType]

    good = column("quality") == 0 if "quality" in names else np.ones(len(table), dtype=bool)
    pairs = (("centroid_x", "centroid_y"), ("centroids_ra", "centroids_dec"))
    pair = next((pair for pair in pairs if set(pair) <= set(names)), None)
    ghost = column("halo_flux") - column("core_flux") if {"halo_flux", "core_flux"} <= set(names) else None
    add = offset(column("time"), time_system, None, f"{path}: time")
    time = column("time") + add
    return {
        "time": time[good],
        "flux": column("flux")[good],
        "centroid": None if pair is None else np.stack([column(name) for name in pair], axis=1)[good],
        "ghost": None if ghost is None else ghost[good],
        "star": None,
        "offset": add,
    }
