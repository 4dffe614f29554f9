"""Completeness, effectiveness and reliability against counts made by hand and the published Robovetter's verdicts."""

import numpy as np
import pytest

from jaxastro.errors import InputError
from jaxastro.stats import recall_at_precision
from jaxastro.systems.vetting.bookkeeping import (
    Vetted,
    completeness,
    effectiveness,
    rates,
    read_robovetter,
    reliability,
)


def passed(yes, no):
    return Vetted(np.repeat([True, False], [yes, no]))


def test_rates_of_counts_made_by_hand():
    assert completeness(passed(30, 10)).value == 0.75
    assert effectiveness(passed(5, 95)).value == 0.95
    score = reliability(passed(100, 400), passed(5, 95))
    assert score.value == pytest.approx(1 - 4 * 5 / 95)
    assert score.low < score.value < score.high


def test_the_interval_of_reliability_covers_the_true_purity():
    rng = np.random.default_rng(0)
    planets, alarms, through, kept = 300, 2000, 0.03, 0.9
    hits = 0
    for i in range(200):
        false = rng.random(alarms) < through
        real = rng.random(planets) < kept
        observed = Vetted(np.concatenate([false, real]))
        # failed planets count as false alarms in the estimator: the bias of 30 among 2000 stays within the interval
        score = reliability(observed, Vetted(rng.random(alarms) < through), draws=500, seed=i)
        hits += score.low <= 1 - alarms * through / (alarms * through + planets * kept) <= score.high
    assert hits / 200 > 0.9


def test_cells_of_a_grid_hold_their_own_signals():
    rng = np.random.default_rng(1)
    period, depth = rng.uniform(1, 100, 4000), rng.uniform(10, 1000, 4000)
    sample = Vetted((period < 50) | (depth > 500), {"period_day": period, "depth_ppm": depth})
    edges = {"period_day": np.array([1.0, 50, 100]), "depth_ppm": np.array([10.0, 500, 1000])}
    table = rates(edges, injected=sample, false_alarms=sample, observed=sample)
    assert table["completeness"].tolist() == [1, 1, 0, 1]
    assert table["effectiveness"].tolist() == [0, 0, 1, 0]
    assert np.isnan(table["reliability"]).tolist() == [True, True, True, True]
    assert sum(table["n_injected"]) == 4000
    with pytest.raises(InputError, match="Column 'radius'"):
        rates({"radius": np.array([0.0, 1])}, injected=sample)


def test_bad_files_are_refused(tmp_path):
    (tmp_path / "short.txt").write_text("#1:TCE\n000757099-01 0.000 XX 1 0 0 0\n")
    with pytest.raises(InputError, match="line 2 has no verdict"):
        read_robovetter(tmp_path / "short.txt")
    (tmp_path / "cut.txt.gz").write_bytes(b"\x1f\x8b\x08broken")
    with pytest.raises(InputError, match="expected a Robovetter output"):
        read_robovetter(tmp_path / "cut.txt.gz")


@pytest.mark.realdata
def test_published_rates_of_the_kepler_robovetter(real_data):
    folder = real_data / "vetting/kepler_dr25_robovetter"

    def vetted(name):
        return Vetted(np.asarray(read_robovetter(folder / f"kplr_dr25_{name}_robovetter_output.txt.gz")["passed"]))

    injected, inverted, observed = vetted("inj1"), vetted("inv"), vetted("obs")
    assert (injected.passed.sum(), len(injected.passed)) == (38668, 45377)
    assert completeness(injected).value == pytest.approx(0.852, abs=5e-4)
    for name, expected in (("inv", 0.9951), ("scr1", 0.9716), ("scr2", 0.9717), ("scr3", 0.9615)):
        assert effectiveness(vetted(name)).value == pytest.approx(expected, abs=5e-5)
    assert (observed.passed.sum(), (~observed.passed).sum()) == (4037, 28497)
    assert reliability(observed, inverted).value == pytest.approx(0.965, abs=1e-3)


@pytest.mark.realdata
def test_tied_scores_of_the_robovetter_give_a_recall_of_zero(real_data):
    """Every precision that a threshold can reach lies below .99, where half of the positives share one score."""
    folder = real_data / "vetting/kepler_dr25_robovetter"
    observed = read_robovetter(folder / "kplr_dr25_obs_robovetter_output.txt.gz")
    truth = np.asarray(observed["passed"]) & (np.arange(len(observed)) % 10 > 0)
    tied = np.where(np.asarray(observed["passed"]), 1.0, 0.0)
    assert recall_at_precision(truth, tied, precision=0.99) == 0
