"""Calibration of probabilities: fitted on the host in float64, kept as arrays, applied under jit and grad.

Each fit is a function `(probability, label, weight=None) -> calibrator`, each calibrator a pytree that maps
probabilities to probabilities. Platt (1999); temperature: Guo et al. (2017, arXiv:1706.04599); beta: Kull, Silva Filho
& Flach (2017, AISTATS 54, 623); isotonic: Zadrozny & Elkan (2002, KDD, 694).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from jaxastro.errors import InputError
from jaxastro.stats.intervals import wilson
from jaxastro.stats.scores import Rows, checked_probabilities, equal_mass_bins

Array: TypeAlias = jax.Array | np.ndarray
Probabilities: TypeAlias = Float[Array, "*rows"]

M = TypeVar("M", bound=eqx.Module)

_EDGE = 1e-7  # the nearest that float32 probabilities come to 1
RIDGE = 0.01  # of beta calibration


def logit(probability: Probabilities) -> Float[jax.Array, "*rows"]:
    """ln(p / (1 - p)) of probabilities held between 1e-7 and 1 - 1e-7, so that 0 and 1 stay finite."""
    p = jnp.clip(probability, _EDGE, 1 - _EDGE)
    return jnp.log(p) - jnp.log1p(-p)


class Temperature(eqx.Module):
    """sigmoid(logit(p) / temperature): sharpens or softens, and leaves 1/2 and the order as they are."""

    temperature: Float[Array, ""]

    def __call__(self, probability: Probabilities) -> Float[jax.Array, "*rows"]:
        c = _as(self, probability)
        return jax.nn.sigmoid(logit(probability) / c.temperature)


class Platt(eqx.Module):
    """sigmoid(slope logit(p) + offset)."""

    slope: Float[Array, ""]
    offset: Float[Array, ""]

    def __call__(self, probability: Probabilities) -> Float[jax.Array, "*rows"]:
        c = _as(self, probability)
        return jax.nn.sigmoid(c.slope * logit(probability) + c.offset)


class Beta(eqx.Module):
    """sigmoid(a ln p - b ln(1 - p) + c), with a and b not negative, so that the order stays."""

    a: Float[Array, ""]
    b: Float[Array, ""]
    c: Float[Array, ""]

    def __call__(self, probability: Probabilities) -> Float[jax.Array, "*rows"]:
        k, p = _as(self, probability), jnp.clip(probability, _EDGE, 1 - _EDGE)
        return jax.nn.sigmoid(k.a * jnp.log(p) - k.b * jnp.log1p(-p) + k.c)


class Isotonic(eqx.Module):
    """Rising steps, linear between the knots and constant outside them."""

    probability: Float[Array, "knot"]
    calibrated: Float[Array, "knot"]

    def __call__(self, probability: Probabilities) -> Float[jax.Array, "*rows"]:
        c = _as(self, probability)
        return jnp.interp(probability, c.probability, c.calibrated)


class Shifted(eqx.Module):
    """A calibrator for a population with another fraction of positives than that of its rows (`shift_prior`)."""

    calibrator: Any
    train_prior: float
    target_prior: float

    def __call__(self, probability: Probabilities) -> Float[jax.Array, "*rows"]:
        return jnp.asarray(shift_prior(self.calibrator(probability), self.train_prior, self.target_prior))


def _as(calibrator: M, probability: Array) -> M:
    """The calibrator in the dtype of its input, so that the output has it too."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.asarray(probability).dtype), calibrator)


Calibrator: TypeAlias = Temperature | Platt | Beta | Isotonic | Shifted
Method: TypeAlias = Callable[..., Calibrator]


def temperature(probability: Rows, label: Rows, weight: Rows | None = None) -> Temperature:
    """The temperature of least log loss, at most 1000 where the scores carry no information."""
    label, probability, weight = checked_probabilities(label, probability, weight)
    (slope,), _ = _logistic([_host_logit(probability)], label, weight, intercept=False)
    return Temperature(np.asarray(1 / max(slope, 1e-3)))


def platt(probability: Rows, label: Rows, weight: Rows | None = None) -> Platt:
    """Slope and offset of least log loss: unregularised logistic regression on the logit."""
    label, probability, weight = checked_probabilities(label, probability, weight)
    (slope,), offset = _logistic([_host_logit(probability)], label, weight)
    return Platt(np.asarray(slope), np.asarray(offset))


