"""One small field through every verb: what train writes is what the others read."""

import dataclasses

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import jaxastro
from jaxastro.errors import InputError
from jaxastro.fields import gaussian_kernel
from jaxastro.systems.sky import system
from jaxastro.systems.sky.config import Check, Evaluate, Explain, Predict, Simulate, Train
from jaxastro.systems.sky.data import read

SMALL = Train(
    sources=4, extended=1, rounds=2, iterations=8, pairs=1, draws=6, held_out=0.1, threshold=6.0, point_threshold=6.0,
    quiet=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 32 x 32 pixels with two bright points, and its data."""
    folder = tmp_path_factory.mktemp("sky")
    options = Simulate(size=32, points=2, extended=0, faintest=300.0, brightest=600.0, seed=3)
    system.simulate(folder / "data", options)
    report = system.train(folder / "data", folder / "run", SMALL)
    return folder / "run", folder / "data", report


def test_the_points_are_found_where_they_are(run):
    folder, data, report = run
    scores = system.evaluate(folder, data, Evaluate()).values
    assert scores["points_found"] == 2
    assert scores["false"] == 0
    assert scores["localisation_largest"] < 0.2
    assert scores["held_out_gain"] > 0
    assert report.values["points"] == 2
    assert report.values["tension_last"] < report.values["tension_first"]


def test_products_have_the_promised_names_axes_and_coordinates(run):
    folder, data, _ = run
    with np.load(folder / "posterior.npz") as file:
        assert file["ln_flux"].shape == (6, 3, 32, 32)
        rate = file["rate"]
    table = Table.read(folder / "catalog.ecsv", format="ascii.ecsv")
    assert {"y", "x", "ra", "dec", "flux", "extended", "z"} <= set(table.colnames)
    with fits.open(folder / "tension.fits") as file:
        assert [u.name for u in file] == ["TENSION", "NEED", "TENSION_FIRST", "NEED_FIRST"]
    with fits.open(folder / "model.fits") as file:
        np.testing.assert_allclose(file["EXPECTED"].data, rate.mean(0), rtol=1e-4)
    truth = system.read_truth(data / "field.npz")
    assert np.corrcoef(rate.mean(0).ravel(), truth["expected"].ravel())[0, 1] > 0.97
    assert all((folder / name).stat().st_size > 10_000 for name in ("overview.png", "components.png", "rounds.png"))
    assert (folder / "sources.reg").read_text().count("circle") == 2


def test_predict_gives_the_catalogue_and_explain_the_figures(run, tmp_path):
    folder, data, _ = run
    table = system.predict(folder, data, Predict())
    assert len(table) == 2
    assert table["flag"].tolist() == ["", ""]
    report = system.explain(folder, data, tmp_path / "figures", Explain())
    assert all(path.is_file() for path in report.files)


def test_load_gives_back_the_sky_at_its_mean(run):
    folder, _, _ = run
    sites = jaxastro.load(folder)()
    with np.load(folder / "posterior.npz") as file:
        mean = file["rate"].mean(0)
    start = (np.array(sites["rate"].shape[1:]) - 32) // 2
    ours = np.asarray(sites["rate"])[:, start[0] : start[0] + 32, start[1] : start[1] + 32]
    assert np.median(np.abs(np.log(ours / mean))) < 0.1
    assert np.asarray(sites["point_flux"]).shape == (3, 4)


def test_a_later_run_resumes_with_the_sources_it_had(run, tmp_path):
    folder, data, _ = run
    again = dataclasses.replace(SMALL, resume=folder, rounds=0, iterations=1)
    report = system.train(data, tmp_path / "again", again)
    assert report.values["points"] == 2
    assert report.values["rounds"] == 1
    old, new = (Table.read(f / "catalog.ecsv", format="ascii.ecsv") for f in (folder, tmp_path / "again"))
    np.testing.assert_allclose(new["flux"], old["flux"], rtol=0.15)
    np.testing.assert_allclose(new["z"], old["z"], rtol=1e-5)


def test_a_run_can_start_from_a_catalogue(run, tmp_path):
    folder, data, _ = run
    known = dataclasses.replace(SMALL, catalogue=folder / "catalog.ecsv", rounds=1, iterations=2, threshold=99.0,
                                point_threshold=99.0, figures=False)  # fmt: skip
    assert system.train(data, tmp_path / "known", known).values["points"] == 2


def test_runs_and_data_that_do_not_belong_together_are_refused(run, tmp_path):
    folder, _, _ = run
    system.simulate(tmp_path / "other", Simulate(size=24, points=1, extended=0))
    with pytest.raises(InputError, match=r"give the data of the run"):
        system.predict(folder, tmp_path / "other", Predict())
    with pytest.raises(InputError, match=r"resume from a run on the same data"):
        system.train(tmp_path / "other", tmp_path / "r", dataclasses.replace(SMALL, resume=folder))
    assert not (tmp_path / "r").exists()


def test_check_says_what_was_understood(tmp_path):
    path = tmp_path / "c.npz"
    np.savez(path, counts=np.ones((2, 9, 9), int), psf=np.array([2 * gaussian_kernel(2.0)] * 2), energy_keV=[1.0, 2.0])
    report = system.check(path, Check())
    assert report.values["shape"] == [9, 9]
    assert [r["counts"] for r in report.tables["channels"]] == [81, 81]
    said = " ".join(report.notes)
    assert "normalised to 1" in said
    assert "cropped to 9 pixels" in said
    assert len(read(path).counts) == 2
