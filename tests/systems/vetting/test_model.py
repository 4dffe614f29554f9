"""The networks: published layout, masks and tokens, the contract of every public model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.systems.vetting.data import Example
from jaxastro.systems.vetting.model import Layout, Network
from jaxastro.systems.vetting.presets import AstroNet, WatsonNet
from jaxastro.systems.vetting.recipe import Recipe
from jaxastro.systems.vetting.scaler import Scaler
from jaxastro.systems.vetting.training import trainable
from jaxastro.train import inference_mode

WATSON = Layout({n: (b, Recipe().channels[n]) for n, b in Recipe().bins.items()}, 12)
SMALL = Layout({"global": (40, 1), "main": (24, 1), "odd": (24, 1), "even": (24, 1)}, 3)
MAKE = {
    "default": lambda key: Network(SMALL, 3, width=8, filters=(4, 4), hidden=8, key=key),
    "watson": lambda key: WatsonNet(Layout({"global": (60, 1), "main": (24, 1)}, 3), 2, key=key),
    "astronet": lambda key: AstroNet(Layout({"global": (201, 1), "main": (61, 1)}, 0), 2, key=key),
}


def examples(layout: Layout, n: int, seed: int = 0) -> Example:
    rng = np.random.default_rng(seed)
    views = {name: rng.normal(size=(n, *shape)).astype(np.float32) for name, shape in layout.views.items()}
    scalars = rng.normal(size=(n, layout.scalars)).astype(np.float32)
    return Example(views, {name: np.ones(n, bool) for name in views}, scalars, np.ones((n, layout.scalars), bool))


def layout_of(name: str) -> Layout:
    return {
        "default": SMALL,
        "watson": Layout({"global": (60, 1), "main": (24, 1)}, 3),
        "astronet": Layout({"global": (201, 1), "main": (61, 1)}, 0),
    }[name]


def count(model) -> int:
    return sum(x.size for x in jax.tree.leaves(eqx.filter(model, lambda x: hasattr(x, "shape"))))


def test_watson_has_the_published_number_of_parameters():
    model = eqx.filter_eval_shape(lambda key: WatsonNet(WATSON, 2, key=key), jax.random.key(0))
    assert count(model) - count(model.scaler) == 8_804_176
    assert model.whole is not None
    assert count((model.whole, model.whole_dense, model.whole_norm)) == 121_680
    assert [count(model.focus[n]) for n in ("main", "secondary", "odd", "even")] == [611_936] * 4
    assert (count(model.focus["centroid"]), count(model.focus["ghost"])) == (612_064, 611_360)
    assert count(model.head) == 5_011_328


@pytest.mark.parametrize("name", MAKE)
def test_contract(name, count_traces):
    model = inference_mode(MAKE[name](jax.random.key(0)))
    batch = examples(layout_of(name), 3)
    predict = jax.jit(count_traces(lambda b: jax.vmap(model)(b)))
    together = predict(batch)
    predict(examples(layout_of(name), 3, seed=1))
    assert count_traces.n == 1
    for row in range(3):
        one = model(jax.tree.map(lambda x, row=row: jnp.asarray(x[row]), batch))
        np.testing.assert_allclose(together[row], one, atol=2e-5)
    gradient = jax.grad(lambda views: model(one_of(batch)._replace(views=views))[-1])(one_of(batch).views)
    assert all(jnp.isfinite(g).all() and (g != 0).any() for g in jax.tree.leaves(gradient))


def one_of(batch: Example) -> Example:
    return jax.tree.map(lambda x: jnp.asarray(x[0]), batch)


def test_a_hidden_branch_equals_a_missing_one_whatever_it_holds():
    model = inference_mode(MAKE["default"](jax.random.key(0)))
    example, other = one_of(examples(SMALL, 1)), one_of(examples(SMALL, 1, seed=5))
    keep = jnp.array([True, False, True, True])  # global, main, odd_even, scalars
    missing = example._replace(view_present={**example.view_present, "main": jnp.array(False)})
    swapped = example._replace(views={**example.views, "main": other.views["main"]})
    hidden = model(example, keep=keep)
    np.testing.assert_array_equal(hidden, model(missing))
    np.testing.assert_array_equal(hidden, model(swapped, keep=keep))
    assert not np.allclose(hidden, model(example))


def test_branches_are_dropped_per_example_and_never_all():
    model = Network(
        SMALL, 3, width=8, filters=(4, 4), hidden=8, dropout=0.0, branch_dropout=0.999, key=jax.random.key(0)
    )
    batch = jax.tree.map(lambda x: np.repeat(x, 64, axis=0), examples(SMALL, 1))
    logits = jax.vmap(lambda e, k: model(e, key=k))(batch, jax.random.split(jax.random.key(1), 64))
    assert len(np.unique(np.asarray(logits[:, 0]).round(5))) == 4  # each time one of the four branches stays


def test_a_missing_scalar_does_not_act():
    model = inference_mode(MAKE["default"](jax.random.key(0)))
    example = one_of(examples(SMALL, 1))
    absent = example._replace(scalar_present=jnp.array([True, False, True]))
    changed = absent._replace(scalars=absent.scalars.at[1].set(99.0))
    np.testing.assert_array_equal(model(absent), model(changed))


def test_scaler_keeps_range_and_survives_outliers_and_underflow():
    rng = np.random.default_rng(0)
    alarm = 10.0 ** -rng.uniform(0, 60, 500)  # false-alarm probabilities, some below float32
    period = 10 ** rng.normal(1, 0.6, 500)
    period[0] = 3e8
    values = np.stack([alarm, period, np.full(500, 4.0)], axis=1).astype(np.float32)
    scaler = Scaler.fit(values, np.ones(values.shape, bool))
    features = jax.vmap(scaler)(values)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert abs(np.median(features[:, 1, 0])) < 1e-6
    assert np.abs(features).max() <= 4
    assert len(np.unique(features[:, 0, 0])) > 240  # all that float32 can hold
    np.testing.assert_array_equal(features[:, 2], features[:1, 2].repeat(500, axis=0))
    assert np.isfinite(jax.jacobian(scaler)(jnp.asarray(values[0]))).all()


def test_training_never_moves_what_is_fitted():
    model = MAKE["default"](jax.random.key(0))
    chosen = trainable(model)
    assert model.scalar_encoder is not None
    assert not any(jax.tree.leaves(chosen.scalar_encoder.scaler))
    fixed = count(model.scalar_encoder.scaler) + count(model.pool)
    assert count(eqx.filter(model, chosen)) == count(model) - fixed
