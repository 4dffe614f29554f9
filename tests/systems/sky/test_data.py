"""Readers: every kind of file gives the same field, and bad input is one sentence or a reported repair."""

import dataclasses

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxastro.errors import InputError
from jaxastro.fields.psf import gaussian_kernel
from jaxastro.systems.sky.config import Data, Simulate
from jaxastro.systems.sky.data import assemble, crop, merge_bands, read, thin
from jaxastro.systems.sky.psf import gtpsf_kernels, image_kernel, move
from jaxastro.systems.sky.simulate import save_field, simulate_field

N = 24


def header(dy: float = 0.0, dx: float = 0.0, n: int = N) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [83.0, -5.0], [-1e-3, 1e-3]
    wcs.wcs.crpix = [n / 2 - dx, n / 2 - dy]
    return wcs.to_header()


def counts(bands: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(5, (bands, N, N)).astype(np.int32)


def write(path, data, *extra, dy=0.0, dx=0.0, **cards):
    head = header(dy, dx, np.shape(data)[-1])
    head.update(cards)
    fits.HDUList([fits.PrimaryHDU(data, head), *extra]).writeto(path)
    return path


def test_a_simulated_file_reads_back_without_its_truth(tmp_path):
    field, truth = simulate_field(Simulate(size=32, points=2))
    save_field(tmp_path / "a.npz", field, truth)
    again = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(again.counts, field.counts)
    np.testing.assert_allclose(again.exposure, field.exposure)
    np.testing.assert_allclose(again.psf, field.psf, rtol=1e-12)
    assert again.energy_keV.tolist() == field.energy_keV.tolist()
    assert not {f.name for f in dataclasses.fields(again)} & set(truth)


def test_a_directory_and_a_manifest_and_options_give_the_same_field(tmp_path):
    folder = tmp_path / "obs"
    folder.mkdir()
    exposure = np.linspace(1, 2, N * N).reshape(N, N)
    c = write(folder / "m1-counts.fits", counts()[0])
    e = write(folder / "m1-exposure.fits", exposure, BUNIT="cm2 s")
    p = write(folder / "m1-psf.fits", gaussian_kernel(1.2))
    b = write(folder / "m1-background.fits", np.full((N, N), 0.3))
    (tmp_path / "m.toml").write_text(
        "[[observation]]\ncounts='obs/m1-counts.fits'\nexposure='obs/m1-exposure.fits'\npsf='obs/m1-psf.fits'\n"
        "background='obs/m1-background.fits'\n"
    )
    fields = [
        read(folder),
        read(tmp_path / "m.toml"),
        read(c, Data(exposure=str(e), psf=str(p), background=str(b))),
    ]
    for field in fields:
        assert field.exposure_unit == "cm2 s"
        np.testing.assert_array_equal(field.counts, counts())
        np.testing.assert_allclose(field.exposure[0], exposure, rtol=1e-6)
        np.testing.assert_allclose(field.background, 0.3, rtol=1e-6)
        np.testing.assert_allclose(field.psf[0], gaussian_kernel(1.2), atol=1e-6)


def test_a_background_can_be_ignored_and_an_exposure_be_a_number_or_a_keyword(tmp_path):
    path = write(tmp_path / "c.fits", counts()[0], LIVETIME=321.0)
    sigma = Data(psf_sigma=1.0)
    assert read(path, sigma).exposure[0, 0, 0] == 321
    assert read(path, dataclasses.replace(sigma, exposure="5", area=2.0)).exposure.max() == 10
    assert read(path, dataclasses.replace(sigma, area=2.0)).exposure_unit == "cm2 s"
    assert read(path, dataclasses.replace(sigma, background="0.5")).background.mean() == 0.5
    assert read(path, dataclasses.replace(sigma, background="none")).background.max() == 0


@settings(max_examples=20, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_point_stands_where_its_wcs_says_in_every_observation(tmp_path_factory, dy, dx):
    """The whole part of the second observation's displacement is in its place on the grid, the rest in its PSF."""
    folder = tmp_path_factory.mktemp("pair")
    psf = gaussian_kernel(1.5)
    write(folder / "counts-1.fits", counts(seed=1)[0])
    write(folder / "counts-2.fits", counts(seed=2)[0], dy=dy, dx=dx)
    for i in (1, 2):
        write(folder / f"psf-{i}.fits", psf)
    field = read(folder)
    corner = np.argwhere(field.exposure[1] > 0).min(0) - np.argwhere(field.exposure[0] > 0).min(0)
    y, x = np.indices(field.psf.shape[1:]) - field.psf.shape[-1] // 2
    centroid = np.array([(field.psf[1] * y).sum(), (field.psf[1] * x).sum()])
    np.testing.assert_allclose(corner - centroid, [dy, dx], atol=0.02)
    np.testing.assert_array_equal(field.counts[1][field.exposure[1] > 0].reshape(N, N), counts(seed=2)[0])


def test_cubes_merge_into_bands_of_similar_counts_and_keep_their_photons():
    field = assemble("cube", counts(6), np.arange(1, 7.0)[:, None, None], 0.1, gaussian_kernel(1.0), np.arange(1, 7.0),
                     edges=np.column_stack([np.arange(1, 7.0), np.arange(2, 8.0)]))  # fmt: skip
    merged = merge_bands(field, 3)
    np.testing.assert_array_equal(merged.counts.sum(0), field.counts.sum(0))
    np.testing.assert_allclose(merged.background.sum(0), field.background.sum(0), rtol=1e-6)
    np.testing.assert_array_equal(merged.edges_keV, [[1, 3], [3, 5], [5, 7]])
    np.testing.assert_allclose(merged.exposure[:, 0, 0], [1.5, 3.5, 5.5], rtol=0.02)


def test_gtpsf_integrates_a_gaussian_over_pixels():
    theta = np.linspace(0, 2, 2000)
    sigma = 0.12
    density = np.exp(-0.5 * (theta / sigma) ** 2) / (2 * np.pi * np.deg2rad(sigma) ** 2)
    kernel, inside = gtpsf_kernels(np.array([1.0, 100.0]), theta, np.stack([density, density]), np.array([7.0]), 0.05)
    assert inside[0] == pytest.approx(1, abs=2e-3)
    half = kernel.shape[-1] // 2
    expected = np.pad(gaussian_kernel(sigma / 0.05), half - gaussian_kernel(sigma / 0.05).shape[0] // 2)
    np.testing.assert_allclose(kernel[0], expected, atol=2e-4)


def test_psf_images_are_centred_cropped_and_normalised_with_a_note():
    image = 3 * move(np.pad(gaussian_kernel(2.0), 5), np.array([0.3, -0.4]))
    kernel, notes = image_kernel(image, "p", largest=(200, 200))
    y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
    assert kernel.sum() == pytest.approx(1)
    assert (kernel * y).sum() == pytest.approx(0, abs=0.05)
    assert (kernel * x).sum() == pytest.approx(0, abs=0.05)
    assert "summed to 3" in notes[0]
    small, notes = image_kernel(image, "p", largest=(7, 9))
    assert small.shape == (7, 7)
    assert "cropped to 7 pixels" in notes[-1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"exposure": -1.0}, "exposure is negative in 1152 pixels"),
        ({"exposure": 0.0}, "exposure is zero everywhere"),
        ({"exposure": np.ones((2, N, N + 1))}, "exposure has shape"),
        ({"counts": counts(2) + 0.5}, "whole numbers"),
        ({"counts": -counts(2)}, "whole numbers"),
        ({"background": np.nan}, "background has NaN"),
        ({"psf": -gaussian_kernel(1.0)}, "finite, non-negative"),
        ({"energy": [2.0, 1.0]}, "increasing positive band energies"),
    ],
)
def test_bad_arrays_are_refused_in_one_sentence(change, sentence):
    good = {"counts": counts(2), "exposure": 1.0, "background": 0.0, "psf": gaussian_kernel(1.0), "energy": [1.0, 2.0]}
    with pytest.raises(InputError, match=sentence):
        assemble("x.fits", **(good | change))


