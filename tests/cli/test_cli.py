"""The command line as a user meets it: help, exit codes, and one sentence for every mistake."""

import json
import statistics
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.core

READY = ("vetting", "planetary_systems", "sky")


def test_help_is_fast_and_imports_no_jax():
    code = (
        "import sys\nfrom jaxastro.cli.main import main\ntry: main(sys.argv[1:])\n"
        "except SystemExit: pass\nassert 'jax' not in sys.modules"
    )
    for words in (["--help"], ["systems"], ["train", "vetting", "--help"], ["cite", "sky"]):
        out = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert out.returncode == 0, out.stderr

    def seconds(*words):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True)
        return time.perf_counter() - began

    bare = statistics.median(seconds("-c", "pass") for _ in range(5))
    help_ = statistics.median(seconds("-m", "jaxastro.cli.main", "--help") for _ in range(5))
    assert help_ - bare < 0.1


def test_import_costs_less_than_importing_jax():
    out = subprocess.run([sys.executable, "-c", "import jaxastro, sys; assert 'jax' not in sys.modules"])
    assert out.returncode == 0


@pytest.mark.parametrize("verb", ["simulate", "train", "check"])
@pytest.mark.parametrize("system", READY)
def test_every_option_is_explained(command, verb, system):
    out = command(verb, system, "--help")
    assert out.returncode == 0, out.stderr
    assert "--seed" in out.stdout or verb == "check"


def test_systems_lists_ten(command):
    listed = json.loads(command("systems", "--json").stdout)
    assert len(listed) == 10
    assert {name for name, entry in listed.items() if entry["ready"]} == set(READY)


def test_doctor_finds_what_is_needed(command):
    assert json.loads(command("doctor", "--json").stdout)["missing"] == []


@pytest.mark.parametrize("system", READY)
def test_cite_prints_bibtex(command, system):
    out = command("cite", system).stdout
    assert out.startswith("@") and out.count("{") == out.count("}")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, ""),
        (("trian",), 2, "did you mean 'train'"),
        (("train", "vettin", "-o", "x"), 2, "did you mean vetting"),
        (("train", "climate", "-o", "x"), 2, "planned"),
        (("train", "vetting"), 2, "-o/--output"),
        (("train", "vetting", "-o", "x", "--see", "3"), 2, "did you mean --seed"),
        (("train", "vetting", "-o", "x", "--seed", "three"), 2, "invalid int value"),
        (("train", "vetting", "absent.npz", "-o", "x"), 1, "absent.npz does not exist"),
        (("train", "vetting", "-o", "no/such/x"), 1, "does not exist; create it first"),
        (("train", "vetting", "-o", "x", "--config", "none.toml"), 1, "none.toml"),
        (("predict", "nowhere", "data"), 1, "not a model directory"),
        (("sample", "--help"), 0, ""),
    ],
)
def test_mistakes_are_one_sentence(command, tmp_path, words, code, sentence):
    out = command(*words)
    assert out.returncode == code, out.stderr
    assert sentence in out.stderr
    assert "Traceback" not in out.stderr
    assert list(tmp_path.iterdir()) == []


def test_misspelt_option_in_a_file_is_named(command, tmp_path):
    (tmp_path / "options.toml").write_text("sede = 3\n")
    out = command("train", "vetting", "-o", "x", "--config", "options.toml")
    assert out.returncode == 1 and "did you mean 'seed'" in out.stderr
