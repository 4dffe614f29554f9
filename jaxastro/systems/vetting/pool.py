"""What several experts say together: a weighted sum of log probabilities, its weights fitted on rows held out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.optimize import minimize

PULL = 1e-3


class Pool(eqx.Module):
    """A logarithmic opinion pool (Genest & Zidek 1986, Statistical Science 1, 114).

    Attributes:
        weight: of every expert; at first all are equal and add up to 1.
    """

    weight: Float[Array, "expert"]

    @classmethod
    def equal(cls, experts: int) -> "Pool":
        """The pool that trusts all experts alike."""
        return cls(jnp.full(experts, 1 / experts))

    def __call__(self, logits: Float[Array, "expert label"], sighted: Float[Array, "expert"]) -> Float[Array, "label"]:
        """The pooled logits; the weight of experts that see nothing (`sighted` 0) goes to the others."""
        weight = self.weight * sighted
        return (self.weight.sum() / jnp.maximum(weight.sum(), 1e-6) * weight) @ jax.nn.log_softmax(logits)


def fit_pool(
    logits: Float[np.ndarray, "object expert label"],
    sighted: Float[np.ndarray, "object expert"],
    label: Int[np.ndarray, "object"],
) -> Pool:
    """The pool with the least log loss of the labels, with a slight pull towards equal weights."""
    equal = Pool.equal(logits.shape[1]).weight
    said, saw, true = jnp.asarray(logits), jnp.asarray(sighted), jnp.asarray(label)

    @jax.jit
    def loss(weight):
        together = jax.nn.log_softmax(jax.vmap(Pool(weight))(said, saw))
        return PULL * jnp.sum((weight - equal) ** 2) - jnp.take_along_axis(together, true[:, None], 1).mean()

    def value_and_slope(weight):
        value, slope = jax.value_and_grad(loss)(jnp.asarray(weight, jnp.float32))
        return float(value), np.asarray(slope, float)

    bounds = [(0, None)] * len(equal)
    found = minimize(value_and_slope, np.asarray(equal, float), jac=True, bounds=bounds, method="L-BFGS-B")
    return Pool(jnp.asarray(found.x, jnp.float32))
