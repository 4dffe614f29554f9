"""One figure style and the primitives that every system's figures are made of."""

from jaxastro.plots.figure import DIVERGING, PALETTE, SEQUENTIAL, save, style

__all__ = ["DIVERGING", "PALETTE", "SEQUENTIAL", "save", "style"]
