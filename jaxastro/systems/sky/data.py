"""What the sky system reads: counts, exposure, background and PSF of every observation and band, on one pixel grid."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxastro.errors import InputError
from jaxastro.fields.psf import gaussian_kernel
from jaxastro.systems.sky.config import Data
from jaxastro.systems.sky.psf import image_kernel

if TYPE_CHECKING:
    from astropy.wcs import WCS

TRUTH = (
    "catalog",
    "diffuse",
    "extended",
    "points_pix",
    "expected",
    "log_diffuse_ref",
    "alpha",
    "level",
    "seed",
    "iref",
)


@dataclasses.dataclass(frozen=True)
class Field:
    """Counts of one piece of sky. A channel is one observation in one band; all channels share the pixel grid.

    Attributes:
        counts: photons.
        exposure: counts per unit flux, in `exposure_unit`; zero where nothing was observed.
        background: expected counts that are not sky.
        psf: kernels of unit sum, odd and centred; the sub-pixel offset of an observation is in its kernel.
        band: index of each channel's band.
        energy_keV: one energy per band, where a power law takes its band value when there are no edges.
        edges_keV: lower and upper edge of each band, or None.
        wcs: celestial coordinates of the grid, or None.
        names: one per channel.
        inside: true in the field and false in the margin around it (see `model.with_margin`); None: no margin.
        exposure_unit: `s` or `cm2 s`; a flux is in counts over this unit.
        notes: what was repaired or assumed, one sentence each.
        files: what was read.
    """

    counts: Int[np.ndarray, "channel y x"]
    exposure: Float[np.ndarray, "channel y x"]
    background: Float[np.ndarray, "channel y x"]
    psf: Float[np.ndarray, "channel py px"]
    band: Int[np.ndarray, " channel"]
    energy_keV: Float[np.ndarray, " band"]
    edges_keV: Float[np.ndarray, "band 2"] | None = None
    wcs: "WCS | None" = None
    names: tuple[str, ...] = ()
    inside: Bool[np.ndarray, "y x"] | None = None
    exposure_unit: str = "s"
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x) size in pixels."""
        return self.counts.shape[-2:]  # pyright: ignore[reportReturnType]

    @property
    def reference(self) -> int:
        """The band whose flux is quoted: the middle one."""
        return len(self.energy_keV) // 2

    @property
    def flux_unit(self) -> str:
        """Unit of a source's flux in a band, as astropy writes it."""
        return {"s": "1 / s", "cm2 s": "1 / (cm2 s)"}[self.exposure_unit]


def read(path: str | Path, options: Data | None = None) -> Field:
    """The field in `path`; everything that had to be repaired is in its `notes`. Truth in a mock file is not read.

    Args:
        path: npz, FITS counts, directory of FITS files, or TOML manifest (see `Data`).
        options: how to read it.

    Raises:
        InputError: a file is missing, unreadable, or not what a field needs; the sentence names it.
    """
    from jaxastro.systems.sky import observations

    path, options = Path(path), options or Data()
    if not path.exists():
        raise InputError(f"{path} does not exist; give an npz, a FITS file, a directory of FITS files or a TOML file.")
    if path.suffix == ".npz":
        field = merge_bands(_read_npz(path, options), options.bands)
    else:
        field = observations.read(path, options)
    if options.crop:
        field = crop(field, options.crop)
    if field.counts.sum() == 0:
        raise InputError(f"{path}: all counts are zero, nothing can be learned; check the file and its energy range.")
    return field


def _read_npz(path: Path, options: Data) -> Field:
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files if name not in TRUTH}
    if "counts" not in data:
        raise InputError(f"{path}: expected an array `counts` (band, y, x), found {', '.join(data) or 'nothing'}.")
    counts = np.atleast_3d(data["counts"].T).T
    n = len(counts)
    energy = np.atleast_1d(data.get("energy_keV", options.energies or (np.arange(n) + 1.0)))
    if "psf" in data:
        psf = data["psf"]
    elif options.psf_sigma:
        psf = np.broadcast_to(gaussian_kernel(options.psf_sigma), (n, *gaussian_kernel(options.psf_sigma).shape))
    else:
        raise InputError(
            f"{path}: there is no array `psf` (band, y, x); add it, or give a Gaussian width by --psf-sigma."
        )
    return assemble(
        path.name,
        counts,
        data.get("exposure", 1.0),
        data.get("background", 0.0),
        psf,
        energy,
        edges=data.get("edges_keV"),
        files=(path,),
    )


