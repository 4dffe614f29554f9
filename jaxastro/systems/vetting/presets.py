"""Published networks with the contract of `model.Network`: WATSON-Net's layout and AstroNet's."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxastro.nn.conv import Conv1d, max_pool
from jaxastro.systems.vetting.data import Example
from jaxastro.systems.vetting.model import Layout
from jaxastro.systems.vetting.scaler import Scaler

WATSON_SCALARS = (9, 1, 2)  # of the transit, of the source offset, of the star


class Stack(eqx.Module):
    """Convolutions, each followed by max pooling and dropout of whole channels."""

    convolutions: tuple[Conv1d, ...]
    dropout: eqx.nn.Dropout
    pools: tuple[tuple[int, int], ...] = eqx.field(static=True)

    def __init__(
        self,
        channels: tuple[int, ...],
        widths: tuple[int, ...],
        pools: tuple[tuple[int, int], ...],
        drop: float,
        *,
        key,
    ):
        keys = jax.random.split(key, len(widths))
        self.convolutions = tuple(
            Conv1d(a, b, w, key=k) for a, b, w, k in zip(channels[:-1], channels[1:], widths, keys, strict=True)
        )
        self.dropout = eqx.nn.Dropout(drop)
        self.pools = pools

    def __call__(self, x: Float[Array, "bin channel"], key: PRNGKeyArray | None) -> Float[Array, "step filter"]:
        """The pooled features."""
        keys = [None] * len(self.pools) if key is None else jax.random.split(key, len(self.pools))
        for convolution, (width, stride), k in zip(self.convolutions, self.pools, keys, strict=True):
            x = max_pool(jax.nn.leaky_relu(convolution(x)), width, stride)
            x = x * self.dropout(jnp.ones(x.shape[1]), key=k)
        return x

    def steps(self, bins: int) -> int:
        """Steps that are left of so many bins."""
        for width, stride in self.pools:
            bins = (bins - width) // stride + 1
        return bins


class Focus(eqx.Module):
    """WATSON-Net's branch of a view around a transit, joined by some scalars: a vector of 64."""

    stack: Stack
    dense: eqx.nn.Linear
    norm: eqx.nn.LayerNorm

    def __init__(self, bins: int, channels: int, scalars: int, drop: float, *, key: PRNGKeyArray):
        key_stack, key_dense = jax.random.split(key)
        self.stack = Stack((channels, 32, 64, 128), (20, 10, 5), ((5, 1), (3, 1), (3, 1)), drop, key=key_stack)
        self.dense = eqx.nn.Linear(self.stack.steps(bins) * 128 + scalars, 64, key=key_dense)
        self.norm = eqx.nn.LayerNorm(64, eps=1e-3)

    def __call__(
        self, view: Float[Array, "bin channel"], scalars: Float[Array, "scalar"], key: PRNGKeyArray | None
    ) -> Float[Array, "width"]:
        """The vector of the branch."""
        x = jnp.concatenate([self.stack(view, key).reshape(-1), scalars])
        return self.norm(jax.nn.leaky_relu(self.dense(x)))


