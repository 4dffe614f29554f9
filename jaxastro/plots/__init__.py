"""One figure style and the panels that several systems draw."""

from jaxastro.plots.figure import DIVERGING, PALETTE, SEQUENTIAL, save, style
from jaxastro.plots.panels import precision_recall, reliability

__all__ = ["DIVERGING", "PALETTE", "SEQUENTIAL", "precision_recall", "reliability", "save", "style"]
