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
from jaxastro.systems.vetting.pool import Pool, fit_pool
from jaxastro.systems.vetting.presets import AstroNet, WatsonNet
from jaxastro.systems.vetting.scaler import Scaler
from jaxastro.systems.vetting.vetter import JOINED, OTHER, Meaning, Vetter, member_probabilities
from jaxastro.train import adamw, fit_members, mesh_of

INNER = 10  # parts of what a member may see, of which it holds out one to pick its best epoch
PLANET_LABELS = ("PC", "CP", "KP", "CONFIRMED", "CANDIDATE", "APC", "planet")


class Folds(NamedTuple):
    """Which rows each member trains on, holds out to pick its best epoch, and is scored on.

    `quoted` is the fold in which a row's score is quoted.
    """

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
    """Star-grouped, stratified folds: `outer` of them with so many members each, or one member for each of `members`.

    A member never sees the fold that it is quoted on, and picks its best epoch on a tenth of what is left.

    Raises:
        InputError: fewer than two folds.
    """
    count, each = (outer, members) if outer else (members, 1)
    if count < 2:
        raise InputError(f"{count} fold was asked for; give at least 2 members, or at least 2 outer folds.")
    labels = _common(groups, labels, max(count, INNER))
    quoted = stats.grouped_folds(groups, labels, k=count, seed=seed)
    rows, held_out, scored = [], [], []
    for fold in range(count):
        inside = np.flatnonzero(quoted != fold)
        inner = stats.grouped_folds(groups[inside], labels[inside], k=max(each, INNER), seed=seed + 1 + fold)
        for k in range(each):
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


def trainable(model: Any) -> Any:
    """Which leaves of a network to train: all but the constants of its scaler and of its pool of experts."""
    fitted = lambda node: isinstance(node, Scaler | Pool)  # noqa: E731
    fixed = lambda node: jax.tree.map(lambda _: False, node)  # noqa: E731
    return jax.tree.map(lambda x: fixed(x) if fitted(x) else eqx.is_inexact_array(x), model, is_leaf=fitted)


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
        return jnp.average(each, weights=weight), {"decision": one(model.pool(logits, weight), label)[1]}

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
        checkpoint=checkpoint, identity=repr(dataclasses.replace(options, overwrite=False, quiet=False)),
        progress=not options.quiet, label="training",
    )  # fmt: skip
    members = with_pools(eqx.nn.inference_mode(fitted.model), examples, number, folds)
    rows, labels = out_of_fold(members, examples, folds)
    raw = labels[:, np.isin(classes, positive)].sum(1)
    each, calibrator = stats.cross_fit(getattr(stats, options.calibration), raw, truth[rows], folds.quoted[rows])
    raw, probability, labels = (_mean_by_row(values, rows) for values in (raw, each, labels))
    calibrator = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), calibrator)
    meaning = Meaning(inputs, tuple(classes.tolist()), positive, float(truth.mean()), thresholds(truth, probability))
    history = {name: values.mean(1) for name, values in fitted.history.items()}
    return Trained(Vetter(members, calibrator, meaning), folds, probability, raw, labels, history)


def _two_labels(signals: Signals, truth: np.ndarray, positive: tuple[str, ...]) -> tuple[Signals, tuple[str, ...]]:
    name = JOINED.join(positive)
    return dataclasses.replace(signals, labels=np.where(truth, name, OTHER)), (name,)


def with_pools(members: Any, examples: Example, label: np.ndarray, folds: Folds) -> Any:
    """The networks with pools of experts fitted on the rows that they held out, one for all members of a fold."""
    if not isinstance(members, Network) or len(members.sees) == 1:
        return members
    arrays, rest = eqx.partition(members, eqx.is_array)
    found = []
    for i, rows in enumerate(folds.held_out):
        member, held_out = (jax.tree.map(lambda x, at=at: x[at], tree) for tree, at in ((arrays, i), (examples, rows)))
        found.append((*map(np.asarray, _experts(member, rest, held_out)), label[rows]))
    fold = np.array([folds.quoted[rows[0]] for rows in folds.scored])
    fitted = {f: fit_pool(*map(np.concatenate, zip(*[found[i] for i in np.flatnonzero(fold == f)], strict=True)))
              for f in np.unique(fold)}  # fmt: skip
    weight = jnp.stack([fitted[f].weight for f in fold])
    return eqx.tree_at(lambda m: m.pool.weight, members, weight)


@eqx.filter_jit
def _experts(arrays: Any, rest: Any, examples: Example) -> tuple[Any, Any]:
    return jax.vmap(lambda example: eqx.combine(arrays, rest).experts(example))(examples)


def out_of_fold(members: Any, examples: Example, folds: Folds) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers, and (row, label) probabilities by one member that never saw the row; a row stands there for each."""
    arrays, rest = eqx.partition(members, eqx.is_array)
    parts = []
    for i, rows in enumerate(folds.scored):
        member = eqx.combine(jax.tree.map(lambda x, i=i: x[i : i + 1], arrays), rest)
        parts.append(member_probabilities(member, jax.tree.map(lambda x, r=rows: x[r], examples))[0])
    return np.concatenate(folds.scored), np.concatenate(parts)


def _mean_by_row(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of the values that stand for each row, in the order of the rows."""
    total = np.zeros((rows.max() + 1, *values.shape[1:]))
    np.add.at(total, rows, values)
    return (total.T / np.bincount(rows)).T


def thresholds(truth: np.ndarray, probability: np.ndarray, weight: np.ndarray | None = None) -> dict[str, float]:
    """Probability of every decision class, from held-out rows that count by their weight."""
    return {
        "validated": stats.threshold_at_precision(truth, probability, 0.999, weight),
        "likely": stats.threshold_at_precision(truth, probability, 0.99, weight),
        "unlikely": stats.threshold_at_npv(truth, probability, 0.99, weight),
        "rejected": stats.threshold_at_npv(truth, probability, 0.999, weight),
    }
