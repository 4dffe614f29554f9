"""The pool of experts: the plain mean at first, and what scikit-learn's logistic regression finds once fitted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jaxastro.systems.vetting.pool import Pool, fit_pool


@pytest.fixture
def experts():
    """Two labels; two experts that know different halves of the truth, and one that knows nothing."""
    rng = np.random.default_rng(0)
    evidence = rng.normal(size=(2000, 2))
    label = (evidence.sum(1) + rng.logistic(size=2000) > 0).astype(int)
    odds = np.concatenate([1.5 * evidence, rng.normal(size=(2000, 1))], axis=1)
    return np.stack([-odds / 2, odds / 2], -1).astype(np.float32), label


def test_equal_weights_are_the_mean_of_log_probabilities(experts):
    logits, _ = experts
    together = jax.vmap(Pool.equal(3))(jnp.asarray(logits), jnp.ones((2000, 3)))
    np.testing.assert_allclose(together, jax.nn.log_softmax(logits).mean(1), atol=1e-5)


def test_an_expert_that_sees_nothing_leaves_its_weight_to_the_others(experts):
    logits, _ = experts
    logits = jnp.asarray(logits[0])
    blind = Pool(jnp.array([0.5, 0.25, 0.25]))(logits, jnp.array([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(blind, Pool(jnp.array([2 / 3, 1 / 3]))(logits[:2], jnp.ones(2)), atol=1e-6)


def test_fitted_weights_are_those_of_logistic_regression(experts):
    logits, label = experts
    pool = fit_pool(logits, np.ones((2000, 3), np.float32), label)
    odds = logits[..., 1] - logits[..., 0]
    expected = LogisticRegression(C=np.inf, fit_intercept=False).fit(odds, label).coef_[0]
    np.testing.assert_allclose(pool.weight, np.maximum(expected, 0), atol=0.02)
    assert pool.weight[2] < 0.1
