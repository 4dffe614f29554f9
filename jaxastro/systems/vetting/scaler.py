"""Scalars of any range as numbers of order one, by constants of the rows that a network was trained on."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

KNOTS = 9


class Scaler(eqx.Module):
    """Constants of every scalar column: signed logarithm, centre and spread, and the quantiles of the training rows.

    A part of the network, so that every member of an ensemble has the constants of its own training rows; no
    optimiser may move them (`training.trainable`).

    Attributes:
        unit: size below which the signed logarithm of a column is linear; 0 where the column stays as it is.
        centre: median after that.
        spread: half of the central 68 % after that.
        knots: quantiles of the standardised column. How far a value lies between each pair is an encoding that no
            outlier can stretch.
    """

    unit: Float[Array, "scalar"]
    centre: Float[Array, "scalar"]
    spread: Float[Array, "scalar"]
    knots: Float[Array, "scalar knot"]

    @classmethod
    def fit(cls, values: Float[np.ndarray, "object scalar"], present: Bool[np.ndarray, "object scalar"]) -> "Scaler":
        """The scaler of training rows."""
        columns = [_column(v[p & np.isfinite(v)]) for v, p in zip(values.T.astype(float), present.T, strict=True)]
        if not columns:
            return cls.plain(0)
        return cls(*(jnp.asarray(np.asarray(part), jnp.float32) for part in zip(*columns, strict=True)))

    @classmethod
    def plain(cls, count: int) -> "Scaler":
        """The scaler of scalars that are of order one already."""
        knots = jnp.broadcast_to(jnp.linspace(-2, 2, KNOTS), (count, KNOTS))
        return cls(jnp.zeros(count), jnp.zeros(count), jnp.ones(count), knots)

    def __call__(self, values: Float[Array, "scalar"]) -> Float[Array, "scalar feature"]:
        """The features of the scalars of one signal; the first of each is the standardised value, bent towards 4."""
        positive = self.unit > 0
        size = jnp.abs(values) / jnp.where(positive, self.unit, 1)
        z = (jnp.where(positive, jnp.sign(values) * jnp.log1p(size), values) - self.centre) / self.spread
        low, high = self.knots[:, :-1], self.knots[:, 1:]
        between = jnp.clip((z[:, None] - low) / (high - low), 0, 1) - 0.5
        return jnp.concatenate([4 * jnp.tanh(z[:, None] / 4), between], -1)


def _column(known: Float[np.ndarray, "row"]) -> tuple[float, float, float, np.ndarray]:
    if not len(known):
        return 0.0, 0.0, 1.0, np.linspace(-2, 2, KNOTS)
    size = np.abs(known[np.abs(known) > 1e-30])  # what float32 can divide by
    low, high = np.quantile(size, [0.05, 0.95]) if len(size) else (1.0, 1.0)
    unit = low if high > 20 * low else 0.0
    z = np.sign(known) * np.log1p(np.abs(known) / unit) if unit else known
    centre = np.median(z)
    spread = max(np.subtract(*np.quantile(z, [0.84, 0.16])) / 2, 0.2 * z.std(), 1e-9)
    knots = np.quantile((z - centre) / spread, np.linspace(0, 1, KNOTS))
    return unit, centre, spread, knots + 1e-4 * np.arange(KNOTS)  # no interval of zero width
