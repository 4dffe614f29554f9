"""Scalars of any range as numbers of order one, by constants of the training rows."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

KNOTS = 9


class Scaler(NamedTuple):
    """Constants of every scalar column: signed logarithm, centre and spread, and the quantiles of the training rows.

    Attributes:
        unit: size below which the signed logarithm of a column is linear; 0 where the column stays as it is.
        centre: median after that.
        spread: half of the central 68 % after that.
        knots: (scalar, knot), quantiles of the standardised column. How far a value lies between each pair is an
            encoding that no outlier can stretch.
    """

    unit: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    knots: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, present: np.ndarray) -> "Scaler":
        """The scaler of training rows: `values` and `present` are (object, scalar)."""
        if not values.shape[1]:
            return cls(*(np.zeros(0),) * 3, np.zeros((0, KNOTS)))  # pyright: ignore
        columns = [_column(v[p & np.isfinite(v)]) for v, p in zip(values.T, present.T, strict=True)]
        return cls(*(np.asarray(part) for part in zip(*columns, strict=True)))

    @property
    def features(self) -> int:
        """Numbers that a scalar becomes."""
        return self.knots.shape[1]

    def __call__(self, values: Any) -> Any:
        """The features of scalars (..., scalar) as (..., scalar, feature), float32; differentiable for JAX arrays.

        On NumPy arrays the logarithm is taken in float64, where false-alarm probabilities do not underflow.
        """
        xp = np if isinstance(values, np.ndarray) else jnp
        positive = self.unit > 0
        z = xp.where(positive, xp.sign(values) * xp.log1p(xp.abs(values) / np.where(positive, self.unit, 1)), values)
        z = (z - self.centre) / self.spread
        low, high = self.knots[:, :-1], self.knots[:, 1:]
        between = xp.clip((z[..., None] - low) / (high - low), 0, 1) - 0.5
        return xp.concatenate([xp.tanh(z[..., None] / 4) * 4, between], -1).astype(np.float32)

    def as_dict(self) -> dict[str, list]:
        """The constants as plain JSON types, for the model card."""
        return {name: value.tolist() for name, value in self._asdict().items()}

    @classmethod
    def from_dict(cls, values: dict[str, list]) -> "Scaler":
        """The scaler that a model card holds."""
        shape = (len(values["unit"]), KNOTS)
        return cls(*(np.asarray(values[n], float) for n in cls._fields[:3]), np.reshape(values["knots"], shape))  # pyright: ignore


def _column(known: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    if not len(known):
        return 0.0, 0.0, 1.0, np.linspace(-2, 2, KNOTS)
    size = np.abs(known[known != 0])
    low, high = np.quantile(size, [0.05, 0.95]) if len(size) else (1.0, 1.0)
    unit = low if high > 20 * low else 0.0
    z = np.sign(known) * np.log1p(np.abs(known) / unit) if unit else known
    centre = np.median(z)
    spread = max(np.subtract(*np.quantile(z, [0.84, 0.16])) / 2, 0.2 * z.std(), 1e-9)
    knots = np.quantile((z - centre) / spread, np.linspace(0, 1, KNOTS))
    return unit, centre, spread, knots + 1e-4 * np.arange(KNOTS)  # no interval of zero width
