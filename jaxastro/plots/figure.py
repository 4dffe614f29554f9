"""One figure style, and saving that never leaves half a file."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:  # matplotlib is imported when a figure is drawn, not before
    Figure = Any

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
"""Okabe and Ito's colours, told apart with every form of colour vision; the last is a neutral for baselines."""

SEQUENTIAL = "cividis"
DIVERGING = "RdBu_r"

_RC = {
    "figure.dpi": 100,
    "figure.figsize": (5.2, 3.8),
    "figure.constrained_layout.use": True,
    "savefig.dpi": 180,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.edgecolor": "#444444",
    "axes.labelcolor": "#222222",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 5),
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "errorbar.capsize": 0,
    "image.cmap": SEQUENTIAL,
    "image.origin": "lower",
    "image.interpolation": "nearest",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The figure style of every jaxastro figure, undone on leaving: `with style(): fig, ax = plt.subplots()`."""
    import matplotlib
    from cycler import cycler

    settings: Any = {**_RC, "axes.prop_cycle": cycler(color=PALETTE)}
    with matplotlib.rc_context(settings):
        yield


def save(fig: Figure, path: Path | str) -> Path:
    """The path, once the figure is written there whole (as PNG, or as the suffix says) and closed."""
    import matplotlib.pyplot as plt

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=path.suffix or ".png", delete=False) as handle:
        part = Path(handle.name)
    try:
        fig.savefig(part, format=path.suffix[1:] or "png")
        part.chmod(0o644)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        plt.close(fig)
    return path
