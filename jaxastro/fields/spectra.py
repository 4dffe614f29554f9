"""Power spectra of Gaussian random fields, in NIFTy's parametrisation: the same latents give the same amplitudes.

Reference: Arras et al. 2022, Nature Astronomy 6, 259 (the correlated field model); NIFTy.re 9.
"""

import math
from collections.abc import Mapping
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.fields.harmonic import Modes
from jaxastro.fields.priors import LogNormal, Normal

Latents = Mapping[str, Array]


class NonParametric(eqx.Module):
    """A power law in |k| with smooth deviations drawn from an integrated Wiener process over ln |k|.

    Attributes:
        fluctuations: prior of the field's standard deviation over the periodic grid; None fixes it to 1.
        slope: prior of the average slope of the power spectrum (of the amplitude spectrum where kind is "amplitude").
        flexibility: prior of the strength of the Wiener process; None leaves the pure power law.
        asperity: prior of its roughness; None for none.
        kind: whether slope and deviations describe the "power" or the "amplitude" spectrum.
    """

    fluctuations: LogNormal | None = LogNormal(1.0, 0.5)
    slope: Normal = Normal(-4.0, 0.5)
    flexibility: LogNormal | None = LogNormal(0.5, 0.2)
    asperity: LogNormal | None = None
    kind: Literal["power", "amplitude"] = eqx.field(static=True, default="power")

    def shapes(self, modes: Modes) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent on this grid."""
        latents: dict[str, tuple[int, ...]] = {"slope": ()}
        if self.fluctuations is not None:
            latents["fluctuations"] = ()
        if self.flexibility is not None:
            latents |= {"flexibility": (), "spectrum": (len(modes.length) - 2, 2)}
            if self.asperity is not None:
                latents["asperity"] = ()
        return latents

    def __call__(self, latents: Latents, modes: Modes) -> Float[Array, " mode"]:
        """Amplitude of each distinct mode / volume, 0 for the zero mode; the field's variance is fluctuations^2."""
        dtype = latents["slope"].dtype
        log_length = jnp.asarray(modes.log_length, dtype)
        log_spectrum = self.slope(latents["slope"]) * log_length
        if self.flexibility is not None:
            deviations = self._wiener(latents, np.diff(modes.log_length[1:]))
            log_spectrum += deviations - deviations[-1] * log_length / log_length[-1]
        amplitude = _normalised(jnp.exp(log_spectrum * (0.5 if self.kind == "power" else 1)), modes)
        return amplitude if self.fluctuations is None else self.fluctuations(latents["fluctuations"]) * amplitude

    def _wiener(self, latents: Latents, steps: Float[np.ndarray, " step"]) -> Float[Array, " mode"]:
        """Integrated Wiener process over ln |k|, starting flat at the first mode, with the zero mode in front."""
        step, end = (jnp.asarray(v, latents["slope"].dtype) for v in (steps, np.cumsum(steps)))
        drift, kick = self.flexibility(latents["flexibility"]) * jnp.sqrt(step) * latents["spectrum"].T  # pyright: ignore
        roughness = 0 if self.asperity is None else self.asperity(latents["asperity"])
        drift = drift * jnp.sqrt(step**2 / 12 + roughness) + step * kick / 2
        # sum over j < i of step_i kick_j, the second integral, is end_i C(kick)_i - C(end kick)_i
        moved, turned = cumulative_sum(jnp.stack([drift - end * kick, kick]))
        return jnp.pad(moved + end * turned, (2, 0))


class Matern(eqx.Module):
    """A power spectrum that is flat at large scales and a power law beyond a cutoff: (1 + (k / cutoff)^2)^(slope / 2).

    Attributes:
        scale: prior of the overall amplitude; the field's standard deviation where `renormalise` is true. None: 1.
        cutoff: prior of the wave number where the spectrum bends [1 / pixel unit].
        slope: prior of the asymptotic slope.
        renormalise: divide by the spectrum's integral, so that `scale` is the standard deviation.
        kind: "amplitude" as above (the amplitude falls as k^(slope / 2)); "power" halves the exponent, as NIFTy does.
    """

    scale: LogNormal | None = LogNormal(1.0, 0.5)
    cutoff: LogNormal = LogNormal(0.1, 0.05)
    slope: Normal = Normal(-4.0, 0.5)
    renormalise: bool = eqx.field(static=True, default=True)
    kind: Literal["power", "amplitude"] = eqx.field(static=True, default="amplitude")

    def shapes(self, modes: Modes) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent."""
        return {"cutoff": (), "slope": ()} | ({} if self.scale is None else {"scale": ()})

    def __call__(self, latents: Latents, modes: Modes) -> Float[Array, " mode"]:
        """Amplitude of each distinct mode in units of the volume, 0 for the zero mode."""
        length = jnp.asarray(modes.length, latents["slope"].dtype)
        exponent = self.slope(latents["slope"]) * (0.25 if self.kind == "amplitude" else 0.125)
        amplitude = jnp.exp(exponent * jnp.log1p((length / self.cutoff(latents["cutoff"])) ** 2))
        amplitude = _normalised(amplitude, modes) if self.renormalise else amplitude.at[0].set(0) / modes.volume**0.5
        return amplitude if self.scale is None else self.scale(latents["scale"]) * amplitude


def cumulative_sum(x: Float[Array, "row n"]) -> Float[Array, "row n"]:
    """Running sums of each row as three small matrix products: far fewer operations to compile than `jnp.cumsum`."""
    row, n = x.shape
    side = math.isqrt(n - 1) + 1
    blocks = jnp.pad(x, ((0, 0), (0, side**2 - n))).reshape(row, side, side)
    upto, before = (jnp.asarray(np.tri(side, k=k), x.dtype) for k in (0, -1))
    within = jnp.einsum("rij,kj->rik", blocks, upto, precision="highest")
    earlier = jnp.einsum("ki,rij->rkj", before, blocks, precision="highest").sum(-1, keepdims=True)
    return (within + earlier).reshape(row, -1)[:, :n]


def _normalised(amplitude: Float[Array, " mode"], modes: Modes) -> Float[Array, " mode"]:
    """The amplitudes without a zero mode, scaled to a field of unit variance."""
    amplitude = amplitude.at[0].set(0)
    return amplitude / jnp.sqrt(jnp.sum(jnp.asarray(modes.count, amplitude.dtype) * amplitude**2))


Spectrum = NonParametric | Matern
