"""Tension: standard normal under the prior, a matched filter in the linear case, and de-excitation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.fields import Null, de_excite, hartley, latent_tension, robust_z, simulate_null, tension_map

pytestmark = pytest.mark.core


def test_hartley_is_its_own_inverse_and_symmetric_and_equals_the_fft():
    with jax.enable_x64(True):
        for shape in ((8, 9), (7, 12), (6, 6)):
            x, y = jax.random.normal(jax.random.key(0), (2, *shape))
            f = np.fft.fft2(np.asarray(x))
            np.testing.assert_allclose(hartley(x), f.real + f.imag, atol=1e-12)
            np.testing.assert_allclose(hartley(hartley(x)), x.size * x, atol=1e-11)
            (back,) = jax.linear_transpose(hartley, x)(y)
            np.testing.assert_allclose(back, hartley(y), atol=1e-12)


def test_prior_draws_have_unit_tension():
    xi = jax.random.normal(jax.random.key(1), (50, 32, 32))
    tau = tension_map(xi)
    assert float(tau.std()) == pytest.approx(1, abs=0.01)
    assert float(jnp.max(jnp.abs(robust_z(tau).std((-1, -2)) - 1))) < 0.1


def test_linear_case_is_the_matched_filter_on_whitened_data():
    """For d = R A xi + noise, H[mean xi] = H A R^T C^-1 d with C the full covariance of the data."""
    n, rng = 8, np.random.default_rng(0)
    with jax.enable_x64(True):
        basis = np.asarray(jax.vmap(hartley)(jnp.eye(n * n).reshape(-1, n, n))).reshape(n * n, -1).T / n
    amplitude = rng.random(n * n)
    design = basis * amplitude
    data = rng.normal(size=n * n)
    covariance = design @ design.T + 0.3 * np.eye(n * n)
    mean = design.T @ np.linalg.solve(covariance, data)
    with jax.enable_x64(True):
        ours = tension_map(jnp.asarray(mean.reshape(n, n)))
    expected = basis @ (amplitude * (basis.T @ np.linalg.solve(covariance, data)))
    np.testing.assert_allclose(ours.ravel(), expected, atol=1e-12)


def test_groups_report_their_departure():
    key = jax.random.key(2)
    draws = {"d_xi": jax.random.normal(key, (20, 16, 16)), "slope": jnp.full((20,), 2.5)}
    source = jnp.zeros((16, 16)).at[5, 9].set(8.0)
    draws["d_xi"] = draws["d_xi"] + tension_map(source)
    tension = latent_tension(draws)
    assert np.unravel_index(np.argmax(tension.z["d_xi"]), (16, 16)) == (5, 9)
    assert float(tension.pulls["slope"]) == pytest.approx(2.5)
    assert tension.chi_square["slope"] == pytest.approx(6.25)
    assert "d_xi" not in tension.pulls


def test_de_excitation_removes_the_peak_and_nothing_else():
    xi = tension_map(0.3 * jax.random.normal(jax.random.key(3), (32, 32)) + jnp.zeros((32, 32)).at[10, 20].set(9.0))
    at = jnp.array([10.0, 3.0]), jnp.array([20.0, 3.0]), jnp.array([1.0, 0.0])
    before, after = tension_map(xi), tension_map(de_excite(xi, *at))
    assert float(jnp.abs(after[10, 20])) < 0.1
    np.testing.assert_allclose(after[:5, :10], before[:5, :10], atol=1e-4)


def test_null_distribution_gives_thresholds_and_p_values():
    null = simulate_null(
        lambda k: jax.random.normal(k, (24, 24)), lambda d, _: float(robust_z(d).max()), jax.random.key(0), 199
    )
    assert np.mean(null.maxima > null.threshold(0.05)) <= 0.05
    assert null.p_value(100.0) == pytest.approx(1 / 200)
    assert Null(np.arange(99.0)).p_value(49.0) == pytest.approx(0.51)