class WatsonNet(eqx.Module):
    """WATSON-Net (Dévora-Pajares et al. 2025) as its authors' code lays it out: 8,804,176 parameters for two classes.

    What differs is what was broken there: time is reversed and branches are dropped per example, the dropout mask is
    the example's own, and views share the depth of the main transit. A hidden branch is zero, as in the original.
    """

    whole: Stack | None
    whole_dense: eqx.nn.Linear | None
    whole_norm: eqx.nn.LayerNorm | None
    focus: dict[str, Focus]
    head: tuple[eqx.nn.Linear, ...]
    dropout: eqx.nn.Dropout
    scaler: Scaler
    branches: tuple[str, ...] = eqx.field(static=True)
    scalars: tuple[int, ...] = eqx.field(static=True)
    branch_dropout: float = eqx.field(static=True)

    def __init__(
        self,
        layout: Layout,
        classes: int,
        *,
        dropout: float = 0.1,
        branch_dropout: float = 0.1,
        scaler: Scaler | None = None,
        key: PRNGKeyArray,
    ):
        keys = iter(jax.random.split(key, 16))
        count = layout.scalars
        self.scaler = Scaler.plain(count) if scaler is None else scaler
        self.scalars = WATSON_SCALARS if count == sum(WATSON_SCALARS) else (count, 0, 0)
        self.branches = tuple(layout.views)
        size = self.scalars[2]
        self.whole = self.whole_dense = self.whole_norm = None
        if "global" in layout.views:
            pools = ((10, 1), (4, 1), (3, 2), (2, 2))
            self.whole = Stack((1, 16, 32, 64, 128), (90, 30, 15, 8), pools, dropout, key=next(keys))
            self.whole_dense = eqx.nn.Linear(128, 64, key=next(keys))
            self.whole_norm = eqx.nn.LayerNorm(64, eps=1e-3)
            size += 64 * self.whole.steps(layout.views["global"][0])
        self.focus = {}
        for name in layout.views:
            if name != "global":
                scalars = {"centroid": self.scalars[1], "ghost": 0}.get(name, self.scalars[0])
                self.focus[name] = Focus(layout.views[name][0], _channels(name), scalars, dropout, key=next(keys))
        size += 64 * (("main" in self.focus) + ("centroid" in self.focus) + ("ghost" in self.focus))
        outputs = 1 if classes == 2 else classes
        sizes = (size, 1000, 250, 75, 35, 16, outputs)
        self.head = tuple(eqx.nn.Linear(a, b, key=next(keys)) for a, b in pairwise(sizes))
        self.dropout = eqx.nn.Dropout(dropout)
        self.branch_dropout = branch_dropout

    def __call__(
        self, example: Example, *, key: PRNGKeyArray | None = None, keep: Bool[Array, "branch"] | None = None
    ) -> Float[Array, "label"]:
        """The logits of the classes; `keep` shows or hides branches."""
        transit, offset, star = self._scalars(example)
        keys = iter([None] * 16 if key is None else jax.random.split(key, 16))
        shown = {b: example.view_present[b] if keep is None else keep[i] for i, b in enumerate(self.branches)}
        if key is not None and not self.dropout.inference:
            draws = jax.random.uniform(next(keys), (len(self.branches),)) > self.branch_dropout
            shown = {b: shown[b] & draw for (b, draw) in zip(self.branches, draws, strict=True)}
        parts = [star]
        if self.whole is not None and self.whole_dense is not None and self.whole_norm is not None:
            steps = self.whole(_values("global", example), next(keys))
            steps = jax.vmap(self.whole_norm)(jax.nn.leaky_relu(jax.vmap(self.whole_dense)(steps)))
            parts.append(jnp.where(shown["global"], steps.reshape(-1), 0))
        flux = jnp.zeros(64)
        for name, branch in self.focus.items():
            scalars = {"centroid": offset, "ghost": offset[:0]}.get(name, transit)
            vector = jnp.where(shown[name], branch(_values(name, example), scalars, next(keys)), 0)
            if name in ("centroid", "ghost"):
                parts.append(vector)
            else:
                flux += vector
        if "main" in self.focus:
            parts.insert(2, flux)
        x = jnp.concatenate(parts)
        for layer in self.head[:-1]:
            x = self.dropout(jax.nn.leaky_relu(layer(x)), key=next(keys))
        logits = self.head[-1](x)
        return jnp.concatenate([jnp.zeros(1), logits]) if len(logits) == 1 else logits

    def _scalars(self, example: Example) -> list[Float[Array, "scalar"]]:
        known = jnp.where(example.scalar_present, self.scaler(example.scalars)[:, 0], 0)
        first, second = self.scalars[0], self.scalars[0] + self.scalars[1]
        return [known[:first], known[first:second], known[second:]]


class AstroNet(eqx.Module):
    """AstroNet-Triage (Shallue & Vanderburg 2018; Yu et al. 2019): global and local view, nothing else."""

    towers: tuple[Stack, ...]
    head: tuple[eqx.nn.Linear, ...]
    branches: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, layout: Layout, classes: int, *, key: PRNGKeyArray):
        keys = iter(jax.random.split(key, 8))
        self.branches = ("global", "main")
        towers, size = [], 0
        for name, blocks, pool in (("global", 5, 5), ("main", 2, 7)):
            bins = layout.views[name][0]
            channels = [1]
            for block in range(blocks):
                channels += [16 * 2**block] * 2
            last = (pool, 2) if bins >= 2**blocks * pool else (2, 2)
            pools = ((1, 1), last) * blocks
            tower = Stack(tuple(channels), (5,) * (2 * blocks), pools, 0.0, key=next(keys))
            towers.append(tower)
            size += tower.steps(bins) * channels[-1]
        self.towers = tuple(towers)
        sizes = (size, 512, 512, 512, 512, classes)
        self.head = tuple(eqx.nn.Linear(a, b, key=next(keys)) for a, b in pairwise(sizes))

    def __call__(
        self, example: Example, *, key: PRNGKeyArray | None = None, keep: Bool[Array, "branch"] | None = None
    ) -> Float[Array, "label"]:
        """The logits of the classes; a hidden view is flat."""
        keep = jnp.ones(2, bool) if keep is None else keep
        views = [
            tower(jnp.where(shown, _values(name, example), 0), key).reshape(-1)
            for name, tower, shown in zip(self.branches, self.towers, keep, strict=True)
        ]
        x = jnp.concatenate(views)
        for layer in self.head[:-1]:
            x = jax.nn.relu(layer(x))
        return self.head[-1](x)


def _channels(view: str) -> int:
    return 2 if view == "centroid" else 1


def _values(view: str, example: Example) -> Float[Array, "bin channel"]:
    """A view without its validity channel."""
    return example.views[view][:, : _channels(view)]
