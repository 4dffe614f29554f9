"""The default model: an exact density over whole systems, written planet by planet from the star outwards.

At every step a transformer reads the star, the disc, the known planets and the planets so far, and gives

1. whether the system ends, a hidden planet follows, or the next known planet follows;
2. for a hidden planet, a mixture density of the logarithm of its spacing to the planet before it, cut off at the next
   known planet, so that planets are always in order;
3. given its place, a mixture density of its log mass; given both, one of its log radius.

The product of all factors is normalised over all systems that contain the known planets, so that a single forward pass
conditions on any subset of them. The method follows Alibert, Davoult & Marques (2025, A&A 701, A149), who use cells.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from jaxastro.nn.mixture import Mixture, MixtureHead, choose_index, pool
from jaxastro.nn.transformer import Cache, Decoder, extend
from jaxastro.systems.planetary_systems.layout import CONTEXT, INNER, OUTER, Known, System
from jaxastro.systems.planetary_systems.sampling import Condition
from jaxastro.systems.planetary_systems.sharpness import Sharpness
from jaxastro.systems.planetary_systems.walk import (
    FINE,
    Ahead,
    Behind,
    all_behind,
    log_spacing,
    look_ahead,
    nothing_behind,
    waves,
)

STOP, HIDDEN, GIVEN = 0, 1, 2
COMMENSURATE = (8 / 7, 7 / 6, 6 / 5, 5 / 4, 4 / 3, 7 / 5, 3 / 2, 5 / 3, 2 / 1, 3 / 1)
ANCHORS = tuple(math.log10(2 / 3 * math.log10(ratio)) for ratio in COMMENSURATE)
"""log10 spacing of planets whose periods are commensurate: convergent migration piles planets up there."""


class Terms(NamedTuple):
    """Log density of every factor in nats per dex, zero where there is none.

    Attributes:
        kind: end, hidden or known planet; one step more than places for planets.
        log_a: place of a hidden planet.
        log_mass: mass given the place.
        log_radius: radius given place and mass.
    """

    kind: Float[Array, " step"]
    log_a: Float[Array, " planet"]
    log_mass: Float[Array, " planet"]
    log_radius: Float[Array, " planet"]


class Predictions(NamedTuple):
    """What the networks say at every step: log probabilities of the three kinds, and three mixture densities."""

    kind: Float[Array, "*step 3"]
    spacing: Mixture
    log_mass: Mixture
    log_radius: Mixture


class Member(eqx.Module):
    """One network. Its `log_prob` is a density in its own right; a `Generator` pools several.

    Args:
        width, layers, heads: of the transformer.
        components: normal components of each mixture.
        dropout: see `Decoder`.
        mass_edge: log10 Earth masses below which the training systems (almost) stop, if they do so sharply.
        context_mean, context_sd: centre and scale of the context.
    """

    decoder: Decoder
    embed: eqx.nn.MLP
    embed_context: eqx.nn.MLP
    embed_known: eqx.nn.MLP
    kind: eqx.nn.Linear
    spacing: MixtureHead
    mass_mlp: eqx.nn.MLP
    log_mass: MixtureHead
    first_spacing: MixtureHead
    first_mass_mlp: eqx.nn.MLP
    first_log_mass: MixtureHead
    radius_mlp: eqx.nn.MLP
    log_radius: MixtureHead
    context_mean: tuple[float, ...] = eqx.field(static=True)
    context_sd: tuple[float, ...] = eqx.field(static=True)

    def __init__(
        self,
        *,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        components: int = 12,
        dropout: float = 0.2,
        mass_edge: float | None = None,
        context_mean: tuple[float, ...] = (0.0,) * len(CONTEXT),
        context_sd: tuple[float, ...] = (1.0,) * len(CONTEXT),
        key: PRNGKeyArray,
    ):
        keys = iter(jax.random.split(key, 13))
        mlp = lambda size, out, final=None: eqx.nn.MLP(  # noqa: E731
            size, out, width, 1, jax.nn.gelu, final or (lambda x: x), key=next(keys)
        )
        head = lambda size, low, high, **more: MixtureHead(  # noqa: E731
            size, components, low=low, high=high, floor=0.002, **more, key=next(keys)
        )
        self.decoder = Decoder(width, layers, heads, dropout=dropout, key=next(keys))
        self.embed, self.embed_context, self.embed_known = mlp(44, width), mlp(2 * len(CONTEXT), width), mlp(9, width)
        self.kind = eqx.nn.Linear(width, 3, key=next(keys))
        self.spacing = head(width, -2.0, 0.2, anchors=ANCHORS, anchor_sd=0.005)
        self.mass_mlp, self.log_mass = mlp(width + 22, width, jax.nn.gelu), head(width, -1.0, 3.0, edge=mass_edge)
        # The first planet follows nothing: heads of its own learn its place and mass better.
        self.first_spacing = head(width, -0.15, 0.55, anchors=ANCHORS)
        self.first_mass_mlp = mlp(width + 26, width, jax.nn.gelu)
        self.first_log_mass = head(width, -1.0, 3.0, edge=mass_edge)
        self.radius_mlp, self.log_radius = mlp(width + 22, width, jax.nn.gelu), head(width, -0.3, 1.2)
        self.context_mean, self.context_sd = tuple(context_mean), tuple(context_sd)

    def known_tokens(self, known: Known) -> Float[Array, "known width"]:
        """One token per known planet; their order does not matter."""
        rows = jnp.concatenate([known.value, known.error, known.present.astype(known.value.dtype)], -1)
        return jax.vmap(self.embed_known)(rows)

    def context_token(self, context: Float[Array, " context"], has: Bool[Array, " context"]) -> Float[Array, " width"]:
        """What star and disc add to every token of a step."""
        scaled = (context - jnp.asarray(self.context_mean)) / jnp.asarray(self.context_sd)
        return self.embed_context(jnp.concatenate([jnp.where(has, scaled, 0.0), has.astype(context.dtype)]))

    def token(self, behind: Behind, ahead: Ahead) -> Float[Array, " width"]:
        """The token of one step."""
        return self.embed(jnp.concatenate([behind.features(), ahead.features(behind.log_a)]))

    def next_kind(self, h: Float[Array, " width"], index: Int[Array, ""], left: Int[Array, ""]) -> Float[Array, " 3"]:
        """Log probability of an end (only after the first planet and the last known one), hidden or known planet."""
        allowed = jnp.stack([(left == 0) & (index > 0), left >= 0, left > 0])
        return jax.nn.log_softmax(jnp.where(allowed, self.kind(h), -1e9))

    def next_spacing(self, h: Float[Array, " width"], index: Int[Array, ""]) -> Mixture:
        """Density of log10 of the distance in dex to the next hidden planet, before it is cut off."""
        first, later = self.first_spacing(h, anchored=False), self.spacing(h)
        return jax.tree.map(lambda a, b: jnp.where(index > 0, b, a), first, later)

    def next_mass(self, h, behind: Behind, log_a: Float[Array, ""], given: Float[Array, " 8"]) -> Mixture:
        """Density of the log mass of a planet at `log_a`; `given` is what was measured of it, or zero."""
        place = jnp.stack([log_a, log_spacing(behind.log_a, log_a) + 1])
        later = self.log_mass(self.mass_mlp(jnp.concatenate([h, waves(place), given])))
        first = self.first_log_mass(self.first_mass_mlp(jnp.concatenate([h, waves(place, FINE), given])))
        return jax.tree.map(lambda a, b: jnp.where(behind.index > 0, b, a), first, later)

    def next_radius(self, h, log_a: Float[Array, ""], log_mass: Float[Array, ""], given: Float[Array, " 8"]) -> Mixture:
        """Density of the log radius of a planet at `log_a` of `log_mass`."""
        return self.log_radius(self.radius_mlp(jnp.concatenate([h, waves(jnp.stack([log_a, log_mass])), given])))

    def tokens(
        self, system: System, behind: Behind, ahead: Ahead
    ) -> tuple[Float[Array, "token width"], Bool[Array, "token token"]]:
        """The tokens of a finished system, known planets before steps, and which may look at which."""
        steps = jax.vmap(self.token)(behind, ahead) + self.context_token(system.context, system.has_context)
        mask = visible(system.known, jnp.append(True, system.mask))
        return jnp.concatenate([self.known_tokens(system.known), steps]), mask

    def hidden(
        self, system: System, behind: Behind, ahead: Ahead, key: PRNGKeyArray | None
    ) -> Float[Array, "step width"]:
        """What the transformer holds at every step of a finished system."""
        known = system.known.present.shape[0]
        return self.decoder(*self.tokens(system, behind, ahead), key=key)[known:]

    def predictions(self, system: System, *, key: PRNGKeyArray | None = None) -> Predictions:
        """Everything that the network says along a finished system, each step from the true planets before it."""
        behind = all_behind(system)
        ahead = jax.vmap(look_ahead, (None, 0))(system.known, behind.log_a)
        h = self.hidden(system, behind, ahead, key)
        kind = jax.vmap(self.next_kind)(h, behind.index, ahead.left)
        h, behind, ahead = jax.tree.map(lambda a: a[:-1], (h, behind, ahead))
        given = jnp.where(is_given(system, ahead)[:, None], jax.vmap(Ahead.features)(ahead, behind.log_a), 0.0)
        return Predictions(
            kind,
            jax.vmap(self.next_spacing)(h, behind.index),
            jax.vmap(self.next_mass)(h, behind, system.log_a, given),
            jax.vmap(self.next_radius)(h, system.log_a, system.log_mass, given),
        )

    def terms(self, system: System, *, key: PRNGKeyArray | None = None) -> Terms:
        """The log density of every factor of one system; dropout acts where a key is given in training."""
        return terms_of(system, self.predictions(system, key=key))

    def start(self, told: Float[Array, " width"], known: Known, planets: int) -> tuple[Float[Array, " width"], Cache]:
        """The state before the first planet, and a cache with room for `planets` more tokens.

        `told` is the context token.
        """
        behind = nothing_behind()
        first = self.token(behind, look_ahead(known, behind.log_a)) + told
        mask = visible(known, jnp.ones(1, bool))
        h, cache = self.decoder.prefill(jnp.concatenate([self.known_tokens(known), first[None]]), mask)
        return h[-1], extend(cache, planets)

    def step(
        self, told: Float[Array, " width"], behind: Behind, ahead: Ahead, known: Known, cache: Cache
    ) -> tuple[Float[Array, " width"], Cache]:
        """The state after the planet that `behind` ends with."""
        position = known.present.shape[0] + behind.index
        token = jnp.arange(cache.key[0].shape[-2])
        valid = jnp.pad(known.present[:, 0], (0, len(token) - known.present.shape[0]), constant_values=True)
        return self.decoder.step(self.token(behind, ahead) + told, cache, position, valid & (token <= position))


class Generator(eqx.Module):
    """The trained density over systems: at each step the mean of what its members say.

    A mean of densities is a density, so the pooled model is as exact as each member and generalises better.
    """

    members: tuple[Member, ...]

    def __call__(self, system: System) -> Float[Array, ""]:
        """`log_prob`."""
        return self.log_prob(system)

    def log_prob(self, system: System) -> Float[Array, ""]:
        """Log density of one whole system in (log10 a, log10 M, log10 R where given), in nats, its end included.

        Given the context and the known planets in it; the known planets' axes are conditions, not variables.
        """
        return sum(jnp.sum(term) for term in self.terms(system))  # pyright: ignore[reportReturnType]

    def terms(self, system: System) -> Terms:
        """The log density of every factor of one system."""
        return self.score(system, [member.predictions(system) for member in self.members])

    @staticmethod
    def score(system: System, say: list[Predictions]) -> Terms:
        """The terms under the mean of what several members say; there are no planets beyond `INNER` and `OUTER`."""
        terms = terms_of(system, pooled(say))
        outside = system.mask & ((system.log_a < INNER) | (system.log_a > OUTER))
        return terms._replace(log_a=jnp.where(outside, -jnp.inf, terms.log_a))

    def begin(self, condition: Condition, planets: int) -> "Writing":
        """The state before the first planet."""
        told = tuple(m.context_token(condition.context, condition.has_context) for m in self.members)
        starts = (m.start(t, condition.known, planets) for m, t in zip(self.members, told, strict=True))
        return Writing(told, nothing_behind(), *zip(*starts, strict=True))

    def write(self, state: "Writing", condition: Condition, u: Float[Array, " 7"], sharp: Sharpness):
        """The next state, the planet (log a, log M, log R) that uniform numbers pick, and whether there is one."""
        behind, known = state.behind, condition.known
        ahead = look_ahead(known, behind.log_a)
        pairs = list(zip(self.members, state.hidden, strict=True))
        mean = lambda densities: sharp.mixture(pooled_mixture(densities))  # noqa: E731
        kind = choose_index(u[0], sharp(pooled_kind([m.next_kind(h, behind.index, ahead.left) for m, h in pairs])))
        spacing = mean([m.next_spacing(h, behind.index) for m, h in pairs])
        distance = 10 ** spacing.draw(u[1], u[2], top=log_spacing(behind.log_a, ahead.limit))
        log_a = jnp.where(kind == GIVEN, ahead.limit, jnp.minimum(behind.log_a + distance, ahead.limit))
        given = jnp.where(kind == GIVEN, ahead.features(behind.log_a), 0.0)
        log_mass = mean([m.next_mass(h, behind, log_a, given) for m, h in pairs]).draw(u[3], u[4])
        log_radius = mean([m.next_radius(h, log_a, log_mass, given) for m, h in pairs]).draw(u[5], u[6])
        return self.push(state, log_a, log_mass, known), jnp.stack([log_a, log_mass, log_radius]), kind != STOP

    def push(self, state: "Writing", log_a: Float[Array, ""], log_mass: Float[Array, ""], known: Known) -> "Writing":
        """The state once this planet is written."""
        behind, ahead = state.behind.after(log_a, log_mass), look_ahead(known, log_a)
        each = zip(self.members, state.told, state.cache, strict=True)
        steps = [m.step(told, behind, ahead, known, cache) for m, told, cache in each]
        return Writing(state.told, behind, *zip(*steps, strict=True))

    def finish(self, system: System) -> System:
        """The system itself."""
        return system


class Writing(NamedTuple):
    """A system half written: what every member was told of star and disc, what is behind, and what members hold."""

    told: tuple[Float[Array, " width"], ...]
    behind: Behind
    hidden: tuple[Float[Array, " width"], ...]
    cache: tuple[Cache, ...]


def visible(known: Known, steps: Bool[Array, " step"]) -> Bool[Array, "token token"]:
    """Who may look at whom: known planets at each other, steps at known planets and at the steps up to themselves."""
    k = known.present.shape[0]
    token = jnp.arange(k + steps.shape[0])
    return (token[None] <= jnp.maximum(token[:, None], k - 1)) & jnp.append(known.present[:, 0], steps)[None]


def is_given(system: System, ahead: Ahead) -> Bool[Array, " planet"]:
    """Which planets of a system are the known ones; `ahead` holds what lies ahead of the step that writes each."""
    return system.mask & (ahead.left > 0) & (system.log_a >= ahead.limit)


def pooled(predictions: list[Predictions]) -> Predictions:
    """The mean of several members' densities, factor by factor."""
    if len(predictions) == 1:
        return predictions[0]
    return Predictions(
        pooled_kind([say.kind for say in predictions]),
        *(pooled_mixture(list(each)) for each in zip(*(say[1:] for say in predictions), strict=True)),
    )


