"""The multi-band sky against the published formula written out, and its degeneracies removed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.fields import Bands, LogNormal, MultiBandField, NonParametric, Normal, hartley

pytestmark = pytest.mark.core
SHAPE = (10, 12)
ENERGY = np.array([0.3, 0.8, 1.5, 4.0])


def sky(reference=1, **options):
    spatial = NonParametric(LogNormal(0.8, 0.4), Normal(-4.0, 0.5), LogNormal(0.5, 0.2))
    bands = Bands(jnp.asarray(ENERGY), reference)
    return MultiBandField(SHAPE, bands, Normal(-3.0, 0.1), spatial, grid=SHAPE, **options)


def prior_draw(field):
    keys = jax.random.split(jax.random.key(5), len(field.shapes))
    return {n: jax.random.normal(k, s, float) for k, (n, s) in zip(keys, field.shapes.items(), strict=True)}


@pytest.mark.parametrize("reference", [0, 1, 3])
def test_equals_the_formula_written_out(reference):
    with jax.enable_x64(True):
        field = sky(reference)
        xi = prior_draw(field)
        mu = np.log(ENERGY / ENERGY[reference])
        modes = field.modes
        a_spatial = np.asarray(field.spatial({n[8:]: v for n, v in xi.items() if n.startswith("spatial_")}, modes))
        a_spectral = np.asarray(field.spectral({n[9:]: v for n, v in xi.items() if n.startswith("spectral_")}, modes))
        walk = np.zeros((4, *SHAPE))
        increments = np.asarray(field.deviation_std(xi["deviation_std"]) * xi["deviation_xi"])
        for b in range(reference + 1, 4):
            walk[b] = walk[b - 1] + np.sqrt(mu[b] - mu[b - 1]) * increments[b - 1]
        for b in range(reference - 1, -1, -1):
            walk[b] = walk[b + 1] + np.sqrt(mu[b + 1] - mu[b]) * increments[b]
        slope = np.einsum("b,byx->yx", mu, walk) / np.sum(mu**2)
        across = mu[:, None, None]
        spectral = np.asarray(field.index_std(xi["index_std"]) * xi["index_xi"]) * across + walk - slope * across
        harmonic = a_spatial[modes.index] * np.asarray(xi["xi"]) + a_spectral[modes.index] * spectral
        expected = np.array(hartley(jnp.asarray(harmonic)))
        expected += float(field.index(xi["index"])) * across + float(field.offset(xi["offset"]))
        np.testing.assert_allclose(field(xi), expected, atol=1e-10)


def test_deviations_have_no_slope_and_vanish_in_the_reference_band():
    with jax.enable_x64(True):
        field = sky()
        deviation = field.maps(prior_draw(field)).deviation
        np.testing.assert_allclose(np.einsum("b,byx->yx", field.bands.mu, deviation), 0, atol=1e-12)
        assert not deviation[1].any()


def test_band_edges_integrate_the_power_law():
    edges = np.stack([ENERGY * 0.8, ENERGY * 1.2], 1)
    with jax.enable_x64(True):
        bands = Bands(jnp.asarray(ENERGY), 1, jnp.asarray(edges))
        for index in (-2.3, -1.0, 0.4):
            s = index + 1
            flux = np.log(edges[:, 1] / edges[:, 0]) if s == 0 else (edges[:, 1] ** s - edges[:, 0] ** s) / s
            np.testing.assert_allclose(bands.log_factor(jnp.array(index)), np.log(flux / flux[1]), atol=1e-10)


def test_float32_agrees_with_float64():
    with jax.enable_x64(True):
        field = sky()
        latents = prior_draw(field)
        exact = np.asarray(field(latents))
        single = field(jax.tree.map(lambda v: v.astype(jnp.float32), latents))
    np.testing.assert_allclose(single, exact, atol=2e-5)


def test_one_or_two_bands_leave_out_what_they_cannot_constrain():
    one = MultiBandField(SHAPE, Bands(jnp.array([1.0])), Normal(0.0, 1.0))
    two = MultiBandField(SHAPE, Bands(jnp.array([1.0, 2.0])), Normal(0.0, 1.0))
    assert "index_xi" not in one.shapes
    assert "deviation_xi" not in two.shapes
    assert "index_xi" in two.shapes
    assert one({n: jnp.ones(s) for n, s in one.shapes.items()}).shape == (1, *SHAPE)
