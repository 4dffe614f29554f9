"""Conformal label sets keep their stated coverage, whatever the classifier."""

import jax
import numpy as np
import pytest

from jaxastro import stats
from jaxastro.errors import InputError

pytestmark = pytest.mark.core


def draw(rng, n):
    """Three labels, rare to common, and an over-confident classifier that underrates the rarest."""
    truth = rng.choice(3, n, p=[0.1, 0.3, 0.6])
    noisy = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[truth] - np.array([0.7, 0, 0])
    return np.asarray(jax.nn.softmax(3 * noisy), float), truth


def coverage(level, by_class, n=40):
    rng = np.random.default_rng(0)
    hit, labels = [], []
    for _ in range(300):
        sets = stats.label_sets(*draw(rng, n), level=level, by_class=by_class)
        p, truth = draw(rng, 50)
        hit.append((p >= sets.least)[np.arange(50), truth])
        labels.append(truth)
    return np.concatenate(hit), np.concatenate(labels)


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_coverage_is_the_stated_one_already_for_forty_rows(level):
    hit, _ = coverage(level, by_class=False)
    exact = np.ceil(41 * level) / 41  # of continuous scores, averaged over calibration sets
    assert hit.mean() == pytest.approx(exact, abs=0.012)
    assert exact >= level


def test_by_class_every_label_has_the_coverage():
    hit, truth = coverage(0.8, by_class=True, n=200)
    assert all(hit[truth == label].mean() >= 0.79 for label in range(3))
    pooled, truth = coverage(0.8, by_class=False, n=200)
    by_label = [pooled[truth == label].mean() for label in range(3)]
    assert min(by_label) < 0.79  # otherwise one label pays for another


def test_too_few_rows_give_all_labels():
    p, truth = draw(np.random.default_rng(1), 5)
    assert np.asarray(stats.label_sets(p, truth, level=0.9)(p)).all()


def test_sets_under_jit_equal_the_comparison():
    p, truth = draw(np.random.default_rng(2), 100)
    sets = stats.label_sets(p, truth)
    compiled = jax.jit(lambda sets, p: sets(p))(sets, p)
    assert np.array_equal(compiled, p.astype(np.float32) >= sets.least.astype(np.float32))


def test_a_label_without_a_column_is_named():
    with pytest.raises(InputError, match="Expected a label 0 to 1 for each of 2 rows"):
        stats.label_sets(np.full((2, 2), 0.5), np.array([0, 2]))
