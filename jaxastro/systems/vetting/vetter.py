"""A trained ensemble with everything that prediction needs: inputs, members, calibration, decision thresholds."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxastro.stats import Calibrator
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.inputs import Inputs

_CHUNK = 2048
JOINED, OTHER = "+", "other"  # labels of a network with one output: PC+EB and other


@dataclasses.dataclass(frozen=True, eq=False)
class Meaning:
    """What the numbers of an ensemble stand for.

    Attributes:
        inputs: what a network takes in.
        classes: label of every logit.
        positive: the labels whose probabilities are added up.
        fraction: of positives among the training rows.
        thresholds: calibrated probability of every decision class (see `decide`).
    """

    inputs: Inputs
    classes: tuple[str, ...]
    positive: tuple[str, ...]
    fraction: float
    thresholds: dict[str, float]

    @property
    def positive_labels(self) -> tuple[str, ...]:
        """The labels of the data that count as positive, told apart where a network of one output joins them."""
        return tuple(label for name in self.positive for label in name.split(JOINED))


class Scored(NamedTuple):
    """What an ensemble says of signals, host arrays.

    Attributes:
        p: calibrated probability of the positive labels, mean over members.
        std: spread of the calibrated probability over members.
        labels: (object, label), uncalibrated probability of every label, mean over members.
    """

    p: Float[np.ndarray, "object"]
    std: Float[np.ndarray, "object"]
    labels: Float[np.ndarray, "object label"]


class Vetter(eqx.Module):
    """An ensemble as one callable: the calibrated probability of one prepared example.

    Attributes:
        members: the networks, stacked along a leading member axis.
        calibrator: from a member's probability to a calibrated one.
        meaning: inputs, labels and thresholds.
    """

    members: Any
    calibrator: Calibrator
    meaning: Meaning = eqx.field(static=True)

    def __call__(self, example: Example, *, keep: Bool[Array, "branch"] | None = None) -> Float[Array, ""]:
        """The calibrated probability of the positive labels, averaged over members; differentiable.

        Args:
            example: one row of `meaning.inputs(signals)`.
            keep: branches to show, the others are hidden (default: all).
        """
        return self.calibrator(self._positive(self.labels(example, keep=keep))).mean()

    def labels(self, example: Example, *, keep: Bool[Array, "branch"] | None = None) -> Float[Array, "member label"]:
        """The uncalibrated probability of every label by every member."""
        arrays, rest = eqx.partition(self.members, eqx.is_array)

        def one(member):
            return jax.nn.softmax(eqx.combine(member, rest)(example, keep=keep))

        return jax.vmap(one)(arrays) if jax.default_backend() != "cpu" else jax.lax.map(one, arrays)

    def score(self, signals: Signals) -> Scored:
        """All signals scored in chunks of one compiled program; rows with a flag are NaN."""
        examples = self.meaning.inputs(signals)
        good = np.flatnonzero(signals.flags == "")
        if not len(good):
            nothing = np.full(len(signals), np.nan)
            return Scored(nothing, nothing, np.full((len(signals), len(self.meaning.classes)), np.nan))
        probabilities = member_probabilities(self.members, jax.tree.map(lambda x: x[good], examples))
        calibrated = np.asarray(self.calibrator(self._positive(probabilities)))
        p, std = np.full(len(signals), np.nan), np.full(len(signals), np.nan)
        labels = np.full((len(signals), len(self.meaning.classes)), np.nan)
        p[good], std[good], labels[good] = calibrated.mean(0), calibrated.std(0), probabilities.mean(0)
        return Scored(p, std, labels)

    def _positive(self, probabilities: Any) -> Any:
        columns = [self.meaning.classes.index(label) for label in self.meaning.positive]
        return probabilities[..., np.asarray(columns)].sum(-1)


def member_probabilities(members: Any, examples: Example) -> Float[np.ndarray, "member object label"]:
    """The probability of every label, by every member of a stack of networks, for one or more prepared examples."""
    count = len(examples.scalars)
    size = min(_CHUNK, count)
    parts = []
    for first in range(0, count, _CHUNK):
        rows = np.minimum(np.arange(first, first + size), count - 1)  # the last chunk repeats its last row
        parts.append(_chunk(members, jax.tree.map(lambda x, rows=rows: x[rows], examples)))
    return np.concatenate(parts, axis=1)[:, :count]


@eqx.filter_jit
def _chunk(members: Any, examples: Example) -> Float[Array, "member object label"]:
    arrays, rest = eqx.partition(members, eqx.is_array)

    def one(member):
        return jax.vmap(lambda e: jax.nn.softmax(eqx.combine(member, rest)(e)))(examples)

    return jax.lax.map(one, arrays)


CLASSES = ("validated", "likely", "undecided", "unlikely", "rejected")


def decide(p: Float[np.ndarray, "object"], thresholds: dict[str, float]) -> np.ndarray:
    """The decision class of calibrated probabilities; empty where p is NaN.

    `validated` and `likely` stand above the thresholds at which .999 and .99 of what is above is positive in the
    held-out rows; `rejected` and `unlikely` below those at which .999 and .99 of what is below is negative.
    """
    conditions = [
        np.isnan(p), p >= thresholds["validated"], p >= thresholds["likely"],
        p <= thresholds["rejected"], p <= thresholds["unlikely"],
    ]  # fmt: skip
    return np.select(conditions, ["", "validated", "likely", "rejected", "unlikely"], "undecided")