def test_repairs_are_reported():
    image, exposure = counts(1).astype(float), np.ones((N, N))
    image[0, 3, 3], exposure[0, 0], exposure[5, 5] = np.nan, np.nan, 0.0
    field = assemble("x.fits", image, exposure, np.full((N, N), -1e-6), gaussian_kernel(1.0), [1.0])
    said = " ".join(field.notes)
    assert "1 pixels of counts are NaN" in said
    assert "1 pixels of exposure are NaN" in said
    assert "counts lie where the exposure is zero" in said
    assert "clipped to 0" in said
    assert field.exposure[0, 3, 3] == field.exposure[0, 0, 0] == field.counts[0, 5, 5] == field.background.max() == 0


def test_files_that_do_not_fit_are_refused_by_name(tmp_path):
    sigma = Data(psf_sigma=1.0)
    path = write(tmp_path / "a.fits", counts()[0])
    with pytest.raises(InputError, match=r"a\.fits: no PSF"):
        read(path)
    with pytest.raises(InputError, match=r"neither a file, a number, nor a keyword"):
        read(path, dataclasses.replace(sigma, exposure="nope"))
    with pytest.raises(InputError, match=r"b\.fits: exposure has shape \(7, 7\)"):
        read(path, dataclasses.replace(sigma, exposure=str(write(tmp_path / "b.fits", np.ones((7, 7))))))
    with pytest.raises(InputError, match="all counts are zero"):
        read(write(tmp_path / "z.fits", np.zeros((N, N), int)), sigma)
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "none.fits")
    fits.PrimaryHDU(counts()[0]).writeto(tmp_path / "c.fits")
    (tmp_path / "two.toml").write_text("[[observation]]\ncounts='a.fits'\n[[observation]]\ncounts='c.fits'\n")
    with pytest.raises(InputError, match=r"c\.fits: no celestial WCS"):
        read(tmp_path / "two.toml", sigma)
    assert "positions are given in pixels" in " ".join(read(tmp_path / "c.fits", sigma).notes)
    (tmp_path / "bad.toml").write_text("[[observation]]\npfs='a.fits'\ncounts='a.fits'\n")
    with pytest.raises(InputError, match="unknown `pfs`"):
        read(tmp_path / "bad.toml", sigma)


