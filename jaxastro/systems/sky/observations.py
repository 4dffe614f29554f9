"""Plain FITS to a `Field`: counts with exposure, PSF and background files, several observations registered by WCS."""

import dataclasses
import re
import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from jaxastro.errors import InputError
from jaxastro.fields.psf import gaussian_kernel
from jaxastro.systems.sky.config import Data
from jaxastro.systems.sky.data import Field, assemble, merge_bands
from jaxastro.systems.sky.psf import gtpsf_kernels

ROLES = {
    "psf": r"psf\d*",
    "exposure": r"expos\w*?(?=[-_.]|$)|exp(?:map)?(?=[-_.]|$)",
    "background": r"back(?:ground)?|bkg",
}
NOISE = r"counts?|cts|image|img"
KEYS = ("counts", "exposure", "psf", "psf_sigma", "background", "area", "energies")
PHOTON_INDEX = 2.5  # weights energies inside one bin of an exposure cube


@dataclasses.dataclass(frozen=True)
class Image:
    """One FITS image: pixels with axes ([energy], y, x), its header, band edges [keV] and celestial WCS if any."""

    path: Path
    data: np.ndarray
    header: fits.Header
    edges_keV: np.ndarray | None
    wcs: WCS | None


def read(path: Path, options: Data) -> Field:
    """The field of a FITS counts file, of a directory of FITS files, or of a TOML manifest.

    Raises:
        InputError: files cannot be told apart or read, observations differ in bands, scale or orientation.
    """
    notes: list[str] = []
    if path.is_dir():
        entries = sort_directory(path, notes)
    elif path.suffix == ".toml":
        entries = _manifest(path)
    else:
        entries = [{"counts": path}]
    given = {k: getattr(options, k) for k in KEYS[1:] if getattr(options, k)}
    entries = [{**entry, **given} for entry in entries]
    images = [open_image(Path(entry["counts"])) for entry in entries]
    offsets = register(images)
    fields = [
        _observe(entry, image, tuple(np.round(d) - d), options)
        for entry, image, d in zip(entries, images, offsets, strict=True)
    ]
    field = combine(fields, np.round(offsets).astype(int))
    return dataclasses.replace(field, notes=(*notes, *field.notes))


def sort_directory(folder: Path, notes: list[str]) -> list[dict[str, Any]]:
    """One entry of counts, exposure, psf and background files per observation, by the words in the file names.

    Where there are counts cubes, flat counts images are taken as their sums and left out.
    """
    found: dict[str, dict[str, Path]] = {}
    counts: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not re.search(r"\.(fits?|fts|img)(\.gz)?$", path.name.lower()):
            continue
        name = re.sub(r"\.(fits?|fts|img)(\.gz)?$", "", path.name.lower())
        role = next((r for r, words in ROLES.items() if re.search(words, name)), "counts")
        key = re.sub("|".join([*ROLES.values(), NOISE]), "", name)
        if role == "counts":
            if _axes(path) < 2:
                notes.append(f"{path.name} holds no image and was left out.")
                continue
            counts[key] = path
        found.setdefault(key, {})[role] = path
    flat = [k for k, p in counts.items() if _axes(p) == 2]
    if 0 < len(flat) < len(counts):
        notes += [f"{counts[k].name} is flat beside a cube and was left out." for k in flat]
        counts = {k: p for k, p in counts.items() if k not in flat}
    if not counts:
        raise InputError(
            f"{folder}: expected a FITS counts image or cube, found none; see `jaxastro train sky --help`."
        )
    if len(counts) == 1:
        (only,) = counts
        shared = {r: p for k in found if k not in flat for r, p in found[k].items() if r != "counts"}
        return [{"counts": counts[only], **shared, **found[only]}]
    lonely = [p.name for k, p in counts.items() if "psf" not in found[k]]
    if lonely and len(lonely) < len(counts):
        raise InputError(
            f"{folder}: no PSF file has the name of {lonely[0]}; name the files of each observation in a TOML file "
            "with [[observation]] tables."
        )
    return [dict(found[k]) for k in counts]


