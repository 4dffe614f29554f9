"""Sky: Bayesian multi-band imaging; diffuse, points and extended sources are told apart by latent-space tension."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["CITATION", "TITLE", "VERBS"],
        "data": ["Field", "merge_bands", "read", "thin"],
        "psf": ["gtpsf_kernels", "image_kernel"],
        "simulate": ["simulate_field"],
    },
)
