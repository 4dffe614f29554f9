"""Planetary systems: a generative transformer with an exact density over whole systems."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["config", "data", "known", "layout", "model", "sampling", "simulate", "system", "tokens", "training"],
    submod_attrs={
        "distribution": ["Systems"],
        "layout": ["Known", "System", "nothing_known"],
        "model": ["Generator"],
        "sampling": ["sample"],
        "simulate": ["PodSim"],
    },
)