def _axes(path: Path) -> int:
    """Axes of the first image in a FITS file; zero where it has none."""
    with fits.open(path) as file:
        return next((u.header["NAXIS"] for u in file if u.is_image and u.header["NAXIS"] >= 2), 0)


def _manifest(path: Path) -> list[dict[str, Any]]:
    try:
        tables = tomllib.loads(path.read_text()).get("observation", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected TOML with [[observation]] tables, found: {error}.") from error
    for i, table in enumerate(tables):
        if "counts" not in table or (unknown := set(table) - set(KEYS)):
            wrong = "no `counts`" if "counts" not in table else f"unknown `{', '.join(sorted(unknown))}`"
            raise InputError(f"{path}: observation {i} has {wrong}; expected {', '.join(KEYS)}.")
    if not tables:
        raise InputError(f"{path}: expected one [[observation]] table per observation, found none.")

    def resolve(name: str, value: Any) -> Any:
        file = name in ("counts", "exposure", "psf", "background") and isinstance(value, str)
        return path.parent / value if file and (path.parent / value).exists() else value

    return [{k: resolve(k, v) for k, v in table.items()} for table in tables]


def open_image(path: Path) -> Image:
    """The first image of a FITS file.

    Raises:
        InputError: the file is missing, no FITS, or without an image of two or three axes.
    """
    try:
        with fits.open(path) as file:
            unit = next((u for u in file if u.is_image and u.header["NAXIS"] in (2, 3)), None)
            if unit is None:
                raise InputError(f"{path}: expected an image of two or three axes, found none; give a counts image.")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FITSFixedWarning)
                wcs = WCS(unit.header)
            edges = _edges(file)
            return Image(path, np.array(unit.data), unit.header, edges, wcs.celestial if wcs.has_celestial else None)
    except OSError as error:
        raise InputError(f"{path}: cannot be read as FITS ({error}); check the path and the file.") from error


def _edges(file: fits.HDUList) -> np.ndarray | None:
    """Band edges [keV] from EBOUNDS (keV unless it says otherwise) or ENERGIES (MeV unless it says otherwise)."""
    from astropy import units

    if "EBOUNDS" in file:
        table = file["EBOUNDS"]
        unit = units.Unit(table.columns["E_MIN"].unit or "keV").to("keV")
        return np.stack([table.data["E_MIN"], table.data["E_MAX"]], -1).astype(float) * unit
    if "ENERGIES" in file:
        table = file["ENERGIES"]
        column = table.columns[0]
        return np.asarray(table.data[column.name], float) * units.Unit(column.unit or "MeV").to("keV")
    return None


def register(images: list[Image]) -> np.ndarray:
    """(y, x) of every image's first pixel on the grid of the first image [pixel].

    Raises:
        InputError: an image has no WCS while others do, or differs in scale or orientation by more than .1 pixel.
    """
    if len(images) == 1 or all(i.wcs is None and i.data.shape == images[0].data.shape for i in images):
        return np.zeros((len(images), 2))
    offsets = []
    for image in images:
        if image.wcs is None or images[0].wcs is None:
            bad = next(i for i in images if i.wcs is None)
            raise InputError(f"{bad.path}: no celestial WCS, so it cannot be registered with the others; add one.")
        ny, nx = image.data.shape[-2:]
        x, y = np.array([[0, nx - 1, 0, nx - 1], [0, 0, ny - 1, ny - 1]], float)
        found = images[0].wcs.world_to_pixel(image.wcs.pixel_to_world(x, y))
        shift = np.array([found[1] - y, found[0] - x])
        if np.ptp(shift, axis=1).max() > 0.1:
            raise InputError(
                f"{image.path}: its pixels are turned or scaled against {images[0].path.name} by up to "
                f"{np.ptp(shift, axis=1).max():.1f} pixels over the image; bin both to the same scale and orientation."
            )
        offsets.append(shift.mean(1))
    return np.array(offsets)


