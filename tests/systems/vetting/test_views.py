"""The view builder against a slow NumPy specification, planted truth, symmetries, finite differences and Kepler-90."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.errors import InputError
from jaxastro.io.archive_table import read_archive_table
from jaxastro.systems.vetting.ephemeris import Ephemeris, fold, transits_seen
from jaxastro.systems.vetting.folding import folded, padded, views_of_signals, window_cadences
from jaxastro.systems.vetting.lightcurve import light_curve, read_light_curve
from jaxastro.systems.vetting.recipe import Recipe
from jaxastro.systems.vetting.simulate import simulate_curves
from jaxastro.systems.vetting.views import build_views

RECIPE = Recipe()
P, T0, DURATION, DEPTH = 3.3, 2458327.0, 0.16, 4e-3


def box(time, *, odd=1.0, even=1.0, secondary=0.0, period=P, t0=T0, noise=0.0, seed=0):
    """Box-shaped transits, so that every depth is known exactly; the first transit in the data counts as even (0)."""
    tau, number = fold(time, Ephemeris(period, t0, DURATION))
    depth = DEPTH * np.where(number % 2, odd, even) * (np.abs(tau) < DURATION / 2)
    late = np.where(tau > 0, tau - period / 2, tau + period / 2)
    depth = depth + DEPTH * secondary * (np.abs(late) < DURATION / 2)
    return 1 - depth + noise * np.random.default_rng(seed).normal(size=len(time))


TIME = 2458325.0 + np.arange(6000) * 10 / 1440
EPHEMERIS = Ephemeris(P, T0, DURATION)


def lower_median(x):
    return np.sort(x)[(len(x) - 1) // 2]


def reference_trend(s, values, use, width):
    """The sliding biweight, one window at a time."""
    stride = max(1, width // 16)
    centres = np.arange(stride // 2, len(s.time), stride)
    knots = np.full(len(centres), np.nan)
    for k, c in enumerate(centres):
        near = use & (s.segment == s.segment[c]) & (np.abs(s.time - s.time[c]) <= s.window / 2)
        near[: max(c - width // 2, 0)] = near[c + width // 2 + 1 :] = False
        if near.any():
            x = values[near].astype(np.float64)
            m = lower_median(x)
            scale = 5 * lower_median(np.abs(x - m)) + 1e-12
            for _ in range(4):
                u = (x - m) / scale
                w = np.where(np.abs(u) < 1, (1 - u**2) ** 2, 0)
                m = (w * x).sum() / w.sum()
            knots[k] = m
    trend = np.full(len(s.time), np.nan)
    for number in np.unique(s.segment):
        inside = s.segment == number
        own = np.flatnonzero((s.segment[centres] == number) & np.isfinite(knots))
        if own.size:
            trend[inside] = np.interp(s.time[inside], s.time[centres[own]], knots[own])
    return trend


def reference_bins(place, values, keep, bins):
    keep = keep & (place >= 0) & (place < bins)
    index = np.floor(place[keep]).astype(int)
    count = np.bincount(index, minlength=bins)
    mean = np.bincount(index, values[keep], bins) / np.maximum(count, 1)
    valid = count > 0
    at = np.arange(bins)
    return np.stack([np.interp(at, at[valid], mean[valid]), valid], axis=1)


def reference_views(s, width):
    """The specification: what `build_views` does, in loops and float64 (places in float32, as bins are chosen)."""
    tau, period, duration = s.tau, s.period, s.duration
    late = np.where(tau > 0, tau - period / 2, tau + period / 2)
    protected = (np.abs(tau) < 0.75 * duration) | (np.abs(late) < 0.75 * duration)
    trend = reference_trend(s, s.flux, s.keep & ~protected, width)
    keep = s.keep & np.isfinite(trend)
    flat = (s.flux - trend) / (1 + trend)
    sigma = np.inf
    for _ in range(4):
        used = flat[keep & ~protected & (np.abs(flat) < 5 * sigma)]
        sigma = used.std()
    keep &= (flat < 5 * sigma) & (protected | (flat > -5 * sigma))
    half = min(3 * duration, period / 4)
    phase = tau / period + np.float32(0.75)
    centre = keep & (np.abs(tau) < duration / 4)
    scale = -flat[centre].mean()
    main, secondary = (((x / (2 * half) + np.float32(0.5)) * 75).astype(np.float32) for x in (tau, late))
    odd = s.number % 2 == 1
    views = {
        "global": reference_bins((phase - np.floor(phase)) * 300, flat, keep, 300),
        "main": reference_bins(main, flat, keep, 75),
        "odd": reference_bins(main, flat, keep & odd, 75),
        "even": reference_bins(main, flat, keep & ~odd, 75),
        "secondary": reference_bins(secondary, flat, keep, 75),
    }
    return {name: view / [scale, 1] for name, view in views.items()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_compiled_builder_equals_the_specification(seed):
    signal = simulate_curves(1, seed, kinds=("planet",))[0]
    signal = dataclasses.replace(signal, curve=dataclasses.replace(signal.curve, centroid=None, ghost=None))
    s = folded(signal.curve, signal.ephemeris, RECIPE)
    width = window_cadences(s)
    made = build_views(s, RECIPE, width=width)
    for name, view in reference_views(s, width).items():
        np.testing.assert_allclose(made.views[name], view, atol=1e-5, err_msg=name)


def test_planted_depths_are_on_the_scale_of_the_main_depth():
    made = build_views(
        folded(light_curve(TIME, box(TIME, odd=1.2, even=0.8, secondary=0.3)), EPHEMERIS), RECIPE, detrend=False
    )
    middle = {name: float(made.views[name][37, 0]) for name in ("main", "odd", "even", "secondary")}
    number = fold(TIME, EPHEMERIS)[1]
    odd = (number % 2)[np.abs(fold(TIME, EPHEMERIS)[0]) < DURATION / 4].mean()
    mean = 1.2 * odd + 0.8 * (1 - odd)
    assert made.measured["depth_ppm"] == pytest.approx(1e6 * DEPTH * mean, rel=1e-4)
    for name, truth in {"main": 1.0, "odd": 1.2 / mean, "even": 0.8 / mean, "secondary": 0.3 / mean}.items():
        assert middle[name] == pytest.approx(-truth, rel=2e-2), name


def test_the_transit_stands_at_phase_three_quarters_and_the_secondary_at_one_quarter():
    view = build_views(folded(light_curve(TIME, box(TIME, secondary=0.5)), EPHEMERIS), RECIPE, detrend=False).views[
        "global"
    ]
    low = np.flatnonzero(np.asarray(view[:, 0]) < -0.7)
    assert low.mean() == pytest.approx(225, abs=1)
    half = np.flatnonzero(np.abs(np.asarray(view[:, 0]) + 0.5) < 0.1)
    assert half.mean() == pytest.approx(75, abs=1)


def test_order_of_cadences_and_whole_periods_change_nothing():
    flux = box(TIME, odd=1.3, noise=2e-4)
    first = views_of_signals([folded(light_curve(TIME, flux), EPHEMERIS)])[0]
    shuffled = np.random.default_rng(0).permutation(len(TIME))
    later = [dataclasses.replace(EPHEMERIS, t0_bjd=T0 + k * P) for k in (1, -7, 40)]
    changed = [folded(light_curve(TIME[shuffled], flux[shuffled]), EPHEMERIS)]
    changed += [folded(light_curve(TIME, flux), e) for e in later]
    for other in views_of_signals(changed):
        for name, view in first.views.items():
            np.testing.assert_allclose(other.views[name], view, atol=1e-4, err_msg=name)


def test_bjd_loses_nothing_over_four_years_of_cycles():
    time = 2454953.0 + np.arange(0, 1460, 29.4 / 1440)
    ephemeris = Ephemeris(0.837491, 2454964.57513, 0.07)
    tau = np.asarray(folded(light_curve(time, np.ones(len(time))), ephemeris).tau, np.float64)
    exact = [(float((t - ephemeris.t0_bjd) % ephemeris.period_day)) for t in time]
    exact = np.where(np.array(exact) >= ephemeris.period_day / 2, np.array(exact) - ephemeris.period_day, exact)
    assert np.abs(tau - exact).max() < 1e-6  # days: a tenth of a second


def test_empty_bins_are_interpolated_and_marked():
    tau = fold(TIME, EPHEMERIS)[0]
    hole = (tau > 0.2) & (tau < 0.3)
    ramp = 1 + 1e-2 * tau
    made = build_views(folded(light_curve(TIME[~hole], (box(TIME) * ramp)[~hole]), EPHEMERIS), RECIPE, detrend=False)
    x = (np.arange(75) + 0.5) / 75 * 6 * DURATION - 3 * DURATION
    inside = (x > 0.215) & (x < 0.285)
    view = np.asarray(made.views["main"])
    assert not view[inside, 1].any()
    assert view[~((x > 0.18) & (x < 0.32)), 1].all()
    empty = np.flatnonzero(view[:, 1] == 0)
    ends = [empty[0] - 1, empty[-1] + 1]
    np.testing.assert_allclose(view[empty, 0], np.interp(empty, ends, view[ends, 0]), rtol=1e-5)
    assert view[ends[1], 0] - view[ends[0], 0] > 0.3  # the ramp goes on across the hole


def test_detrending_keeps_the_depth_of_a_variable_star():
    star = 1 + 5e-3 * np.sin(2 * np.pi * TIME / 4.7)
    s = folded(light_curve(TIME, box(TIME, noise=2e-4, secondary=0.4) * star), EPHEMERIS)
    made = build_views(s, RECIPE, width=window_cadences(s))
    assert made.measured["depth_ppm"] == pytest.approx(1e6 * DEPTH, rel=0.03)
    assert float(made.views["secondary"][30:45, 0].min()) < -0.33


def test_other_signals_of_the_star_are_left_out():
    other = Ephemeris(2.1, T0 + 0.4, 0.2)
    flux = box(TIME, noise=1e-4) - 0.02 * (np.abs(fold(TIME, other)[0]) < 0.1)
    curve = light_curve(TIME, flux)
    made = build_views(folded(curve, EPHEMERIS, others=[other]), RECIPE, detrend=False)
    assert made.measured["depth_ppm"] == pytest.approx(1e6 * DEPTH, rel=0.02)
    outside = np.abs(np.arange(300) - 225) > 10
    assert np.abs(np.asarray(made.views["global"])[outside, 0]).max() < 0.2


def test_listed_transit_times_undo_variations():
    centres = T0 + P * np.arange(13) + 0.12 * np.sin(np.arange(13))
    flux = np.ones(len(TIME))
    for centre in centres:
        flux -= DEPTH * (np.abs(TIME - centre) < DURATION / 2)
    curve = light_curve(TIME, flux)
    smeared = build_views(folded(curve, EPHEMERIS), RECIPE, detrend=False)
    listed = dataclasses.replace(EPHEMERIS, transit_times=tuple(centres))
    sharp = build_views(folded(curve, listed), RECIPE, detrend=False)
    assert sharp.measured["depth_ppm"] == pytest.approx(1e6 * DEPTH, rel=1e-3)
    assert smeared.measured["depth_ppm"] < 0.8e6 * DEPTH


def test_a_shifted_centroid_stands_out_of_its_own_scatter():
    rng = np.random.default_rng(0)
    tau = fold(TIME, EPHEMERIS)[0]
    centroid = rng.normal(size=(len(TIME), 2))
    centroid[:, 0] += 1.0 * (np.abs(tau) < DURATION / 2)
    ghost = -2 * DEPTH * (np.abs(tau) < DURATION / 2) + 1e-4 * rng.normal(size=len(TIME))
    s = folded(light_curve(TIME, box(TIME, noise=1e-4), centroid=centroid, ghost=ghost), EPHEMERIS)
    made = build_views(s, RECIPE, width=window_cadences(s))
    inside = slice(34, 41)
    n = (np.abs(tau) < DURATION / 2).sum() / 12.5  # cadences of one bin
    assert float(made.views["centroid"][inside, 0].mean()) == pytest.approx(np.sqrt(n), rel=0.3)
    assert abs(float(made.views["centroid"][inside, 1].mean())) < 1.5
    assert float(made.views["ghost"][inside, 0].mean()) == pytest.approx(-2, rel=0.05)


def test_strong_shifts_are_seen_whichever_way_they_go():
    rng = np.random.default_rng(0)
    inside = np.abs(fold(TIME, EPHEMERIS)[0]) < DURATION / 2
    noise = rng.normal(size=(len(TIME), 2))
    made = {}
    for sign in (1, -1):
        centroid, ghost = sign * (noise + 8 * inside[:, None]), sign * (noise[:, 0] + 8 * inside) * 1e-3
        s = folded(light_curve(TIME, box(TIME, noise=1e-4), centroid=centroid, ghost=ghost), EPHEMERIS, RECIPE)
        made[sign] = build_views(s, RECIPE, width=window_cadences(s)).views
    for name, shift in {"centroid": 8 * np.sqrt(inside.sum() / 12.5), "ghost": 8e-3 / DEPTH}.items():
        up, down = (np.asarray(made[sign][name])[34:41, :-1] for sign in (1, -1))
        assert up.mean() == pytest.approx(shift, rel=0.3), name
        np.testing.assert_allclose(up, -down, atol=0.02 * shift, err_msg=name)


def test_cadences_without_a_centroid_are_left_out():
    """Two sectors on different pixels, a tenth of the cadences in transit unknown, no shift: nothing but noise."""
    rng = np.random.default_rng(0)
    inside = np.abs(fold(TIME, EPHEMERIS)[0]) < DURATION / 2
    half = np.arange(len(TIME)) >= 3000
    centroid = rng.normal(size=(len(TIME), 2)) + 200.0 * half[:, None]
    ghost = 1e-4 * rng.normal(size=len(TIME)) + 1.0 * half
    lost = inside & (rng.random(len(TIME)) < 0.1)
    centroid[lost], ghost[lost] = np.nan, np.nan
    curve = light_curve(TIME, box(TIME, noise=1e-4), file=half.astype(int), centroid=centroid, ghost=ghost)
    s = folded(curve, EPHEMERIS, RECIPE)
    made = build_views(s, RECIPE, width=window_cadences(s))
    assert np.abs(np.asarray(made.views["centroid"])[:, :2]).max() < 4.5
    assert np.abs(np.asarray(made.views["ghost"])[34:41, 0]).max() < 0.03
    assert folded(light_curve(TIME, box(TIME), centroid=np.full((len(TIME), 2), np.nan)), EPHEMERIS).centroid is None


def test_a_sibling_in_transit_most_of_the_time_is_not_left_out():
    curve = light_curve(TIME, box(TIME))
    for sibling, masked in ((Ephemeris(1.0, T0, 0.2), True), (Ephemeris(0.3, T0, 0.5), False)):
        assert (not folded(curve, EPHEMERIS, others=[sibling]).keep.all()) == masked


def test_gradient_with_respect_to_flux_is_the_bin_mean():
    s = folded(light_curve(TIME, box(TIME, noise=1e-4)), EPHEMERIS)

    def depth(flux, detrend):
        return build_views(s._replace(flux=flux), RECIPE, width=128, detrend=detrend).measured["depth_ppm"]

    inside = np.abs(s.tau) < s.duration / 4
    plain = jax.grad(depth)(jnp.asarray(s.flux), False)
    np.testing.assert_allclose(plain, -1e6 * inside / inside.sum(), rtol=1e-4, atol=1e-3)
    through = np.asarray(jax.grad(depth)(jnp.asarray(s.flux), True))
    assert np.isfinite(through).all()
    np.testing.assert_allclose(through[inside], plain[inside], rtol=0.05)
    assert through[~inside].sum() == pytest.approx(1e6, rel=0.05)  # the trend rises with the flux beside the transit


@pytest.mark.parametrize("name", ["period_shift", "epoch_shift"])
def test_gradient_with_respect_to_the_ephemeris_equals_differences(name):
    s = folded(light_curve(TIME, box(TIME)), EPHEMERIS)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=75), jnp.float32)

    def score(shift):
        made = build_views(s, RECIPE, detrend=False, soft=True, **{name: shift})
        return (weights * made.views["main"][:, 0]).sum() * made.measured["depth_ppm"]

    step = 2e-4 if name == "epoch_shift" else 2e-5
    slope = jax.grad(score)(jnp.float32(0))
    points = np.linspace(-1, 1, 9) * step
    differences = np.polyfit(points, [float(score(jnp.float32(p))) for p in points], 1)[0]
    assert float(slope) == pytest.approx(differences, rel=0.15)


def test_padding_and_batches_change_nothing():
    made = simulate_curves(5, 3)
    signals = [folded(m.curve, m.ephemeris, RECIPE) for m in made]
    for s, views in zip(signals, views_of_signals(signals), strict=True):
        alone = build_views(padded(s, 4096), RECIPE, width=window_cadences(s))
        for name, view in alone.views.items():
            np.testing.assert_allclose(views.views[name], view, atol=2e-4, err_msg=name)


def test_transits_are_good_with_three_quarters_of_their_cadences():
    tau, number = fold(TIME, EPHEMERIS)
    whole = transits_seen(tau, number, EPHEMERIS, 10 / 1440)
    assert whole == (13, 13)
    drop = (number == 3) & (tau > 0)
    assert transits_seen(tau[~drop], number[~drop], EPHEMERIS, 10 / 1440) == (12, 13)


@pytest.mark.parametrize(
    "values", [(0.0, T0, 0.1), (-1.0, T0, 0.1), (1.0, T0, 0.0), (np.nan, T0, 0.1), (1.0, np.inf, 0.1)]
)
def test_an_impossible_ephemeris_is_refused(values):
    with pytest.raises(InputError, match=r"must be"):
        Ephemeris(*values)


@pytest.mark.realdata
def test_kepler_90_depths_are_those_of_the_archive(real_data):
    """Methods, A6: b, d, e and h within 10 %, c within 15 % of the KOI table, from 14 quarters of flight data."""
    folder = real_data / "vetting"
    curve = read_light_curve(folder / "kepler90_fits")
    assert curve.star == 11442793
    table = read_archive_table(folder / "catalogues" / "koi_cumulative_2025-10-04.csv.gz")
    rows = np.flatnonzero(table["kepid"] == "11442793")
    names = [table["kepler_name"][row][-1] for row in rows]
    column = {
        name: table[name][rows].astype(float) for name in ("koi_period", "koi_time0bk", "koi_duration", "koi_depth")
    }
    ephemerides = [
        Ephemeris(p, t + 2454833, d / 24)
        for p, t, d in zip(column["koi_period"], column["koi_time0bk"], column["koi_duration"], strict=True)
    ]
    signals = [folded(curve, e, others=[o for o in ephemerides if o is not e]) for e in ephemerides]
    made = views_of_signals([s._replace(centroid=None) for s in signals])
    ratio = {
        name: float(v.measured["depth_ppm"]) / d for name, v, d in zip(names, made, column["koi_depth"], strict=True)
    }
    assert len(ratio) == 7
    for name, tolerance in {"b": 0.10, "d": 0.10, "e": 0.10, "h": 0.10, "c": 0.15}.items():
        assert ratio[name] == pytest.approx(1, abs=tolerance), ratio


@pytest.mark.slow
def test_views_of_a_whole_catalogue_cost_seconds():
    """2263 signals, four years of Kepler each, in under ten seconds of processor time per core (methods, A6)."""
    import time as clock

    rng = np.random.default_rng(0)
    time = 2454953.0 + np.arange(0, 1460, 29.4 / 1440)[:65536]
    curve = light_curve(time, 1 + 1e-4 * rng.normal(size=len(time)))
    signals = [folded(curve, Ephemeris(p, time[0] + p / 3, 0.2)) for p in np.exp(rng.uniform(0, 4, 64))]
    views_of_signals(signals, detrend=False)
    start = clock.perf_counter()
    views_of_signals(signals, detrend=False)
    assert (clock.perf_counter() - start) * 2263 / 64 < 60
