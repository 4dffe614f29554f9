"""One contract for every public model: compiled, mapped, in float64, differentiated, saved, and traced once."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.io import read_model, stage_directory, write_model
from jaxastro.nn import Conv1d
from jaxastro.systems.planetary_systems.model import Generator, Member
from jaxastro.systems.planetary_systems.simulate import PodSim
from jaxastro.systems.vetting.data import Example
from jaxastro.systems.vetting.model import Layout, Network
from jaxastro.systems.vetting.presets import AstroNet

pytestmark = pytest.mark.core

LAYOUT = Layout({"global": (101, 1), "main": (31, 1)}, 3)


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, and how to draw an example for it."""

    name: str
    make: Callable[[jax.Array], Any]
    example: Callable[[jax.Array], Any]


@dataclasses.dataclass(frozen=True)
class Options:
    seed: int = 0


def signal(key):
    a, b, c = jax.random.split(key, 3)
    present = {"global": jnp.array(True), "main": jnp.array(True)}
    views = {"global": jax.random.normal(a, (101, 1)), "main": jax.random.normal(b, (31, 1))}
    return Example(views, present, jax.random.normal(c, (3,)), jnp.array([True, True, False]))


def pod(key):
    return jax.tree.map(lambda x: x[0], PodSim().sample(key, 1))


CASES = (
    Case("conv1d", lambda k: Conv1d(3, 5, 4, key=k), lambda k: jax.random.normal(k, (20, 3))),
    Case("vetting-default", lambda k: Network(LAYOUT, 4, key=k), signal),
    Case("vetting-astronet", lambda k: AstroNet(LAYOUT, 4, key=k), signal),
    Case("planetary-systems", lambda k: Generator((Member(width=16, components=3, key=k),)), pod),
)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture
def model(case):
    return eqx.nn.inference_mode(case.make(jax.random.key(0)))


def batch(case, seed, n=3):
    return jax.vmap(case.example)(jax.random.split(jax.random.key(seed), n))


def test_compiled_equals_eager_and_mapped_equals_looped(case, model):
    examples = batch(case, 1)
    mapped = eqx.filter_jit(jax.vmap(model))(examples)
    for i in range(3):
        eager = model(jax.tree.map(lambda x, i=i: x[i], examples))
        np.testing.assert_allclose(mapped[i], eager, rtol=2e-4, atol=2e-5)


def test_float64_agrees_with_float32(case, model):
    example = case.example(jax.random.key(2))
    single = model(example)
    with jax.enable_x64():
        wide = lambda tree: jax.tree.map(  # noqa: E731
            lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree
        )
        double = wide(model)(wide(example))
        assert double.dtype == jnp.float64
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-4)


def test_gradients_are_finite_in_weights_and_inputs(case, model):
    example = case.example(jax.random.key(3))
    for gradient in (
        eqx.filter_grad(lambda m: jnp.sum(m(example) ** 2))(model),
        eqx.filter_grad(lambda e: jnp.sum(model(e) ** 2))(example),
    ):
        leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
        assert all(np.isfinite(leaf).all() for leaf in leaves)
        assert any(np.abs(leaf).max() > 0 for leaf in leaves if leaf.size)


def test_saved_and_loaded_is_bit_equal(case, model, tmp_path):
    with stage_directory(tmp_path / "run") as folder:
        write_model(folder, system="vetting", model=model, config=Options())
    restored = read_model(
        tmp_path / "run", eqx.filter_eval_shape(lambda: eqx.nn.inference_mode(case.make(jax.random.key(1))))
    )
    assert eqx.tree_equal(eqx.filter(restored, eqx.is_array), eqx.filter(model, eqx.is_array))


def test_one_trace_serves_two_batches(case, model, count_traces):
    weights, static = eqx.partition(model, eqx.is_array)
    predict = jax.jit(count_traces(lambda weights, x: jax.vmap(eqx.combine(weights, static))(x)))
    predict(weights, batch(case, 4))
    predict(weights, batch(case, 5))
    assert count_traces.n == 1