def _observe(entry: dict[str, Any], image: Image, shift: Any, options: Data) -> Field:
    """One observation on its own grid, all bands."""
    name = image.path.name
    notes = [] if image.wcs is not None else [f"{name}: no celestial WCS; positions are given in pixels only."]
    counts = image.data[None] if image.data.ndim == 2 else image.data
    edges = image.edges_keV
    if edges is not None and (edges.ndim != 2 or len(edges) != len(counts)):
        edges = None
    energy = entry.get("energies") or (np.arange(len(counts)) + 1.0 if edges is None else np.sqrt(edges.prod(1)))
    exposure, unit, files = _exposure(entry, image, edges, notes)
    if area := entry.get("area"):
        exposure, unit = exposure * area, "cm2 s"
    background = entry.get("background", 0.0)
    if background == "none":
        background = 0.0
    elif _is_number(background):
        background = float(background)
    else:
        files.append(Path(background))
        background = _like(open_image(files[-1]), counts, "background").data
    psf, more = _psf(entry, image, energy, counts.shape, notes)
    field = assemble(
        name, counts, exposure, background, psf, energy, edges=edges, shift=shift, notes=notes, wcs=image.wcs,
        exposure_unit=unit, files=(image.path, *files, *more),
    )  # fmt: skip
    return merge_bands(field, options.bands)


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _like(image: Image, counts: np.ndarray, what: str) -> Image:
    """`image` if its pixels are those of `counts` (an extra energy is allowed: exposure cubes stand at bin edges)."""
    bands = len(image.data) if image.data.ndim == 3 else 1
    if image.data.shape[-2:] != counts.shape[-2:] or bands not in (1, len(counts), len(counts) + 1):
        raise InputError(
            f"{image.path}: {what} has shape {image.data.shape}, the counts {counts.shape}; "
            "bring both to the same pixels and energies."
        )
    return image


def _exposure(entry: dict[str, Any], image: Image, edges: Any, notes: list[str]) -> tuple[Any, str, list[Path]]:
    """Exposure per bin, its unit, and the file it came from."""
    name, value = image.path.name, entry.get("exposure")
    if value is None:
        value = next((k for k in ("EXPOSURE", "LIVETIME", "ONTIME") if k in image.header), None)
        if value is None:
            notes.append(f"{name}: no exposure was given or found; fluxes are in counts.")
            return 1.0, "s", []
    if _is_number(value):
        return float(value), "s", []
    if not Path(value).exists():
        if value not in image.header:
            raise InputError(f"{name}: exposure '{value}' is neither a file, a number, nor a keyword of its header.")
        notes.append(f"{name}: exposure from the header keyword {value}, the same in every pixel.")
        return float(image.header[value]), "s", []
    file = _like(open_image(Path(value)), image.data.reshape(-1, *image.data.shape[-2:]), "exposure")
    data = np.asarray(file.data, float)
    gamma = file.edges_keV is not None and file.edges_keV.ndim == 1
    bands = 1 if image.data.ndim == 2 else len(image.data)
    if data.ndim == 3 and len(data) == bands + 1:
        data = _bin_means(data, file.edges_keV if gamma else np.append(edges[:, 0], edges[-1, 1]))  # pyright: ignore
    unit = str(file.header.get("BUNIT", "")).replace("^", "").lower()
    return data, "cm2 s" if "cm2" in unit or gamma else "s", [file.path]


