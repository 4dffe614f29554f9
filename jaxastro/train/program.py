"""The compiled part of a fit: an epoch and a validation of all members, as pure functions of a state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PRNGKeyArray

Loss = Callable[[Any, Any, PRNGKeyArray], Any]


class State(NamedTuple):
    """What changes during a fit; every array has a leading member axis."""

    params: Any
    opt_state: Any
    average: Any  # exponential moving average of the weights, or None
    best: Any
    best_value: Array
    best_epoch: Array
    bad_step: Array  # step at which the loss stopped being finite, else -1
    stalled: Array  # epochs without improvement


def inference_mode(model: Any) -> Any:
    """The same model without dropout and with stored statistics, whether made of Equinox or Flax modules."""
    is_flax = lambda m: isinstance(m, nnx.Module)  # noqa: E731

    def still(node):
        if not is_flax(node):
            return node
        return nnx.view(node, raise_if_not_found=False, deterministic=True, use_running_average=True)

    return jax.tree.map(still, eqx.nn.inference_mode(model), is_leaf=is_flax)


class Program(NamedTuple):
    """How to train and validate: everything that is fixed when the fit is compiled."""

    static: Any
    loss: Loss
    transform: Any
    augment: Any
    ema: float | None
    monitor: str
    patience: int | None
    mesh: Mesh | None

    def epoch(self, state, frozen, keys, data, weight, index, first):
        """All steps of an epoch; `index` is (member, step, batch), padded with -1; `first` numbers the first step."""

        def member(shared, state, frozen, key, index):
            data, weight, first = shared

            def step(carry, inputs):
                number, rows = inputs
                batch, w = self._take(data, weight, rows)
                return self._step(carry, frozen, batch, w, jax.random.fold_in(key, number), number)

            def run(state):
                numbers = first + jnp.arange(index.shape[0], dtype=jnp.int32)
                carry = state.params, state.opt_state, state.average, state.bad_step
                carry, (logs, seen) = jax.lax.scan(step, carry, (numbers, index))
                params, opt_state, average, bad = carry
                state = state._replace(params=params, opt_state=opt_state, average=average, bad_step=bad)
                return state, jax.tree.map(lambda x: _mean_where(x, seen), logs)

            def skip(state):
                logs = jax.eval_shape(run, state)[1]
                return state, jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), logs)

            active = state.bad_step < 0
            if self.patience is not None:
                active &= state.stalled < self.patience
            return jax.lax.cond(active, run, skip, state)

        return self._over_members(member, (data, weight, first), state, frozen, keys, index)

    def validate(self, state, frozen, keys, data, weight, index, epoch):
        """Mean loss and metrics over the held-out rows, and the best weights so far."""

        def member(shared, state, frozen, key, index):
            data, weight, epoch = shared
            current = state.params if self.ema is None else state.average

            def batch(_, rows):
                examples, w = self._take(data, weight, rows)
                keys = jax.random.split(key, rows.shape[0])
                value, metrics = self._mean(current, frozen, examples, w, keys, inference=True)
                return None, ({"loss": value, **metrics}, w.sum())

            _, (logs, seen) = jax.lax.scan(batch, None, index)
            values = jax.tree.map(lambda x: _mean_where(x, seen), logs)
            value = values[self.monitor].astype(jnp.float32)
            better = (value < state.best_value) & (state.bad_step < 0)
            state = state._replace(
                best=_where(better, current, state.best),
                best_value=jnp.where(better, value, state.best_value),
                best_epoch=jnp.where(better, epoch, state.best_epoch),
                stalled=jnp.where(better, 0, state.stalled + 1),
            )
            return state, values

        return self._over_members(member, (data, weight, epoch), state, frozen, keys, index)

    def _step(self, carry, frozen, batch, w, key, number):
        """One update; a step without examples, or after a non-finite one, changes nothing."""
        params, opt_state, average, bad = carry
        size = w.shape[0]
        key_augment, key_loss = jax.random.split(key)
        if self.augment is not None:
            batch = jax.vmap(self.augment)(batch, jax.random.split(key_augment, size))
        mean = lambda p: self._mean(p, frozen, batch, w, jax.random.split(key_loss, size))  # noqa: E731
        (value, metrics), gradient = jax.value_and_grad(mean, has_aux=True)(params)
        updates, new_opt_state = self.transform.update(gradient, opt_state, params)
        new = optax.apply_updates(params, updates)
        some = w.sum() > 0
        finite = jnp.isfinite(value) & jnp.isfinite(optax.tree.norm(gradient))
        bad = jnp.where((bad < 0) & some & ~finite, number, bad)
        keep = (bad < 0) & some
        if self.ema is not None:
            # The average starts as a plain mean, so that the first weights do not hold a short fit back.
            decay = jnp.minimum(self.ema, number / (number + 10.0))
            mixed = jax.tree.map(lambda a, p: (a + (1 - decay) * (p - a)).astype(a.dtype), average, new)
            average = _where(keep, mixed, average)
        carry = self._replicated((_where(keep, new, params), _where(keep, new_opt_state, opt_state), average, bad))
        return carry, ({"loss": value, **metrics}, jnp.where(keep, w.sum(), 0.0))

    def _mean(self, params, frozen, batch, w, keys, inference=False):
        model = eqx.combine(params, frozen, self.static)
        if inference:
            model = inference_mode(model)

        def one(example, key):
            out = self.loss(model, example, key)
            return out if isinstance(out, tuple) else (out, {})

        values, metrics = jax.vmap(one)(batch, keys)
        return _mean_where(values, w), jax.tree.map(lambda x: _mean_where(x, w), metrics)

    def _take(self, data, weight, rows):
        safe = jnp.maximum(rows, 0)
        w = (rows >= 0).astype(jnp.float32) if weight is None else jnp.where(rows >= 0, weight[safe], 0.0)
        batch = jax.tree.map(lambda x: x[safe], data)
        if self.mesh is not None and "batch" in self.mesh.axis_names:
            batch, w = jax.lax.with_sharding_constraint((batch, w), NamedSharding(self.mesh, PartitionSpec("batch")))
        return batch, w

    def _replicated(self, tree):
        if self.mesh is None or "batch" not in self.mesh.axis_names:
            return tree
        return jax.lax.with_sharding_constraint(tree, NamedSharding(self.mesh, PartitionSpec()))

    def _over_members(self, member, shared, *args):
        if jax.default_backend() != "cpu":
            return jax.vmap(member, (None, 0, 0, 0, 0))(shared, *args)
        mapped = lambda shared, *args: jax.lax.map(lambda a: member(shared, *a), args)  # noqa: E731
        if self.mesh is not None and "member" in self.mesh.axis_names:
            spec = PartitionSpec("member")
            specs = PartitionSpec(), spec, spec, spec, spec
            mapped = jax.shard_map(mapped, mesh=self.mesh, in_specs=specs, out_specs=spec, check_vma=False)
        return mapped(shared, *args)


def _where(keep: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.where(keep, x, y), new, old)


def _mean_where(x: Array, w: Array) -> Array:
    """The mean of `x` weighted by `w`; what has weight zero may be padding and does not enter, finite or not."""
    return jnp.where(w > 0, x * w, 0).sum() / jnp.maximum(w.sum(), 1e-30)
