"""The default network: one encoder per branch, a learned token where a branch is missing or hidden, one fusion."""

from itertools import pairwise
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxastro.nn.conv import Conv1d, max_pool
from jaxastro.systems.vetting.data import Example
from jaxastro.systems.vetting.pool import Pool
from jaxastro.systems.vetting.scaler import Scaler

# A branch is what is shown or hidden as one: odd and even transits only mean something together.
BRANCHES = {
    "global": ("global",), "main": ("main",), "secondary": ("secondary",), "odd_even": ("odd", "even"),
    "centroid": ("centroid",), "ghost": ("ghost",),
}  # fmt: skip
SCALARS = "scalars"


class Layout(NamedTuple):
    """What the examples hold: bins and channels by view, and how many scalars."""

    views: dict[str, tuple[int, int]]
    scalars: int

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that these examples have."""
        views = tuple(b for b, views in BRANCHES.items() if all(v in self.views for v in views))
        return views + ((SCALARS,) if self.scalars else ())


class ViewEncoder(eqx.Module):
    """A folded view (bin, channel) as a vector: convolutions that halve the bins, then one dense layer."""

    convolutions: tuple[Conv1d, ...]
    dense: eqx.nn.Linear

    def __init__(self, bins: int, channels: int, width: int, filters: tuple[int, ...], *, key: PRNGKeyArray):
        keys = jax.random.split(key, len(filters) + 1)
        sizes = (channels, *filters)
        self.convolutions = tuple(
            Conv1d(a, b, 5, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys[1:], strict=True)
        )
        self.dense = eqx.nn.Linear((bins >> len(filters)) * filters[-1], width, key=keys[0])

    def __call__(self, view: Float[Array, "bin channel"]) -> Float[Array, "width"]:
        """The vector of one view."""
        x = jnp.arcsinh(view)  # views reach 50 depths above the baseline
        for convolution in self.convolutions:
            x = jax.nn.relu(max_pool(convolution(x), 2))
        return self.dense(x.reshape(-1))


class ScalarEncoder(eqx.Module):
    """All scalars as a vector: a few numbers from the features of each, then dense layers over all of them."""

    scaler: Scaler
    embedding: Float[Array, "scalar feature number"]
    offset: Float[Array, "scalar number"]
    dense: eqx.nn.MLP

    def __init__(self, scaler: Scaler, width: int, *, numbers: int = 4, hidden: int = 128, key: PRNGKeyArray):
        count, knots = scaler.knots.shape
        keys = jax.random.split(key, 3)
        self.scaler = scaler
        self.embedding = jax.random.normal(keys[0], (count, knots + 1, numbers)) / (knots + 1) ** 0.5
        self.offset = 0.1 * jax.random.normal(keys[1], (count, numbers))
        self.dense = eqx.nn.MLP(count * numbers, width, hidden, 1, jax.nn.gelu, key=keys[2])

    def __call__(self, scalars: Float[Array, "scalar"], known: Bool[Array, "scalar"]) -> Float[Array, "width"]:
        """The vector of the scalars of one signal; unknown ones count as features of zero and as such."""
        features = jnp.where(known[:, None], self.scaler(scalars), 0)
        features = jnp.concatenate([features, known[:, None].astype(features.dtype)], -1)
        numbers = jnp.einsum("sf,sfn->sn", features, self.embedding) + self.offset
        return self.dense(jax.nn.gelu(numbers).reshape(-1))


class Head(eqx.Module):
    """Dense layers from the vectors of some branches to the logits of the classes, with dropout before each."""

    layers: tuple[eqx.nn.Linear, ...]
    dropout: eqx.nn.Dropout

    def __init__(self, inputs: int, hidden: int, classes: int, dropout: float, *, key: PRNGKeyArray):
        sizes = (inputs, hidden, hidden, classes)
        keys = jax.random.split(key, 3)
        self.layers = tuple(eqx.nn.Linear(a, b, key=k) for (a, b), k in zip(pairwise(sizes), keys, strict=True))
        self.dropout = eqx.nn.Dropout(dropout)

    def __call__(self, vectors: Float[Array, "branch width"], key: PRNGKeyArray | None) -> Float[Array, "label"]:
        """The logits."""
        keys = [None] * len(self.layers) if key is None else jax.random.split(key, len(self.layers))
        x = vectors.reshape(-1)
        for layer, k in zip(self.layers, keys, strict=True):
            x = layer(self.dropout(jax.nn.gelu(x), key=k))
        return x


class Network(eqx.Module):
    """A classifier of one example: logits of every class.

    Where there are views and scalars, three experts judge: one sees the views, one the scalars, one both. Each is
    trained on its own loss and their log probabilities are added up with weights: a single head over everything learns
    the training rows by heart before it has learnt either part well.

    Attributes:
        encoders: one per view branch, in the order of `branches`.
        scalar_encoder: over scalars and their presence; None without scalars.
        tokens: what stands for a branch that is missing, dropped or hidden.
        heads: one per expert.
        pool: joins what the experts say; its weights are not trained but fitted on rows held out.
        branches: names, in the order of `tokens`.
        sees: the numbers of the branches that every expert sees.
        branch_dropout: probability that a training example loses a branch; one branch always stays.
    """

    encoders: tuple[ViewEncoder, ...]
    scalar_encoder: ScalarEncoder | None
    tokens: Float[Array, "branch width"]
    heads: tuple[Head, ...]
    pool: Pool
    branches: tuple[str, ...] = eqx.field(static=True)
    sees: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    branch_dropout: float = eqx.field(static=True)

    def __init__(
        self,
        layout: Layout,
        classes: int,
        *,
        width: int = 64,
        filters: tuple[int, ...] = (16, 32, 64, 64),
        hidden: int = 128,
        dropout: float = 0.2,
        branch_dropout: float = 0.1,
        scaler: Scaler | None = None,
        key: PRNGKeyArray,
    ):
        self.branches = layout.branches
        count = len(self.branches)
        keys = iter(jax.random.split(key, count + 5))
        encoders = []
        for branch in self.branches:
            if branch in BRANCHES:
                bins, channels = layout.views[BRANCHES[branch][0]]
                few = filters if bins > 100 else filters[:-1]
                channels *= len(BRANCHES[branch])
                encoders.append(ViewEncoder(bins, channels, width, few, key=next(keys)))
        self.encoders = tuple(encoders)
        scaler = Scaler.plain(layout.scalars) if scaler is None else scaler
        self.scalar_encoder = ScalarEncoder(scaler, width, key=next(keys)) if layout.scalars else None
        self.tokens = 0.1 * jax.random.normal(next(keys), (count, width))
        views, every = tuple(range(len(encoders))), tuple(range(count))
        self.sees = (views, (count - 1,), every) if views and views != every else (every,)
        self.heads = tuple(Head(len(seen) * width, hidden, classes, dropout, key=next(keys)) for seen in self.sees)
        self.pool = Pool.equal(len(self.sees))
        self.branch_dropout = branch_dropout

    def __call__(
        self, example: Example, *, key: PRNGKeyArray | None = None, keep: Bool[Array, "branch"] | None = None
    ) -> Float[Array, "label"]:
        """The logits of the classes.

        Args:
            example: one signal.
            key: of dropout; none in inference mode.
            keep: branches to show; the others are hidden behind their tokens.
        """
        return self.pool(*self.experts(example, key=key, keep=keep))

    def experts(
        self, example: Example, *, key: PRNGKeyArray | None = None, keep: Bool[Array, "branch"] | None = None
    ) -> tuple[Float[Array, "expert label"], Float[Array, "expert"]]:
        """The logits of every expert, and 1 for each that sees anything (for all, where none does)."""
        vectors, present = self.encode(example)
        keep = present if keep is None else keep & present
        key_drop, key = (None, None) if key is None else jax.random.split(key)
        if key_drop is not None and not self.heads[0].dropout.inference:
            draw = jax.random.uniform(key_drop, keep.shape)
            keep &= (draw > self.branch_dropout) | (draw == draw.max())
        shown = jnp.where(keep[:, None], vectors, self.tokens)
        keys = [None] * len(self.heads) if key is None else jax.random.split(key, len(self.heads))
        judged = zip(self.heads, self.sees, keys, strict=True)
        logits = jnp.stack([head(shown[np.array(seen)], k) for head, seen, k in judged])
        sighted = jnp.stack([keep[np.array(seen)].any() for seen in self.sees])
        return logits, (sighted | ~sighted.any()).astype(logits.dtype)

    def encode(self, example: Example) -> tuple[Float[Array, "branch width"], Bool[Array, "branch"]]:
        """The vector of every branch, and whether the example has it."""
        vectors, present = [], []
        for branch, encoder in zip(self.branches, self.encoders, strict=False):
            views = BRANCHES[branch]
            vectors.append(encoder(jnp.concatenate([example.views[v] for v in views], axis=-1)))
            present.append(jnp.all(jnp.stack([jnp.asarray(example.view_present[v]) for v in views])))
        if self.scalar_encoder is not None:
            vectors.append(self.scalar_encoder(example.scalars, example.scalar_present))
            present.append(example.scalar_present.any())
        return jnp.stack(vectors), jnp.stack(present)