def _bin_means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means over bins of `values` given at their edges, for photons falling as E^-2.5."""
    low, high = edges[:-1] ** (1 - PHOTON_INDEX), edges[1:] ** (1 - PHOTON_INDEX)
    mean_energy = (edges[:-1] * low - edges[1:] * high) / (low - high) * (1 - PHOTON_INDEX) / (2 - PHOTON_INDEX)
    weight = (np.log(mean_energy / edges[:-1]) / np.log(edges[1:] / edges[:-1]))[:, None, None]
    return values[:-1] * (1 - weight) + values[1:] * weight


def _psf(
    entry: dict[str, Any], image: Image, energy: Any, shape: Any, notes: list[str]
) -> tuple[np.ndarray, list[Path]]:
    """PSF images, one or one per bin, before they are centred and normalised."""
    if "psf" not in entry:
        if not entry.get("psf_sigma"):
            raise InputError(f"{image.path.name}: no PSF; give a file by --psf, or a Gaussian width by --psf-sigma.")
        notes.append(f"{image.path.name}: Gaussian PSF of {entry['psf_sigma']:g} pixel.")
        return gaussian_kernel(entry["psf_sigma"]), []
    path = Path(entry["psf"])
    if not path.exists():
        raise InputError(f"{path} does not exist; give the PSF file of {image.path.name}.")
    with fits.open(path) as file:
        if "PSF" in file and "THETA" in file:
            if image.wcs is None:
                raise InputError(f"{path}: a gtpsf table needs the pixel size, but {image.path.name} has no WCS.")
            pixel = float(np.sqrt(image.wcs.proj_plane_pixel_area().to_value("deg2")))
            table = file["PSF"].data
            kernels, inside = gtpsf_kernels(
                np.asarray(table["Energy"], float) * 1e3, np.asarray(file["THETA"].data["Theta"], float),
                np.asarray(table["Psf"], float), np.asarray(energy), pixel,
            )  # fmt: skip
            notes.append(f"{path.name}: PSF integrated over pixels within 1 deg, {1 - inside.min():.1%} lies beyond.")
            return kernels, [path]
    data = open_image(path).data
    if data.ndim == 3 and len(data) != shape[0]:
        raise InputError(f"{path}: the PSF has {len(data)} bands, the counts {shape[0]}; give one for all or one each.")
    return data, [path]


def combine(fields: list[Field], corners: np.ndarray) -> Field:
    """All observations on the smallest grid that holds them, in the pixels of the first.

    Raises:
        InputError: the observations have different bands or exposure units.
    """
    first = fields[0]
    for field in fields[1:]:
        same = len(field.energy_keV) == len(first.energy_keV)
        same = same and np.allclose(field.energy_keV, first.energy_keV, rtol=0.02)
        if not same or field.exposure_unit != first.exposure_unit:
            raise InputError(
                f"{field.files[0]}: bands {np.round(field.energy_keV, 3).tolist()} keV in {field.exposure_unit} "
                f"differ from {np.round(first.energy_keV, 3).tolist()} keV in {first.exposure_unit} of "
                f"{first.files[0].name}; give observations in the same bands and units."
            )
    if len(fields) == 1:
        return first
    low = corners.min(0)
    size = (corners + [f.shape for f in fields]).max(0) - low
    kernel = max(f.psf.shape[-1] for f in fields)

    def place(image: np.ndarray, corner: np.ndarray) -> np.ndarray:
        (y, x), (ny, nx) = corner - low, image.shape[-2:]
        whole = np.zeros((len(image), *size), image.dtype)
        whole[:, y : y + ny, x : x + nx] = image
        return whole

    def stack(name: str) -> np.ndarray:
        return np.concatenate([place(getattr(f, name), c) for f, c in zip(fields, corners, strict=True)])

    def widen(psf: np.ndarray) -> np.ndarray:
        edge = (kernel - psf.shape[-1]) // 2
        return np.pad(psf, ((0, 0), (edge, edge), (edge, edge)))

    wcs = first.wcs.deepcopy() if first.wcs is not None else None
    if wcs is not None:
        wcs.wcs.crpix -= low[::-1]
    return Field(
        counts=stack("counts"),
        exposure=stack("exposure"),
        background=stack("background"),
        psf=np.concatenate([widen(f.psf) for f in fields]),
        band=np.concatenate([f.band for f in fields]),
        energy_keV=first.energy_keV,
        edges_keV=first.edges_keV,
        wcs=wcs,
        exposure_unit=first.exposure_unit,
        names=tuple(f"{f.files[0].name.split('.')[0]} {n}" for f in fields for n in f.names),
        notes=tuple(note for f in fields for note in f.notes)
        + tuple(f"{f.files[0].name}: placed at (y, x) = ({c[0]}, {c[1]}) of the first grid, the rest of its offset "
                "is in its PSF." for f, c in zip(fields[1:], corners[1:], strict=True)),
        files=tuple(p for f in fields for p in f.files),
    )  # fmt: skip
