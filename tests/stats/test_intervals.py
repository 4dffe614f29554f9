"""Intervals: coverage by simulation, objects kept whole, paired differences."""

from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from jaxastro import stats
from jaxastro.errors import InputError

pytestmark = pytest.mark.core


def mean(values, weight=None):
    return float(np.average(values, weights=weight))


def test_interval_of_a_mean_covers_the_truth():
    rng = np.random.default_rng(0)
    found = [stats.interval(mean, rng.gamma(9, 1 / 3, 120), n=200, seed=i) for i in range(200)]
    assert 0.91 <= np.mean([s.low <= 3.0 <= s.high for s in found]) <= 0.985


def test_interval_of_the_auc_covers_the_truth():
    rng = np.random.default_rng(1)
    auc = norm.cdf(1 / np.sqrt(2))  # two unit Gaussians one apart
    truth = np.repeat([0, 1], [120, 60])
    hits = []
    for i in range(120):
        s = stats.interval(stats.roc_auc, truth, rng.normal(size=180) + truth, n=100, seed=i)
        hits.append(s.low <= auc <= s.high)
    assert 0.90 <= np.mean(hits) <= 0.99


def test_objects_are_resampled_whole():
    """Copies of rows add no information: with groups the interval stays, without it shrinks as 1/sqrt(copies)."""
    rng = np.random.default_rng(2)
    values, star = rng.normal(size=100), np.arange(100)
    copied, stars = np.repeat(values, 9), np.repeat(star, 9)
    single = stats.interval(mean, values, n=2000)
    grouped = stats.interval(mean, copied, groups=stars, n=2000)
    by_row = stats.interval(mean, copied, n=2000)
    assert grouped.n == 100
    assert grouped.high - grouped.low == pytest.approx(single.high - single.low, rel=0.08)
    assert by_row.high - by_row.low == pytest.approx((single.high - single.low) / 3, rel=0.08)


def test_weights_and_rows_resample_alike():
    rng = np.random.default_rng(3)
    truth, p = rng.integers(0, 2, 80), rng.random(80)
    names = np.array([f"star {i}" for i in rng.integers(0, 30, 80)])
    fast = stats.interval(stats.average_precision, truth, p, groups=names, n=50)
    plain = stats.interval(lambda t, s: stats.average_precision(t, s), truth, p, groups=names, n=50)
    assert (fast.value, fast.low, fast.high) == pytest.approx((plain.value, plain.low, plain.high), abs=1e-12)


def test_options_of_a_score_are_fixed_by_partial():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 200)
    score = partial(stats.recall_at_precision, precision=0.8)
    values = truth + rng.normal(size=200)
    s = stats.interval(score, truth, values, n=100)
    assert s.value == score(truth, values)
    assert s.low <= s.value <= s.high


def test_paired_difference_is_sharper_than_two_intervals_and_covers_zero_for_equals():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 400)
    a = truth + rng.normal(size=400)
    close = stats.paired(stats.roc_auc, truth, a, a + 0.1 * rng.normal(size=400), n=300)
    alone = stats.interval(stats.roc_auc, truth, a, n=300)
    assert close.low <= 0 <= close.high
    assert close.high - close.low < 0.4 * (alone.high - alone.low)
    better = stats.paired(stats.roc_auc, truth, a, rng.normal(size=400), n=300)
    assert better.low > 0.1
    same = stats.paired(stats.ece, truth, a := 1 / (1 + np.exp(-a)), a, n=20)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_resamples_with_one_class_are_left_out_and_too_many_refused():
    p = np.linspace(0, 1, 30)
    rare = np.zeros(30, int)
    rare[-1] = 1
    s = stats.interval(stats.roc_auc, rare, p, n=200)  # about 37 % of the resamples miss the only positive
    assert (s.low, s.high) == pytest.approx((1.0, 1.0))
    two = np.array([0, 1])  # half of all resamples draw one of two objects twice
    with pytest.raises(InputError, match="bootstrap resamples of 2 objects could be scored"):
        stats.interval(stats.roc_auc, two, p[:2], n=1000, seed=1)


def test_wilson_published_values_and_edges():
    s = stats.wilson(81, 263)  # Newcombe 1998, Stat. Med. 17, 857, table I, method 3
    assert (round(s.low, 4), round(s.high, 4)) == (0.2553, 0.3662)
    s = stats.wilson(15, 148)
    assert (round(s.low, 4), round(s.high, 4)) == (0.0624, 0.1605)
    s = stats.wilson(0, 20)
    assert (round(s.low, 4), round(s.high, 4)) == (0.0, 0.1611)
    with pytest.raises(InputError, match="k = 3 and n = 2"):
        stats.wilson(3, 2)


def test_a_score_prints_with_its_interval():
    s = stats.Score(0.97, 0.9612, 0.978)
    assert str(s) == "0.970 [0.961, 0.978]"
    assert f"{s:.2f}" == "0.97 [0.96, 0.98]"
    assert s.as_row("AP", 0.9) == {"score": "AP", "value": 0.97, "low": 0.9612, "high": 0.978, "baseline": 0.9}


def test_unequal_lengths_are_refused():
    with pytest.raises(InputError, match=r"found \[3, 3\] with 2 rows in groups"):
        stats.interval(stats.roc_auc, np.array([0, 1, 1]), np.ones(3), groups=np.array([1, 2]))
