"""The score of a light curve: its derivatives against differences, its shifts against a rebuilt ephemeris."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.errors import InputError
from jaxastro.stats import Temperature
from jaxastro.systems.vetting.from_curves import signals_from_curves
from jaxastro.systems.vetting.inputs import Inputs
from jaxastro.systems.vetting.light_curve_score import Change, score_of_change, scores_of_samples, sensitivity
from jaxastro.systems.vetting.model import Network
from jaxastro.systems.vetting.simulate import simulate_curves, simulated_signals
from jaxastro.systems.vetting.vetter import Meaning, Vetter


@pytest.fixture(scope="module")
def vetter():
    signals = simulated_signals(24, seed=1)
    inputs = Inputs.fit(signals)
    make = eqx.filter_vmap(lambda key: Network(inputs.layout, 2, width=16, hidden=16, key=key))
    members = eqx.nn.inference_mode(make(jax.random.split(jax.random.key(0), 2)))
    limits = {"validated": 1.0, "likely": 1.0, "unlikely": 0.0, "rejected": 0.0}
    return Vetter(members, Temperature(jnp.float32(0.3)), Meaning(inputs, ("J", "PC"), ("PC",), 0.4, limits))


@pytest.fixture(scope="module")
def signal():
    made = simulate_curves(1, seed=7, kinds=("planet",))[0]
    # T0 in the middle of the data, so that the pivot of a change of period is not the first transit
    middle = made.ephemeris.t0_bjd + 3 * made.ephemeris.period_day
    return made.curve, dataclasses.replace(made.ephemeris, t0_bjd=middle)


@pytest.fixture(scope="module")
def score(vetter, signal):
    return score_of_change(vetter, *signal, signals_from_curves([signal[0]], [signal[1]]))


def test_without_a_change_it_is_the_score_up_to_the_binning(vetter, signal, score):
    hard = vetter.score(signals_from_curves([signal[0]], [signal[1]])).p[0]
    assert float(score(Change(*jnp.zeros(3)))) == pytest.approx(hard, abs=0.1)


def test_derivatives_add_up_to_the_difference(score):
    """Along a path of changes, the integral of the derivative is the change of the score: almost nothing jumps."""
    along = jnp.linspace(-1, 1, 801)
    slope = lambda s, size: jnp.dot(jnp.stack(jax.grad(score)(Change(*(s * size)))), size)  # noqa: E731
    slopes = jax.jit(lambda size: jax.lax.map(lambda s: slope(s, size), along))
    for field, size in enumerate((0.05, 2e-3, 0.02)):
        step = jnp.zeros(3).at[field].set(size)
        difference = float(score(Change(*step)) - score(Change(*-step)))
        total = float(jnp.trapezoid(slopes(step), along))
        assert total == pytest.approx(difference, rel=0.2, abs=2e-5), Change._fields[field]


def test_a_change_of_the_ephemeris_is_that_ephemeris(vetter, signal, score):
    curve, ephemeris = signal
    moved = dataclasses.replace(
        ephemeris, period_day=ephemeris.period_day + 2e-3, t0_bjd=ephemeris.t0_bjd + 5e-3
    )  # fmt: skip
    again = score_of_change(vetter, curve, moved, signals_from_curves([curve], [moved]))
    changed = score(Change(jnp.float32(0), jnp.float32(2e-3), jnp.float32(5e-3)))
    assert float(changed) == pytest.approx(float(again(Change(*jnp.zeros(3)))), abs=5e-3)


def test_samples_are_scored_one_by_one(score):
    rng = np.random.default_rng(0)
    period, epoch = 1e-3 * rng.normal(size=5), 1e-2 * rng.normal(size=5)
    many = scores_of_samples(score, period, epoch)
    one = [
        float(score(Change(jnp.float32(0), jnp.float32(p), jnp.float32(e)))) for p, e in zip(period, epoch, strict=True)
    ]
    np.testing.assert_allclose(many, one, atol=1e-5)
    assert many.std() > 0


def test_views_of_another_pipeline_are_refused(vetter, signal):
    inputs = dataclasses.replace(
        vetter.meaning.inputs, recipe=dataclasses.replace(vetter.meaning.inputs.recipe, kind="astronet-tess")
    )
    other = Vetter(vetter.members, vetter.calibrator, dataclasses.replace(vetter.meaning, inputs=inputs))
    with pytest.raises(InputError, match="trained on light curves"):
        score_of_change(other, *signal, signals_from_curves([signal[0]], [signal[1]]))


def test_gradients_are_finite_for_a_curve_without_transits(vetter, signal):
    curve, ephemeris = signal
    away = dataclasses.replace(ephemeris, t0_bjd=ephemeris.t0_bjd + ephemeris.period_day / 3)
    flat = score_of_change(vetter, curve, away, signals_from_curves([curve], [away]))
    assert all(np.isfinite(x) for x in jax.tree.leaves(sensitivity(flat)))
