"""`fit`: train any callable pytree on a loss of one example; whole epochs, and whole ensembles, in one program."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Key, PRNGKeyArray, PyTree

from jaxastro.errors import InputError, JaxastroError
from jaxastro.train import rows as row_index
from jaxastro.train.checkpoint import identity_of, load_checkpoint, save_checkpoint
from jaxastro.train.devices import Placement
from jaxastro.train.optimizer import Optimizer, adamw
from jaxastro.train.program import Loss, Program, State
from jaxastro.train.progress import progress as show_progress

M = TypeVar("M")


@dataclass(frozen=True)
class Fit(Generic[M]):
    """A trained model.

    Attributes:
        model: the weights with the best validation value (the last ones where nothing was held out).
        history: columns by name, one row per epoch; with a trailing member axis for ensembles.
        best_epoch: the epoch, counted from 1, of these weights.
    """

    model: M
    history: dict[str, np.ndarray]
    best_epoch: Any


class NonFiniteLoss(JaxastroError):
    """The loss or its gradient stopped being finite; `fit` holds the last good weights."""

    def __init__(self, message: str, fit: Fit):
        super().__init__(message)
        self.fit = fit


@dataclass(frozen=True)
class Batches:
    """Data that do not fit on the device: `make(epoch)` iterates over batches, pytrees with a shared leading axis.

    Every epoch must bring the same number of batches; a batch may be shorter than `batch_size`, never longer.
    """

    make: Callable[[int], Iterator[PyTree]]
    steps: int


def fit(
    model: M,
    loss: Loss,
    data: PyTree | Batches,
    *,
    key: PRNGKeyArray,
    epochs: int,
    batch_size: int,
    rows: Any = None,
    validation: Any = None,
    **options: Any,
) -> Fit[M]:
    """The model trained by stochastic gradient descent on `loss`, averaged over the examples of `data`.

    Args:
        model: callable pytree on one example (`equinox.Module`, `nnx.Module`, or any pytree that `loss` understands).
        loss: `loss(model, example, key)`, a scalar or `(scalar, metrics)`; `example` is one row of `data`.
        data: pytree of arrays that share their leading axis, or `Batches`.
        key: seed of shuffling, augmentation and dropout: same key, same weights on the same machine.
        epochs: passes over the training rows, at most.
        batch_size: examples per step; the last, shorter batch of an epoch counts by its true size.
        rows: indices of the training rows; all rows but the validation rows when not given.
        validation: indices of the held-out rows, or a pytree of held-out examples.
        options: as in `fit_members`.

    Raises:
        InputError: axes, rows or options do not fit together.
        NonFiniteLoss: the loss stopped being finite; its `fit` attribute holds the last good weights.
    """
    stacked = _add_member(model)
    one = lambda v: None if v is None else [v]  # noqa: E731
    try:
        result = fit_members(
            stacked, loss, data, keys=key[None], epochs=epochs, batch_size=batch_size, rows=one(rows),
            validation=one(validation) if row_index.is_rows(validation) else validation, **options,
        )  # fmt: skip
    except NonFiniteLoss as error:
        error.fit = _first(error.fit)
        raise
    return _first(result)


def fit_members(
    models: M,
    loss: Loss,
    data: PyTree | Batches,
    *,
    keys: Key[Array, " member"],
    epochs: int,
    batch_size: int,
    rows: Sequence[Any] | None = None,
    validation: Any = None,
    optimizer: Optimizer | None = None,
    learning_rate: float = 1e-3,
    weights: Any = None,
    augment: Callable[[Any, PRNGKeyArray], Any] | None = None,
    patience: int | None = None,
    ema: float | None = None,
    clip: float | None = None,
    accumulate: int = 1,
    monitor: str = "loss",
    trainable: Any = eqx.is_inexact_array,
    checkpoint: str | Path | None = None,
    identity: str = "",
    mesh: Mesh | None = None,
    progress: bool = True,
    label: str = "training",
) -> Fit[M]:
    """An ensemble trained in one compiled program: every array of `models` has a leading member axis.

    Members share `data` and differ in rows, keys and initial weights. On a CPU they run one after the other inside
    the program (a member that stopped early costs nothing), on an accelerator side by side.

    Args:
        models: pytree with a leading member axis, as `eqx.filter_vmap(make)(keys)` gives it.
        loss: as in `fit`.
        data: as in `fit`; `Batches` serve every member the same batches.
        keys: one key per member.
        epochs: as in `fit`.
        batch_size: as in `fit`.
        rows: one array of training rows per member; default: all rows that are not that member's validation rows.
        validation: a list of one array of held-out rows per member, or one pytree of held-out examples for all.
        optimizer: an optax transformation, or a function from the number of steps to one; default `adamw`.
        learning_rate: peak rate of the default optimizer.
        weights: one non-negative weight per row of `data`; they act on training and validation alike.
        augment: `augment(example, key)`, applied to training examples inside the program.
        patience: epochs without improvement of the validation value after which a member stops.
        ema: decay per step of a moving average of the weights, which then replaces them in validation and result.
        clip: largest global norm of a gradient.
        accumulate: batches whose gradients are averaged into one update.
        monitor: validation value that picks the best weights, "loss" or the name of a metric; smaller is better.
        trainable: filter of the arrays to train, as in `eqx.partition`; the others stay as they are.
        checkpoint: folder that keeps the state after an epoch; a fit that finds one there continues it.
        identity: what else makes a fit the one that a checkpoint may continue, such as the options of its loss; data,
            weights, rows, keys and the other arguments are compared anyway.
        mesh: devices; an axis named "batch" shares the examples of a step, an axis named "member" the members.
        progress: False for silence.
        label: the word before the progress.

    Raises:
        InputError: axes, rows or options do not fit together.
        NonFiniteLoss: a member's loss stopped being finite; the `fit` attribute holds the last good weights.
    """
    members = keys.shape[0]
    params, rest = eqx.partition(models, trainable)
    frozen, static = eqx.partition(rest, eqx.is_array)
    stream = data if isinstance(data, Batches) else None
    _check(epochs, batch_size, patience, validation, weights, None if stream else data)
    held, held_rows = (None, None) if validation is None else row_index.held_out(data, validation, members)
    train_rows = [] if stream else row_index.training(data, rows, held_rows if held is data else None, members)
    if weights is not None:
        train_rows = [r[np.asarray(weights)[r] > 0] for r in train_rows]
    steps = stream.steps if stream else -(-max(len(r) for r in train_rows) // batch_size)

    transform = _transform(adamw(learning_rate) if optimizer is None else optimizer, epochs * steps, clip, accumulate)
    placement = Placement(mesh, members)
    keys = placement.members(keys)
    state = placement.members(_start(params, transform, members, averaged=ema is not None))
    frozen = placement.members(frozen)
    weight = None if weights is None else placement.shared(np.asarray(weights, np.float32))
    resident = None if stream else placement.shared(data)
    program = Program(static, loss, transform, augment, ema, monitor, patience, mesh)
    run_epoch = jax.jit(program.epoch, donate_argnums=0)
    run_validation = jax.jit(program.validate, donate_argnums=0)
    if held_rows is not None:
        examples = (resident, weight) if held is data else (placement.shared(held), None)
        held_index = placement.members(row_index.padded(held_rows, batch_size))

    seeds = np.asarray(jax.random.key_data(keys))[:members].reshape(members, -1)
    saver = _Saver(
        checkpoint,
        (seeds, params, frozen, train_rows, held_rows, weights, None if stream else data, held, epochs, batch_size,
         steps, learning_rate, accumulate, ema, clip, patience, monitor, identity),
    )  # fmt: skip
    state, history = saver.resume(state, placement)
    with show_progress(epochs, label, enabled=progress, done=len(history)) as update:
        for epoch in range(len(history), epochs):
            first = epoch * steps
            if stream:
                parts = []
                for step, batch in enumerate(stream.make(epoch)):
                    batch, index = row_index.padded_batch(batch, batch_size, members)
                    batch, index = placement.shared(batch), placement.members(index)
                    state, part = run_epoch(state, frozen, keys, batch, None, index, jnp.int32(first + step))
                    parts.append(part)
                log = jax.tree.map(lambda *x: np.mean(x, axis=0), *parts)
            else:
                index = placement.members(row_index.shuffled(train_rows, seeds, epoch, steps, batch_size))
                state, log = run_epoch(state, frozen, keys, resident, weight, index, jnp.int32(first))
            if held_rows is None:
                state = state._replace(best_epoch=jnp.full_like(state.best_epoch, epoch + 1))
            else:
                state, values = run_validation(state, frozen, keys, *examples, held_index, jnp.int32(epoch + 1))
                log |= {f"validation_{name}": value for name, value in values.items()}
            history.append({name: np.asarray(value)[:members].tolist() for name, value in log.items()})
            shown = {n: float(np.nanmean(history[-1][n])) for n in ("loss", f"validation_{monitor}") if n in log}
            update(epoch + 1, **shown)
            stopped = np.asarray(state.bad_step) >= 0
            if patience is not None:
                stopped |= np.asarray(state.stalled) >= patience
            if stopped.all():
                update(epochs, **shown)
                break
            saver.save(state, history)

    final = state.best if held_rows is not None else (state.params if ema is None else state.average)
    trained = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)[:members]), final)
    columns = {name: np.asarray([row[name] for row in history]) for name in history[0]}
    number = np.repeat(np.arange(1, len(history) + 1)[:, None], members, axis=1)
    result = Fit(eqx.combine(trained, rest), {"epoch": number, **columns}, np.asarray(state.best_epoch)[:members])
    bad = np.asarray(state.bad_step)[:members]
    if (bad >= 0).any():
        raise NonFiniteLoss(_where(bad, steps), result)
    return result


def _check(epochs, batch_size, patience, validation, weights, data) -> None:
    if epochs < 1 or batch_size < 1:
        raise InputError(f"epochs = {epochs} and batch_size = {batch_size} were given; both must be at least 1.")
    if patience is not None and validation is None:
        raise InputError("patience was given without validation rows; hold rows out or leave patience away.")
    if weights is not None:
        w = np.asarray(weights)
        if data is None or w.shape != (row_index.length(data),) or not np.isfinite(w).all() or (w < 0).any():
            raise InputError(f"weights have shape {w.shape}; expected one finite, non-negative weight per row of data.")


def _transform(chosen: Optimizer, steps: int, clip: float | None, accumulate: int):
    make = chosen if not isinstance(chosen, optax.GradientTransformation) else lambda _: chosen
    transform = make(steps // accumulate)
    if clip is not None:
        transform = optax.chain(optax.clip_by_global_norm(clip), transform)
    return optax.MultiSteps(transform, accumulate) if accumulate > 1 else transform


def _start(params: Any, transform: Any, members: int, *, averaged: bool) -> State:
    # The program donates its state: every field needs buffers of its own.
    copy = lambda: jax.tree.map(jnp.copy, params)  # noqa: E731
    full = lambda value, dtype: jnp.full((members,), value, dtype)  # noqa: E731
    return State(
        params=copy(),
        opt_state=jax.vmap(transform.init)(params),
        average=copy() if averaged else None,
        best=copy(),
        best_value=full(jnp.inf, jnp.float32),
        best_epoch=full(0, jnp.int32),
        bad_step=full(-1, jnp.int32),
        stalled=full(0, jnp.int32),
    )


class _Saver:
    """Keeps the state after an epoch, spending at most a tenth of the time on it."""

    def __init__(self, folder: str | Path | None, parts: Any):
        self.folder = None if folder is None else Path(folder)
        self.identity = "" if folder is None else identity_of(parts)
        self.saved, self.cost = time.monotonic(), 0.0

    def resume(self, state: State, placement: Placement) -> tuple[State, list[dict[str, Any]]]:
        found = None if self.folder is None else load_checkpoint(self.folder, state, identity=self.identity)
        return (state, []) if found is None else (placement.members(found[0]), found[1]["history"])

    def save(self, state: State, history: list[dict[str, Any]]) -> None:
        began = time.monotonic()
        if self.folder is None or jax.process_index() != 0 or began - self.saved < 10 * self.cost:
            return
        save_checkpoint(self.folder, state, identity=self.identity, progress={"history": history})
        self.saved = time.monotonic()
        self.cost = self.saved - began


def _where(bad: np.ndarray, steps: int) -> str:
    who = int(np.argmax(bad >= 0))
    epoch, step = divmod(int(bad[who]), steps)
    member = f" of member {who + 1}" if len(bad) > 1 else ""
    return (
        f"The loss{member} stopped being finite at step {step + 1} of epoch {epoch + 1}; the weights before it are "
        "kept in this error's `fit`: lower the learning rate, set clip, or look at the data of that step."
    )


def _add_member(model: Any) -> Any:
    return jax.tree.map(lambda x: x[None] if eqx.is_array(x) else x, model)


def _first(result: Fit) -> Fit:
    model = jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, result.model)
    return Fit(model, {k: v[:, 0] for k, v in result.history.items()}, int(result.best_epoch[0]))
