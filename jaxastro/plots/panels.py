"""Panels that several systems draw: each adds to axes that the caller made inside `style()`."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from jaxastro.plots.figure import DIVERGING, PALETTE, SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
else:  # matplotlib is imported when a figure is drawn, not before
    Axes = Figure = AxesImage = Any

_GUIDE = {"color": "#9A9A9A", "linewidth": 1.0, "linestyle": (0, (4, 3)), "zorder": 0}
_PLATE = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 2.5}


def reliability(
    ax: Axes,
    forecast: Float[np.ndarray, "bin"],
    frequency: Float[np.ndarray, "bin"],
    low: Float[np.ndarray, "bin"] | None = None,
    high: Float[np.ndarray, "bin"] | None = None,
    *,
    label: str | None = None,
    color: str = PALETTE[0],
) -> None:
    """Observed frequency over mean forecast (`stats.reliability`), beside the diagonal of perfect forecasts."""
    ax.plot([0, 1], [0, 1], **_GUIDE)
    if low is not None and high is not None:
        ax.vlines(forecast, low, high, color=color, alpha=0.45, linewidth=2.6)
    ax.plot(forecast, frequency, "o-", color=color, label=label, markeredgecolor="white", markersize=6, linewidth=1.4)
    ax.set(xlabel="Forecast probability", ylabel="Observed frequency", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal")


def precision_recall(
    ax: Axes,
    recall: Float[np.ndarray, "threshold"],
    precision: Float[np.ndarray, "threshold"],
    *,
    prevalence: float | None = None,
    label: str | None = None,
    color: str | None = None,
) -> None:
    """Precision over recall as steps, with the prevalence, which guessing reaches, as a guide."""
    if prevalence is not None:
        ax.axhline(prevalence, **_GUIDE)
    ax.step(np.append(0, recall), np.append(precision[0], precision), where="pre", label=label, color=color)
    ax.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.005), ylim=(0, 1.02))


def roc(
    ax: Axes,
    false_alarm: Float[np.ndarray, "threshold"],
    recall: Float[np.ndarray, "threshold"],
    *,
    label: str | None = None,
    color: str | None = None,
) -> None:
    """True-positive over false-positive rate, with the diagonal of guessing as a guide."""
    ax.plot([0, 1], [0, 1], **_GUIDE)
    ax.plot(np.append(0, false_alarm), np.append(0, recall), label=label, color=color)
    ax.set(xlabel="False-positive rate", ylabel="True-positive rate", xlim=(-0.005, 1), ylim=(0, 1.02))
    ax.set_aspect("equal")


def by_class(
    ax: Axes,
    values: Shaped[np.ndarray, "row"],
    classes: Shaped[np.ndarray, "row"],
    *,
    bins: int | np.ndarray = 30,
    names: dict[Any, str] | None = None,
    log: bool = False,
    xlabel: str = "",
) -> None:
    """One histogram outline per class on common bins; `log` counts logarithmically."""
    values = np.asarray(values)
    edges = np.histogram_bin_edges(values[np.isfinite(values)], bins)
    for i, one in enumerate(np.unique(classes)):
        color, label = PALETTE[i % len(PALETTE)], (names or {}).get(one, str(one))
        count, _ = np.histogram(values[classes == one], edges)
        ax.stairs(count, edges, fill=True, color=color, alpha=0.22)
        ax.stairs(count, edges, color=color, linewidth=1.6, label=label)
    ax.set(xlabel=xlabel, ylabel="Number", xlim=(edges[0], edges[-1]))
    if log:
        ax.set_yscale("log")
    ax.legend()


def image(
    ax: Axes,
    values: Float[np.ndarray, "y x"],
    *,
    label: str = "",
    symmetric: bool = False,
    limits: tuple[float, float] | None = None,
    stretch: str = "linear",
    title: str = "",
) -> AxesImage:
    """An image with its colour bar.

    Args:
        ax: axes; for sky coordinates made by `subplot_kw={"projection": wcs}` (an astropy WCS).
        values: pixels, y upwards; NaN is left grey.
        label: of the colour bar, with the unit.
        symmetric: diverging colours around zero, for residuals.
        limits: lowest and highest shown value; default the 0.5 and 99.5 percentiles.
        stretch: `linear`, `log` or `asinh`.
        title: above the image.
    """
    import matplotlib
    from matplotlib.colors import AsinhNorm, LogNorm, Normalize

    finite = values[np.isfinite(values) & ((values > 0) | (stretch != "log"))]
    low, high = limits or (np.percentile(finite, [0.5, 99.5]) if finite.size else (0.0, 1.0))
    if symmetric:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    norms = {"linear": Normalize, "log": LogNorm, "asinh": AsinhNorm}
    options = {"linear_width": max(abs(high), abs(low)) / 20 or 1.0} if stretch == "asinh" else {}
    norm = norms[stretch](vmin=low, vmax=high, **options)
    colors = matplotlib.colormaps[DIVERGING if symmetric else SEQUENTIAL].with_extremes(bad="#D0D0D0")
    shown = ax.imshow(values, norm=norm, cmap=colors, origin="lower")
    ticks = {"ticks": norm.inverse(np.linspace(0, 1, 6)), "format": "%.2g"} if stretch == "asinh" else {}
    bar = ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.85, pad=0.02, fraction=0.05, **ticks)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    if not hasattr(ax, "coords"):
        ax.set_title(title)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=2)
    else:  # WCSAxes, whose layout leaves no room for a title above
        ax.text(0.04, 0.96, title, transform=ax.transAxes, va="top", weight="bold", bbox=_PLATE)
        for coordinate, side in zip(ax.coords, "bl", strict=False):  # pyright: ignore[reportAttributeAccessIssue]
            coordinate.set_ticks_position(side)
        ax.coords.grid(color="white", alpha=0.25, linewidth=0.5)  # pyright: ignore[reportAttributeAccessIssue]
        if ax.wcs.has_celestial:  # pyright: ignore[reportAttributeAccessIssue]
            ax.set(xlabel=ax.wcs.wcs.lngtyp, ylabel=ax.wcs.wcs.lattyp)  # pyright: ignore[reportAttributeAccessIssue]
    return shown


def residual_triptych(
    fig: Figure,
    data: Float[np.ndarray, "y x"],
    model: Float[np.ndarray, "y x"],
    sigma: Float[np.ndarray, "y x"] | float | None = None,
    *,
    label: str = "",
    stretch: str = "linear",
    wcs: Any = None,
) -> list[Axes]:
    """Data and model with the same limits, and their residual, in units of `sigma` where that is given."""
    axes = list(fig.subplots(1, 3, subplot_kw={"projection": wcs} if wcs is not None else {}))
    shown = np.concatenate([data[np.isfinite(data)], model[np.isfinite(model)]])
    shown = shown[(shown > 0) | (stretch != "log")]
    limits = (float(np.percentile(shown, 0.5)), float(np.percentile(shown, 99.5)))
    residual = (data - model) / (1.0 if sigma is None else sigma)
    image(axes[0], data, limits=limits, stretch=stretch, title="Data")
    image(axes[1], model, label=label, limits=limits, stretch=stretch, title="Model")
    image(axes[2], residual, label=label if sigma is None else "σ", symmetric=True, title="Data − model")
    for ax in axes[1:]:
        if wcs is None:
            ax.tick_params(labelleft=False)
        else:
            ax.coords[1].set_ticklabel_visible(False)  # pyright: ignore[reportAttributeAccessIssue]
            ax.coords[1].set_axislabel(" ")  # pyright: ignore[reportAttributeAccessIssue]
    return axes


def series_with_residual(
    fig: Figure,
    x: Float[np.ndarray, "point"],
    y: Float[np.ndarray, "point"],
    error: Float[np.ndarray, "point"] | None,
    model: Float[np.ndarray, "point"],
    *,
    xlabel: str = "",
    ylabel: str = "",
) -> list[Axes]:
    """Points with errors under a model curve, and below them the residuals on the same abscissa."""
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    order = np.argsort(x)
    dots = {"fmt": ".", "color": PALETTE[-1], "ecolor": "#B8B8B8", "elinewidth": 0.8, "markersize": 4, "zorder": 1}
    top.errorbar(x, y, error, **dots)
    top.plot(x[order], model[order], color=PALETTE[1], zorder=2)
    scale = np.ones_like(y) if error is None else error
    bottom.axhline(0, **_GUIDE)
    bottom.errorbar(x, (y - model) / scale, None if error is None else np.ones_like(y), **dots)
    top.set_ylabel(ylabel)
    bottom.set(xlabel=xlabel, ylabel="Residual" if error is None else "Residual / σ")
    fig.align_ylabels()
    return [top, bottom]


def predicted_against_true(
    ax: Axes,
    truth: Float[np.ndarray, "row"],
    predicted: Float[np.ndarray, "row"],
    *,
    name: str = "",
    note: str = "",
) -> None:
    """Prediction over truth with the line of identity; many rows are shown as density. `note` stands in the corner."""
    low, high = np.nanpercentile(np.concatenate([truth, predicted]), [0.1, 99.9])
    margin = 0.04 * (high - low)
    span = (float(low - margin), float(high + margin))
    if len(truth) > 3000:
        ax.hexbin(
            truth, predicted, gridsize=60, extent=(*span, *span), bins="log", cmap="Blues", mincnt=1, linewidths=0
        )
    else:
        ax.scatter(truth, predicted, s=9, color=PALETTE[0], alpha=0.5, linewidths=0)
    ax.plot(span, span, **{**_GUIDE, "zorder": 3})
    ax.set(xlabel=f"True {name}", ylabel=f"Predicted {name}", xlim=span, ylim=span)
    ax.set_aspect("equal")
    ax.text(0.04, 0.96, note, transform=ax.transAxes, va="top", fontsize=9)