def assemble(
    name: str,
    counts: np.ndarray,
    exposure: Any,
    background: Any,
    psf: np.ndarray,
    energy: Any,
    *,
    edges: Any = None,
    shift: tuple[float, float] = (0.0, 0.0),
    **rest: Any,
) -> Field:
    """The field of one observation, checked at the door: the only way a `Field` is made from what users give.

    Args:
        name: what messages call it.
        counts: (band, y, x).
        exposure: a number or an array that broadcasts to `counts`.
        background: likewise, in counts.
        psf: (y, x) or (band, y, x).
        energy: (band,) [keV].
        edges: (band, 2) [keV] or None.
        shift: (dy, dx) of the observation against the reference grid [pixel], less than one.
        rest: further attributes of the field.

    Raises:
        InputError: shapes differ, counts are negative or not integers, the exposure is negative.
    """
    notes: list[str] = list(rest.pop("notes", ()))
    counts = np.asarray(counts)
    if counts.ndim != 3 or 0 in counts.shape:
        raise InputError(f"{name}: expected counts with axes (band, y, x), found shape {counts.shape}.")
    counts, mask = _integers(name, counts, notes)
    exposure = _image(name, "exposure", exposure, counts.shape)
    background = _image(name, "background", background, counts.shape)
    if np.isnan(exposure).any():
        notes.append(f"{name}: {int(np.isnan(exposure).sum())} pixels of exposure are NaN and were masked.")
        exposure = np.nan_to_num(exposure)
    if (exposure < 0).any():
        where = tuple(int(i) for i in np.argwhere(exposure < 0)[0])
        raise InputError(
            f"{name}: exposure is negative in {int((exposure < 0).sum())} pixels, first {exposure[where]:g} at "
            f"(band, y, x) = {where}; set pixels that were not observed to 0."
        )
    if not (exposure > 0).any():
        raise InputError(f"{name}: exposure is zero everywhere; give the exposure of these counts.")
    exposure = np.where(mask, exposure, 0.0)
    stray = int(counts[exposure == 0].sum())
    if stray:
        notes.append(f"{name}: {stray} counts lie where the exposure is zero and are not used.")
        counts = np.where(exposure > 0, counts, 0)
    if not np.isfinite(background).all():
        raise InputError(f"{name}: the background has NaN or infinite pixels; replace them by the expected counts.")
    if (background < 0).any():
        notes.append(f"{name}: background is negative in {int((background < 0).sum())} pixels "
                     f"(least {background.min():.2g}) and was clipped to 0.")  # fmt: skip
        background = np.clip(background, 0, None)
    psf = np.asarray(psf, float)
    psf = np.broadcast_to(psf, (len(counts), *psf.shape[-2:]))
    kernels = []
    for b, image in enumerate(psf):
        label = f"{name} band {b}" if len(psf) > 1 else name
        kernel, said = image_kernel(image, label, largest=counts.shape[1:], shift=shift)
        kernels.append(kernel)
        notes += said
    energy = np.atleast_1d(np.asarray(energy, float))
    if energy.shape != (len(counts),) or (energy <= 0).any() or (np.diff(energy) <= 0).any():
        raise InputError(
            f"{name}: expected {len(counts)} increasing positive band energies [keV], found {energy.tolist()}."
        )
    return Field(
        counts=counts,
        exposure=exposure.astype(np.float32),
        background=background.astype(np.float32),
        psf=np.array(kernels),
        band=np.arange(len(counts)),
        energy_keV=energy,
        edges_keV=None if edges is None else np.asarray(edges, float),
        notes=tuple(notes),
        names=rest.pop("names", tuple(f"band {b}" for b in range(len(counts)))),
        **rest,
    )


