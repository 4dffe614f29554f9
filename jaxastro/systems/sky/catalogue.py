"""Sources as an astropy table, as DS9 regions, and matched to other catalogues."""

from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS
from jaxtyping import Bool, Float, Int

from jaxastro.errors import InputError
from jaxastro.systems.sky.data import Field

UNITS = {"pix": "y x y_std x_std size size_std", "deg": "ra dec ra_std dec_std", "rad": "angle"}


def source_table(
    field: Field,
    draws: dict[str, Float[np.ndarray, "..."]],
    *,
    z: Float[np.ndarray, " source"],
    significance: Float[np.ndarray, " source"],
    extended: Bool[np.ndarray, " source"],
) -> Table:
    """One row per source, brightest first, with positions, fluxes, spectra and their uncertainties.

    Args:
        field: gives bands, units and WCS.
        draws: posterior draws `y`, `x`, `index` (draw, source), `flux` (draw, band, source); for extended sources
            `size` [pixel], `axis_ratio`, `angle` (draw, source) as in `jaxastro.fields.ExtendedSources`; points ignore
            them.
        z: tension at which each source was inserted [sigma].
        significance: square root of twice the log-likelihood that the source gains.
        extended: which sources are extended.

    Returns:
        `y`, `x` [pixel], their `y_std`, `x_std`, `yx_cov`; `ra`, `dec` [deg] with `ra_std` (times cos dec), `dec_std`,
        `radec_cov` (NaN without WCS); `flux`, `flux_std` at the reference band, `flux_low`, `flux_high` (90 %
        interval), `flux_<band>` and `_std` each; `index`, `index_std`; `extended`, `size`, `size_std`, `axis_ratio`,
        `angle` (of the major axis, from the x towards the y axis, as in region files); `z`; `significance`; `flag`.
    """
    order = np.argsort(-draws["flux"][:, field.reference].mean(0))
    draws = {name: value[..., order] for name, value in draws.items()}
    z, significance, extended = (np.asarray(a)[order] for a in (z, significance, extended))
    y, x = draws["y"], draws["x"]
    table = Table({"y": y.mean(0), "x": x.mean(0), "y_std": y.std(0), "x_std": x.std(0), "yx_cov": _covariance(y, x)})
    for name, values in zip(("ra", "dec", "ra_std", "dec_std", "radec_cov"), _celestial(field.wcs, y, x), strict=True):
        table[name] = values
    flux = draws["flux"]
    reference = flux[:, field.reference]
    table["flux"], table["flux_std"] = reference.mean(0), reference.std(0)
    table["flux_low"], table["flux_high"] = np.quantile(reference, [0.05, 0.95], axis=0)
    for b in range(flux.shape[1]):
        table[f"flux_{b}"], table[f"flux_{b}_std"] = flux[:, b].mean(0), flux[:, b].std(0)
    table["index"], table["index_std"] = draws["index"].mean(0), draws["index"].std(0)
    table["extended"] = extended
    for name in ("size", "axis_ratio", "angle"):
        table[name] = np.where(extended, draws[name].mean(0) if name in draws else np.nan, np.nan)
    table["angle"] = (np.pi / 2 - table["angle"]) % np.pi
    table["size_std"] = np.where(extended, draws["size"].std(0) if "size" in draws else np.nan, np.nan)
    table["z"], table["significance"] = z, significance
    ny, nx = field.shape
    outside = (table["y"] < -0.5) | (table["y"] > ny - 0.5) | (table["x"] < -0.5) | (table["x"] > nx - 0.5)
    table["flag"] = np.where(outside, "outside the field", "")
    for name in ("flux", "flux_std", "flux_low", "flux_high", *(c for c in table.colnames if c.startswith("flux_"))):
        table[name].unit = field.flux_unit
    for unit, names in UNITS.items():
        for name in names.split():
            table[name].unit = unit
    table.meta["reference_band"] = int(field.reference)
    table.meta["energy_keV"] = [float(e) for e in field.energy_keV]
    return table


def _covariance(a: Float[np.ndarray, "draw source"], b: Float[np.ndarray, "draw source"]) -> np.ndarray:
    return ((a - a.mean(0)) * (b - b.mean(0))).mean(0)


