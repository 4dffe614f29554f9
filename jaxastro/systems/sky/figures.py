"""Pictures of a run: what was seen, what the model expects, what is left, and where the diffuse sky was in tension."""

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from jaxastro.plots import DIVERGING, SEQUENTIAL, style
from jaxastro.systems.sky.data import Field

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TENSION = "PuOr_r"
MARK = {"fill": False, "linewidth": 1.0}
AXES = {
    "pos.eq.ra": "right ascension", "pos.eq.dec": "declination",
    "pos.galactic.lon": "Galactic longitude", "pos.galactic.lat": "Galactic latitude",
}  # fmt: skip
WIDE = 1.5  # width over height from which rounds go down the page


def overview(
    field: Field,
    rate: Float[np.ndarray, "channel y x"],
    matched: Float[np.ndarray, "y x"],
    before: Float[np.ndarray, "y x"],
    after: Float[np.ndarray, "y x"],
    sky: Float[np.ndarray, "y x"],
    table: Table,
) -> "Figure":
    """Six panels: counts, model, reconstructed sky; residual, tension before and after insertion, sources circled."""
    with style():
        fig, axes = _panels(field, 2, 3)
        counts, model = field.counts.sum(0), rate.sum(0)
        scale = {"cmap": SEQUENTIAL, **_stretch(np.maximum(model, 0.3), 99.8)}
        _show(axes[0, 0], np.maximum(counts, scale["norm"].vmin), "Counts", **scale)
        _show(axes[0, 1], model, "Expected counts", **scale)
        _show(axes[0, 2], sky, f"Sky without points [{_unit(field)} / pixel]", cmap="inferno", **_stretch(sky, 99.8))
        _show(axes[1, 0], matched, "Residual, matched to the PSF [σ]", cmap=DIVERGING, vmin=-5, vmax=5)
        _show(axes[1, 1], before, "Tension of the diffuse sky alone [σ]", cmap=TENSION, vmin=-10, vmax=10)
        _show(axes[1, 2], after, "Tension after insertion [σ]", cmap=TENSION, vmin=-10, vmax=10)
        for ax in (axes[0, 1], axes[1, 0]):
            mark(ax, table)
        return fig


def components(
    field: Field,
    diffuse: Float[np.ndarray, "y x"],
    spread: Float[np.ndarray, "y x"],
    index: Float[np.ndarray, "y x"] | None,
    upper: Float[np.ndarray, "y x"],
    table: Table,
) -> "Figure":
    """The diffuse sky, its uncertainty, its spectral index, and the upper limits of unseen points."""
    with style():
        fig, axes = _panels(field, 1, 3 if index is None else 4)
        axes = axes.ravel()
        _show(axes[0], diffuse, f"Diffuse flux [{_unit(field)} / pixel]", cmap="inferno", **_stretch(diffuse, 99.9))
        _show(axes[1], spread, "Uncertainty of ln flux", cmap=SEQUENTIAL, vmin=0, vmax=np.nanpercentile(spread, 99.5))
        _show(axes[2], upper, f"95 % upper limit of a point [{_unit(field)}]", cmap=SEQUENTIAL, **_stretch(upper, 99.0))
        if index is not None:
            _show(axes[3], index, "Spectral index", cmap="coolwarm")
        mark(axes[0], table)
        return fig


def stages(
    field: Field, tension: list[Float[np.ndarray, "y x"]], need: list[Float[np.ndarray, "y x"]], table: Table
) -> "Figure":
    """Tension of the diffuse sky and significance of a missing point in every round."""
    ny, nx = field.shape
    down = nx >= WIDE * ny
    with style():
        fig, axes = _panels(field, len(tension), 2) if down else _panels(field, 2, len(tension))
        axes = axes.T if down else axes
        for i, (above, below) in enumerate(zip(tension, need, strict=True)):
            title = "diffuse sky only" if i == 0 else f"after round {i}"
            _show(axes[0, i], above, f"Tension, {title} [σ]", cmap=TENSION, vmin=-10, vmax=10)
            _show(axes[1, i], below, "Need of a point [σ]", cmap=TENSION, vmin=-10, vmax=10)
        mark(axes[0, 0], table)
        return fig