def beta(probability: Rows, label: Rows, weight: Rows | None = None) -> Beta:
    """a, b, c of least log loss; a coefficient that would be negative is set to 0 and the other fitted alone.

    A slight ridge keeps scores that hardly vary from being blown up; what informative scores ask for outweighs
    it by the number of rows.
    """
    label, probability, weight = checked_probabilities(label, probability, weight)
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    features = [np.log(p), -np.log1p(-p)]
    both, offset = _logistic(features, label, weight, strength=RIDGE)
    ab = np.maximum(both, 0.0)
    if (both < 0).any():
        keep = int(np.argmax(both))
        (alone,), offset = _logistic([features[keep]], label, weight, strength=RIDGE)
        ab[1 - keep], ab[keep] = 0.0, max(alone, 0.0)
    return Beta(np.asarray(ab[0]), np.asarray(ab[1]), np.asarray(offset))


def isotonic(probability: Rows, label: Rows, weight: Rows | None = None, *, floor: float = 0.0) -> Isotonic:
    """The rising step function of least squared error, kept between `floor` and 1 - `floor`.

    Few positives give steps at exactly 0 and 1; a floor above 0 keeps the log loss finite.
    """
    label, probability, weight = checked_probabilities(label, probability, weight)
    fitted = IsotonicRegression(y_min=floor, y_max=1 - floor).fit(probability, label, weight)
    return Isotonic(fitted.X_thresholds_.astype(float), fitted.y_thresholds_.astype(float))


def cross_fit(
    method: Method, probability: Rows, label: Rows, folds: Int[np.ndarray, "row"], weight: Rows | None = None
) -> tuple[Float[np.ndarray, "row"], Calibrator]:
    """Calibrated probabilities of each row from the other folds' rows, and the calibrator of all rows.

    Score the first, ship the second.

    Args:
        method: `temperature`, `platt`, `beta` or `isotonic`, or a `functools.partial` of one.
        probability: of class 1, from models that did not train on the row.
        label: 0 or 1.
        folds: fold of each row, objects whole (`grouped_folds`).
        weight: how often each row counts; default once.

    Raises:
        InputError: unequal lengths, values that are no probabilities or labels, one class only outside a fold, or
            fewer than two folds.
    """
    label, probability, weight = checked_probabilities(label, probability, weight)
    if len(folds) != len(label) or len(np.unique(folds)) < 2:
        raise InputError(
            f"Expected at least two folds, one number per row, found {len(np.unique(folds))} folds in {len(folds)} "
            f"numbers for {len(label)} rows."
        )
    calibrated = np.empty(len(label))
    with jax.enable_x64():
        for fold in np.unique(folds):
            held_out = folds == fold
            calibrator = method(probability[~held_out], label[~held_out], weight[~held_out])
            calibrated[held_out] = calibrator(probability[held_out])
    return calibrated, method(probability, label, weight)


class Reliability(NamedTuple):
    """A reliability diagram: what happened, bin by bin, over what was forecast."""

    forecast: Float[np.ndarray, "bin"]
    """Mean probability."""
    frequency: Float[np.ndarray, "bin"]
    """Fraction of positives, with Wilson's interval `low` to `high`."""
    low: Float[np.ndarray, "bin"]
    high: Float[np.ndarray, "bin"]


def reliability(truth: Rows, probability: Rows, bins: int = 10, level: float = 0.95) -> Reliability:
    """Forecast and observed frequency with intervals in equal-mass bins, for `plots.reliability(ax, *...)`."""
    b = equal_mass_bins(truth, probability, bins)
    bounds = [wilson(round(f * n), int(n), level) for f, n in zip(b.frequency, b.count, strict=True)]
    return Reliability(b.forecast, b.frequency, np.array([s.low for s in bounds]), np.array([s.high for s in bounds]))


def shift_prior(probability: Array | float, train_prior: Array | float, target_prior: Array | float) -> Array | float:
    """Probabilities for a population with another fraction of positives, by Bayes' rule.

    Right where only the mix of classes differs, not what each class looks like (Saerens et al. 2002, eq. 4).

    Args:
        probability: calibrated where the fraction of positives is `train_prior`.
        train_prior: fraction of positives in the calibration data, between 0 and 1.
        target_prior: fraction of positives in the user's population.
    """
    positive = probability * (target_prior / train_prior)
    return positive / (positive + (1 - probability) * ((1 - target_prior) / (1 - train_prior)))


def _host_logit(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, _EDGE, 1 - _EDGE)
    return np.log(p) - np.log1p(-p)


def _logistic(
    features: list[np.ndarray], label: np.ndarray, weight: np.ndarray, intercept: bool = True, strength: float = 0.0
) -> tuple[np.ndarray, float]:
    """Coefficients and intercept of the logistic regression, unregularised unless a ridge has a strength."""
    if len(np.unique(label[weight > 0])) < 2:
        raise InputError("The labels hold one class only; a calibration needs positive and negative rows.")
    c = 1 / strength if strength else np.inf
    model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10, max_iter=200, fit_intercept=intercept)
    model.fit(np.stack(features, 1), label, weight)
    return model.coef_[0], float(np.ravel(model.intercept_)[0])
