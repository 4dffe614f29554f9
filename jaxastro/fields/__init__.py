"""Gaussian random fields, instrument response, sources and latent tension: functions for any NumPyro model."""

from jaxastro.fields.correlated import CorrelatedField as CorrelatedField
from jaxastro.fields.harmonic import Modes as Modes
from jaxastro.fields.harmonic import crop as crop
from jaxastro.fields.harmonic import hartley as hartley
from jaxastro.fields.harmonic import modes as modes
from jaxastro.fields.harmonic import padded as padded
from jaxastro.fields.priors import InverseGamma as InverseGamma
from jaxastro.fields.priors import LogNormal as LogNormal
from jaxastro.fields.priors import Normal as Normal
from jaxastro.fields.priors import sample_latents as sample_latents
from jaxastro.fields.priors import standard_normal as standard_normal
from jaxastro.fields.psf import PSF as PSF
from jaxastro.fields.psf import Points as Points
from jaxastro.fields.psf import crop_kernel as crop_kernel
from jaxastro.fields.psf import gaussian_kernel as gaussian_kernel
from jaxastro.fields.psf import node_positions as node_positions
from jaxastro.fields.response import Observation as Observation
from jaxastro.fields.response import power_law_integral as power_law_integral
from jaxastro.fields.spectra import Matern as Matern
from jaxastro.fields.spectra import NonParametric as NonParametric
