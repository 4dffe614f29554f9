"""Folds: no object in two, labels equally frequent, duplicates found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxastro import stats
from jaxastro.errors import InputError

pytestmark = pytest.mark.core


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_no_group_straddles_and_all_folds_are_used(seed, k):
    rng = np.random.default_rng(seed)
    star = np.r_[np.arange(30), rng.integers(0, 30, 60)]
    label = (star % 3 == 0).astype(int)
    fold = stats.grouped_folds(star, label, k=k, seed=seed)
    assert all(len(np.unique(fold[star == s])) == 1 for s in np.unique(star))
    assert set(fold) == set(range(k))


def test_labels_are_equally_frequent_in_all_folds():
    rng = np.random.default_rng(0)
    star = rng.integers(0, 800, 1200)
    label = rng.random(1200) < 0.1
    fold = stats.grouped_folds(star, label, k=5)
    fractions = [label[fold == f].mean() for f in range(5)]
    assert np.ptp(fractions) < 0.02
    assert np.ptp(np.bincount(fold)) < 30
    assert np.array_equal(fold, stats.grouped_folds(star, label, k=5))
    assert not np.array_equal(fold, stats.grouped_folds(star, label, k=5, seed=1))


def test_too_few_objects_of_a_class_are_named():
    star, label = np.arange(40), (np.arange(40) < 3).astype(int)
    with pytest.raises(InputError, match="Cannot make 5 folds: the rarest class has 3 objects"):
        stats.grouped_folds(star, label, k=5)


def test_merged_groups_join_rows_through_any_key():
    star = np.array(["a", "a", "b", "c", "d", "e"])
    views = np.array([[1.0, 2], [3, 4], [3, 4], [5, np.nan], [5, np.nan], [1, 2.5]])
    group = stats.merge_groups(star, views)
    # a's second row equals b's; c and d are exact duplicates, NaN and all; e stands alone
    assert group[0] == group[1] == group[2]
    assert group[3] == group[4]
    assert len(set(group)) == 3


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=25))
def test_merged_groups_are_the_finest_that_respect_both_keys(pairs):
    first, second = np.array(pairs).T
    group = stats.merge_groups(first, second)
    expected = np.arange(len(pairs))
    for _ in pairs:  # spread the smallest row number until nothing changes
        for key in (first, second):
            for value in set(key):
                expected[key == value] = expected[key == value].min()
    assert np.array_equal(group[:, None] == group, expected[:, None] == expected)