def test_observations_with_other_bands_or_scale_are_refused(tmp_path):
    write(tmp_path / "a.fits", counts()[0])
    head = header()
    head["CDELT1"] *= 1.1
    fits.PrimaryHDU(counts()[0], head).writeto(tmp_path / "b.fits")
    (tmp_path / "m.toml").write_text("[[observation]]\ncounts='a.fits'\n[[observation]]\ncounts='b.fits'\n")
    with pytest.raises(InputError, match="turned or scaled"):
        read(tmp_path / "m.toml", Data(psf_sigma=1.0))
    (tmp_path / "n.toml").write_text(
        "[[observation]]\ncounts='a.fits'\nenergies=[1.0]\n[[observation]]\ncounts='a.fits'\nenergies=[2.0]\n"
    )
    with pytest.raises(InputError, match="differ from"):
        read(tmp_path / "n.toml", Data(psf_sigma=1.0))


def test_a_crop_keeps_the_sky_where_it_was(tmp_path):
    field = read(write(tmp_path / "a.fits", counts()[0]), Data(psf_sigma=1.0))
    part = crop(field, (3, 15, 5, 20))
    assert field.wcs is not None
    assert part.wcs is not None
    assert part.wcs.pixel_to_world(1, 2).separation(field.wcs.pixel_to_world(6, 5)).deg < 1e-9
    np.testing.assert_array_equal(part.counts, field.counts[:, 3:15, 5:20])
    with pytest.raises(InputError, match="y0 y1 x0 x1"):
        crop(field, (0, 99, 0, 9))