def _integers(name: str, counts: np.ndarray, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Counts as integers, and where they are finite."""
    finite = np.isfinite(counts)
    if not finite.all():
        notes.append(f"{name}: {int((~finite).sum())} pixels of counts are NaN and were masked.")
    counts = np.where(finite, counts, 0)
    wrong = (counts < 0) | (counts != np.round(counts))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{name}: expected counts that are whole numbers >= 0, found {counts[where]:g} at (band, y, x) = {where}; "
            "give the counts image before division by exposure or background subtraction."
        )
    return counts.astype(np.int32), finite


def _image(name: str, what: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(np.asarray(value, float), shape))
    except ValueError as error:
        raise InputError(
            f"{name}: {what} has shape {np.shape(value)}, counts have {shape} (band, y, x); "
            "bring all bands to the pixels of the counts."
        ) from error


def merge_bands(field: Field, bands: int) -> Field:
    """`field` with neighbouring bands summed into at most `bands` of similar counts.

    Exposure and PSF of a merged band are means weighted by counts, which are what the summed image saw.
    """
    n = len(field.energy_keV)
    if n <= bands or len(field.counts) != n:
        return field
    total = field.counts.sum((1, 2)).astype(float)
    share = np.cumsum(total) / total.sum()
    cuts = [0]
    for k in range(1, bands):
        nearest = int(np.abs(share - k / bands).argmin()) + 1
        cuts.append(min(max(nearest, cuts[-1] + 1), n - bands + k))
    members = [np.arange(low, high) for low, high in zip(cuts, [*cuts[1:], n], strict=True)]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.stack([np.average(values[m], axis=0, weights=np.maximum(total[m], 1e-9)) for m in members])

    edges = field.edges_keV
    return dataclasses.replace(
        field,
        counts=np.stack([field.counts[m].sum(0) for m in members]),
        exposure=mean(field.exposure).astype(np.float32),
        background=np.stack([field.background[m].sum(0) for m in members]),
        psf=mean(field.psf),
        band=np.arange(len(members)),
        energy_keV=np.exp(mean(np.log(field.energy_keV))),
        edges_keV=None if edges is None else np.array([[edges[m[0], 0], edges[m[-1], 1]] for m in members]),
        names=tuple(f"band {b}" for b in range(len(members))),
        notes=(*field.notes, f"{n} bands were merged into {len(members)}."),
    )


def crop(field: Field, box: tuple[int, ...]) -> Field:
    """The pixels y0:y1, x0:x1 of `field`; kernels are cut to fit.

    Raises:
        InputError: the box is not four numbers inside the field.
    """
    ny, nx = field.shape
    if len(box) != 4 or not (0 <= box[0] < box[1] <= ny and 0 <= box[2] < box[3] <= nx):
        raise InputError(f"crop: expected y0 y1 x0 x1 inside {ny} x {nx} pixels, found {' '.join(map(str, box))}.")
    y0, y1, x0, x1 = box
    half = min(field.psf.shape[-1] // 2, (min(y1 - y0, x1 - x0) - 1) // 2)
    middle = field.psf.shape[-1] // 2
    psf = field.psf[:, middle - half : middle + half + 1, middle - half : middle + half + 1]
    return dataclasses.replace(
        field,
        counts=field.counts[:, y0:y1, x0:x1],
        exposure=field.exposure[:, y0:y1, x0:x1],
        background=field.background[:, y0:y1, x0:x1],
        psf=psf / psf.sum((1, 2), keepdims=True),
        wcs=None if field.wcs is None else field.wcs[y0:y1, x0:x1],
    )


def thin(
    counts: Int[np.ndarray, "channel y x"], fraction: float, *, seed: int
) -> tuple[Int[np.ndarray, "channel y x"], Int[np.ndarray, "channel y x"]]:
    """Counts to train on and counts held out: every photon is held out with probability `fraction`.

    Both are Poisson and independent given the sky, with rates (1 - fraction) and fraction of the whole.
    """
    held = np.random.default_rng(seed).binomial(counts, fraction).astype(np.int32)
    return (counts - held).astype(np.int32), held
