"""Published astronomy analyses rebuilt as pure JAX functions."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["explain", "fields", "infer", "io", "nn", "plots", "stats", "systems", "train"],
    submod_attrs={"systems.load": ["load"]},
)
