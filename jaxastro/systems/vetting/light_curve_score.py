"""The score of a raw light curve as a function of depth, period and epoch: derivatives, and scores of samples."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.errors import InputError
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.ephemeris import Ephemeris
from jaxastro.systems.vetting.folding import SHORTEST, folded, padded, power_of_two, window_cadences
from jaxastro.systems.vetting.lightcurve import LightCurve
from jaxastro.systems.vetting.vetter import Vetter
from jaxastro.systems.vetting.views import Folded, build_views


class Change(NamedTuple):
    """How a signal differs from the one that was reported.

    Attributes:
        depth: relative: 0.1 makes every dip a tenth deeper.
        period_day: added to the period, at a fixed epoch.
        epoch_day: added to the epoch.
    """

    depth: Any = 0.0
    period_day: Any = 0.0
    epoch_day: Any = 0.0


def score_of_change(
    vetter: Vetter, curve: LightCurve, ephemeris: Ephemeris, signals: Signals, *, others: Sequence[Ephemeris] = ()
) -> Callable[[Change], Float[Array, ""]]:
    """The calibrated probability as a function of a `Change`, differentiable; `jax.vmap` it over samples.

    Views are binned softly (each cadence is shared by two bins), so the probability without a change differs a little
    from that of `Vetter.score`.

    Args:
        vetter: an ensemble whose views are built from light curves.
        curve: of the star.
        ephemeris: of the signal as reported.
        signals: the one signal, as `signals_from_curves` gives it, for the scalars that the curve does not tell.
        others: the star's other signals, left out.

    Raises:
        InputError: the ensemble was trained on views that another pipeline made.
    """
    inputs = vetter.meaning.inputs
    if inputs.recipe.kind != "watson":
        raise InputError(
            f"The model's views are '{inputs.recipe.kind}', made outside of jaxastro; derivatives with respect to the "
            "ephemeris need a model trained on light curves."
        )
    signal = folded(curve, ephemeris, inputs.recipe, others=others)
    width, length = window_cadences(signal), power_of_two(len(signal.time), SHORTEST)
    cycles = np.floor((curve.time - ephemeris.t0_bjd) / ephemeris.period_day + 0.5)
    column = {name: i for i, name in enumerate(signals.scalar_names)}
    known = np.array([signals.examples.scalars[0, column[n]] if n in column else 0 for n in inputs.scalar_names])
    there = np.array([n in column and signals.examples.scalar_present[0, column[n]] for n in inputs.scalar_names], bool)
    signal, known, there = jax.tree.map(jnp.asarray, (padded(signal, length), known.astype(np.float32), there))
    first = jnp.float32(cycles.min())

    def score(change: Change) -> Float[Array, ""]:
        return _score(vetter, signal, known, there, change, first, width)

    return score


@eqx.filter_jit
def _score(vetter: Vetter, signal: Folded, known, there, change: Change, first, width: int) -> Float[Array, ""]:
    inputs = vetter.meaning.inputs
    inside = jnp.abs(signal.tau) < signal.duration / 2
    deeper = signal._replace(flux=signal.flux * (1 + change.depth * inside))
    built = build_views(
        deeper, inputs.recipe, width=width, soft=True, period_shift=change.period_day,
        epoch_shift=change.epoch_day + first * change.period_day,  # transits are counted from the first one seen
    )  # fmt: skip
    measured = {**built.measured, "period_day": signal.period + change.period_day}
    scalars = jnp.stack([measured.get(name, known[i]) for i, name in enumerate(inputs.scalar_names)])
    views = {n: built.views.get(n, jnp.zeros(shape)) for n, shape in inputs.views.items()}
    present = {n: built.present.get(n, jnp.bool_(False)) for n in inputs.views}
    return vetter(Example(views, present, scalars, there))


class Sensitivity(NamedTuple):
    """A probability and its derivatives.

    Attributes:
        p: calibrated probability.
        per_depth: change of p for a dip twice as deep, to first order.
        per_period_day: change of p per day of the period.
        per_epoch_day: change of p per day of the epoch.
    """

    p: float
    per_depth: float
    per_period_day: float
    per_epoch_day: float


def sensitivity(score: Callable[[Change], Float[Array, ""]]) -> Sensitivity:
    """How the probability answers to depth, period and epoch; `score` is from `score_of_change`."""
    p, slope = jax.value_and_grad(score)(Change(*jnp.zeros(3)))
    return Sensitivity(float(p), *(float(s) for s in slope))


def scores_of_samples(
    score: Callable[[Change], Float[Array, ""]],
    period_day: Float[Any, "draw"],
    epoch_day: Float[Any, "draw"],
) -> Float[np.ndarray, "draw"]:
    """The probability for samples of the ephemeris, given as offsets from the reported one.

    Args:
        score: from `score_of_change`.
        period_day: offsets of the period, days.
        epoch_day: offsets of the epoch, days.
    """
    offsets = jnp.asarray(period_day, jnp.float32), jnp.asarray(epoch_day, jnp.float32)
    return np.asarray(jax.lax.map(lambda o: score(Change(jnp.float32(0), *o)), offsets))