@given(st.floats(0.05, 0.95), st.integers(0, 2**31))
def test_thinning_splits_every_photon_once(fraction, seed):
    image = counts(2)
    kept, held = thin(image, fraction, seed=seed)
    np.testing.assert_array_equal(kept + held, image)
    assert kept.min() >= 0 <= held.min()
    assert held.sum() / image.sum() == pytest.approx(fraction, abs=6 * np.sqrt(0.25 / image.sum()))


@pytest.mark.realdata
def test_the_archives_own_directories_are_understood(real_data):
    sky = real_data / "sky"
    fermi = read(sky / "fermi_gc", Data(background="none"))
    assert fermi.counts.shape == (4, 200, 400)
    assert fermi.counts.sum() == 32684
    assert fermi.exposure_unit == "cm2 s"
    assert 3.1e10 < fermi.exposure.min() < fermi.exposure.max() < 3.4e11
    assert fermi.edges_keV is not None
    np.testing.assert_allclose(fermi.edges_keV[[0, -1], [0, 1]], [1e7, 5e8], rtol=1e-6)
    chandra = read(sky / "chandra_pylira")
    assert chandra.counts.sum((1, 2)).tolist() == [13586, 13829]
    assert chandra.band.tolist() == [0, 0]
    assert chandra.exposure.max() == pytest.approx(49531.3, abs=1)
    rosat = read(sky / "rosat_pyproffit", Data(psf_sigma=1.5))
    assert rosat.background.min() == 0
    assert rosat.background.sum() == pytest.approx(1114.98, abs=0.1)


@pytest.mark.realdata
def test_fermis_psf_holds_68_percent_where_its_table_says(real_data):
    """Radii of 68 % containment of the gtpsf table: .160 deg at 10 GeV, .107 at 32, .100 at 105."""
    with fits.open(real_data / "sky" / "fermi_gc" / "fermi-3fhl-gc-psf-cube.fits.gz") as file:
        table, theta = file["PSF"].data, np.asarray(file["THETA"].data["Theta"], float)
    pixel = 0.02
    energy = np.array([1e4, 3.234e4, 1.0456e5])
    kernels, inside = gtpsf_kernels(
        np.asarray(table["Energy"], float), theta, np.asarray(table["Psf"], float), energy, pixel
    )
    y, x = np.indices(kernels.shape[1:]) - kernels.shape[1] // 2
    order = np.argsort(np.hypot(y, x).ravel())
    radius = np.hypot(y, x).ravel()[order] * pixel
    for kernel, share, r68 in zip(kernels, inside, (0.160, 0.107, 0.100), strict=True):
        assert np.interp(0.68 / share, np.cumsum(kernel.ravel()[order]), radius) == pytest.approx(r68, rel=0.08)


def test_the_table_of_bands_survives_a_file_round_trip(tmp_path):
    """EBOUNDS give edges; exposure at the edges becomes exposure in the bins."""
    edges = np.array([10.0, 20.0, 40.0])
    bounds = fits.table_to_hdu(Table({"CHANNEL": [1, 2], "E_MIN": edges[:-1], "E_MAX": edges[1:]}))
    bounds.name = "EBOUNDS"
    energies = fits.table_to_hdu(Table({"Energy": edges / 1e3}))
    energies.name = "ENERGIES"
    path = write(tmp_path / "c.fits", counts(2), bounds)
    exposure = write(tmp_path / "e.fits", np.array([1.0, 2.0, 4.0])[:, None, None] * np.ones((3, N, N)), energies)
    field = read(path, Data(exposure=str(exposure), psf_sigma=1.0))
    assert field.edges_keV is not None
    np.testing.assert_allclose(field.edges_keV, [[10, 20], [20, 40]])
    assert field.exposure_unit == "cm2 s"
    np.testing.assert_allclose(
        field.exposure[:, 0, 0], [1.44, 2.89], rtol=0.01
    )  # a steep spectrum: the lower edge counts more
