"""The command line from a file of views to a table, and its sentences when something is wrong."""

import json

import numpy as np
import pytest
from astropy.table import Table


@pytest.fixture
def views(tmp_path):
    rng = np.random.default_rng(0)
    planet = rng.random(80) < 0.5
    local = rng.normal(size=(80, 24)) * 0.2 - planet[:, None] * (np.abs(np.linspace(-2, 2, 24)) < 0.7)
    np.savez(
        tmp_path / "views.npz", global_view=rng.normal(size=(80, 40)), local_view=local, kepid=np.arange(80),
        tce_plnt_num=np.ones(80, int), label=np.where(planet, "PC", "AFP"),
    )  # fmt: skip
    return tmp_path / "views.npz"


def test_from_views_to_a_table(command, views, tmp_path):
    small = ("--members", 2, "--epochs", 2, "--width", 8, "--hidden", 8, "--quiet", "--no-baseline")
    trained = command("train", "vetting", "views.npz", "-o", "run", *small, "--json")
    assert trained.returncode == 0, trained.stderr
    values = json.loads(trained.stdout)
    assert values["ap_low"] <= values["ap"] <= values["ap_high"]
    done = command("predict", "run", "views.npz", "-o", "out.ecsv")
    assert done.returncode == 0, done.stderr
    table = Table.read(tmp_path / "out.ecsv")
    assert table.colnames == ["kepid", "tce_plnt_num", "p_PC", "p_std", "class", "flag"]
    assert table["kepid"].tolist() == list(range(80))
    again = command("train", "vetting", "views.npz", "-o", "run", *small)
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_wrong_use_is_one_sentence(command, views):
    for words, code, part in (
        (("train", "vetting", "views.npz", "-o", "run", "--positive", "CP"), 1, "Label 'CP' of --positive"),
        (("train", "vetting", "views.npz", "-o", "run", "--split", "val"), 1, "Split 'val' is not in the data"),
        (("train", "vetting", "views.npz", "-o", "run", "--preset", "wotson"), 2, "invalid choice"),
    ):
        done = command(*words)
        assert done.returncode == code
        assert part in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
