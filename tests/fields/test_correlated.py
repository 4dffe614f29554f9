"""The correlated field: NIFTy's own fields from the same latents, closed forms, and the prior it promises."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxastro.fields import CorrelatedField, LogNormal, Matern, NonParametric, Normal, hartley, modes, padded

STEEP, ROUGH = LogNormal(0.5, 0.2), LogNormal(0.3, 0.1)
CASES = {
    "power": NonParametric(LogNormal(0.8, 0.4), Normal(-4, 0.5), STEEP, None, "power"),
    "amplitude": NonParametric(LogNormal(0.8, 0.4), Normal(-2, 0.5), STEEP, ROUGH, "amplitude"),
    "straight": NonParametric(LogNormal(0.8, 0.4), Normal(-3, 0.5), None, None, "power"),
    "matern": Matern(LogNormal(0.9, 0.3), LogNormal(0.2, 0.1), Normal(-4, 0.3), True, "amplitude"),
    "matern power": Matern(LogNormal(0.9, 0.3), LogNormal(0.2, 0.1), Normal(-4, 0.3), False, "power"),
}
NIFTY_NAMES = {
    "xi": "cfxi", "offset_std": "cfzeromode", "fluctuations": "cffluctuations", "slope": "cfloglogavgslope",
    "flexibility": "cfflexibility", "asperity": "cfasperity", "spectrum": "cfspectrum",
    "scale": "cfscale", "cutoff": "cfcutoff",
}  # fmt: skip
SHAPE, PIXEL = (12, 15), 0.5
FROZEN = Path(__file__).with_name("nifty_fields.npz")


def build(spectrum):
    field = CorrelatedField(SHAPE, spectrum, -0.3, LogNormal(0.5, 0.2), PIXEL, grid=SHAPE)
    rng = np.random.default_rng(1)
    return field, {name: jnp.asarray(rng.normal(size=shape)) for name, shape in sorted(field.shapes.items())}


def moments(prior):
    return None if prior is None else (prior.mean, prior.std)


def nifty_field(spectrum, latents):
    jft = pytest.importorskip("nifty.re")
    maker = jft.CorrelatedFieldMaker("cf")
    maker.set_amplitude_total_offset(-0.3, (0.5, 0.2))
    if isinstance(spectrum, Matern):
        maker.add_fluctuations_matern(
            SHAPE, PIXEL, moments(spectrum.scale), moments(spectrum.cutoff), moments(spectrum.slope),
            renormalize_amplitude=spectrum.renormalise, non_parametric_kind=spectrum.kind,
        )  # fmt: skip
    else:
        maker.add_fluctuations(
            SHAPE, PIXEL, moments(spectrum.fluctuations), moments(spectrum.slope), moments(spectrum.flexibility),
            moments(spectrum.asperity), non_parametric_kind=spectrum.kind,
        )  # fmt: skip
    field = maker.finalize()
    names = NIFTY_NAMES | ({"slope": "cfloglogslope"} if isinstance(spectrum, Matern) else {})
    renamed = {names[name]: value for name, value in latents.items()}
    assert set(renamed) == set(field.domain)
    return field(renamed)


def freeze():
    """Write NIFTy's fields to the file beside this one (run by hand where NIFTy is installed)."""
    with jax.enable_x64(True):
        fields = {name: np.asarray(nifty_field(spectrum, build(spectrum)[1])) for name, spectrum in CASES.items()}
    np.savez_compressed(FROZEN, **fields)


@pytest.mark.core
@pytest.mark.parametrize("name", CASES)
def test_fields_equal_the_ones_niftys_version_9_2_drew(name):
    with jax.enable_x64(True), np.load(FROZEN) as frozen:
        field, latents = build(CASES[name])
        np.testing.assert_allclose(field(latents), frozen[name], rtol=0, atol=1e-10)


@pytest.mark.peer
@pytest.mark.parametrize("name", CASES)
def test_same_latents_give_niftys_field(name):
    with jax.enable_x64(True):
        field, latents = build(CASES[name])
        np.testing.assert_allclose(field(latents), nifty_field(CASES[name], latents), rtol=0, atol=1e-10)


@pytest.mark.core
def test_pixels_have_the_promised_variance_and_offset():
    """Over many prior draws with fixed hyper-parameters the variance of a pixel is fluctuations^2 + offset_std^2."""
    spectrum = NonParametric(LogNormal(0.8, 1e-4), Normal(-3.0, 1e-4), None)
    field = CorrelatedField((16, 16), spectrum, -2.0, LogNormal(0.5, 1e-4))
    fixed = {name: jnp.zeros(shape) for name, shape in field.shapes.items()}
    xi = jax.random.normal(jax.random.key(0), (4000, *field.grid))
    draws = jax.vmap(lambda v: field(fixed | {"xi": v}))(xi)
    assert float(draws.mean()) == pytest.approx(-2.0, abs=0.03)
    assert float(draws.var(0).mean()) == pytest.approx(0.8**2 + 0.5**2, rel=0.03)


@pytest.mark.core
def test_the_spectrum_has_its_slope():
    spectrum = NonParametric(LogNormal(1.0, 1e-4), Normal(-3.5, 1e-4), None)
    field = CorrelatedField((64, 64), spectrum, grid=(64, 64))
    amplitude = field.amplitude({name: jnp.zeros(shape) for name, shape in field.shapes.items()})
    k = field.modes.length
    slope = np.polyfit(np.log(k[1:]), 2 * np.log(np.asarray(amplitude[1:])), 1)[0]
    assert slope == pytest.approx(-3.5, abs=1e-3)


@pytest.mark.core
def test_gradients_are_finite_and_right():
    field, latents = build(CASES["power"])
    weight = jnp.asarray(np.random.default_rng(2).normal(size=SHAPE), jnp.float32)
    latents = {name: jnp.asarray(v, jnp.float32) for name, v in latents.items()}
    value = lambda v: jnp.sum(weight * field(jax.tree.map(jnp.asarray, v)))  # noqa: E731
    check_grads(value, (latents,), order=1, modes=("fwd", "rev"), atol=3e-2, rtol=3e-2)


@pytest.mark.core
def test_padding_is_even_fast_and_at_least_the_ratio():
    assert padded((64, 128)) == (72, 144)
    assert padded((100, 31), 1.2) == (120, 40)
    assert sum(modes((8, 6)).count) == 48
    assert hartley(jnp.ones((4, 4)))[0, 0] == 16
