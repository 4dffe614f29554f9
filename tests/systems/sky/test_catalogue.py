"""Catalogues: matching, positions through a WCS, regions, scores of detections."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from jaxastro.errors import InputError
from jaxastro.fields import gaussian_kernel
from jaxastro.fields.sources import profile_image
from jaxastro.systems.sky.catalogue import match, read_positions, source_table, write_regions
from jaxastro.systems.sky.data import Field, assemble
from jaxastro.systems.sky.scores import detection_scores, field_scores, flat_rates, log_score, predictive_checks

N = 40


def field_of(bands: int = 2) -> Field:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [83.0, -60.0], [20, 20]
    wcs.wcs.cdelt = [-1e-3, 1e-3]
    counts = np.random.default_rng(1).poisson(4, (bands, N, N))
    return assemble("f", counts, 2.0, 0.0, gaussian_kernel(1.2), np.arange(1.0, bands + 1), wcs=wcs)


def draws_of(y, x, flux, n=4000, bands=2, seed=0) -> dict[str, np.ndarray]:
    rng, k = np.random.default_rng(seed), len(y)
    cov = np.array([[0.04, 0.01], [0.01, 0.02]])
    yx = np.array([y, x])[None] + rng.multivariate_normal([0, 0], cov, (n, k)).transpose(0, 2, 1)
    fluxes = np.array(flux) * np.exp(0.1 * rng.normal(size=(n, bands, k)))
    flat = np.ones((n, k))
    return {"y": yx[:, 0], "x": yx[:, 1], "flux": fluxes, "index": -flat, "size": 3 * flat, "axis_ratio": 0.5 * flat,
            "angle": 0.2 * flat}  # fmt: skip


def table_of(**change) -> Table:
    draws = draws_of([10.0, 20.5, 33.0], [5.0, 30.25, 12.0], [1.0, 5.0, 2.0])
    extended = np.array([False, False, True])
    return source_table(
        field_of(), draws | change, z=np.array([6.0, 9.0, 7.0]), significance=np.ones(3), extended=extended
    )


def test_sources_come_brightest_first_with_their_covariance():
    table = table_of()
    assert table["z"].tolist() == [9, 7, 6]
    assert table["extended"].tolist() == [False, True, False]
    np.testing.assert_allclose(table["y"], [20.5, 33, 10], atol=0.02)
    np.testing.assert_allclose(table["y_std"], 0.2, rtol=0.1)
    np.testing.assert_allclose(table["yx_cov"], 0.01, rtol=0.3)
    np.testing.assert_allclose(table["flux_0_std"] / table["flux_0"], 0.1, rtol=0.1)
    assert np.isnan(table["size"][0])
    assert table["size"][1] == 3
    assert str(table["flux"].unit) == "1 / s"


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.5])
def test_the_angle_of_an_extended_source_is_that_of_its_image(angle):
    draws = draws_of([20.0], [20.0], [1.0])
    table = source_table(
        field_of(), draws | {"angle": np.full_like(draws["y"], angle)}, z=np.ones(1), significance=np.ones(1),
        extended=np.array([True]),
    )  # fmt: skip
    values = {"y": 20.0, "x": 20.0, "size": 4.0, "ratio": 1.0, "angle": angle}
    image = np.asarray(profile_image("gaussian", jax.tree.map(jnp.asarray, values), (41, 41)), float)
    y, x = np.indices(image.shape) - 20
    major = np.linalg.eigh(np.cov(np.stack([x.ravel(), y.ravel()]), aweights=image.ravel()))[1][:, 1]
    assert np.arctan2(major[1], major[0]) % np.pi == pytest.approx(table["angle"][0], abs=0.01)


def test_celestial_errors_are_pixel_errors_on_the_sky():
    """East is -x: the covariance of ra and dec has the opposite sign of that of x and y; cos(dec) is taken out."""
    table = table_of()
    np.testing.assert_allclose(table["dec_std"], 1e-3 * np.array(table["y_std"]), rtol=0.02)
    np.testing.assert_allclose(table["ra_std"], 1e-3 * np.array(table["x_std"]), rtol=0.02)
    np.testing.assert_allclose(table["radec_cov"], -1e-6 * np.array(table["yx_cov"]), rtol=0.05)
    wcs = field_of().wcs
    assert wcs is not None
    sky = wcs.pixel_to_world(30.25, 20.5)
    assert abs(table["ra"][0] - sky.ra.deg) < 2e-5
    assert abs(table["dec"][0] - sky.dec.deg) < 2e-5


def test_the_table_survives_its_file_and_is_read_back_as_a_known_catalogue(tmp_path):
    table = table_of()
    table.write(tmp_path / "catalog.ecsv", format="ascii.ecsv")
    known = read_positions(tmp_path / "catalog.ecsv", field_of())
    np.testing.assert_allclose(known["y"], table["y"], atol=1e-5)
    np.testing.assert_allclose(known["x"], table["x"], atol=1e-5)
    write_regions(tmp_path / "s.reg", table)
    lines = (tmp_path / "s.reg").read_text().splitlines()
    assert lines[1] == "image"
    assert lines[3].startswith("ellipse(13.0")
    Table({"name": ["a"]}).write(tmp_path / "bad.csv", format="ascii.csv")
    with pytest.raises(InputError, match=r"bad\.csv: expected columns ra, dec"):
        read_positions(tmp_path / "bad.csv", field_of())


@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 2**31))
def test_no_assignment_matches_more_pairs_than_half_again(n, m, seed):
    """Greedy matching is a matching within the radius, and maximal: at least half of the best possible."""
    rng = np.random.default_rng(seed)
    known, found = rng.uniform(0, 10, (n, 2)), rng.uniform(0, 10, (m, 2))
    index, gap = match(known, found, 2.0)
    used = index[index >= 0]
    assert len(set(used)) == len(used)
    assert (gap[index >= 0] <= 2).all()
    distance = np.hypot(*(known[:, None] - found[None]).transpose(2, 0, 1))
    rows, columns = linear_sum_assignment(distance > 2)
    assert 2 * len(used) >= (distance[rows, columns] <= 2).sum()


def test_detections_are_counted_once():
    found = Table({
        "y": [10.0, 10.5, 30.0, 5.0], "x": [10.0, 10.5, 30.0, 35.0], "y_std": [0.05] * 4, "x_std": [0.02] * 4,
        "flux": [1.1, 1, 1, 1.0], "flux_std": [0.1] * 4, "extended": [False, True, True, False],
    })  # fmt: skip
    scores = detection_scores(
        found, np.array([[10.1, 10.0], [20.0, 20.0]]), np.array([[31.0, 31.0]]), radius=1.5, extended_radius=3.0,
        flux=np.array([1.0, 1.0]),
    )  # fmt: skip
    assert (scores["points_found"], scores["extended_found"], scores["false"]) == (1, 1, 2)
    assert scores["purity"] == 0.5
    assert scores["extended_called_extended"] == 1
    np.testing.assert_allclose(scores["localisation"], [0.1], atol=1e-9)
    np.testing.assert_allclose(scores["position_pulls"], [2 / np.sqrt(2)])
    np.testing.assert_allclose(scores["flux_pulls"], np.log(1.1) / (0.1 / 1.1), atol=0.06)
    empty = detection_scores(found[:0], np.array([[1.0, 1.0]]), np.empty((0, 2)), radius=1.0, extended_radius=1.0)
    assert empty["points_found"] == empty["false"] == 0


def test_calibrated_draws_cover_and_their_own_counts_pass_the_checks():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=5000)
    centre = truth + 0.3 * rng.normal(size=5000)
    scores = field_scores(truth, centre + 0.3 * rng.normal(size=(64, 5000)))
    assert scores["cover68"] == pytest.approx(0.68, abs=0.02)
    assert scores["cover95"] == pytest.approx(0.94, abs=0.01)  # 64 draws: Student, not normal
    field = field_of()
    rates = np.full((64, 2, N, N), 4.0)
    good = predictive_checks(field, rng.poisson(rates[0]), rates, seed=1)
    assert all(0 < p < 1 for p in good.values())
    bad = predictive_checks(field, rng.poisson(rates[0] * 1.2), rates, seed=1)
    assert bad["p_total"] == 0


def test_the_true_rate_scores_best():
    field = field_of()
    slope = np.linspace(1, 9, N)[:, None] * np.ones((2, N, N))
    counts = np.random.default_rng(3).poisson(slope)
    seen = field.exposure > 0
    right, flat = (log_score(counts, r, seen).sum() for r in (slope[None], flat_rates(field, counts)))
    assert right > flat + 100
    from scipy.stats import poisson

    assert right == pytest.approx(poisson.logpmf(counts, slope).sum())
