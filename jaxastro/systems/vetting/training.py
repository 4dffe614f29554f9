"""An ensemble on star-grouped folds in one program, calibrated on what no member saw."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxastro import stats
from jaxastro.errors import InputError
from jaxastro.systems.vetting import config
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.inputs import Inputs
from jaxastro.systems.vetting.model import Layout, Network
from jaxastro.systems.vetting.presets import AstroNet, WatsonNet
from jaxastro.systems.vetting.scaler import Scaler, constants
from jaxastro.systems.vetting.vetter import Meaning, Vetter, member_probabilities
from jaxastro.train import adamw, fit_members, mesh_of

INNER = 10  # folds inside an outer one, of which each member holds out one
PLANET_LABELS = ("PC", "CP", "KP", "CONFIRMED", "CANDIDATE", "APC", "planet")


class Folds(NamedTuple):
    """Which rows each member trains on and holds out; `quoted` is the fold in which a row's score is quoted."""

    rows: list[np.ndarray]
    held_out: list[np.ndarray]
    scored: list[np.ndarray]
    quoted: np.ndarray


class Trained(NamedTuple):
    """A calibrated ensemble and its scores of rows that the scoring members never saw.

    Attributes:
        vetter: the ensemble.
        folds: of the training rows.
        probability: calibrated with the other folds' rows.
        raw: before calibration.
        labels: (object, label) before calibration.
        history: columns per epoch, mean over members.
    """

    vetter: Vetter
    folds: Folds
    probability: np.ndarray
    raw: np.ndarray
    labels: np.ndarray
    history: dict[str, np.ndarray]


