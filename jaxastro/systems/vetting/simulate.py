"""Transit signals with known truth: planets, eclipsing binaries, blends, and junk, as light curves and as views."""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jaxoplanet.core.limb_dark import light_curve as limb_darkened

from jaxastro.systems.vetting.data import Signals
from jaxastro.systems.vetting.ephemeris import Ephemeris, fold
from jaxastro.systems.vetting.from_curves import signals_from_curves
from jaxastro.systems.vetting.lightcurve import LightCurve, light_curve
from jaxastro.systems.vetting.recipe import Recipe

# What each kind of signal is, its label, its share, and the branch that gives it away (planets: none).
KINDS = {
    "planet": ("PC", 0.40, ""),
    "secondary": ("EB", 0.13, "secondary"),
    "odd_even": ("EB", 0.13, "odd_even"),
    "blend": ("BEB", 0.14, "centroid"),
    "sinusoid": ("J", 0.07, "global"),
    "red_noise": ("J", 0.07, "global"),
    "single_event": ("J", 0.06, "global"),
}
CADENCES, CADENCE_DAY, START_BJD = 2048, 30 / 1440, 2458325.3
GRID = 64


@dataclasses.dataclass(frozen=True)
class Simulated:
    """One simulated signal: its light curve, its ephemeris as a search would report it, and the truth.

    Attributes:
        curve: what was observed.
        ephemeris: the reported one; of an `odd_even` binary, half its true period.
        kind: a key of `KINDS`.
        snr: what the transit's signal-to-noise was made to be.
        star_teff_K: effective temperature.
        star_radius_sun: radius.
    """

    curve: LightCurve
    ephemeris: Ephemeris
    kind: str
    snr: float
    star_teff_K: float
    star_radius_sun: float

    @property
    def label(self) -> str:
        """PC, EB, BEB or J."""
        return KINDS[self.kind][0]


def simulated_signals(n: int = 2000, seed: int = 0, kinds: tuple[str, ...] = tuple(KINDS)) -> Signals:
    """The views and scalars of `n` simulated signals; `table` holds the true `kind` and the branch that is `guilty`."""
    made = simulate_curves(n, seed, kinds)
    kind = np.array([signal.kind for signal in made])
    table = Table({"star": np.arange(1, n + 1), "kind": kind, "guilty": [KINDS[k][2] for k in kind]})
    scalars = {
        name: np.array([getattr(signal, name) for signal in made]) for name in ("star_teff_K", "star_radius_sun")
    }
    return signals_from_curves(
        [signal.curve for signal in made],
        [signal.ephemeris for signal in made],
        recipe=Recipe(),
        scalars=scalars,
        labels=np.array([signal.label for signal in made]),
        groups=np.arange(1, n + 1),
        table=table,
    )


def simulate_curves(n: int, seed: int = 0, kinds: tuple[str, ...] = tuple(KINDS)) -> list[Simulated]:
    """`n` signals in light curves of six weeks at 30 minutes, kinds in the shares of `KINDS`.

    Period, duration, depth and signal-to-noise are drawn alike for every kind: only the shape, the secondary, the odd
    and even transits, the centroid and the ghost tell them apart.
    """
    rng = np.random.default_rng(seed)
    share = np.array([KINDS[kind][1] for kind in kinds])
    drawn = rng.choice(len(kinds), size=n, p=share / share.sum())
    radius, impact = np.exp(rng.uniform(np.log(0.02), np.log(0.12), n)), rng.uniform(0, 0.8, n)
    shapes = transit_shapes(radius, impact)
    return [_signal(kinds[k], radius[i], impact[i], shapes[i], rng) for i, k in enumerate(drawn)]


def transit_shapes(radius: np.ndarray, impact: np.ndarray) -> np.ndarray:
    """Limb-darkened transits (object, grid) from mid-transit to just beyond contact, scaled to a depth of 1.

    Args:
        radius: of the planet in stellar radii.
        impact: impact parameter.
    """
    reach = np.sqrt((1 + radius) ** 2 - impact**2)  # half the chord: x = 1 at contact
    x = np.linspace(0, 1, GRID)
    distance = np.sqrt(impact[:, None] ** 2 + (reach[:, None] * x) ** 2)
    deficit = np.asarray(_deficit(jnp.asarray(distance, jnp.float32), jnp.asarray(radius, jnp.float32)))
    return deficit / deficit[:, :1]


@jax.jit
def _deficit(distance: jax.Array, radius: jax.Array) -> jax.Array:
    return jax.vmap(partial(limb_darkened, jnp.array([0.4, 0.25]), order=10))(distance, radius)


