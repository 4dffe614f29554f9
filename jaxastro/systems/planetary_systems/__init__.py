"""Planetary systems: a generative transformer with an exact density over whole systems."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["config", "data", "layout", "model", "simulate", "system"],
    submod_attrs={"layout": ["Known", "System", "nothing_known"]},
)
