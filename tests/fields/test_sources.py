"""Sources: total flux, closed-form profiles, masks; and energy bands."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import invgamma, norm

from jaxastro.fields import (
    Bands,
    CorrelatedField,
    ExtendedSources,
    InverseGamma,
    LocalFields,
    LogNormal,
    Normal,
    PointSources,
    power_law_integral,
)

pytestmark = pytest.mark.core
SHAPE = (61, 61)


def slots(profile, **shape):
    at = Normal(jnp.array([30.2, 10.0]), 1.0)
    return ExtendedSources(
        jnp.array([1.0, 0.0]), at, at, LogNormal(5.0, 1.0), LogNormal(4.0, 1.0), profile=profile, **shape
    )


def zeros(source):
    return {name: jnp.zeros(shape) for name, shape in source.shapes.items()}


@pytest.mark.parametrize(
    ("profile", "shape", "tolerance"),
    [
        ("gaussian", {}, 1e-4),
        ("sersic", {"shape": LogNormal(1.0, 1e-3)}, 0.02),
        ("sersic", {"shape": LogNormal(2.5, 1e-3)}, 0.06),
        ("beta", {"shape": LogNormal(0.7, 1e-3)}, 0.02),
    ],
)
def test_an_active_slot_holds_its_flux_and_an_inactive_one_none(profile, shape, tolerance):
    source = slots(profile, **shape)
    image = source(zeros(source), SHAPE)
    flux = float(LogNormal(5.0, 1.0)(jnp.zeros(())))
    assert float(image.sum()) == pytest.approx(flux, rel=tolerance)
    assert np.all(image[0, 5:15, 5:15] < 0.02 * image.max())


def test_gaussian_moments_are_size_ratio_and_angle():
    source = slots("gaussian")
    latents = zeros(source) | {"ratio": jnp.array([1.5, 0.0]), "angle": jnp.array([0.25, 0.0])}
    image = np.asarray(source(latents, SHAPE)[0], float)
    image /= image.sum()
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    y, x = (image * rows).sum(), (image * columns).sum()
    offsets = rows - y, columns - x
    covariance = np.array([[(image * a * b).sum() for a in offsets] for b in offsets])
    values, vectors = np.linalg.eigh(covariance)
    major = float(LogNormal(4.0, 1.0)(jnp.zeros(())))
    assert (y, x) == pytest.approx((30.2, 30.2), abs=1e-2)
    assert np.sqrt(values - 1 / 12) == pytest.approx([major * np.exp(-0.6), major], rel=2e-2)
    assert abs(np.dot(vectors[:, 1], [np.cos(0.5), np.sin(0.5)])) == pytest.approx(1, abs=1e-3)


def test_half_the_light_of_a_sersic_profile_is_inside_its_half_light_radius():
    source = slots("sersic", shape=LogNormal(1.5, 1e-3))
    image = np.asarray(source(zeros(source), (121, 121))[0])
    radius = np.hypot(*(np.mgrid[:121, :121] - 30.2))
    size = float(LogNormal(4.0, 1.0)(jnp.zeros(())))
    flux = float(LogNormal(5.0, 1.0)(jnp.zeros(())))
    assert image[radius < size].sum() == pytest.approx(flux / 2, rel=0.05)


def test_local_field_stays_in_its_box_and_keeps_its_flux():
    texture = CorrelatedField((16, 16), grid=(16, 16))
    source = LocalFields(jnp.array([1.0]), jnp.array([20.0]), jnp.array([33.0]), LogNormal(5.0, 1.0), texture)
    latents = {n: jax.random.normal(jax.random.key(1), s) for n, s in source.shapes.items()}
    image = source(latents, SHAPE)[0]
    flux = source.flux(latents["flux"])[0]
    assert float(image.sum()) == pytest.approx(float(flux), rel=1e-5)
    rows, columns = np.nonzero(image)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 27, 25, 40)


def test_point_fluxes_follow_a_power_law_and_masks():
    bands = Bands(jnp.array([0.5, 1.0, 2.0]), reference=1)
    at = Normal(jnp.array([3.0, 4.0]), 0.1)
    points = PointSources(jnp.array([1.0, 0.0]), at, at, LogNormal.of_log(jnp.log(jnp.array([2.0, 5.0])), 0.5))
    flux = points(zeros(points), bands).flux
    np.testing.assert_allclose(flux[:, 0], 2.0 * np.array([0.5, 1.0, 2.0]) ** -1.2, rtol=1e-5)
    assert not flux[:, 1].any()


@pytest.mark.parametrize("index", [-3.0, -1.0, -1.001, 0.0, 1.7])
def test_power_law_integral(index):
    expected = quad(lambda e: (e / 2.0) ** index, 0.7, 9.0)[0]
    assert float(power_law_integral(jnp.array(index), 0.7, 9.0, 2.0)) == pytest.approx(expected, rel=1e-5)


def test_inverse_gamma_prior_is_scipys_quantile():
    prior = InverseGamma(1.5, 3e-4)
    xi = np.array([-7.0, -2.34, 0.013, 1.7, 6.5])
    with jax.enable_x64(True):
        ours = InverseGamma(1.5, 3e-4)(jnp.asarray(xi))
    upper = invgamma.isf(norm.sf(xi), 1.5, scale=3e-4)
    lower = invgamma.ppf(norm.cdf(xi), 1.5, scale=3e-4)
    np.testing.assert_allclose(ours, np.where(xi > 0, upper, lower), rtol=1e-6)
    slope = jax.vmap(jax.grad(prior.log))(jnp.linspace(-8.0, 8.0, 400))
    assert np.all(slope > 0)
    assert np.abs(np.diff(slope)).max() < 0.05


def test_log_normal_prior_has_its_moments():
    values = LogNormal(0.8, 0.4)(jax.random.normal(jax.random.key(0), (200_000,)))
    assert float(values.mean()) == pytest.approx(0.8, rel=5e-3)
    assert float(values.std()) == pytest.approx(0.4, rel=2e-2)
    of_log = LogNormal.of_log(0.3, 0.7)
    np.testing.assert_allclose(of_log.log(jnp.array([-1.0, 0.0, 2.0])), [-0.4, 0.3, 1.7], rtol=1e-5)
