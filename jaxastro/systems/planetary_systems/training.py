"""Training: known planets and hidden contexts at random as augmentation, and folds that do not depend on the table."""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int, PRNGKeyArray

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.config import Train
from jaxastro.systems.planetary_systems.known import reveal
from jaxastro.systems.planetary_systems.layout import System
from jaxastro.systems.planetary_systems.model import Generator, Member
from jaxastro.systems.planetary_systems.tokens import Grid, GridGenerator, GridMember
from jaxastro.train import adamw, fit_members, inference_mode


def fold_of(names: Sequence[Any], folds: int) -> Int[np.ndarray, " system"]:
    """The fold of each system by the last digit of its number, or of a checksum of its name.

    A system keeps its fold whatever else is in the table. The digits that occur are shared out in order, so that the
    Bern systems without multiples of five fall into {1, 2}, {3, 4}, {6, 7}, {8, 9}.

    Raises:
        InputError: there are fewer different digits than folds.
    """
    text = [str(name) for name in names]
    digit = np.array([int(t) % 10 if t.isdecimal() else zlib.crc32(t.encode()) % 10 for t in text])
    present = np.unique(digit)
    if len(present) < folds:
        raise InputError(f"Cannot make {folds} folds of {len(text)} systems with {len(present)} final digits.")
    of_digit = np.concatenate([np.full(len(part), i) for i, part in enumerate(np.array_split(present, max(folds, 1)))])
    return of_digit[np.searchsorted(present, digit)]


def template(options: Train, context: tuple[tuple[float, ...], tuple[float, ...]], key: PRNGKeyArray) -> Any:
    """One untrained network of the configured preset."""
    size: dict[str, Any] = {name: getattr(options, name) for name in ("width", "layers", "heads", "dropout")}
    if options.preset == "paper":
        return GridMember(grid=Grid(options.cells), **size, key=key)
    edge = math.log10(options.mass_edge) if options.mass_edge > 0 else None
    mean, sd = context
    return Member(**size, components=options.components, mass_edge=edge, context_mean=mean, context_sd=sd, key=key)


def pooled(members: Sequence[Any]) -> Any:
    """The model that a set of trained networks makes."""
    members = tuple(inference_mode(member) for member in members)
    return GridGenerator(members) if isinstance(members[0], GridMember) else Generator(members)


def alone(systems: System) -> System:
    """The systems with nothing known of them beforehand."""
    return systems._replace(known=jax.tree.map(lambda a: a[..., :0, :], systems.known))


def without_context(systems: System) -> System:
    """The systems with star and disc hidden."""
    return systems._replace(has_context=jnp.zeros_like(systems.has_context))


def cropped(systems: System) -> System:
    """The systems padded to the longest among them."""
    longest = int(systems.mask.sum(-1).max())
    names = ("log_a", "log_mass", "log_radius", "mask", "has_radius")
    return systems._replace(**{name: getattr(systems, name)[..., :longest] for name in names})


MOVE = 0.03
"""Dex by which a training system moves in or out as a whole: a system a few percent larger is about as likely."""
HIDDEN, WHOLE = 0.4, 0.4
"""How often nothing of star and disc is given, and how often everything; otherwise each property is, four times of
five."""


def augment(system: System, key: PRNGKeyArray) -> System:
    """The system a little moved, some of its planets known, star and disc hidden, given whole or given in part."""
    show, how, part, move = jax.random.split(key, 4)
    log_a = system.log_a + MOVE * jax.random.normal(move, dtype=system.log_a.dtype)
    system = system._replace(log_a=jnp.where(system.mask, log_a, 0.0))
    how = jax.random.uniform(how)
    keep = (how >= HIDDEN) & ((how >= 1 - WHOLE) | jax.random.bernoulli(part, 0.8, system.has_context.shape))
    return reveal(system._replace(has_context=system.has_context & keep), show)


SHIFT = 0.1
"""Dex by which whole training systems move in place and mass where they are written in cells, about a cell's side."""


def shift(system: System, key: PRNGKeyArray) -> System:
    """The system moved and made heavier or lighter as a whole, so that it falls into other cells in every epoch."""
    move = SHIFT * jax.random.normal(key, (2,), system.log_a.dtype)
    there = lambda a: jnp.where(system.mask, a, 0.0)  # noqa: E731
    return system._replace(log_a=there(system.log_a + move[0]), log_mass=there(system.log_mass + move[1]))


def context_scale(systems: System) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Centre and scale of each property of star and disc where it is given."""
    values, given = np.asarray(systems.context, float), np.asarray(systems.has_context)
    count = np.maximum(given.sum(0), 1)
    mean = (values * given).sum(0) / count
    sd = np.sqrt((((values - mean) * given) ** 2).sum(0) / count)
    return tuple(mean.tolist()), tuple(np.where(sd > 1e-3, sd, 1.0).tolist())


def train_models(
    systems: System,
    fold: Int[np.ndarray, " system"],
    left_out: Sequence[int],
    options: Train,
    *,
    checkpoint: Path | None = None,
) -> tuple[list[Any], dict[str, np.ndarray]]:
    """One model for each fold left out, all their networks trained in one program, and the columns of the history.

    Every network stops early on its own random tenth of its training systems, scored with and without context. What
    comes out for a fold does not depend on which others are trained beside it.

    Args:
        systems: all systems.
        fold: the fold of each.
        left_out: for each model the fold that it does not see (one that does not exist: it sees all).
        options: the configuration.
        checkpoint: folder from which an interrupted training continues.
    """
    systems, total = alone(cropped(systems)), len(systems.mask)
    training, held, seeds = [], [], [(f, i) for f in left_out for i in range(options.members)]
    for f, i in seeds:
        rows = np.random.default_rng([options.seed, f, i]).permutation(np.flatnonzero(fold != f))
        tenth = max(1, len(rows) // 10)
        training.append(rows[tenth:])
        held.append(np.concatenate([rows[:tenth], rows[:tenth] + total]))
    # The second half of the rows is the same systems without context: only validation looks at them.
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), systems, without_context(systems))
    per_planet = float(total / systems.mask.sum())

    def loss(member: Any, system: System, key: PRNGKeyArray):
        terms = member.terms(system, key=key)
        nll = -per_planet * (terms.kind.sum() + terms.log_a.sum() + terms.log_mass.sum())
        return nll - options.radius_weight * per_planet * terms.log_radius.sum(), {"nll": nll}

    scale = context_scale(systems)
    root = jax.random.key(options.seed)
    keys = jnp.stack([jax.random.fold_in(jax.random.fold_in(root, f), i) for f, i in seeds])
    make = lambda key: template(options, scale, key)  # noqa: E731
    fit = fit_members(
        eqx.filter_vmap(make)(keys),
        loss,
        both,
        keys=keys,
        rows=training,
        validation=held,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=adamw(options.learning_rate, weight_decay=options.weight_decay),
        clip=1.0,
        ema=options.ema,
        augment=shift if options.preset == "paper" else augment,
        patience=options.patience,
        monitor="nll",
        progress=not options.quiet,
        checkpoint=checkpoint,
    )
    member = lambda i: jax.tree.map(lambda a: a[i] if eqx.is_array(a) else a, fit.model)  # noqa: E731
    models = [
        pooled([member(i) for i in range(first, first + options.members)])
        for first in range(0, len(training), options.members)
    ]
    columns = {
        f"{name}_{f}_{i}": values[:, m] for name, values in fit.history.items() for m, (f, i) in enumerate(seeds)
    }
    return models, columns
