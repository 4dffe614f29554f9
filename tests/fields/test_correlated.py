"""The correlated field: NIFTy's own fields from the same latents, closed forms, and the prior it promises."""

import jax
import numpy as np
import pytest

from jaxastro.fields import CorrelatedField, LogNormal, Matern, NonParametric, Normal

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


def build(spectrum):
    field = CorrelatedField(SHAPE, spectrum, -0.3, LogNormal(0.5, 0.2), PIXEL, grid=SHAPE)
    keys = jax.random.split(jax.random.key(1), len(field.shapes))
    latents = {n: jax.random.normal(k, s, float) for k, (n, s) in zip(keys, sorted(field.shapes.items()), strict=True)}
    return field, latents


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


@pytest.mark.peer
@pytest.mark.parametrize("name", CASES)
def test_same_latents_give_niftys_field(name):
    with jax.enable_x64(True):
        field, latents = build(CASES[name])
        np.testing.assert_allclose(field(latents), nifty_field(CASES[name], latents), rtol=0, atol=1e-10)