def _celestial(wcs: WCS | None, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """ra, dec, their standard deviations and covariance on the tangent plane [deg]."""
    if wcs is None:
        return (np.full(y.shape[1], np.nan),) * 5
    centre = wcs.pixel_to_world(x.mean(0), y.mean(0)).icrs
    dra, ddec = (a.to_value("deg") for a in centre.spherical_offsets_to(wcs.pixel_to_world(x, y).icrs))
    return centre.ra.deg, centre.dec.deg, dra.std(0), ddec.std(0), _covariance(dra, ddec)


def read_positions(path: Path, field: Field) -> Table:
    """`y`, `x` [pixel] and where known `flux` of the sources of a table that lie in the field, with its other columns.

    Columns `y`, `x` are used without WCS; else `ra`, `dec` in any usual spelling [deg].

    Raises:
        InputError: the table has neither, or the field has no WCS for ra and dec.
    """
    try:
        table = Table.read(path, **({} if ".fit" in path.name else {"format": _text_format(path)}))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); give ECSV, CSV or FITS.") from error
    names = {c.lower().replace("j2000", "").lstrip("_"): c for c in table.colnames}
    if "ra" in names and ("dec" in names or "de" in names) and field.wcs is not None:
        sky = SkyCoord(table[names["ra"]], table[names.get("dec", names.get("de"))], unit="deg")
        x, y = field.wcs.world_to_pixel(sky)
        table["y"], table["x"] = np.where(np.isfinite(y), y, -1e9), np.where(np.isfinite(x), x, -1e9)
    elif not {"y", "x"} <= set(table.colnames):
        raise InputError(
            f"{path}: expected columns ra, dec (and a WCS in DATA) or y, x [pixel], found {', '.join(table.colnames)}."
        )
    ny, nx = field.shape
    inside = (table["y"] > -0.5) & (table["y"] < ny - 0.5) & (table["x"] > -0.5) & (table["x"] < nx - 0.5)
    return table[inside]


def _text_format(path: Path) -> str:
    return "ascii.ecsv" if path.suffix == ".ecsv" else "ascii.csv"


def match(
    known: Float[np.ndarray, "known 2"],
    found: Float[np.ndarray, "found 2"],
    radius: Float[np.ndarray, " known"] | float,
) -> tuple[Int[np.ndarray, " known"], Float[np.ndarray, " known"]]:
    """For each known position the index of its match among `found` (-1: none) and the distance (inf: none).

    Nearest pairs are matched first, each position at most once; all in the same unit.
    """
    distance = np.hypot(*(known[:, None] - found[None]).transpose(2, 0, 1)) if len(found) else np.empty((len(known), 0))
    allowed = np.where(distance <= np.broadcast_to(radius, len(known))[:, None], distance, np.inf)
    index, gap = np.full(len(known), -1), np.full(len(known), np.inf)
    while allowed.size and np.isfinite(least := allowed.min()):
        i, j = np.unravel_index(allowed.argmin(), allowed.shape)
        index[i], gap[i] = j, least
        allowed[i], allowed[:, j] = np.inf, np.inf
    return index, gap


def write_regions(path: Path, table: Table) -> None:
    """Write the sources as DS9 regions: error circles (90 %, at least 1.5 pixels) of points, ellipses of extended ones.

    In image coordinates, which need no WCS and match every map of the run.
    """
    lines = ["# Region file format: DS9 version 4.1", "image"]
    for row in table:
        y, x = row["y"] + 1, row["x"] + 1
        if row["extended"]:
            shape = (f"ellipse({x:.3f},{y:.3f},{row['size']:.3f},{row['size'] * row['axis_ratio']:.3f},"
                     f"{np.degrees(row['angle']):.1f}) # color=cyan")  # fmt: skip
        else:
            shape = f"circle({x:.3f},{y:.3f},{max(2.15 * np.hypot(row['y_std'], row['x_std']), 1.5):.3f}) # color=green"
        lines.append(f"{shape} text={{z={row['z']:.1f}}}")
    path.write_text("\n".join(lines) + "\n")