def _signal(kind: str, radius: float, impact: float, shape: np.ndarray, rng: np.random.Generator) -> Simulated:
    time = _times(rng)
    span = time[-1] - time[0]
    period = np.exp(rng.uniform(np.log(1.0), np.log(8.0)))
    density = np.exp(rng.normal(0, 0.25))
    chord = np.sqrt((1 + radius) ** 2 - impact**2)
    duration = period / np.pi * chord / (4.2 * density ** (1 / 3) * period ** (2 / 3))
    ephemeris = Ephemeris(period, time[0] + rng.uniform(0, min(period, span)), duration)
    depth, snr = radius**2, np.exp(rng.uniform(np.log(12), np.log(120)))
    tau, number = fold(time, ephemeris)

    def dip(offset: np.ndarray) -> np.ndarray:
        return np.interp(np.abs(offset) / (duration / 2), np.linspace(0, 1, GRID), shape, right=0.0)

    transit = dip(tau)
    inside = max((np.abs(tau) < duration / 4).sum(), 1)
    sigma = depth * np.sqrt(inside) / snr
    signal, shift, halo = -depth * transit, np.zeros(len(time)), 1.0
    halo = rng.uniform(0.6, 0.9)
    if kind == "secondary":
        signal -= depth * rng.uniform(0.25, 0.8) * dip(np.where(tau > 0, tau - period / 2, tau + period / 2))
    elif kind == "odd_even":
        unequal = rng.uniform(0.15, 0.45) * rng.choice([-1, 1])
        signal *= 1 + unequal * np.where(number % 2, 1, -1)
    elif kind == "blend":
        shift, halo = transit * np.exp(rng.uniform(np.log(10), np.log(80))) / np.sqrt(inside), rng.uniform(1.1, 1.5)
    elif kind == "sinusoid":
        cycles = rng.choice([1, 2])  # of the variation in one reported period: dips as wide as a transit are rare
        duration = period * rng.uniform(0.05, 0.15)
        ephemeris = dataclasses.replace(ephemeris, duration_day=duration)
        signal = -depth * np.cos(2 * np.pi * cycles * tau / period)
    elif kind == "red_noise":
        signal = sigma * np.sqrt(inside) * 0.5 * _correlated(time, duration * rng.uniform(0.5, 2), rng)
        ephemeris = _deepest(time, signal, ephemeris)
        sigma *= 0.3
    elif kind == "single_event":
        signal = signal * (number == rng.choice(np.unique(number))) * np.sqrt(number.max() + 1)
        signal += np.where(number % 3 == 0, 1, 0) * depth * 0.5 * dip(tau - duration * rng.uniform(0.3, 1))
    slow = rng.normal(0, 1) * np.sin(2 * np.pi * time / rng.uniform(8, 20) + rng.uniform(0, 2 * np.pi))
    flux = (1 + signal + sigma * rng.normal(size=len(time))) * (1 + 5 * sigma * slow)
    angle = rng.uniform(0, 2 * np.pi)
    centroid = shift[:, None] * np.array([np.cos(angle), np.sin(angle)]) + rng.normal(size=(len(time), 2))
    ghost = (1 - halo) * depth * transit + 3 * sigma * rng.normal(size=len(time))
    curve = light_curve(time, flux, centroid=centroid, ghost=ghost)
    return Simulated(curve, ephemeris, kind, snr, float(rng.normal(5600, 500)), float(np.exp(rng.normal(0, 0.25))))


def _times(rng: np.random.Generator) -> np.ndarray:
    """Mid-cadence times with a downlink gap every 13.7 days and 2 % of the cadences lost."""
    time = START_BJD + CADENCE_DAY * np.arange(CADENCES)
    since = (time - START_BJD) % 13.7
    return time[(since < 12.7) & (rng.uniform(size=CADENCES) > 0.02)]


def _correlated(time: np.ndarray, scale_day: float, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance that forgets itself over `scale_day` (Ornstein-Uhlenbeck)."""
    memory = np.exp(-np.diff(time) / scale_day)
    noise = rng.normal(size=len(time))
    noise[1:] *= np.sqrt(1 - memory**2)
    for i, m in enumerate(memory):
        noise[i + 1] += m * noise[i]
    return noise


def _deepest(time: np.ndarray, flux: np.ndarray, ephemeris: Ephemeris) -> Ephemeris:
    """The ephemeris moved to the epoch at which the folded flux is faintest, as a search would place it."""
    tau = fold(time, ephemeris)[0]
    bins = max(int(2 * ephemeris.period_day / ephemeris.duration_day), 4)
    slot = np.clip(((tau / ephemeris.period_day + 0.5) * bins).astype(int), 0, bins - 1)
    mean = np.bincount(slot, flux, bins) / np.maximum(np.bincount(slot, minlength=bins), 1)
    place = ((np.argmin(mean) + 0.5) / bins - 0.5) * ephemeris.period_day
    return dataclasses.replace(ephemeris, t0_bjd=ephemeris.t0_bjd + place)


def write_curves(out: Path, made: list[Simulated]) -> None:
    """`candidates.csv` (archive-like, with `label` and `kind`) and one CSV light curve per star in `light_curves/`.

    `read(out)` gives the signals back from them.
    """
    folder = out / "light_curves"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        "# durations in hours, times in BJD (TDB)",
        "star,period,t0_bjd,duration,star_teff_K,star_radius_sun,label,kind",
    ]
    for star, signal in enumerate(made, start=100000001):
        e, curve = signal.ephemeris, signal.curve
        rows.append(
            f"{star},{e.period_day:.10f},{e.t0_bjd:.7f},{24 * e.duration_day:.7f},{signal.star_teff_K:.1f},"
            f"{signal.star_radius_sun:.4f},{signal.label},{signal.kind}"
        )
        columns = np.column_stack([curve.time, curve.flux, curve.centroid, np.zeros(len(curve)), curve.ghost])  # pyright: ignore
        np.savetxt(
            folder / f"{star}.csv", columns, ["%.6f", "%.7f", "%.3f", "%.3f", "%.0f", "%.7f"], ",", comments="",
            header="time,flux,centroid_x,centroid_y,core_flux,halo_flux",
        )  # fmt: skip
    (out / "candidates.csv").write_text("\n".join(rows) + "\n")
