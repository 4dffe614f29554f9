"""Temperature and nucleus sampling, for those who want what is likely rather than the population."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxastro.nn.mixture import Mixture


class Sharpness(NamedTuple):
    """How far sampling departs from the density: (1, 1) is the density itself, the only unbiased choice.

    Attributes:
        temperature: below one prefers what is likely.
        top_p: keeps only the likeliest choices that together hold this probability.
    """

    temperature: float = 1.0
    top_p: float = 1.0

    def __call__(self, log_weight: Float[Array, " choice"]) -> Float[Array, " choice"]:
        """The log weights, sharpened."""
        if self.temperature != 1.0:
            log_weight = jax.nn.log_softmax(log_weight / self.temperature)
        if self.top_p < 1.0:
            order = jnp.argsort(-log_weight)
            before = jnp.cumsum(jnp.exp(log_weight[order])) - jnp.exp(log_weight[order])
            log_weight = jnp.where((before < self.top_p)[jnp.argsort(order)], log_weight, -jnp.inf)
        return log_weight

    def mixture(self, mixture: Mixture) -> Mixture:
        """The mixture with sharpened weights; widths scale with the root of the temperature."""
        if self == Sharpness():
            return mixture
        log_sd = mixture.log_sd + 0.5 * math.log(self.temperature)
        return mixture._replace(log_weight=self(mixture.log_weight), log_sd=log_sd)
