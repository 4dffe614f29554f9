"""Folds, nulls and summaries against hand-made cases; training against the exact density of PodSim."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems import config, system
from jaxastro.systems.planetary_systems.compare import compare, features, hill_spacing, shuffled
from jaxastro.systems.planetary_systems.null import null_nll
from jaxastro.systems.planetary_systems.simulate import PodSim
from jaxastro.systems.planetary_systems.training import alone, fold_of, train_models

SYSTEMS = PodSim().sample(jax.random.key(0), 120)


def test_numbered_systems_fall_into_pairs_of_last_digits():
    ids = [i for i in range(1, 1001) if i % 5]
    digit = np.array(ids) % 10
    expected = np.select([digit < 3, digit < 5, digit < 8], [0, 1, 2], 3)
    np.testing.assert_array_equal(fold_of(ids, 4), expected)


def test_a_named_system_keeps_its_fold_in_any_table():
    names = [f"HD {i}" for i in range(300)]
    folds = dict(zip(names, fold_of(names, 5), strict=True))
    assert all(folds[name] == fold for name, fold in zip(names[::-1], fold_of(names[::-1], 5), strict=True))
    with pytest.raises(InputError, match="folds"):
        fold_of(["HD 1", "HD 2"], 4)


def test_features_of_a_hand_made_system():
    one = jax.tree.map(lambda a: a[:1], SYSTEMS)
    row = lambda *x: jnp.zeros((1, 32)).at[0, :3].set(jnp.array(x))  # noqa: E731
    made = one._replace(log_a=row(0.0, 0.5, 1.0), log_mass=row(0.0, 1.0, 2.0), mask=jnp.arange(32)[None] < 3)
    n, total, largest, mean, _, least, *_ = features(made)[0]
    np.testing.assert_allclose([n, total, largest, mean, least], [3, math.log10(111), 2, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(features(made)[0][-3:], [1, 1.0, 100 / 111], rtol=1e-5)
    a = 10**0.5
    hill = (11 * 3.003e-6 / 3) ** (1 / 3) * (1 + a) / 2
    np.testing.assert_allclose(hill_spacing(np.array([0, 0.5]), np.array([0.0, 1.0])), (a - 1) / hill)


def test_shuffling_keeps_numbers_planets_and_order():
    dealt = shuffled(SYSTEMS)
    mask = np.asarray(SYSTEMS.mask)
    np.testing.assert_array_equal(np.asarray(dealt.mask), mask)
    np.testing.assert_allclose(np.sort(dealt.log_mass[mask]), np.sort(np.asarray(SYSTEMS.log_mass)[mask]))
    assert (np.diff(dealt.log_a, axis=1)[mask[:, 1:]] >= 0).all()


def test_the_null_equals_a_multinomial_by_hand():
    nll = null_nll(SYSTEMS, SYSTEMS)
    n = np.asarray(SYSTEMS.mask.sum(-1))
    assert (nll / n).mean() > -float(jax.vmap(PodSim().log_prob)(SYSTEMS).sum()) / n.sum()  # never above the truth
    solitary = int(np.flatnonzero(n == 1)[0])
    counts = np.bincount(n, minlength=33)[1:] + 0.3
    planet = -nll[solitary] - np.log(counts[0] / counts.sum())
    assert -12 < planet < 2


def test_populations_of_one_law_cannot_be_told_apart_and_shuffled_ones_can():
    rows, values = compare(SYSTEMS, PodSim().sample(jax.random.key(9), 120), n=60)
    assert {"c2st", "ks_log_a", "ks_number", "adjacent_mass_correlation"} <= {row["score"] for row in rows}
    assert values["c2st_low"] < 0.6 < values["c2st_null"]
    assert abs(values["adjacent_mass_correlation"] - 0.69) < 0.2


@pytest.mark.slow
def test_training_approaches_the_exact_density_of_podsim():
    train, test = PodSim().sample(jax.random.key(1), 4000), PodSim().sample(jax.random.key(2), 500)
    options = config.Train(
        width=32, members=1, folds=0, epochs=10, batch_size=128, dropout=0.0, mass_edge=0.0, quiet=True, seed=1
    )
    (model,), history = train_models(train, np.full(4000, -1), [0], options)
    number, exact = np.asarray(test.mask.sum()), -float(jax.vmap(PodSim().log_prob)(test).sum())
    gap = (system.scores(model, test)["nll"].sum() - exact) / number
    assert -0.02 < gap < 0.15
    assert len(history["loss_0_0"]) == 10


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_run_is_written_scored_and_read_back(tmp_path, preset):
    data = tmp_path / "data"
    system.simulate(data, config.Simulate(n=60))
    options = config.Train(
        preset=preset, width=16, layers=1, members=1, folds=2, epochs=2, cells=8, compare=30, quiet=True, batch_size=16
    )
    report = system.train(data / "planets.csv", tmp_path / "run", options)
    assert {"nll", "c2st", "ks_number", "nll_single"} <= set(report.values)
    table = system.predict(tmp_path / "run", data / "planets.csv", config.Predict())
    assert list(table["hostname"]) == list(range(1, 61)) or list(table["hostname"]) == [str(i) for i in range(1, 61)]
    assert np.isfinite(table["log_density"]).all()
    drawn = system.sample(tmp_path / "run", config.Sample(n=5, seed=3))
    again = system.sample(tmp_path / "run", dataclasses.replace(config.Sample(n=5, seed=3), quiet=True))
    np.testing.assert_array_equal(drawn["pl_orbsmax"], again["pl_orbsmax"])
    report = system.evaluate(tmp_path / "run", data / "planets.csv", config.Evaluate(compare=30))
    assert np.isfinite(report.values["nll"])
    if preset == "paper":
        with pytest.raises(InputError, match="cannot be conditioned"):
            system.complete(tmp_path / "run", data / "planets.csv", config.Complete(host="7"))
        return
    draws, figure = tmp_path / "draws.ecsv", tmp_path / "star.png"
    two = str(table["hostname"][table["sy_pnum"] == 2][0])
    asked = config.Complete(host=two, n=40, draws=draws, figure=figure, quiet=True)
    stars = system.complete(tmp_path / "run", data / "planets.csv", asked)
    written = Table.read(draws)
    assert stars["next_outside_pl_orbsmax"].unit == "AU" and "effective draws" in stars["flag"][0]
    assert (written["pl_letter"] != "").sum() == 40 * 2
    assert figure.read_bytes().startswith(b"\x89PNG")
    why = system.explain(tmp_path / "run", data / "planets.csv", tmp_path / "why", config.Explain(host=two, n=40))
    moves = [row["shapley"] for row in why.tables["known planets"] if row["question"] == "number of other planets"]
    worth = why.values["number of other planets"]
    assert sum(moves) == pytest.approx(worth["all known"] - worth["nothing known"], abs=1e-4)
    assert all(0 < row["attention"] < 1 for row in why.tables["known planets"])


@pytest.mark.core
@pytest.mark.parametrize(("name", "value"), [("temperature", 0.0), ("top_p", 1.5), ("disc_mass", -1.0)])
def test_impossible_options_of_sampling_are_refused_before_the_model_is_read(tmp_path, name, value):
    with pytest.raises(InputError, match=f"{name} is {value:g}; expected"):
        system.sample(tmp_path / "no run", config.Sample(**{name: value}))


def test_what_is_known_beforehand_is_dropped_for_scoring():
    assert alone(SYSTEMS).known.value.shape == (120, 0, 3)
