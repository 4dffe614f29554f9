"""Every engine on small models whose answer is known: in closed form, or from NUTS."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from jaxastro.errors import ArtefactError, InputError
from jaxastro.infer import Posterior, geovi, hmc, log_score, map_estimate, mgvi, nuts, svi

EFFECT = jnp.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERROR = jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def eight_schools(effect, error):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", len(effect)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("effect", dist.Normal(theta, error), obs=effect)


def logistic(x, y):
    weight = numpyro.sample("weight", dist.Normal(0, 2).expand((x.shape[1],)).to_event(1))
    numpyro.sample("y", dist.Bernoulli(logits=x @ weight).to_event(1), obs=y)


def linear(x, y):
    weight = numpyro.sample("weight", dist.Normal(0, 1).expand((x.shape[1],)).to_event(1))
    numpyro.sample("y", dist.Normal(x @ weight, 0.5).to_event(1), obs=y)


def regression_data(n=500, logits=True):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    signal = x @ np.array([1.0, -0.5, 0.2])
    y = rng.random(n) < 1 / (1 + np.exp(-signal)) if logits else signal + 0.5 * rng.normal(size=n)
    return jnp.asarray(x), jnp.asarray(y, jnp.float32)


def close_to_nuts(posterior, reference, name, transform=lambda v: v, bias=0.0):
    """Means and standard deviations agree within 3 Monte-Carlo errors (plus `bias` reference standard deviations)."""
    ours, truth = (np.asarray(transform(p.sites.get(name, p.latents.get(name)))) for p in (posterior, reference))
    ess = np.minimum(np.asarray(reference.diagnostics()[name]["ess"]), len(truth))
    std = truth.std(0)
    error = std * np.sqrt(1 / ess + 1 / len(ours))
    assert np.all(np.abs(ours.mean(0) - truth.mean(0)) < 3 * error + bias * std)
    assert np.all(np.abs(ours.std(0) - std) < 3 * error + bias * std)


@pytest.fixture(scope="module")
def eight_schools_truth():
    return nuts(eight_schools, EFFECT, ERROR, key=jax.random.key(0), draws=2000, target_accept_prob=0.95)


def test_nuts_converges_and_summarises(eight_schools_truth):
    diagnostics = eight_schools_truth.diagnostics()
    assert max(np.max(d["r_hat"]) for d in diagnostics.values()) < 1.01
    table = eight_schools_truth.summary()
    rows = dict(zip(table["name"], table["mean"], strict=True))
    assert rows["mu"] == pytest.approx(4.4, abs=0.3)  # Gelman et al. (BDA3, table 5.2 and the Stan reference posterior)
    assert rows["tau"] == pytest.approx(3.6, abs=0.4)
    assert table["ess"].min() > 400


@pytest.mark.parametrize("engine", [mgvi, geovi])
def test_gaussian_posterior_is_exact(engine):
    """A linear Gaussian model has a Gaussian posterior that both engines must reproduce."""
    x, y = regression_data(logits=False)
    posterior = engine(linear, x, y, key=jax.random.key(1), draws=4000, pairs=50, draw_steps=30)
    covariance = np.linalg.inv(np.eye(3) + np.asarray(x.T @ x) / 0.25)
    mean = covariance @ np.asarray(x.T @ y) / 0.25
    weight = np.asarray(posterior.latents["weight"])
    std = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(weight.mean(0), mean, atol=3e-2 * std.max())
    np.testing.assert_allclose(np.cov(weight.T), covariance, atol=3 * np.sqrt(2 / 2000) * covariance.max())
    np.testing.assert_allclose(posterior.mean["weight"], mean, atol=1e-3)


@pytest.mark.parametrize("engine", [mgvi, geovi])
def test_logistic_regression_matches_nuts(engine):
    x, y = regression_data()
    truth = nuts(logistic, x, y, key=jax.random.key(0), draws=1000)
    posterior = engine(logistic, x, y, key=jax.random.key(1), draws=400, pairs=100)
    close_to_nuts(posterior, truth, "weight")


def test_svi_on_logistic_regression_matches_nuts():
    from numpyro.infer.autoguide import AutoMultivariateNormal

    x, y = regression_data()
    truth = nuts(logistic, x, y, key=jax.random.key(0), draws=1000)
    posterior = svi(logistic, x, y, key=jax.random.key(1), draws=400, guide=AutoMultivariateNormal, particles=10)
    close_to_nuts(posterior, truth, "weight")


def test_geovi_follows_the_funnel_of_eight_schools(eight_schools_truth):
    posterior = geovi(eight_schools, EFFECT, ERROR, key=jax.random.key(2), draws=64, pairs=32, iterations=15)
    for name in ("mu", "tau", "theta"):
        close_to_nuts(posterior, eight_schools_truth, name)


def test_hamiltonian_monte_carlo_takes_geovi_to_nuts(eight_schools_truth):
    """Six times the draws, whose Monte-Carlo errors show what is left of geoVI's."""
    first = geovi(eight_schools, EFFECT, ERROR, key=jax.random.key(2), draws=400, pairs=32, iterations=15)
    posterior = hmc(eight_schools, EFFECT, ERROR, key=jax.random.key(3), start=first, trajectories=100, length=3.0)
    for name in ("mu", "tau", "theta"):
        close_to_nuts(posterior, eight_schools_truth, name)
    assert np.mean(posterior.info["acceptance"][50:]) == pytest.approx(0.8, abs=0.05)


