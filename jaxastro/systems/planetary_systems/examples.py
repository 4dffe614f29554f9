"""Planets in, systems out: the planets of a table become padded systems to train on."""

import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.layout import INNER, OUTER, PLANETS, System, nothing_known
from jaxastro.systems.planetary_systems.planets import Planets


def to_systems(planets: Planets) -> tuple[System, Table]:
    """Padded systems for training, and their identities; only planets with a true mass can be learned from.

    Systems with a planet whose mass is unknown, an upper limit or only a minimum are left out whole, since a system
    that lacks a planet is another system.

    Raises:
        InputError: a system is longer than the context, or none is complete.
    """
    hosts = planets.hosts()
    number = {name: i for i, name in enumerate(hosts)}
    of = np.array([number[name] for name in planets.system])
    complete = np.bincount(of, ~planets.weighed(), len(hosts)) == 0
    size = np.bincount(of, minlength=len(hosts))
    if not complete.any():
        raise InputError(
            f"None of the {len(hosts)} systems has the true mass of all its planets, as training needs; "
            "a column 'mass' holds true masses, 'pl_bmasse' only where 'pl_bmassprov' is 'Mass' or there is a radius."
        )
    long = np.flatnonzero(complete & (size > PLANETS))
    if long.size:
        raise InputError(
            f"System '{hosts[long[0]]}' has {size[long[0]]} planets, but {PLANETS} fit; leave out its lightest planets."
        )
    rows = np.flatnonzero(complete[of])
    keep = np.flatnonzero(complete)
    s = np.searchsorted(keep, of[rows])
    place = np.arange(len(rows)) - np.searchsorted(s, s)

    def padded(values: np.ndarray, kind: type = np.float32) -> jnp.ndarray:
        out = np.zeros((len(keep), PLANETS), kind)
        out[s, place] = np.nan_to_num(values[rows])
        return jnp.asarray(out)

    radius = np.where(planets.radius.limit, np.nan, planets.radius.value)
    first = rows[np.searchsorted(s, np.arange(len(keep)))]
    context = planets.context[first].astype(np.float32)
    system = System(
        padded(np.log10(planets.a.value)),
        padded(np.log10(planets.mass.value)),
        padded(np.log10(radius)),
        padded(np.ones(len(planets), bool), bool),
        padded(~np.isnan(radius), bool),
        jnp.asarray(np.nan_to_num(context)),
        jnp.asarray(~np.isnan(context)),
        nothing_known(len(keep)),
    )
    return system, Table({"hostname": [hosts[i] for i in keep], "sy_pnum": size[keep]})


def left_out(planets: Planets) -> int:
    """How many systems `to_systems` leaves out because a mass is missing."""
    return len(set(planets.system[~planets.weighed()]))


def within_reach(systems: System) -> System:
    """The systems without a planet outside of the range that the model covers, which tables cannot hold either."""
    log_a, mask = np.asarray(systems.log_a), np.asarray(systems.mask)
    rows = np.flatnonzero(((log_a > INNER) & (log_a < OUTER) | ~mask).all(-1))
    return jax.tree.map(lambda a: a[rows], systems)
