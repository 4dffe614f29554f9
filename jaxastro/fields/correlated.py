"""A Gaussian random field with a learned power spectrum on a padded periodic grid."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from jaxastro.fields.harmonic import Modes, crop, hartley, modes, padded
from jaxastro.fields.priors import LogNormal
from jaxastro.fields.spectra import Latents, NonParametric, Spectrum


class CorrelatedField(eqx.Module):
    """A field offset + H[A xi] / V with unknown power spectrum, in NIFTy's normalisation.

    Priors are leaves: changing them recompiles nothing. Shape, pixel and padding are static.

    Attributes:
        shape: pixels (y, x) of the field that is returned.
        spectrum: the prior of the power spectrum.
        offset_mean: prior mean of the field.
        offset_std: prior of the standard deviation of the field's average around it.
        pixel: side of a pixel, in the unit in which wave numbers are meant.
        grid: pixels of the periodic grid on which the field is drawn, by default `padded(shape)`; `shape` for none.
    """

    shape: tuple[int, int] = eqx.field(static=True)
    spectrum: Spectrum = NonParametric()
    offset_mean: ArrayLike = 0.0
    offset_std: LogNormal = LogNormal(0.5, 0.2)
    pixel: float = eqx.field(static=True, default=1.0)
    grid: tuple[int, int] = eqx.field(static=True, default=(0, 0))

    def __check_init__(self):
        if self.grid == (0, 0):
            object.__setattr__(self, "grid", padded(self.shape))

    @property
    def modes(self) -> Modes:
        """The distinct modes of the padded grid."""
        return modes(self.grid, self.pixel)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every standard normal latent that the field is a function of; `xi` are the harmonic excitations."""
        return {"xi": self.grid, "offset_std": ()} | self.spectrum.shapes(self.modes)

    def amplitude(self, latents: Latents) -> Float[Array, " mode"]:
        """Amplitude of each distinct mode, in units of the volume, with the zero mode's own prior at 0."""
        return self.spectrum(latents, self.modes).at[0].set(self.offset_std(latents["offset_std"]))

    def __call__(self, latents: Latents) -> Float[Array, "y x"]:
        """The field at these standard normal latents (see `shapes`)."""
        excited = self.amplitude(latents)[self.modes.index] * latents["xi"]
        return jnp.add(self.offset_mean, crop(hartley(excited), self.shape))
