"""Scores against scikit-learn and exact counting, with ties and weights."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve

from jaxastro import stats
from jaxastro.errors import InputError

pytestmark = pytest.mark.core

PROBABILITY = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1, allow_subnormal=False))


@st.composite
def classified(draw):
    """Labels with both classes, probabilities with many ties, and integer weights that leave both classes."""
    n = draw(st.integers(2, 40))
    truth = draw(arrays(int, n, elements=st.integers(0, 1)))
    truth[:2] = 0, 1
    weight = draw(arrays(int, n, elements=st.integers(0, 3)))
    weight[:2] = np.maximum(weight[:2], 1)
    order = draw(st.permutations(range(n)))
    return truth[order], draw(arrays(float, n, elements=PROBABILITY)), weight[order]


BY_SKLEARN = {
    "average_precision": (stats.average_precision, sk.average_precision_score),
    "roc_auc": (stats.roc_auc, sk.roc_auc_score),
    "accuracy": (stats.accuracy, lambda y, p, **w: sk.accuracy_score(y, p >= 0.5, **w)),
    "balanced_accuracy": (stats.balanced_accuracy, lambda y, p, **w: sk.balanced_accuracy_score(y, p >= 0.5, **w)),
    "f1": (stats.f1, lambda y, p, **w: sk.f1_score(y, p >= 0.5, zero_division=0, **w)),
    "brier": (stats.brier, sk.brier_score_loss),
    "log_loss": (stats.log_loss, lambda y, p, **w: sk.log_loss(y, p, labels=[0, 1], **w)),
    "rmse": (stats.rmse, sk.root_mean_squared_error),
    "r2": (stats.r2, sk.r2_score),
}


@pytest.mark.parametrize("name", BY_SKLEARN)
@settings(max_examples=60, deadline=None)
@given(classified())
def test_equals_sklearn_with_ties_and_weights(name, case):
    truth, probability, weight = case
    ours, theirs = BY_SKLEARN[name]
    assert ours(truth, probability) == pytest.approx(theirs(truth, probability), abs=1e-9)
    expected = theirs(truth, probability, sample_weight=weight.astype(float))
    assert ours(truth, probability, weight=weight) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(classified(), st.sampled_from([0.3, 0.5, 0.9, 0.99, 1.0]))
def test_thresholded_scores_equal_exact_counting(case, target):
    truth, p, _ = case
    accepted = [(np.mean(truth[p >= t]), np.sum(truth[p >= t]), t) for t in np.unique(p)]
    recall, threshold = max(((k / truth.sum(), t) for pure, k, t in accepted if pure >= target), default=(0.0, np.inf))
    assert stats.recall_at_precision(truth, p, target) == pytest.approx(recall, abs=1e-12)
    found = stats.threshold_at_precision(truth, p, target)
    assert np.sum(truth[p >= found]) == pytest.approx(recall * truth.sum())
    assert np.isinf(found) == np.isinf(threshold)

    rejected = [(np.mean(1 - truth[p <= t]), np.sum(1 - truth[p <= t])) for t in np.unique(p)]
    specificity = max((k for pure, k in rejected if pure >= target), default=0) / np.sum(1 - truth)
    assert stats.specificity_at_npv(truth, p, target) == pytest.approx(specificity, abs=1e-12)
    assert np.sum(1 - truth[p <= stats.threshold_at_npv(truth, p, target)]) == pytest.approx(
        specificity * np.sum(1 - truth)
    )


def test_unreachable_precision_gives_zero_not_nan():
    truth, tied = np.array([0, 1, 0, 1]), np.full(4, 0.99)
    assert stats.recall_at_precision(truth, tied, 0.9) == 0.0
    assert stats.threshold_at_precision(truth, tied, 0.9) == np.inf
    assert stats.specificity_at_npv(truth, tied, 0.9) == 0.0
    assert stats.threshold_at_npv(truth, tied, 0.9) == -np.inf


def test_precision_that_equals_the_target_exactly_counts():
    truth = np.r_[np.ones(99, int), 0, 0]
    score = np.r_[np.full(100, 1.0), 0.0]
    assert stats.recall_at_precision(truth, score, 0.99) == 1.0


@settings(max_examples=60, deadline=None)
@given(classified())
def test_a_weight_counts_a_row_that_many_times(case):
    truth, probability, weight = case
    rows = np.repeat(np.arange(len(truth)), weight)
    for score in (stats.average_precision, stats.roc_auc, stats.recall_at_precision, stats.specificity_at_npv):
        assert score(truth, probability, weight=weight) == pytest.approx(score(truth[rows], probability[rows]))


def test_several_classes_equal_sklearn():
    rng = np.random.default_rng(0)
    truth, p = rng.integers(0, 4, 300), rng.dirichlet(np.ones(4), 300)
    weight = rng.integers(0, 3, 300).astype(float)
    decided, weighted = p.argmax(1), {"sample_weight": weight}
    expected = sk.confusion_matrix(truth, decided, **weighted)
    np.testing.assert_allclose(stats.confusion(truth, p, weight=weight), expected)
    assert stats.accuracy(truth, p, weight=weight) == pytest.approx(sk.accuracy_score(truth, decided, **weighted))
    assert stats.balanced_accuracy(truth, p) == pytest.approx(sk.balanced_accuracy_score(truth, decided))
    assert stats.f1(truth, p) == pytest.approx(sk.f1_score(truth, decided, average="macro"))
    assert stats.log_loss(truth, p, weight=weight) == pytest.approx(sk.log_loss(truth, p, **weighted))


def test_calibration_errors_equal_sklearns_quantile_bins():
    rng = np.random.default_rng(1)
    p = np.round(rng.beta(0.5, 2, 3000), 2)  # many ties
    truth = (rng.random(3000) < p**1.5).astype(int)
    frequency, forecast = calibration_curve(truth, p, n_bins=10, strategy="quantile")
    bins = stats.equal_mass_bins(truth, p, 10)
    np.testing.assert_allclose(bins.forecast, forecast, atol=1e-12)
    np.testing.assert_allclose(bins.frequency, frequency, atol=1e-12)
    gap = np.abs(forecast - frequency)
    assert stats.ece(truth, p) == pytest.approx(gap @ bins.count / 3000, abs=1e-12)
    assert stats.mce(truth, p) == pytest.approx(gap.max(), abs=1e-12)
    shuffled = rng.permutation(3000)
    assert stats.ece(truth[shuffled], p[shuffled]) == pytest.approx(stats.ece(truth, p), abs=1e-12)


def test_forecasts_of_the_truth_have_no_calibration_error_and_a_constant_bias_is_found():
    truth, p = np.tile([0, 0, 0, 1], 500), np.full(2000, 0.25)
    assert stats.ece(truth, p) == pytest.approx(0.0, abs=1e-12)
    assert stats.ece(truth, p + 0.1) == pytest.approx(0.1)


def test_permuted_labels_have_the_prevalence_as_average_precision():
    rng = np.random.default_rng(2)
    truth = np.arange(20_000) < 3_000
    found = [stats.average_precision(rng.permutation(truth), rng.random(20_000)) for _ in range(20)]
    assert np.mean(found) == pytest.approx(0.15, abs=4 * np.std(found) / np.sqrt(20))


@pytest.mark.parametrize(
    ("truth", "probability", "sentence"),
    [
        ([1, 1, 1], [0.1, 0.2, 0.3], "one class only"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "Expected labels 0 and 1, found"),
        ([0, 1], [0.1, 0.2, 0.3], "2 labels, 3 predictions"),
        ([0, 1, 1], [0.1, np.nan, 0.3], "Row 1 has prediction nan"),
    ],
)
def test_wrong_input_is_one_sentence(truth, probability, sentence):
    for score in (stats.average_precision, stats.roc_auc, stats.recall_at_precision):
        with pytest.raises(InputError, match=sentence):
            score(np.array(truth), np.array(probability))


def test_a_logit_is_not_taken_for_a_probability():
    with pytest.raises(InputError, match=r"Row 1 has probability 1\.2"):
        stats.brier(np.array([0, 1]), np.array([0.3, 1.2]))