def positive_labels(labels: np.ndarray, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The labels that count as positive.

    Raises:
        InputError: a wanted label is not there, none means a planet, or there are no others.
    """
    there = sorted(set(labels))
    if missing := [name for name in wanted if name not in there]:
        raise InputError(f"Label '{missing[0]}' of --positive is not in the data; it has {', '.join(there)}.")
    chosen = wanted or tuple(name for name in there if name in PLANET_LABELS)
    if not chosen:
        raise InputError(f"None of the labels {', '.join(there)} is known to mean a planet; name them with --positive.")
    if set(chosen) == set(there):
        raise InputError(f"All rows are labelled {', '.join(there)}; training needs positive and other labels.")
    return chosen


def object_groups(signals: Signals) -> np.ndarray:
    """Group numbers that keep a star together, and exact copies of a signal wherever they stand."""
    views = [np.asarray(v).reshape(len(signals), -1) for v in signals.examples.views.values()]
    keys = [np.concatenate(views, axis=1)] if views else []
    return stats.merge_groups(signals.groups, *keys)


def make_folds(groups: np.ndarray, labels: np.ndarray, *, members: int, outer: int, seed: int) -> Folds:
    """Star-grouped, stratified folds: one per member, inside each of `outer` folds where there are any."""
    labels = _common(groups, labels, max(members, outer))
    if not outer:
        quoted = stats.grouped_folds(groups, labels, k=members, seed=seed)
        held_out = [np.flatnonzero(quoted == k) for k in range(members)]
        return Folds([np.flatnonzero(quoted != k) for k in range(members)], held_out, held_out, quoted)
    quoted = stats.grouped_folds(groups, labels, k=outer, seed=seed)
    rows, held_out, scored = [], [], []
    for fold in range(outer):
        inside = np.flatnonzero(quoted != fold)
        inner = stats.grouped_folds(groups[inside], labels[inside], k=max(members, INNER), seed=seed + 1 + fold)
        for k in range(members):
            rows.append(inside[inner != k])
            held_out.append(inside[inner == k])
            scored.append(np.flatnonzero(quoted == fold))
    return Folds(rows, held_out, scored, quoted)


def _common(groups: np.ndarray, labels: np.ndarray, least: int) -> np.ndarray:
    """Labels for stratification: those on too few stars to reach every fold count as the most common one."""
    names, number = np.unique(labels, return_inverse=True)
    stars = np.array([len(np.unique(groups[number == i])) for i in range(len(names))])
    return np.where((stars < least)[number], np.argmax(stars), number)


def build(layout: Layout, classes: int, options: config.Train, scaler: Scaler, key: Any) -> Any:
    """One untrained network of the chosen preset, with the scaler of its training rows."""
    if options.preset == "watson":
        return WatsonNet(
            layout, classes, branch_dropout=options.branch_dropout, dropout=options.dropout, scaler=scaler, key=key
        )
    if options.preset == "astronet":
        return AstroNet(layout, classes, key=key)
    return Network(
        layout, classes, width=options.width, hidden=options.hidden, dropout=options.dropout,
        branch_dropout=options.branch_dropout, scaler=scaler, key=key,
    )  # fmt: skip


def trainable(models: Any) -> Any:
    """Which leaves of networks to train: all weights, none of the scalers' constants."""
    fixed = lambda node: jax.tree.map(lambda _: False, node)  # noqa: E731
    return jax.tree.map(lambda x: fixed(x) if constants(x) else eqx.is_inexact_array(x), models, is_leaf=constants)


def decision_loss(positive: np.ndarray, label_weight: float) -> Any:
    """The loss of one signal: cross-entropy of positive against the rest, plus what tells labels apart on one side.

    The two parts add up to the cross-entropy of the labels where `label_weight` is 1. Every expert of a network has its
    own loss. Which epoch is best is decided by the first part of what they say together, the metric `decision`: labels
    within a side are noisier than the sides.

    Args:
        positive: which labels count as positive, a mask.
        label_weight: of the second part.
    """

    def one(logits: Any, label: Any) -> tuple[Any, Any]:
        logits = jax.nn.log_softmax(logits)
        same_side = jnp.asarray(positive) == jnp.asarray(positive)[label]
        decision = -jax.nn.logsumexp(logits, where=same_side)
        return decision + label_weight * (-logits[label] - decision), decision

    def loss(model: Any, example: tuple[Example, Any], key: Any) -> tuple[Any, dict[str, Any]]:
        inputs, label = example
        if not isinstance(model, Network):
            value, decision = one(model(inputs, key=key), label)
            return value, {"decision": decision}
        logits, weight = model.experts(inputs, key=key)
        each, _ = jax.vmap(one, (0, None))(logits, label)
        together = jnp.average(jax.nn.log_softmax(logits), axis=0, weights=weight)
        return jnp.average(each, weights=weight), {"decision": one(together, label)[1]}

    return loss


def augmentation(options: config.Train) -> Any:
    """Views of a training example with time reversed in half of the cases, and noise; one choice for all its views."""

    def augment(example: tuple[Example, Any], key: Any) -> tuple[Example, Any]:
        inputs, label = example
        key_flip, *keys = jax.random.split(key, len(inputs.views) + 1)
        flip = jax.random.bernoulli(key_flip) & options.flip
        views = {}
        for (name, view), k in zip(inputs.views.items(), keys, strict=True):
            views[name] = jnp.where(flip, view[::-1], view)
            if options.noise:
                views[name] += options.noise * jax.random.normal(k, view.shape) * inputs.view_present[name]
        return inputs._replace(views=views), label

    return augment if options.flip or options.noise else None


def train_ensemble(signals: Signals, options: config.Train, *, checkpoint: Path | None = None) -> Trained:
    """The ensemble trained on all `signals`, which must have labels and no flags.

    Args:
        signals: the training rows.
        options: of the training.
        checkpoint: folder that keeps the state of an unfinished training.

    Raises:
        InputError: labels or groups do not allow the folds that were asked for.
    """
    positive = positive_labels(signals.labels, options.positive)
    truth = np.isin(signals.labels, positive)
    if options.preset == "watson":  # the published network has one output
        signals, positive = _two_labels(signals, truth, positive)
    classes, number = np.unique(signals.labels, return_inverse=True)
    folds = make_folds(
        object_groups(signals), signals.labels, members=options.members, outer=options.outer_folds, seed=options.seed
    )
    inputs = Inputs.fit(signals, use=options.use, global_bins=options.global_bins)
    examples = inputs(signals)
    keys = jax.random.split(jax.random.key(options.seed), len(folds.rows))
    scalers = [Scaler.fit(examples.scalars[rows], examples.scalar_present[rows]) for rows in folds.rows]
    scalers = jax.tree.map(lambda *parts: jnp.stack(parts), *scalers)
    make = lambda scaler, key: build(inputs.layout, len(classes), options, scaler, key)  # noqa: E731
    models = eqx.filter_jit(eqx.filter_vmap(make))(scalers, keys)
    loss = decision_loss(np.isin(classes, positive), options.label_weight)
    fitted = fit_members(
        models, loss, (examples, number.astype(np.int32)), keys=keys, epochs=options.epochs,
        batch_size=options.batch_size, rows=folds.rows, validation=folds.held_out,
        optimizer=adamw(options.learning_rate, weight_decay=options.weight_decay), clip=5.0, monitor="decision",
        trainable=trainable(models),
        ema=options.average or None, augment=augmentation(options), mesh=mesh_of("member"),
        checkpoint=checkpoint, progress=not options.quiet, label="training",
    )  # fmt: skip
    members = eqx.nn.inference_mode(fitted.model)
    labels = out_of_fold(members, examples, folds, len(classes))
    raw = labels[:, np.isin(classes, positive)].sum(1)
    probability, calibrator = stats.cross_fit(getattr(stats, options.calibration), raw, truth, folds.quoted)
    calibrator = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), calibrator)
    meaning = Meaning(inputs, tuple(classes.tolist()), positive, float(truth.mean()), thresholds(truth, probability))
    history = {name: values.mean(1) for name, values in fitted.history.items()}
    return Trained(Vetter(members, calibrator, meaning), folds, probability, raw, labels, history)


def _two_labels(signals: Signals, truth: np.ndarray, positive: tuple[str, ...]) -> tuple[Signals, tuple[str, ...]]:
    name = "+".join(positive)
    return dataclasses.replace(signals, labels=np.where(truth, name, "other")), (name,)


def out_of_fold(members: Any, examples: Example, folds: Folds, classes: int) -> np.ndarray:
    """(object, label): every row's label probabilities, averaged over the members that never saw it."""
    total, count = np.zeros((len(examples.scalars), classes)), np.zeros((len(examples.scalars), 1))
    arrays, rest = eqx.partition(members, eqx.is_array)
    for i, rows in enumerate(folds.scored):
        member = eqx.combine(jax.tree.map(lambda x, i=i: x[i : i + 1], arrays), rest)
        total[rows] += member_probabilities(member, jax.tree.map(lambda x, r=rows: x[r], examples))[0]
        count[rows] += 1
    return total / count


def thresholds(truth: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """Probability of every decision class, from held-out rows."""
    return {
        "validated": stats.threshold_at_precision(truth, probability, 0.999),
        "likely": stats.threshold_at_precision(truth, probability, 0.99),
        "unlikely": stats.threshold_at_npv(truth, probability, 0.99),
        "rejected": stats.threshold_at_npv(truth, probability, 0.999),
    }
