"""`fit` against closed forms, a hand-written loop, and itself under other devices and after a resume."""

import subprocess
import sys
import textwrap

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxastro.errors import InputError
from jaxastro.train import Batches, NonFiniteLoss, fit, fit_members

pytestmark = pytest.mark.core

QUIET = {"progress": False}


def line_data(n=256, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return {"x": x, "y": (x @ np.array([1.0, -2.0, 0.5], np.float32) + 0.3).astype(np.float32)}


class Line(eqx.Module):
    weight: jax.Array
    bias: jax.Array

    def __call__(self, x):
        return self.weight @ x + self.bias


def line():
    return Line(jnp.zeros(3), jnp.zeros(()))


def squared(model, example, key):
    return (model(example["x"]) - example["y"]) ** 2


def test_recovers_the_least_squares_solution():
    data = line_data()
    result = fit(line(), squared, data, key=jax.random.key(0), epochs=60, batch_size=32, learning_rate=0.05, **QUIET)
    np.testing.assert_allclose(result.model.weight, [1.0, -2.0, 0.5], atol=1e-3)
    np.testing.assert_allclose(result.model.bias, 0.3, atol=1e-3)


def test_full_batch_gradient_descent_equals_the_closed_iteration():
    data = line_data(40)
    result = fit(
        line(), squared, data, key=jax.random.key(0), epochs=5, batch_size=40, optimizer=optax.sgd(0.1), **QUIET
    )
    design, theta = np.c_[data["x"], np.ones(40)].astype(np.float64), np.zeros(4)
    for _ in range(5):
        theta -= 0.1 * 2 / 40 * design.T @ (design @ theta - data["y"])
    np.testing.assert_allclose([*result.model.weight, result.model.bias], theta, rtol=2e-5)


def test_weights_and_the_short_last_batch_count_by_their_size():
    data = line_data(10)
    w = np.array([0, 0, 1, 1, 1, 2, 2, 2, 3, 3], np.float32)
    options = {"key": jax.random.key(1), "epochs": 1, "optimizer": optax.sgd(0.0), **QUIET}
    result = fit(line(), squared, data, batch_size=4, weights=w, **options)
    np.testing.assert_allclose(result.history["loss"][0], np.average(data["y"] ** 2, weights=w), rtol=1e-5)


def test_accumulated_gradients_equal_one_large_batch():
    data = line_data(64)
    options = {"key": jax.random.key(0), "epochs": 8, "optimizer": optax.sgd(0.1), **QUIET}
    large = fit(line(), squared, data, batch_size=64, **options).model
    small = fit(line(), squared, data, batch_size=16, accumulate=4, **options).model
    np.testing.assert_allclose(large.weight, small.weight, rtol=1e-5)


def test_an_ensemble_equals_its_members_trained_alone():
    data = line_data(90)
    keys = jax.random.split(jax.random.key(3), 3)
    models = eqx.filter_vmap(lambda k: eqx.nn.MLP(3, "scalar", 8, 1, key=k))(keys)
    loss = lambda m, e, k: (m(e["x"]) - e["y"]) ** 2  # noqa: E731
    folds = [np.arange(i, 90, 3) for i in range(3)]
    options = {"epochs": 4, "batch_size": 16, **QUIET}
    together = fit_members(models, loss, data, keys=keys, validation=folds, **options)
    for i in range(3):
        one = jax.tree.map(lambda x, i=i: x[i] if eqx.is_array(x) else x, models)
        alone = fit(one, loss, data, key=keys[i], validation=folds[i], **options)
        np.testing.assert_allclose(
            together.history["validation_loss"][:, i], alone.history["validation_loss"], rtol=1e-5
        )
        np.testing.assert_allclose(
            together.model.layers[0].weight[i], alone.model.layers[0].weight, rtol=1e-4, atol=1e-6
        )


def test_validation_rows_never_train():
    data = line_data(40)
    data["y"][30:] = np.nan  # touched once, every weight would be lost
    result = fit(line(), squared, data, key=jax.random.key(0), epochs=3, batch_size=7, rows=np.arange(30), **QUIET)
    assert np.isfinite(result.model.weight).all()
    held = fit(line(), squared, line_data(40), key=jax.random.key(0), epochs=3, batch_size=7,
               validation=np.arange(30, 40), **QUIET)  # fmt: skip
    same = fit(
        line(), squared, line_data(40), key=jax.random.key(0), epochs=3, batch_size=7, rows=np.arange(30), **QUIET
    )
    np.testing.assert_allclose(held.history["loss"], same.history["loss"], rtol=1e-6)


def test_best_weights_are_kept_and_a_stalled_fit_stops():
    data = line_data(64)
    diverging = optax.sgd(lambda step: jnp.where(step < 20, 0.05, 0.6))
    result = fit(line(), squared, data, key=jax.random.key(0), epochs=40, batch_size=16, optimizer=diverging,
                 validation=np.arange(0, 64, 4), patience=3, **QUIET)  # fmt: skip
    values = result.history["validation_loss"]
    assert len(values) == result.best_epoch + 3 < 40
    held = data["x"][::4] @ np.asarray(result.model.weight) + np.asarray(result.model.bias) - data["y"][::4]
    np.testing.assert_allclose((held**2).mean(), values.min(), rtol=1e-4)


def test_non_finite_loss_names_the_step_and_keeps_the_last_good_weights():
    data = line_data(64)
    exploding = optax.sgd(lambda step: jnp.where(step < 6, 0.01, 1e30))
    with pytest.raises(NonFiniteLoss, match="step 4 of epoch 2") as caught:
        fit(line(), squared, data, key=jax.random.key(0), epochs=5, batch_size=16, optimizer=exploding, **QUIET)
    assert np.isfinite(caught.value.fit.model.weight).all()


def test_the_moving_average_of_constant_weights_is_those_weights():
    model = Line(jnp.array([1.0, -2.0, 0.5]), jnp.array(0.3))
    result = fit(model, squared, line_data(), key=jax.random.key(0), epochs=3, batch_size=32, ema=0.9,
                 optimizer=optax.sgd(0.0), **QUIET)  # fmt: skip
    np.testing.assert_array_equal(result.model.weight, model.weight)


def test_a_stream_trains_like_the_same_batches_in_memory():
    data = line_data(64)
    make = lambda epoch: ({k: v[i : i + 16] for k, v in data.items()} for i in range(0, 64, 16))  # noqa: E731
    options = {"key": jax.random.key(0), "epochs": 40, "batch_size": 16, "learning_rate": 0.05, **QUIET}
    streamed = fit(line(), squared, Batches(make, 4), **options)
    np.testing.assert_allclose(streamed.model.weight, [1.0, -2.0, 0.5], atol=2e-2)


def test_frozen_arrays_stay():
    model = line()
    spec = eqx.tree_at(lambda m: m.weight, jax.tree.map(lambda _: False, model), True)
    result = fit(model, squared, line_data(), key=jax.random.key(0), epochs=2, batch_size=32, trainable=spec, **QUIET)
    assert float(result.model.bias) == 0 and np.abs(result.model.weight).min() > 0


def test_flax_modules_train_with_dropout_and_validate_without():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.hidden, self.out = nnx.Linear(3, 32, rngs=rngs), nnx.Linear(32, 1, rngs=rngs)
            self.dropout = nnx.Dropout(0.5)

        def __call__(self, x, key):
            return self.out(self.dropout(jnp.tanh(self.hidden(x)), rngs=nnx.Rngs(dropout=key)))[0]

    loss = lambda m, e, k: (m(e["x"], k) - e["y"]) ** 2  # noqa: E731
    data, held = line_data(), line_data(32, seed=1)
    result = fit(Net(nnx.Rngs(0)), loss, data, key=jax.random.key(0), epochs=2, batch_size=32, validation=held, **QUIET)
    model = nnx.view(result.model, deterministic=True)
    by_hand = np.mean([loss(model, {k: v[i] for k, v in held.items()}, jax.random.key(0)) for i in range(32)])
    np.testing.assert_allclose(by_hand, result.history["validation_loss"].min(), rtol=1e-5)


def test_same_key_same_bits():
    run = lambda: fit(line(), squared, line_data(), key=jax.random.key(5), epochs=3, batch_size=32, **QUIET)  # noqa: E731
    np.testing.assert_array_equal(run().model.weight, run().model.weight)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "at least 1"),
        ({"patience": 3}, "without validation"),
        ({"weights": np.ones(3)}, "one finite, non-negative weight"),
        ({"rows": np.array([999])}, "indices from 0 to 255"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(change, sentence):
    options = {"key": jax.random.key(0), "epochs": 1, "batch_size": 32, **QUIET, **change}
    with pytest.raises(InputError, match=sentence):
        fit(line(), squared, line_data(), **options)


def test_uneven_data_are_refused():
    with pytest.raises(InputError, match="one shared leading axis"):
        fit(line(), squared, {"x": np.ones((4, 3)), "y": np.ones(5)}, key=jax.random.key(0), epochs=1, batch_size=2)


SHARDED = """
    import sys, jax
    jax.config.update("jax_num_cpu_devices", 8)
    import equinox as eqx, numpy as np
    from jaxastro.train import fit_members, mesh_of
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(512, 4)), "y": rng.normal(size=512)}
    loss = lambda m, e, k: (m(e["x"]) - e["y"]) ** 2
    with jax.enable_x64():
        keys = jax.random.split(jax.random.key(0), 3)
        models = eqx.filter_vmap(lambda k: eqx.nn.MLP(4, "scalar", 16, 2, key=k))(keys)
        results = []
        for mesh in (None, mesh_of("batch"), mesh_of("member")):
            folds = [np.arange(i, 512, 5) for i in range(3)]
            r = fit_members(models, loss, data, keys=keys, epochs=3, batch_size=64, validation=folds, mesh=mesh,
                            progress=False)
            results.append(np.asarray(r.model.layers[0].weight))
    print(max(np.abs(r - results[0]).max() for r in results[1:]))
"""


def test_eight_devices_give_the_result_of_one():
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(SHARDED)], capture_output=True, text=True, timeout=300)
    assert out.returncode == 0, out.stderr
    assert float(out.stdout) < 1e-12