def test_map_is_the_maximum_and_warns_for_fields():
    x, y = regression_data(logits=False)
    posterior = map_estimate(linear, x, y, key=jax.random.key(0))
    expected = np.linalg.solve(np.eye(3) + np.asarray(x.T @ x) / 0.25, np.asarray(x.T @ y) / 0.25)
    np.testing.assert_allclose(posterior.latents["weight"][0], expected, rtol=1e-4)

    def field(counts):
        xi = numpyro.sample("xi", dist.Normal(0, 1).expand((40, 40)).to_event(2))
        numpyro.sample("counts", dist.Poisson(jnp.exp(xi)).to_event(2), obs=counts)

    with pytest.warns(UserWarning, match="'xi' .1600 elements. and its hyper-parameters over-fits"):
        map_estimate(field, jnp.ones((40, 40)), key=jax.random.key(0))


def test_log_score_averages_over_draws():
    x, y = regression_data(logits=False)
    posterior = mgvi(linear, x, y, key=jax.random.key(1), draws=64)
    location = np.asarray(posterior.latents["weight"]) @ np.asarray(x).T
    density = -0.5 * ((np.asarray(y) - location) / 0.5) ** 2 - np.log(0.5 * np.sqrt(2 * np.pi))
    expected = np.log(np.mean(np.exp(density), 0)).sum()
    assert float(log_score(posterior, linear, x, y)) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(posterior.log_likelihood, density.sum(1), rtol=1e-4)


def test_one_program_serves_other_data_and_other_limits(count_compilations):
    x, y = regression_data(logits=False)
    other, key = 2 * y, jax.random.key(2)
    mgvi(linear, x, y, key=key, draws=8, iterations=3)
    with count_compilations() as count:
        mgvi(linear, x, other, key=key, draws=8, iterations=5, newton_steps=2, draw_steps=9)
    assert count() == 0


def test_save_and_load_is_bit_equal(tmp_path):
    x, y = regression_data(logits=False)
    posterior = mgvi(linear, x, y, key=jax.random.key(1), draws=8)
    posterior.save(tmp_path / "posterior.safetensors")
    again = Posterior.load(tmp_path / "posterior.safetensors")
    assert jax.tree.structure(again) == jax.tree.structure(posterior)
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: np.array_equal(a, b), again, posterior)))
    (tmp_path / "broken").write_bytes(b"no posterior")
    with pytest.raises(ArtefactError, match="broken is not a readable jaxastro posterior"):
        Posterior.load(tmp_path / "broken")


@pytest.mark.peer
def test_arviz_sees_chains_and_draws(eight_schools_truth):
    pytest.importorskip("arviz")
    data = eight_schools_truth.to_arviz()
    values = data["posterior"]["theta"]
    assert values.dims[:2] == ("chain", "draw")
    np.testing.assert_array_equal(values.values, np.asarray(eight_schools_truth.sites["theta"]).reshape(4, -1, 8))


def test_models_that_cannot_be_fitted_say_why():
    def discrete():
        k = numpyro.sample("k", dist.Bernoulli(0.5))
        numpyro.sample("y", dist.Normal(k, 1), obs=0.0)

    def unobserved():
        numpyro.sample("x", dist.Normal(0, 1))

    def unknown_metric():
        x = numpyro.sample("x", dist.Normal(0, 1))
        numpyro.sample("y", dist.VonMises(x, 1.0), obs=0.0)

    key = jax.random.key(0)
    with pytest.raises(InputError, match="Latent 'k' is discrete"):
        mgvi(discrete, key=key)
    with pytest.raises(InputError, match="no observed site"):
        mgvi(unobserved, key=key)
    with pytest.raises(InputError, match="VonMises distribution, expected one with a known Fisher metric"):
        mgvi(unknown_metric, key=key)
