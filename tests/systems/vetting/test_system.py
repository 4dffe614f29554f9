"""From files to a run directory and back: what is held out is honest, what is stored is what was trained."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from astropy.table import Table

import jaxastro
from jaxastro.errors import ArtefactError, InputError
from jaxastro.systems.vetting import config, system, training
from jaxastro.systems.vetting.presets import AstroNet
from jaxastro.systems.vetting.readers import read
from jaxastro.systems.vetting.training import make_folds, object_groups, positive_labels
from jaxastro.systems.vetting.vetter import decide

TINY = {"members": 2, "epochs": 40, "width": 16, "hidden": 16, "batch_size": 16, "quiet": True}


def write_views(path, n=300, seed=0, permuted=False, stars=150):
    """Planets have flat-bottomed dips, the others V-shaped ones; two signals a star."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-2, 2, 24)
    planet = rng.random(n) < 0.4
    box, wedge = np.where(np.abs(x) < 0.7, -1.0, 0), np.clip(np.abs(x) - 1, -1, 0)
    local = np.where(planet[:, None], box, wedge) + 0.15 * rng.normal(size=(n, 24))
    label = np.where(planet, "PC", np.where(rng.random(n) < 0.5, "EB", "J"))
    np.savez(
        path, global_view=0.2 * rng.normal(size=(n, 40)).astype("f4"), local_view=local.astype("f4"),
        kepid=1000 + np.arange(n) % stars, tce_plnt_num=1 + np.arange(n) // stars,
        label=rng.permutation(label) if permuted else label, split=np.where(np.arange(n) % stars < 100, "train", "val"),
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_views(tmp_path_factory.mktemp("data") / "views.npz")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    report = system.train(data, out, config.Train(**TINY, split="train"))
    return out, report


def test_training_writes_everything_and_scores_beside_trees(run):
    out, report = run
    for name in ("model.safetensors", "card.json", "history.csv", "predictions.ecsv", "precision_recall.png"):
        assert (out / name).stat().st_size > 100
    assert not list(out.parent.glob(".*"))
    assert report.values["ap"] > 0.9
    assert report.values["ap_low"] <= report.values["ap"] <= report.values["ap_high"]
    assert report.values["ap_baseline"] > 0.9
    card = json.loads((out / "card.json").read_text())
    assert card["metrics"]["ap"] == report.values["ap"]
    assert card["data"][0]["name"] == "views.npz"
    held_out = Table.read(out / "predictions.ecsv")
    assert len(held_out) == 200
    stars = [set(held_out["kepid"][held_out["fold"] == k]) for k in range(2)]
    assert not stars[0] & stars[1]


def test_a_restored_run_predicts_what_evaluation_scored(run, data):
    out, _ = run
    table = system.predict(out, data, config.Predict(split="val", coverage=0.9))
    assert list(table.columns)[:2] == ["kepid", "tce_plnt_num"]
    assert list(table.columns)[-5:] == ["p_PC", "p_std", "class", "labels", "flag"]
    truth = read(data).labels[read(data).split == "val"] == "PC"
    report = system.evaluate(out, data, config.Evaluate(split="val", resamples=50))
    assert report.values["brier"] == pytest.approx(np.mean((table["p_PC"] - truth) ** 2), abs=1e-6)
    assert report.values["rows"] == 100
    assert any("no star" in note.lower() for note in report.notes)
    assert report.values["ap_baseline"] > 0.9
    labels = read(data).labels[read(data).split == "val"]
    covered = np.mean([label in row.split("|") for label, row in zip(labels, table["labels"], strict=True)])
    assert covered > 0.75


def test_one_example_scores_as_many_do(run, data):
    vetter = jaxastro.load(run[0])
    signals = read(data)
    scored = vetter.score(signals)
    examples = vetter.meaning.inputs(signals)
    one = vetter(jax.tree.map(lambda x: x[7], examples))
    assert float(one) == pytest.approx(scored.p[7], abs=1e-5)
    again = vetter.score(signals.take(np.arange(5, 10)))
    np.testing.assert_allclose(again.p, scored.p[5:10], atol=1e-6)


def test_the_same_seed_gives_the_same_scores(data, run, tmp_path):
    report = system.train(data, tmp_path / "again", config.Train(**TINY, split="train"))
    assert report.values["log_loss"] == run[1].values["log_loss"]


def test_permuted_labels_give_the_prevalence(tmp_path):
    path = write_views(tmp_path / "permuted.npz", n=400, seed=3, permuted=True, stars=400)
    report = system.train(path, tmp_path / "run", config.Train(**{**TINY, "members": 4, "epochs": 6}, baseline=False))
    prevalence = np.mean(read(path).labels == "PC")
    assert report.values["ap_low"] - 0.03 < prevalence < report.values["ap_high"] + 0.03
    assert report.values["log_loss"] < 0.8  # calibration does not pretend to know


def test_outer_folds_quote_rows_no_member_of_theirs_saw(data, tmp_path):
    options = config.Train(**{**TINY, "epochs": 2}, outer_folds=3, baseline=False)
    system.train(data, tmp_path / "run", options)
    groups = object_groups(read(data))
    folds = make_folds(groups, read(data).labels, members=2, outer=3, seed=0)
    assert len(folds.rows) == 6
    for rows, held_out, scored in zip(folds.rows, folds.held_out, folds.scored, strict=True):
        sets = [set(groups[r]) for r in (rows, held_out, scored)]
        assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])


