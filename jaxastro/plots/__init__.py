"""One figure style and the panels that every system's figures are made of."""

from jaxastro.plots.figure import DIVERGING, PALETTE, SEQUENTIAL, save, style
from jaxastro.plots.panels import (
    by_class,
    image,
    precision_recall,
    predicted_against_true,
    reliability,
    residual_triptych,
    roc,
    series_with_residual,
)

__all__ = [
    "DIVERGING",
    "PALETTE",
    "SEQUENTIAL",
    "by_class",
    "image",
    "precision_recall",
    "predicted_against_true",
    "reliability",
    "residual_triptych",
    "roc",
    "save",
    "series_with_residual",
    "style",
]
