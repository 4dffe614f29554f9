"""Model directories: bit-equal round trips, and every damage refused."""

import dataclasses
import json
import subprocess
import sys
import textwrap
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxastro.errors import ArtefactError, InputError
from jaxastro.io import atomic_path, export, partial, read_card, read_model, stage_directory, write_model

pytestmark = pytest.mark.core


@dataclasses.dataclass(frozen=True)
class Options:
    width: int = 8
    seed: int = 3


def model(key=0):
    return eqx.nn.MLP(3, 2, 8, 1, key=jax.random.key(key))


@pytest.fixture
def run(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("a\n1\n")
    with stage_directory(tmp_path / "run") as folder:
        write_model(folder, system="vetting", model=model(), config=Options(), data_files=[data],
                    metrics={"ap": float("nan"), "low": np.float32(0.5)},
                    history={"epoch": [1, 2], "loss": [0.5, 0.25]})  # fmt: skip
    return tmp_path / "run"


def test_round_trip_is_bit_equal(run):
    card = read_card(run, system="vetting")
    template = eqx.filter_eval_shape(model, 0)
    restored = read_model(run, template)
    assert eqx.tree_equal(restored, model())
    assert card["config"] == {"width": 8, "seed": 3} and card["seed"] == 3
    assert card["metrics"] == {"ap": None, "low": 0.5}
    assert card["data"][0]["name"] == "data.csv" and len(card["data"][0]["sha256"]) == 64
    assert (run / "history.csv").read_text().split() == ["epoch,loss", "1,0.5", "2,0.25"]


def test_damage_is_refused(run):
    weights = run / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtefactError, match="sha256"):
        read_card(run)
    weights.write_bytes(content)
    card = json.loads((run / "card.json").read_text())
    (run / "card.json").write_text(json.dumps({**card, "seed": 4}))
    with pytest.raises(ArtefactError, match="checksum"):
        read_card(run)
    (run / "card.json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(ArtefactError, match="upgrade jaxastro"):
        read_card(run)
    (run / "card.json").write_text('{"format": 1')
    with pytest.raises(ArtefactError, match="damaged"):
        read_card(run)


def test_another_system_and_another_shape_are_refused(run, tmp_path):
    with pytest.raises(ArtefactError, match="expected one of 'sky'"):
        read_card(run, system="sky")
    with pytest.raises(ArtefactError, match="not a model directory"):
        read_card(tmp_path)
    wider = eqx.nn.MLP(3, 2, 9, 1, key=jax.random.key(0))
    with pytest.raises(ArtefactError, match=r"expected float32\[9, 3\]"):
        read_model(run, wider)


def test_a_directory_is_whole_or_absent(tmp_path):
    with pytest.raises(RuntimeError), stage_directory(tmp_path / "run") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_kept_unless_told_otherwise(run):
    with pytest.raises(InputError, match="--overwrite"), stage_directory(run):
        pass
    partial(run).mkdir()
    with stage_directory(run, overwrite=True) as folder:
        (folder / "new").write_text("x")
    assert [p.name for p in run.iterdir()] == ["new"]
    assert not partial(run).exists()


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    target = tmp_path / "table.ecsv"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new" and temporary.suffix == ".ecsv"


class Signal(NamedTuple):
    views: dict
    known: jax.Array
    depth: jax.Array


def test_named_tuples_are_exported_as_dicts(tmp_path):
    """Fields in another order than that of their names, booleans, and a NamedTuple that comes out as well."""
    example = Signal({"odd": jnp.ones(2), "even": jnp.ones(3)}, jnp.bool_(True), jnp.float32(2))

    def function(signal):
        total = signal.depth * (signal.views["even"].sum() + 10 * signal.views["odd"].sum())
        return Signal({"n": (total, [signal.depth])}, ~signal.known, jnp.where(signal.known, total, 0))

    path = export(function, example, tmp_path / "f.stablehlo")
    program = jax.export.deserialize(path.read_bytes())
    batch = {
        "views": {"odd": jnp.ones((4, 2)), "even": jnp.arange(12.0).reshape(4, 3)},
        "known": jnp.array([True, False, True, True]),
        "depth": jnp.full(4, 2.0),
    }
    made = program.call(batch)
    expected = jax.vmap(function)(Signal(**batch))
    assert jax.tree.structure(made) == jax.tree.structure({**expected._asdict()})
    jax.tree.map(np.testing.assert_array_equal, made, expected._asdict())


def test_an_exported_model_runs_without_jaxastro(tmp_path):
    net = model()
    path = export(lambda e: {"y": net(e["x"])}, {"x": jnp.zeros(3)}, tmp_path / "net.stablehlo")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    code = """
        import sys
        sys.modules["jaxastro"] = sys.modules["equinox"] = None
        import jax, numpy as np
        net = jax.export.deserialize(open(sys.argv[1], "rb").read())
        x = np.load(sys.argv[2])
        np.save(sys.argv[3], net.call({"x": x})["y"])
        for n in (1, 2, 5):
            assert net.call({"x": x[:n]})["y"].shape == (n, 2)
        jax.grad(lambda x: net.call({"x": x})["y"].sum())(x)
    """
    words = [sys.executable, "-c", textwrap.dedent(code), path, tmp_path / "x.npy", tmp_path / "y.npy"]
    out = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), jax.vmap(net)(x), atol=1e-6)
