"""Where a source is needed: the exact gain of a point, its null distribution, upper limits."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import poisson

from jaxastro.fields import gaussian_kernel
from jaxastro.systems.sky.config import Simulate
from jaxastro.systems.sky.data import Field, assemble
from jaxastro.systems.sky.detect import local_tension, need_of_points, peak_pixels, point_gain
from jaxastro.systems.sky.maps import point_flux
from jaxastro.systems.sky.simulate import simulate_field

N = 60


def seen_with(rate: np.ndarray, seed: int, exposure: float = 10.0) -> Field:
    counts = np.random.default_rng(seed).poisson(rate)
    return assemble("f", counts, exposure, 0.0, gaussian_kernel(1.3), np.arange(1.0, len(rate) + 1))


def point(flux: float, y: int, x: int) -> np.ndarray:
    image, kernel = np.zeros((N, N)), gaussian_kernel(1.3)
    half = kernel.shape[0] // 2
    image[y - half : y + half + 1, x - half : x + half + 1] = flux * kernel
    return image


def test_the_gain_of_a_point_is_the_likelihood_ratio_at_its_maximum():
    flat = np.full((2, N, N), 0.05)
    spectrum = np.array([1.0, 0.5])
    field = seen_with(flat + 10 * np.stack([point(0.6, 30, 30), point(0.3, 30, 30)]), 1)
    gain, flux = point_gain(field, flat, np.array([[30, 30]]), spectrum)
    image = 10 * point(1.0, 30, 30)

    def minus(f):
        return -sum(
            poisson.logpmf(c, r + f * s * image).sum() for c, r, s in zip(field.counts, flat, spectrum, strict=True)
        )

    best = minimize_scalar(minus, bounds=(0, 5), method="bounded", options={"xatol": 1e-9})
    assert flux[0] == pytest.approx(best.x, rel=1e-4)
    assert gain[0] == pytest.approx(np.sqrt(2 * (minus(0.0) - best.fun)), rel=1e-5)


@pytest.mark.parametrize("level", [0.03, 30.0])
def test_noise_alone_needs_no_point_and_a_point_is_needed_where_it_is(level):
    """Few photons and many: noise stays below 5 sigma, a 10-sigma point above, at its pixel."""
    flat = np.full((1, N, N), level)
    maxima = [need_of_points(seen_with(flat, s), flat, np.ones(1)).z.max() for s in range(20)]
    assert np.mean(np.array(maxima) > 5) <= 0.05
    unseen = 10 * point(1.0, 25, 37)
    flux = 12 / np.sqrt((unseen**2 / (flat[0] + 0.3 * unseen)).sum())
    need = need_of_points(seen_with(flat + flux * unseen, 3), flat, np.ones(1)).z
    y, x = peak_pixels(need, 5.0)[0]
    assert np.hypot(y - 25, x - 37) < 1.5


def test_a_pixel_without_any_rate_hides_no_other():
    flat = np.full((1, N, N), 3.0)
    field = seen_with(flat, 4)
    field.counts[0, 20, 20] = 0
    hole = flat.copy()
    hole[0, 20, 20] = 1e-12
    far = np.hypot(*(np.indices((N, N)) - 20)) > 8
    with_hole, without = (need_of_points(field, rate, np.ones(1)).z[far] for rate in (hole, flat))
    np.testing.assert_allclose(with_hole, without, atol=0.3)


def test_what_a_fit_absorbs_is_given_back_by_the_scatter_of_the_residuals():
    """Residuals shrunk by a constant factor, noise and source alike, keep their significance."""
    flat = np.full((1, N, N), 30.0)
    field = seen_with(flat + 10 * point(40.0, 30, 30), 5)
    absorbed = flat + 0.7 * (field.counts - flat)
    full, part = (need_of_points(field, np.maximum(r, 1e-3), np.ones(1)).z[30, 30] for r in (flat, absorbed))
    assert part == pytest.approx(full, rel=0.25)


def test_tension_is_scaled_by_the_information_of_each_pixel():
    rng = np.random.default_rng(0)
    rate = np.where(np.arange(N) < N // 2, 1.0, 256.0) * np.ones((1, N, N))
    z = local_tension(rng.normal(size=(N, N)) * rate[0] ** 0.25, rate, -4.0)
    assert z[:, : N // 2 - 8].std() == pytest.approx(z[:, N // 2 + 8 :].std(), rel=0.1)
    assert z.std() == pytest.approx(1, abs=0.15)


def test_upper_limits_hold_at_their_level():
    """Of many points at the limit's flux, 95 % lie below the limits that their own data give."""
    flat = np.full((1, N, N), 3.0)
    truth = 0.5
    below = []
    for seed in range(200):
        field = seen_with(flat + 10 * point(truth, 30, 30), seed)
        below.append(point_flux(field, flat[None], np.ones(1))[2][30, 30] > truth)
    assert np.mean(below) >= 0.91


def test_a_simulated_field_is_poisson_around_its_truth():
    field, truth = simulate_field(Simulate(size=48, points=3, seed=4))
    pull = (field.counts - truth["expected"]) / np.sqrt(truth["expected"])
    assert (pull**2).mean() == pytest.approx(1, abs=0.05)
    flux = truth["diffuse"] + truth["extended"]
    assert np.log(truth["diffuse"][1]).mean() == pytest.approx(truth["log_diffuse_ref"].mean())
    total = flux.sum((1, 2)) + (
        truth["catalog"][:, 2]
        * np.exp(truth["catalog"][:, 3] * np.log(field.energy_keV / field.energy_keV[1])[:, None])
    ).sum(1)
    assert (truth["expected"] / field.exposure).sum((1, 2)) == pytest.approx(total, rel=0.08)
    again, _ = simulate_field(Simulate(size=48, points=3, seed=4))
    np.testing.assert_array_equal(again.counts, field.counts)