def pooled_kind(members: list[Float[Array, "*step 3"]]) -> Float[Array, "*step 3"]:
    """The log of the mean probability over members."""
    return jax.nn.logsumexp(jnp.stack(members), 0) - math.log(len(members))


def pooled_mixture(members: list[Mixture]) -> Mixture:
    """The mean density over members."""
    return pool(jax.tree.map(lambda *a: jnp.stack(a), *members))


def terms_of(system: System, say: Predictions) -> Terms:
    """The log density of every factor of one system under the predictions along it."""
    behind = all_behind(system)
    ahead = jax.vmap(look_ahead, (None, 0))(system.known, behind.log_a)
    behind, ahead = jax.tree.map(lambda a: a[:-1], (behind, ahead))
    given = is_given(system, ahead)
    what = jnp.append(jnp.where(system.mask, jnp.where(given, GIVEN, HIDDEN), STOP), STOP)
    kind = jnp.take_along_axis(say.kind, what[:, None], 1)[:, 0]
    spacing = jnp.where(system.mask, log_spacing(behind.log_a, system.log_a), -1.0)
    room = say.spacing.log_cdf(log_spacing(behind.log_a, ahead.limit))
    per_dex = -spacing * math.log(10) - math.log(math.log(10))  # d log10(distance) / d log10 a
    on = lambda where, term: jnp.where(where, term, 0.0)  # noqa: E731
    return Terms(
        on(jnp.append(True, system.mask), kind),
        on(system.mask & ~given, say.spacing.log_prob(spacing) - room + per_dex),
        on(system.mask, say.log_mass.log_prob(system.log_mass)),
        on(system.mask & system.has_radius, say.log_radius.log_prob(system.log_radius)),
    )
