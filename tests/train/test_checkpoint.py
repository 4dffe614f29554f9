"""Checkpoints survive a kill at any moment and resume to the weights of an uninterrupted run."""

import random
import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import pytest

from jaxastro.errors import ArtefactError, InputError
from jaxastro.train.checkpoint import identity_of, load_checkpoint, save_checkpoint

TRAINING = """
    import sys, equinox as eqx, jax, numpy as np
    from jaxastro.train import fit
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=(4000, 4)).astype("f4"), "y": rng.normal(size=4000).astype("f4")}
    loss = lambda m, e, k: (m(e["x"]) - e["y"]) ** 2
    model = eqx.nn.MLP(4, "scalar", 32, 2, key=jax.random.key(0))
    r = fit(model, loss, data, key=jax.random.key(1), epochs=400, batch_size=64, validation=np.arange(0, 4000, 5),
            ema=0.99, checkpoint=sys.argv[1], progress=False)
    print(r.best_epoch, " ".join(map(repr, np.asarray(r.model.layers[0].weight).ravel().tolist())))
"""


def start(folder, tmp_path):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TRAINING), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip


def killed_and_resumed(tmp_path, kills, seed):
    """The printed result of one run that was killed `kills` times at random moments and started again."""
    moments, folder = random.Random(seed), tmp_path / f"killed{seed}"
    for _ in range(kills):
        process = start(folder, tmp_path)
        began = time.monotonic()
        while not folder.exists() and process.poll() is None and time.monotonic() - began < 60:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    out, error = start(folder, tmp_path).communicate(timeout=300)
    assert out, error
    return out


def test_two_kills_change_nothing(tmp_path):
    whole, error = start(tmp_path / "whole", tmp_path).communicate(timeout=300)
    assert whole, error
    assert killed_and_resumed(tmp_path, 2, seed=0) == whole


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    whole, _ = start(tmp_path / "whole", tmp_path).communicate(timeout=300)
    for seed in range(1, 6):
        assert killed_and_resumed(tmp_path, 4, seed) == whole


def test_another_runs_checkpoint_is_refused(tmp_path):
    state = {"w": np.arange(3.0)}
    save_checkpoint(tmp_path, state, identity=identity_of(state), progress={"epoch": 1})
    loaded, progress = load_checkpoint(tmp_path, state, identity=identity_of(state))
    np.testing.assert_array_equal(loaded["w"], state["w"])
    assert progress == {"epoch": 1}
    with pytest.raises(InputError, match="other data, options or key"):
        load_checkpoint(tmp_path, state, identity=identity_of({"w": np.arange(4.0)}))


def test_a_truncated_checkpoint_is_refused(tmp_path):
    save_checkpoint(tmp_path, {"w": np.arange(300.0)}, identity="a", progress={})
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_checkpoint(tmp_path, {"w": np.arange(300.0)}, identity="a")


def test_identity_sees_keys_values_and_order():
    key = np.asarray(jax.random.key_data(jax.random.key(0)))
    assert identity_of(key, 1) == identity_of(key.copy(), 1)
    assert len({identity_of(key, 1), identity_of(key, 2), identity_of(key + 1, 1), identity_of(1, key)}) == 4
