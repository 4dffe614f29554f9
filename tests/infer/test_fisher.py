"""The Fisher coordinates of every known distribution, against the definition of the Fisher metric and of the score."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from jaxastro.infer import fisher_coordinates

CASES = {
    "poisson": (lambda t: dist.Poisson(jnp.exp(t[0])), [0.7]),
    "normal": (lambda t: dist.Normal(t[0], jnp.exp(t[1])), [0.3, -0.4]),
    "lognormal": (lambda t: dist.LogNormal(t[0], jnp.exp(t[1])), [0.3, -0.4]),
    "student": (lambda t: dist.StudentT(5.0, t[0], jnp.exp(t[1])), [0.3, -0.4]),
    "exponential": (lambda t: dist.Exponential(jnp.exp(t[0])), [0.2]),
    "negative binomial": (lambda t: dist.GammaPoisson(3.0, jnp.exp(t[0])), [0.2]),
    "bernoulli logits": (lambda t: dist.Bernoulli(logits=t[0]), [0.8]),
    "bernoulli probabilities": (lambda t: dist.Bernoulli(probs=jax.nn.sigmoid(t[0])), [0.8]),
    "binomial": (lambda t: dist.Binomial(7, logits=t[0]), [-0.6]),
}


@pytest.mark.parametrize("name", CASES)
def test_score_is_the_gradient_and_metric_its_covariance(name):
    build, point = CASES[name]
    point = jnp.array(point)
    values = build(point).sample(jax.random.key(0), (20000,))

    def gradients(value):
        _, score = fisher_coordinates(build(point), jnp.asarray(value, float))
        jacobian = jax.jacobian(lambda t: jnp.stack(fisher_coordinates(build(t), jnp.asarray(value, float))[0]))(point)
        return jacobian.T @ jnp.stack(score), jax.grad(lambda t: build(t).log_prob(value))(point), jacobian

    ours, truth, jacobian = jax.vmap(gradients)(values)
    np.testing.assert_allclose(ours, truth, rtol=2e-4, atol=2e-4)
    metric = jacobian[0].T @ jacobian[0]
    np.testing.assert_allclose(np.cov(truth.T, bias=True).reshape(metric.shape), metric, rtol=0.08, atol=0.05)
