"""Layers that no library has: scan-safe convolutions, mixture and binned densities, a cached decoder."""

from jaxastro.nn.binned import Binned as Binned
from jaxastro.nn.binned import BinnedHead as BinnedHead
from jaxastro.nn.conv import Conv1d as Conv1d
from jaxastro.nn.conv import conv1d as conv1d
from jaxastro.nn.conv import max_pool as max_pool
from jaxastro.nn.mixture import Mixture as Mixture
from jaxastro.nn.mixture import MixtureHead as MixtureHead
from jaxastro.nn.transformer import Decoder as Decoder
