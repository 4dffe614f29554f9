"""The PSF operator against brute force, its adjoint, and closed forms of Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.signal import fftconvolve
from scipy.special import ndtr

from jaxastro.errors import InputError
from jaxastro.fields import PSF, Observation, Points, crop_kernel, gaussian_kernel, node_positions

pytestmark = pytest.mark.core
RNG = np.random.default_rng(3)


def varying_kernels(shape, nodes, size=11):
    """A Gaussian that widens towards the edge, at the nodes of a grid; and the same at any pixel."""

    def kernel(y, x):
        off_axis = np.hypot(y - shape[0] / 2, x - shape[1] / 2) / shape[0]
        return gaussian_kernel(1.0 + 0.6 * off_axis**2, size)

    ys, xs = node_positions(shape, nodes)
    return kernel, np.array([[kernel(y, x)[None] for x in xs] for y in ys])


def gaussian_pixels(y, x, sigma, shape):
    """Share of a round Gaussian in every pixel."""
    profiles = [np.diff(ndtr((np.arange(n + 1) - 0.5 - c) / sigma)) for n, c in zip(shape, (y, x), strict=True)]
    return np.outer(*profiles)


@pytest.mark.parametrize("size", [5, 6])
def test_uniform_psf_is_a_zero_padded_convolution(size):
    kernel = RNG.random((2, size, size))
    kernel /= kernel.sum((1, 2), keepdims=True)
    image = RNG.random((2, 14, 17))
    with jax.enable_x64(True):
        ours = PSF(kernel, (14, 17))(jnp.asarray(image))
    c = size // 2
    full = np.array([fftconvolve(i, k) for i, k in zip(image, kernel, strict=True)])
    np.testing.assert_allclose(ours, full[:, c : c + 14, c : c + 17], atol=1e-12)


def test_varying_psf_agrees_with_brute_force_within_a_percent():
    shape = (40, 40)
    kernel, nodes = varying_kernels(shape, (8, 8))
    image = RNG.random(shape) ** 4
    brute = np.zeros((50, 50))
    for y in range(40):
        for x in range(40):
            brute[y : y + 11, x : x + 11] += image[y, x] * kernel(y, x)
    ours = PSF(nodes, shape)(jnp.asarray(image, jnp.float32)[None])[0]
    assert np.abs(ours - brute[5:45, 5:45]).max() < 0.01 * brute.max()
    assert np.linalg.norm(ours - brute[5:45, 5:45]) < 0.01 * np.linalg.norm(brute)


def test_varying_psf_conserves_flux():
    _, nodes = varying_kernels((40, 40), (4, 4))
    image = np.zeros((1, 40, 40), np.float32)
    image[0, 8:32, 8:32] = RNG.random((24, 24))
    assert float(PSF(nodes, (40, 40))(jnp.asarray(image)).sum()) == pytest.approx(image.sum(), rel=1e-5)


@pytest.mark.parametrize("nodes", [(1, 1), (3, 4)])
def test_adjoint(nodes):
    shape = (24, 30)
    with jax.enable_x64(True):
        psf = PSF(varying_kernels(shape, nodes, 9)[1], shape)
        x, y = (jnp.asarray(RNG.random((1, *shape))) for _ in range(2))
        (back,) = jax.linear_transpose(psf, x)(y)
        assert abs(float(jnp.vdot(psf(x), y) / jnp.vdot(x, back)) - 1) < 1e-10


@pytest.mark.parametrize("nodes", [(1, 1), (3, 3)])
def test_point_at_a_pixel_centre_equals_a_bright_pixel(nodes):
    shape = (31, 31)
    psf = PSF(varying_kernels(shape, nodes, 9)[1], shape)
    image = jnp.zeros((1, *shape)).at[0, 13, 22].set(7.0)
    point = Points(jnp.array([13.0]), jnp.array([22.0]), jnp.array([[7.0]]))
    np.testing.assert_allclose(psf(jnp.zeros_like(image), point), psf(image), atol=2e-6)


@pytest.mark.parametrize(("y", "x"), [(12.3, 15.8), (0.4, 29.2), (-1.5, 10.0)])
def test_sub_pixel_point_is_the_shifted_gaussian(y, x):
    shape = (30, 30)
    point = Points(jnp.array([y]), jnp.array([x]), jnp.array([[1.0]]))
    spread = PSF(gaussian_kernel(1.3, 19), shape)(jnp.zeros((1, *shape)), point)[0]
    np.testing.assert_allclose(spread, gaussian_pixels(y, x, 1.3, shape), atol=4e-5)


def test_offset_registers_an_image_between_pixels():
    shape = (30, 30)
    image = jnp.zeros((1, *shape)).at[0, 14, 15].set(1.0)
    spread = PSF(gaussian_kernel(1.3, 19), shape, offset=(0.33, -0.55))(image)[0]
    np.testing.assert_allclose(spread, gaussian_pixels(14.33, 14.45, 1.3, shape), atol=4e-5)


def test_position_gradient_matches_finite_differences():
    shape = (20, 20)
    psf = PSF(varying_kernels(shape, (3, 3), 9)[1], shape)
    weight = jnp.asarray(RNG.random((1, *shape)), jnp.float32)

    def total(position):
        return jnp.sum(weight * psf(jnp.zeros((1, *shape)), Points(position[:1], position[1:], jnp.ones((1, 1)))))

    check_grads(total, (jnp.array([8.3, 12.6]),), order=1, modes=("fwd", "rev"), atol=2e-2, rtol=2e-2)


def test_observation_is_masked_exposed_and_cut_to_its_margin():
    sky = jnp.asarray(RNG.random((2, 20, 20)), jnp.float32)
    exposure = jnp.array([[[2.0]], [[3.0]]])
    observation = Observation(exposure, background=0.5, effective_area=4.0, pixel_area=0.1, margin=3)
    np.testing.assert_allclose(observation(sky), 0.4 * exposure * sky[:, 3:17, 3:17] + 0.5, rtol=1e-6)


def test_bad_kernels_are_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"The PSF sums to 2, expected 1"):
        PSF(2 * gaussian_kernel(1.0), (30, 30))
    with pytest.raises(InputError, match=r"The PSF has 1 negative or non-finite"):
        PSF(np.where(gaussian_kernel(1.0) > 0.14, -1, gaussian_kernel(1.0)), (30, 30))
    with pytest.raises(InputError, match=r"\(11, 11\) pixels, more than the image's \(8, 30\)"):
        PSF(gaussian_kernel(1.0), (8, 30))
    kept, lost = crop_kernel(gaussian_kernel(1.0), (8, 30))
    assert kept.shape == (7, 11)
    assert kept.sum() == pytest.approx(1)
    assert lost == pytest.approx(2 * ndtr(-3.5), rel=1e-2)
