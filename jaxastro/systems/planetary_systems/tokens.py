"""The published model: a system is a word of grid cells in order of semi-major axis (preset `paper`).

Alibert, Davoult & Marques (2025, A&A 701, A149): an N x N grid over (log a, log M), one token per planet, a decoder
that predicts the next token. Layer sizes are not published. Tokens inside of the last planet's column are masked out,
in training as in sampling, so that no word is out of order and the density over words becomes one over systems:
uniform inside a cell, times k! for the k planets that share a column and are then put in order.

What is learned of a cell is what is learned of its column, of its row, and of itself, added up. Hundreds of systems are
too few to learn 900 cells one by one; where they are thousands, the cell's own part can take over.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxastro.nn.mixture import choose_index
from jaxastro.nn.transformer import Cache, Decoder, extend
from jaxastro.systems.planetary_systems.layout import PLANETS, System
from jaxastro.systems.planetary_systems.model import Terms
from jaxastro.systems.planetary_systems.sampling import Condition
from jaxastro.systems.planetary_systems.sharpness import Sharpness


class Grid(NamedTuple):
    """Cells of equal size over log10 a [AU] and log10 M [Earth masses]; static, so a plain tuple of numbers.

    Attributes:
        n: cells along each axis.
        log_a: range.
        log_mass: range.
    """

    n: int = 30
    log_a: tuple[float, float] = (-1.8, 2.85)
    log_mass: tuple[float, float] = (-1.25, 4.3)

    @property
    def end(self) -> int:
        """The token that ends a word."""
        return self.n**2

    @property
    def cell(self) -> tuple[float, float]:
        """Sides of a cell in dex."""
        return (self.log_a[1] - self.log_a[0]) / self.n, (self.log_mass[1] - self.log_mass[0]) / self.n

    def encode(self, log_a: Float[Array, "*planet"], log_mass: Float[Array, "*planet"]) -> Int[Array, "*planet"]:
        """The token of each planet; planets outside the grid fall into the nearest cell."""
        place = lambda x, low, side: jnp.clip(jnp.floor((x - low) / side), 0, self.n - 1).astype(int)  # noqa: E731
        return place(log_a, self.log_a[0], self.cell[0]) * self.n + place(log_mass, self.log_mass[0], self.cell[1])

    def decode(
        self,
        token: Int[Array, "*planet"],
        u: Float[Array, "*planet"] | float = 0.5,
        v: Float[Array, "*planet"] | float = 0.5,
    ) -> tuple[Float[Array, "*planet"], Float[Array, "*planet"]]:
        """log10 a and log10 M at the fractions `u`, `v` of the cell's sides (default: its centre)."""
        column, row = token // self.n, token % self.n
        return self.log_a[0] + (column + u) * self.cell[0], self.log_mass[0] + (row + v) * self.cell[1]

    def allowed(self, before: Int[Array, ""], index: Int[Array, ""]) -> Bool[Array, " token"]:
        """Which tokens may follow a planet in token `before`: its column or one farther out; an end after the first."""
        tokens = jnp.arange(self.end)
        return jnp.append((index == 0) | (tokens // self.n >= before // self.n), index > 0)


class GridMember(eqx.Module):
    """One network over words of cells.

    Args:
        grid: the cells.
        width, layers, heads, dropout: see `Decoder`.
    """

    decoder: Decoder
    embed: eqx.nn.Embedding
    embed_column: eqx.nn.Embedding
    embed_row: eqx.nn.Embedding
    position: eqx.nn.Embedding
    out: eqx.nn.Linear
    out_column: eqx.nn.Linear
    out_row: eqx.nn.Linear
    grid: Grid = eqx.field(static=True)

    def __init__(
        self,
        *,
        grid: Grid | None = None,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
        key: PRNGKeyArray,
    ):
        keys, grid = iter(jax.random.split(key, 8)), grid or Grid()
        table = lambda rows: eqx.nn.Embedding(rows, width, key=next(keys))  # noqa: E731
        linear = lambda rows: eqx.nn.Linear(width, rows, key=next(keys))  # noqa: E731
        self.decoder = Decoder(width, layers, heads, dropout=dropout, key=next(keys))
        self.embed, self.position = table(grid.end + 1), table(PLANETS + 1)
        self.embed_column, self.embed_row = table(grid.n + 1), table(grid.n + 1)
        self.out, self.out_column, self.out_row = linear(grid.end + 1), linear(grid.n), linear(grid.n)
        self.grid = grid

    def token(self, token: Int[Array, ""], index: Int[Array, ""]) -> Float[Array, " width"]:
        """A planet's token at its place in the word; the end token also starts a word."""
        n = self.grid.n
        row = jnp.where(token == self.grid.end, n, token % n)
        shared = self.embed_column(token // n) + self.embed_row(row) + self.position(index)
        return 0.3 * shared + 0.1 * self.embed(token)

    def next_token(
        self, h: Float[Array, " width"], before: Int[Array, ""], index: Int[Array, ""]
    ) -> Float[Array, " token"]:
        """Log probability of each token at step `index`."""
        cells = (self.out_column(h)[:, None] + self.out_row(h)).ravel()
        logits = self.out(h) + jnp.append(cells, 0.0)
        return jax.nn.log_softmax(jnp.where(self.grid.allowed(before, index), logits, -1e9))

    def predictions(self, system: System, *, key: PRNGKeyArray | None = None) -> Float[Array, "step token"]:
        """Log probability of each token along a finished system."""
        before = jnp.append(self.grid.end, self.grid.encode(system.log_a, system.log_mass))
        index = jnp.arange(len(before))
        seen = (index[None] <= index[:, None]) & jnp.append(True, system.mask)[None]
        h = self.decoder(jax.vmap(self.token)(before, index), seen, key=key)
        return jax.vmap(self.next_token)(h, before, index)

    def terms(self, system: System, *, key: PRNGKeyArray | None = None) -> Terms:
        """The log density of every factor of one system; dropout acts where a key is given in training."""
        return grid_terms(self.grid, system, self.predictions(system, key=key))


class GridWriting(NamedTuple):
    """A word half written: the last token, how many there are, its place [log10 AU], and what every member holds."""

    before: Int[Array, ""]
    index: Int[Array, ""]
    hidden: tuple[Float[Array, " width"], ...]
    cache: tuple[Cache, ...]


class GridGenerator(eqx.Module):
    """The density over systems that follows from words of cells; at each step the mean of what its members say.

    It knows neither stars nor discs nor known planets, and no radii.
    """

    members: tuple[GridMember, ...]

    @property
    def grid(self) -> Grid:
        """The cells."""
        return self.members[0].grid

    def __call__(self, system: System) -> Float[Array, ""]:
        """`log_prob`."""
        return self.log_prob(system)

    def log_prob(self, system: System) -> Float[Array, ""]:
        """Log density of one whole system in (log10 a, log10 M), in nats, its end included."""
        return sum(jnp.sum(term) for term in self.terms(system))  # pyright: ignore[reportReturnType]

    def terms(self, system: System) -> Terms:
        """The log density of every factor: the tokens as `kind`, cell areas and orders in columns as the others."""
        return self.score(system, [member.predictions(system) for member in self.members])

    def score(self, system: System, say: list[Float[Array, "step token"]]) -> Terms:
        """The terms under the mean of what several members say."""
        return grid_terms(self.grid, system, _mean(say))

    def begin(self, condition: Condition, planets: int) -> GridWriting:
        """The state before the first planet; the condition is ignored."""
        del condition
        first, zero = jnp.asarray(self.grid.end), jnp.asarray(0)
        starts = [m.decoder.prefill(m.token(first, zero)[None], jnp.ones((1, 1), bool)) for m in self.members]
        return GridWriting(first, zero, tuple(h[0] for h, _ in starts), tuple(extend(c, planets) for _, c in starts))

    def write(self, state: GridWriting, condition: Condition, u: Float[Array, " 7"], sharp: Sharpness):
        """The next state, the planet (log a, log M, 0) that uniform numbers pick, and whether there is one."""
        del condition
        says = [m.next_token(h, state.before, state.index) for m, h in zip(self.members, state.hidden, strict=True)]
        token = choose_index(u[0], sharp(_mean(says)))
        log_a, log_mass = self.grid.decode(token, u[1], u[2])
        index = state.index + 1
        seen = jnp.arange(state.cache[0].key[0].shape[-2]) <= index
        steps = [
            m.decoder.step(m.token(token, index), c, index, seen)
            for m, c in zip(self.members, state.cache, strict=True)
        ]
        planet = jnp.stack([log_a, log_mass, jnp.zeros(())])
        return GridWriting(token, index, *zip(*steps, strict=True)), planet, token != self.grid.end

    def finish(self, system: System) -> System:
        """The same system with planets that share a column put in order."""
        place = jnp.argsort(jnp.where(system.mask, system.log_a, jnp.inf))
        return system._replace(
            log_a=system.log_a[place], log_mass=system.log_mass[place], has_radius=system.mask & False
        )


def grid_terms(grid: Grid, system: System, log_token: Float[Array, "step token"]) -> Terms:
    """The density over systems that log probabilities of tokens imply.

    The k! orders of the planets in a column are written as a factor 2, 3, ... on its second, third planet.
    """
    token = grid.encode(system.log_a, system.log_mass)
    word = jnp.append(jnp.where(system.mask, token, grid.end), grid.end)
    kind = jnp.take_along_axis(log_token, word[:, None], 1)[:, 0]
    column = jnp.where(system.mask, token // grid.n, -jnp.arange(len(token)) - 1)
    order = jnp.log(jnp.tril(column[:, None] == column[None]).sum(1).astype(kind.dtype))
    on = lambda where, term: jnp.where(where, term, 0.0)  # noqa: E731
    return Terms(
        on(jnp.append(True, system.mask), kind),
        on(system.mask, order - math.log(grid.cell[0])),
        on(system.mask, jnp.full_like(order, -math.log(grid.cell[1]))),
        jnp.zeros_like(order),
    )


def _mean(members: list[Float[Array, "*step token"]]) -> Float[Array, "*step token"]:
    return jax.nn.logsumexp(jnp.stack(members), 0) - math.log(len(members))
