"""When a signal transits: linear ephemerides or lists of transit times, and folding in float64 on the host."""

import dataclasses

import numpy as np

from jaxastro.errors import InputError


@dataclasses.dataclass(frozen=True)
class Ephemeris:
    """When one signal transits.

    Attributes:
        period_day: orbital period, days.
        t0_bjd: centre of one transit, BJD days.
        duration_day: first to fourth contact, days.
        transit_times: centres of single transits, BJD days, where they vary (TTVs); each cadence then belongs to the
            nearest one. Empty: the linear ephemeris.

    Raises:
        InputError: the period or duration is not positive and finite, or the epoch not finite.
    """

    period_day: float
    t0_bjd: float
    duration_day: float
    transit_times: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, unit in (("period_day", "days"), ("duration_day", "days")):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"The {name.split('_')[0]} is {value} {unit}; it must be positive.")
        if not np.isfinite(self.t0_bjd):
            raise InputError(f"The transit epoch is {self.t0_bjd}; it must be a finite BJD.")


def fold(time: np.ndarray, ephemeris: Ephemeris) -> tuple[np.ndarray, np.ndarray]:
    """Days from the nearest transit centre in [-P/2, P/2), and the number of that transit counted from the first seen.

    Counting from the first transit in the data makes both the same for T0 and T0 + k P, odd k included.

    Args:
        time: BJD days, float64.
        ephemeris: of the signal.
    """
    if ephemeris.transit_times:
        centres = np.sort(np.asarray(ephemeris.transit_times))
        nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, time)
        tau = time - centres[nearest]
        number = np.rint((centres - ephemeris.t0_bjd) / ephemeris.period_day).astype(np.int64)[nearest]
        half = ephemeris.period_day / 2  # beyond the listed transits fold on with the mean period
        extra = np.floor((tau + half) / ephemeris.period_day)
        tau, number = tau - extra * ephemeris.period_day, number + extra.astype(np.int64)
    else:
        cycles = (time - ephemeris.t0_bjd) / ephemeris.period_day
        number = np.floor(cycles + 0.5).astype(np.int64)
        tau = (time - ephemeris.t0_bjd) - number * ephemeris.period_day
    return tau, number - number.min()


def in_transit(time: np.ndarray, ephemeris: Ephemeris, durations: float = 1.0) -> np.ndarray:
    """Whether each time lies within a window of so many durations, centred on a transit."""
    return np.abs(fold(time, ephemeris)[0]) <= durations * ephemeris.duration_day / 2


def transits_seen(tau: np.ndarray, number: np.ndarray, ephemeris: Ephemeris, cadence_day: float) -> tuple[int, int]:
    """How many transits hold at least 75 % of the cadences they should, and how many fall into the data at all."""
    inside = np.abs(tau) <= ephemeris.duration_day / 2
    expected = max(ephemeris.duration_day / cadence_day, 1.0)
    counts = np.unique(number[inside], return_counts=True)[1]
    return int((counts >= 0.75 * expected - 1e-9).sum()), len(counts)
