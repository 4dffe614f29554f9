"""Where along its inputs a score comes from: gradients integrated from a baseline to the example."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

T = TypeVar("T")


def integrated_gradients(score: Callable[[T], Array], example: T, baseline: T, *, steps: int = 64) -> T:
    """The part of `score(example) - score(baseline)` that every number of the example accounts for.

    Gradients along the straight line between the two, by Gauss-Legendre quadrature; the parts sum to the difference
    up to the error of the quadrature (Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 1).

    Args:
        score: scalar function of a pytree of floating-point arrays.
        example: where to explain.
        baseline: what stands for the absence of a signal, shaped like `example`.
        steps: points of the quadrature.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    difference = jax.tree.map(jnp.subtract, example, baseline)

    def gradient(t):
        return jax.grad(score)(jax.tree.map(lambda b, d: b + t * d, baseline, difference))

    along = jax.lax.map(gradient, jnp.asarray((nodes + 1) / 2, jnp.float32), batch_size=16)
    mean = jax.tree.map(lambda g: jnp.tensordot(jnp.asarray(weights / 2, g.dtype), g, 1), along)
    return jax.tree.map(jnp.multiply, mean, difference)
