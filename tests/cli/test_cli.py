"""The command line as a user meets it: help, exit codes, and one sentence for every mistake."""

import dataclasses
import json
import math
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from jaxastro.cli.arguments import Verb, parse
from jaxastro.errors import InputError
from jaxastro.options import Common, build, option

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

    def seconds(*words):  # of the processor: what else the machine does must not matter
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], capture_output=True)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

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
        (("train", "vetting", "-o", "x", "--preset", "wotson"), 2, "invalid choice"),
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


def test_a_table_suffix_is_checked_before_the_work(command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "card.json").write_text('{"system": "vetting"}')  # no model: scoring would fail
    (tmp_path / "data.csv").write_text("kepid\n1\n")
    out = command("predict", "run", "data.csv", "-o", "out.txt")
    assert out.returncode == 1 and "out.txt has no known table suffix" in out.stderr


@dataclasses.dataclass(frozen=True)
class Options(Common):
    """Options of each type."""

    epochs: int = option(20, "", least=1)
    rate: float = option(0.1, "", least=0)
    system: str = option("auto", "", choices=("auto", "BJD"))
    table: Path | None = option(None, "")
    labels: tuple[str, ...] = option((), "")
    bands: tuple[int, ...] = option((), "", least=1)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("epochs", "many", "Option 'epochs' is 'many'; expected a whole number."),
        ("epochs", 2.0, "Option 'epochs' is 2.0; expected a whole number."),
        ("epochs", True, "Option 'epochs' is True; expected a whole number."),
        ("epochs", None, "Option 'epochs' is None; expected a whole number."),
        ("epochs", 0, "Option 'epochs' is 0; it must be at least 1."),
        ("rate", "fast", "Option 'rate' is 'fast'; expected a number."),
        ("rate", math.nan, "Option 'rate' is nan; it must be at least 0."),
        ("system", "jd", "Option 'system' is 'jd'; choose from auto, BJD."),
        ("quiet", "yes", "Option 'quiet' is 'yes'; expected true or false."),
        ("table", 3, "Option 'table' is 3; expected a path."),
        ("labels", [True], "Option 'labels' is True; expected text."),
        ("bands", [1, 0], "Option 'bands' is 0; it must be at least 1."),
    ],
)
def test_values_that_do_not_fit_their_option_are_one_sentence(name, value, sentence):
    for make in (lambda: build(Options, {name: value}), lambda: Options(**{name: value})):
        with pytest.raises(InputError) as caught:
            make()
        assert str(caught.value) == sentence


def test_values_become_those_of_their_option():
    found = build(Options, {"rate": 1, "system": "bjd", "table": "a.csv", "labels": "PC", "bands": [2, 3]})
    assert found == Options(rate=1.0, system="BJD", table=Path("a.csv"), labels=("PC",), bands=(2, 3))
    assert isinstance(found.rate, float) and build(Options, vars(found)) == found


def test_choices_are_understood_in_either_case():
    verb = Verb("train", "", target="SYSTEM", data="optional", output="required")
    assert parse(verb, ["vetting", "-o", "x", "--time-system", "BKJD"]).options.time_system == "bkjd"