def test_a_network_of_one_output_joins_the_positive_labels(data, tmp_path, monkeypatch):
    """WATSON-Net's way, with a network that compiles in less time than the published one."""
    monkeypatch.setattr(training, "WatsonNet", lambda layout, classes, *, key, **_: AstroNet(layout, classes, key=key))
    options = config.Train(**{**TINY, "epochs": 2}, preset="watson", positive=("PC", "EB"), baseline=False)
    system.train(data, tmp_path / "run", options)
    vetter = system.restore(json.loads((tmp_path / "run" / "card.json").read_text()))
    assert vetter.meaning.classes == ("PC+EB", "other")
    assert vetter.meaning.positive_labels == ("PC", "EB")
    _, number = system._calibration_rows(tmp_path / "run")
    assert number.tolist() == np.where(np.isin(read(data).labels, ["PC", "EB"]), 0, 1).tolist()
    values = system.evaluate(tmp_path / "run", data, config.Evaluate(resamples=20, baseline=False)).values
    assert values["positive"] == "PC+EB"


def test_prior_shift_moves_probabilities_and_decisions_towards_the_fraction(run, data):
    tables = [system.predict(run[0], data, config.Predict(planet_fraction=f)) for f in (0.001, 0.4, 0.9)]
    p = [np.asarray(table["p_PC"]) for table in tables]
    assert (p[0] <= p[1] + 1e-9).all()
    assert (p[1] <= p[2] + 1e-9).all()
    assert p[0].mean() < 0.3 < p[2].mean()
    vetter = system._for_population(run[0], jaxastro.load(run[0]), 0.05)
    labels, number = system._calibration_rows(run[0])
    planet = vetter.meaning.classes.index("PC")
    sure = np.asarray(vetter.calibrator(labels[:, planet])) >= vetter.meaning.thresholds["likely"]
    # planets and others at the fractions of that population: 99 % of what is likely are planets
    planets, others = (sure[number == planet].mean() * 0.05, sure[number != planet].mean() * 0.95)
    assert planets >= 0.99 * (planets + others)
    assert planets > 0


def test_rows_without_a_usable_view_come_back_with_a_reason(run, data, tmp_path):
    with np.load(data) as file:
        arrays = dict(file)
    arrays["local_view"] = np.full_like(arrays["local_view"], np.nan)
    np.savez(tmp_path / "nothing.npz", **arrays)
    table = system.predict(run[0], tmp_path / "nothing.npz", config.Predict())
    assert len(table) == len(arrays["label"])
    assert np.isnan(table["p_PC"]).all()
    assert set(table["flag"]) == {"local_view is not finite"}


def test_rows_that_a_model_of_views_knows_nothing_of_are_flagged(run, data):
    vetter, signals = jaxastro.load(run[0]), read(data).take(np.arange(4))
    blind = signals.examples._replace(view_present={n: np.zeros(4, bool) for n in signals.examples.views})
    seen = system._seen_by(vetter, dataclasses.replace(signals, examples=blind))
    assert set(seen.flags) == {"nothing that the model uses is known"}
    assert np.isnan(vetter.score(seen).p).all()
    assert set(system._seen_by(vetter, signals).flags) == {""}


def test_rows_without_a_view_do_not_train_beside_rows_with_one(data):
    signals = read(data).take(np.arange(6))
    present = {n: np.arange(6) < 4 for n in signals.examples.views}
    mixed = dataclasses.replace(signals, examples=signals.examples._replace(view_present=present))
    assert len(system.labelled(mixed, views=True)) == 4
    assert len(system.labelled(mixed)) == 6


def test_explain_ranks_and_parts_add_up(run, data, tmp_path):
    system.explain(run[0], data, tmp_path / "out", config.Explain(pages=1, split="val", coverage=0.9))
    table = Table.read(tmp_path / "out" / "ranked.ecsv")
    assert (np.diff(table["p_PC"]) <= 1e-9).all()
    parts = sum(table[name] for name in table.columns if name.startswith("from_"))
    np.testing.assert_allclose(np.ptp(table["p_PC"] - parts), 0, atol=2e-5)  # all that is hidden is one constant
    assert (tmp_path / "out" / "page_001.png").stat().st_size > 20_000


def test_duplicates_under_two_stars_share_a_fold(data):
    signals = read(data)
    twins = signals.take(np.array([0, 1, 2, 0]))
    twins.groups[3] = 999
    groups = object_groups(twins)
    assert groups[0] == groups[3] != groups[1]


def test_decisions_follow_thresholds():
    limits = {"validated": 0.99, "likely": 0.7, "unlikely": 0.1, "rejected": 0.01}
    classes = decide(np.array([0.995, 0.8, 0.5, 0.1, 0.001, np.nan]), limits)
    assert classes.tolist() == ["validated", "likely", "undecided", "unlikely", "rejected", ""]


@pytest.mark.parametrize(
    ("labels", "wanted", "message"),
    [
        (["PC", "J"], ("CP",), "Label 'CP' of --positive is not in the data; it has J, PC"),
        (["A", "B"], (), "None of the labels A, B is known to mean a planet"),
        (["PC", "PC"], (), "All rows are labelled PC"),
    ],
)
def test_labels_are_checked(labels, wanted, message):
    with pytest.raises(InputError, match=message):
        positive_labels(np.array(labels), wanted)


def test_errors_name_what_is_wrong(run, data, tmp_path):
    with pytest.raises(InputError, match=r"Split 'test' is not in the data; its splits are: train, val"):
        system.predict(run[0], data, config.Predict(split="test"))
    card = json.loads((run[0] / "card.json").read_text())
    copy = tmp_path / "other"
    copy.mkdir()
    (copy / "card.json").write_text(json.dumps({**card, "system": "sky"}))
    with pytest.raises(ArtefactError, match=r"card\.json"):
        system.predict(copy, data, config.Predict())
    with pytest.raises(InputError, match="--duration"):
        system.predict(run[0], data, config.Predict(period=3.0, t0=1.0))