TWO_PROCESSES = """
    import sys, jax
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 1)
    rank, port, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if count > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=count, process_id=rank, initialization_timeout=60)
    import equinox as eqx, numpy as np
    from jaxastro.train import fit, mesh_of
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(256, 4)).astype("f4"), "y": rng.normal(size=256).astype("f4")}
    loss = lambda m, e, k: (m(e["x"]) - e["y"]) ** 2
    model = eqx.nn.MLP(4, "scalar", 16, 2, key=jax.random.key(0))
    r = fit(model, loss, data, key=jax.random.key(1), epochs=2, batch_size=64, validation=np.arange(0, 256, 5),
            mesh=mesh_of("batch"), progress=False)
    if rank == 0:
        print(" ".join(map(repr, np.asarray(r.model.layers[0].weight).ravel().tolist())))
"""


def test_two_processes_on_loopback_give_the_result_of_one(free_port):
    code = textwrap.dedent(TWO_PROCESSES)

    def start(rank, count):
        words = [sys.executable, "-c", code, str(rank), str(free_port), str(count)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    outputs = []
    for count in (1, 2):
        processes = [start(rank, count) for rank in range(count)]
        texts = [p.communicate(timeout=300) for p in processes]
        assert all(p.returncode == 0 for p in processes), texts[0][1] + texts[-1][1]
        outputs.append(np.array(texts[0][0].splitlines()[-1].split(), float))
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)


@pytest.mark.parametrize("change", ["data", "learning_rate", "identity"])
def test_a_checkpoint_of_another_fit_is_not_continued(tmp_path, change):
    x = np.arange(8.0, dtype=np.float32)
    loss = lambda model, example, key: (model * example["x"] - example["y"]) ** 2  # noqa: E731

    def run(factor=1.0, rate=0.01, identity="a"):
        data = {"x": x, "y": factor * x}
        return fit(
            jnp.float32(0), loss, data, key=jax.random.key(0), epochs=2, batch_size=4, learning_rate=rate,
            checkpoint=tmp_path, identity=identity, progress=False,
        )  # fmt: skip

    run()
    with pytest.raises(InputError, match="other data, options or key"):
        run(**{"data": {"factor": 2.0}, "learning_rate": {"rate": 0.02}, "identity": {"identity": "b"}}[change])
