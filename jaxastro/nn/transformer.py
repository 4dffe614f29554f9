"""A decoder transformer on one sequence, with the caches that make sampling linear in length."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


class Cache(NamedTuple):
    """Keys and values of the tokens seen so far, one array per layer (performs better than one stacked array)."""

    key: tuple[Float[Array, "head token channel"], ...]
    value: tuple[Float[Array, "head token channel"], ...]


class Block(eqx.Module):
    """One pre-norm layer: self-attention, then a two-layer perceptron, each added to its input."""

    norm_attention: eqx.nn.LayerNorm
    norm_mlp: eqx.nn.LayerNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    dropout: eqx.nn.Dropout
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, dropout: float, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 4)
        self.norm_attention, self.norm_mlp = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)
        self.qkv = eqx.nn.Linear(width, 3 * width, key=keys[0])
        self.out = eqx.nn.Linear(width, width, key=keys[1])
        self.up = eqx.nn.Linear(width, 4 * width, key=keys[2])
        self.down = eqx.nn.Linear(4 * width, width, key=keys[3])
        self.dropout = eqx.nn.Dropout(dropout)
        self.heads = heads

    def project(self, x: Float[Array, "token width"]) -> Float[Array, "3 head token channel"]:
        """Queries, keys and values of every token."""
        qkv = jax.vmap(self.qkv)(jax.vmap(self.norm_attention)(x))
        return qkv.reshape(x.shape[0], 3, self.heads, -1).transpose(1, 2, 0, 3)

    def weigh(self, q, k, mask: Bool[Array, "query token"]) -> Float[Array, "head query token"]:
        """How much every query attends to every token that its mask allows; the weights of a query sum to one."""
        score = jnp.einsum("hqd,htd->hqt", q, k) / q.shape[-1] ** 0.5
        return jax.nn.softmax(jnp.where(mask, score, -1e9), axis=-1)

    def attend(self, q, k, v, mask: Bool[Array, "query token"]) -> Float[Array, "query width"]:
        """What every query collects from the values that its mask allows."""
        collected = jnp.einsum("hqt,htd->qhd", self.weigh(q, k, mask), v)
        return jax.vmap(self.out)(collected.reshape(q.shape[1], -1))

    def mlp(self, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
        """The perceptron of every token."""
        return jax.vmap(lambda t: self.down(jax.nn.gelu(self.up(self.norm_mlp(t)))))(x)

    def __call__(self, x: Float[Array, "token width"], mask: Bool[Array, "token token"], key=None):
        """The tokens after this layer, and their keys and values."""
        first, second = (None, None) if key is None else jax.random.split(key)
        q, k, v = self.project(x)
        x = x + self.dropout(self.attend(q, k, v, mask), key=first)
        return x + self.dropout(self.mlp(x), key=second), (k, v)


class Decoder(eqx.Module):
    """A stack of attention layers over the tokens of one sequence.

    Args:
        width: channels of a token.
        layers: number of blocks.
        heads: attention heads, a divisor of `width`.
        dropout: probability that what a layer adds to a channel of a token is zeroed in training.
    """

    blocks: tuple[Block, ...]
    norm: eqx.nn.LayerNorm

    def __init__(self, width: int, layers: int, heads: int, *, dropout: float = 0.0, key: PRNGKeyArray):
        self.blocks = tuple(Block(width, heads, dropout, key=k) for k in jax.random.split(key, layers))
        self.norm = eqx.nn.LayerNorm(width)

    def __call__(
        self, x: Float[Array, "token width"], mask: Bool[Array, "token token"], *, key: PRNGKeyArray | None = None
    ) -> Float[Array, "token width"]:
        """The tokens after all layers; row q of `mask` says which tokens token q may look at."""
        return self.prefill(x, mask, key=key)[0]

    def prefill(
        self, x: Float[Array, "token width"], mask: Bool[Array, "token token"], *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "token width"], Cache]:
        """The tokens after all layers and the cache that `step` continues from."""
        keys = [None] * len(self.blocks) if key is None else jax.random.split(key, len(self.blocks))
        pairs = []
        for block, k in zip(self.blocks, keys, strict=True):
            x, pair = block(x, mask, k)
            pairs.append(pair)
        return jax.vmap(self.norm)(x), Cache(*map(tuple, zip(*pairs, strict=True)))

    def attention(
        self, x: Float[Array, "token width"], mask: Bool[Array, "token token"]
    ) -> Float[Array, "layer head token token"]:
        """How much token q attends to token t in every layer and head."""
        weights = []
        for block in self.blocks:
            q, k, _ = block.project(x)
            weights.append(block.weigh(q, k, mask))
            x, _ = block(x, mask)
        return jnp.stack(weights)

    def step(
        self, x: Float[Array, " width"], cache: Cache, position: Int[Array, ""], mask: Bool[Array, " token"]
    ) -> tuple[Float[Array, " width"], Cache]:
        """One more token at `position`, attending to the cached tokens in `mask` (its own place included)."""
        x, keys, values = x[None], [], []
        for block, k, v in zip(self.blocks, cache.key, cache.value, strict=True):
            q, k1, v1 = block.project(x)
            k = jax.lax.dynamic_update_slice(k, k1, (0, position, 0))
            v = jax.lax.dynamic_update_slice(v, v1, (0, position, 0))
            x = x + block.attend(q, k, v, mask[None])
            x = x + block.mlp(x)
            keys.append(k), values.append(v)
        return self.norm(x[0]), Cache(tuple(keys), tuple(values))


def extend(cache: Cache, tokens: int) -> Cache:
    """The cache with empty room for `tokens` more."""
    return jax.tree.map(lambda a: jnp.pad(a, ((0, 0), (0, tokens), (0, 0))), cache)
