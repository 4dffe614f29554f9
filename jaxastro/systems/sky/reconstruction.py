"""A fitted sky as a model that can be called, stored and gone on from."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.errors import InputError
from jaxastro.infer.standard import latent_sites, trace_sites
from jaxastro.io import read_card, read_model
from jaxastro.options import build as build_options
from jaxastro.systems.sky import config
from jaxastro.systems.sky.data import Field
from jaxastro.systems.sky.model import Sky, build, sky_model, with_margin


class Reconstruction(eqx.Module):
    """A fitted sky: calling it gives ln flux per pixel (band, y, x) and expected counts (channel, y, x) at its mean.

    Attributes:
        sky: the model with its sources, on the field with its margin.
        mean: standard normal latents.
        z: kind -> significance at which each slot was filled.
    """

    sky: Sky
    mean: dict[str, Array]
    z: dict[str, Float[Array, " slot"]]

    def __call__(self) -> dict[str, Array]:
        """The deterministic sites of `sky_model`."""
        sites = trace_sites(sky_model, self.mean, (self.sky,))
        return {name: site["value"] for name, site in sites.items() if site["type"] == "deterministic"}


def resume(run: Path, field: Field) -> tuple[Sky, dict[str, Array], dict[str, np.ndarray]]:
    """Sky, latents and slot significances that an earlier run ended with.

    Raises:
        InputError: it was of a field of another shape.
    """
    card = read_card(run, system="sky")
    big, _ = with_margin(field, card["config"]["padding"])
    if list(big.shape) != card["preprocessing"]["shape"] or big.band.tolist() != card["preprocessing"]["band"]:
        raise InputError(
            f"{run} was trained on {card['preprocessing']['shape']} pixels (margin included) in channels "
            f"{card['preprocessing']['band']}, DATA has {list(big.shape)} in {big.band.tolist()}; "
            "resume from a run on the same data."
        )
    old = read_model(run, restore(card))
    return old.sky, old.mean, {kind: np.array(v) for kind, v in old.z.items()}


def restore(card: dict[str, Any]) -> Reconstruction:
    """The template that `model.safetensors` fills."""
    known = card["preprocessing"]
    shape, band = tuple(known["shape"]), np.array(known["band"])
    kernel = np.zeros((len(band), known["psf"], known["psf"]))
    kernel[:, known["psf"] // 2, known["psf"] // 2] = 1
    blank = np.zeros((len(band), *shape), np.float32)
    energy = np.array(known["energy_keV"])
    edges = np.stack([energy, 2 * energy], 1) if known["edges"] else None
    field = Field(blank.astype(np.int32), blank + 1, blank, kernel, band, energy, edges)
    options = options_of(card)
    sky = build(field, options)
    latents = prior_mean(sky)
    z = {"points": jnp.zeros(options.sources), "extended": jnp.zeros(options.extended)}
    return Reconstruction(sky, latents, z)


def options_of(card: dict[str, Any]) -> config.Train:
    """The options of a run, without the files that it started from."""
    return build_options(config.Train, {k: v for k, v in card["config"].items() if k not in ("catalogue", "resume")})


def prior_mean(sky: Sky) -> dict[str, Array]:
    """All latents of the model at zero."""
    return {name: jnp.zeros(s.shape, s.dtype) for name, s in latent_sites(sky_model, (sky,)).latents.items()}