def spectra(field: Field, table: Table, n: int = 8) -> "Figure":
    """Flux against energy of the brightest sources, with one standard deviation."""
    import matplotlib.pyplot as plt

    with style():
        fig, ax = plt.subplots(figsize=(5.2, 3.8))
        bands = range(len(field.energy_keV))
        for i, row in enumerate(table[:n]):
            flux = np.array([row[f"flux_{b}"] for b in bands])
            error = np.array([row[f"flux_{b}_std"] for b in bands])
            label = f"{i + 1}: z = {row['z']:.0f}" + (" (extended)" if row["extended"] else "")
            ax.errorbar(field.energy_keV, flux, error, marker="os"[int(row["extended"])], label=label, linewidth=1.2)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="Energy [keV]",
            ylabel=f"Flux [{_unit(field)}]",
            title="Brightest sources",
        )
        if len(table):
            ax.legend(ncols=2, fontsize=8)
        return fig


def mark(ax: Any, table: Table) -> None:
    """Circle the points and draw the extended sources of a catalogue on an image."""
    from matplotlib.patches import Ellipse

    points = table[~np.asarray(table["extended"], bool)] if len(table) else []
    _circles(ax, np.array([[r["y"], r["x"]] for r in points]).reshape(-1, 2), 2.5, "white")
    for row in table[np.asarray(table["extended"], bool)] if len(table) else []:
        size = 2 * row["size"]
        ellipse = Ellipse(
            (row["x"], row["y"]), 2 * size, 2 * size * row["axis_ratio"], angle=np.degrees(row["angle"]),
            edgecolor="#56B4E9", **MARK,
        )  # fmt: skip
        ax.add_patch(ellipse)


def _circles(ax: Any, yx: np.ndarray, radius: float, colour: str) -> None:
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    for y, x in yx:
        circle = Circle((x, y), radius, edgecolor=colour, **MARK)
        circle.set_path_effects([withStroke(linewidth=2.2, foreground="#00000080")])
        ax.add_patch(circle)


def _panels(field: Field, rows: int, columns: int) -> tuple["Figure", np.ndarray]:
    """Axes of equal scale with the field's celestial coordinates on the outer edges."""
    import matplotlib.pyplot as plt

    ny, nx = field.shape
    width = 3.6 * min(max(nx / ny, 0.8), 2.0)
    size = ((width + 0.55) * columns + 0.4, (width * ny / nx + 0.45) * rows + 0.35)
    kw = {} if field.wcs is None else {"projection": field.wcs}
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, subplot_kw=kw)
    for (i, j), ax in np.ndenumerate(axes):
        if field.wcs is None:
            ax.set(xlabel="x [pixel]" if i == rows - 1 else "", ylabel="y [pixel]" if j == 0 else "")
            ax.tick_params(labelbottom=i == rows - 1, labelleft=j == 0)
            ax.spines[:].set_visible(True)
            continue
        for axis, shown in zip(ax.coords, (i == rows - 1, j == 0), strict=True):
            axis.set_ticklabel_visible(shown)
            axis.set_axislabel(AXES.get(axis.default_label, axis.default_label) if shown else "")
            axis.set_ticklabel(size=8, exclude_overlapping=True)
    return fig, axes


def _show(ax: Any, image: np.ndarray, title: str, **options: Any) -> None:
    shown = ax.imshow(image, **options)
    ax.set_title(title, fontsize=9.5)
    bar = ax.figure.colorbar(shown, cax=ax.inset_axes((1.02, 0.0, 0.035, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)


def _stretch(image: np.ndarray, top: float) -> dict[str, Any]:
    """A logarithmic norm over the image's bulk."""
    from matplotlib.colors import LogNorm

    good = image[np.isfinite(image) & (image > 0)]
    low, high = np.percentile(good, [1.0, top]) if good.size else (0.1, 1.0)
    return {"norm": LogNorm(low, max(high, 1.01 * low), clip=True)}


def _unit(field: Field) -> str:
    return {"s": "1/s", "cm2 s": "1/cm² s"}[field.exposure_unit]
