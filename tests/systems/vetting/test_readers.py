"""Files as users have them: what is understood, what is joined, what never becomes an input, and every refusal."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from jaxastro.errors import InputError
from jaxastro.systems.vetting import ready_made
from jaxastro.systems.vetting.astronet import CONVENTIONS, averaged, median_bins, scaled
from jaxastro.systems.vetting.columns import is_input, offset
from jaxastro.systems.vetting.ephemeris import Ephemeris
from jaxastro.systems.vetting.from_curves import signals_from_curves
from jaxastro.systems.vetting.lightcurve import files_by_star, read_light_curve
from jaxastro.systems.vetting.readers import read, with_table
from jaxastro.systems.vetting.ready_made import cut_secondary
from jaxastro.systems.vetting.recipe import Recipe, ready_made_recipe
from jaxastro.systems.vetting.signals_file import write_signals
from jaxastro.systems.vetting.simulate import simulate_curves, write_curves


def columns(rows=6, **changed):
    rng = np.random.default_rng(0)
    base = {
        "global_view": rng.normal(size=(rows, 201)).astype(np.float32),
        "local_view": rng.normal(size=(rows, 61)).astype(np.float32),
        "tic_id": np.array([10, 10, 20, 30, 40, 50]),
        "row_id": np.arange(rows),
        "label": np.array(["PC", "EB", "J", "J", "EB", "PC"]),
        "Period": np.linspace(1, 6, rows),
        "Duration": np.full(rows, 0.125),
        "is_multi": np.arange(rows) % 2,
        "Sectors": np.arange(rows),
    }
    return {k: v for k, v in (base | changed).items() if v is not None}


def npz(path, **changed):
    np.savez(path, **columns(**changed))
    return path


def test_views_scalars_and_identities_come_back(tmp_path):
    signals = read(npz(tmp_path / "v.npz"))
    np.testing.assert_array_equal(signals.examples.views["global"][..., 0], columns()["global_view"])
    assert signals.recipe.kind == "astronet-tess"
    assert signals.scalar_names == (
        "duration_hour",
        "period_day",
    )  # days became hours; sectors and is_multi are no inputs
    np.testing.assert_allclose(signals.examples.scalars[:, 0], 3.0)
    assert signals.groups.tolist() == [10, 10, 20, 30, 40, 50]
    assert signals.table.colnames == ["tic_id", "row_id", "period_day", "duration_hour"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"local_view": None}, "'local_view' is missing"),
        ({"tic_id": None}, "no column for the object"),
        ({"Period": np.ones(4)}, "'Period' has 4 rows, 'global_view' has 6"),
        ({name: values[:0] for name, values in columns().items()}, "no rows"),
        ({"global_view": np.zeros(6)}, r"shape \(6,\)"),
        (
            {"tic_id": np.array([10, 10, 20, 30, 40, 50]), "row_id": np.array([1, 1, 2, 3, 4, 5])},
            "rows 0 and 1 are both",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, changed, said):
    with pytest.raises(InputError, match=said) as caught:
        read(npz(tmp_path / "v.npz", **changed))
    assert "\n" not in str(caught.value)


def test_other_refusals_name_the_file(tmp_path):
    (tmp_path / "cut.npz").write_bytes(npz(tmp_path / "v.npz").read_bytes()[:-300])
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.bin").write_bytes(b"?")
    for name, said in {"cut.npz": "npz", "empty": "empty", "x.bin": "neither", "absent": "no such"}.items():
        with pytest.raises(InputError, match=said) as caught:
            read(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InputError, match="no column 'nope'"):
        read(npz(tmp_path / "v.npz"), label_column="nope")


def test_odd_rows_survive_and_unusable_rows_say_why(tmp_path):
    views = columns()["local_view"].copy()
    views[2], views[3, 5] = 0, np.nan
    path = npz(
        tmp_path / "v.npz", local_view=views, Transit_Depth=np.array([1e3, 2e6, 1, 1, 1, 1]),
        SN=np.array([0.0, 5, 5, 5, 5, 5]), Duration=np.array([0.1, 0.1, 0.1, 0.1, 9, 0.1]),
    )  # fmt: skip
    signals = read(path)
    assert signals.flags.tolist() == ["", "", "local_view is empty", "local_view is not finite", "", ""]
    assert signals.remarks[0] == "signal-to-noise of zero"
    assert signals.remarks[1] == "depth above 1e6 ppm"
    assert signals.remarks[4] == "duration longer than the period"
    assert np.isfinite(signals.examples.views["main"]).all()


@pytest.mark.parametrize(
    "name",
    ["av_pp_pc", "av_training_set", "tce_nkoi", "toi_id", "koi_score", "koi_fpflag_nt",
     "koi_disposition", "tfopwg_disp",
     "koi_pdisposition", "kepler_name",
     "kepid", "tce_plnt_num", "rowid", "is_multi", "Sectors", "camera", "tce_delivname",
     "tce_quarters", "tce_time0bk", "Epoc", "ra", "dec", "pl_pnum", "label", "split", "ExoMiner Score"],
)  # fmt: skip
def test_verdicts_and_identities_are_no_inputs(name):
    assert not is_input(name)


@pytest.mark.parametrize(
    "name", ["tce_bin_oedp_stat", "boot_fap", "tce_dikco_msky", "tce_maxmes", "koi_impact", "Qingress"]
)
def test_measurements_are_inputs(name):
    assert is_input(name)


def test_planet_numbers_count_only_within_one_delivery(tmp_path):
    views = {
        "global_view": np.ones((3, 201)),
        "local_view": np.ones((3, 61)),
        "row_id": None,
        "tic_id": None,
        "label": None,
    }
    own = {
        "kepid": np.array([1, 1, 2]), "tce_plnt_num": np.array([1, 2, 1]), "Period": np.array([3.0, 7.0, 5.0]),
        "Duration": None, "is_multi": None, "Sectors": None,
    }  # fmt: skip
    header = "kepid,{n},{d},koi_period,koi_impact\n"
    rows = "1,2,{d},3.0002,0.1\n1,1,{d},7.5,0.2\n2,1,{d},5.0,0.3\n"
    (tmp_path / "koi.csv").write_text(
        header.format(n="koi_tce_plnt_num", d="koi_tce_delivname") + rows.format(d="dr25")
    )
    (tmp_path / "tce.csv").write_text(header.format(n="tce_plnt_num", d="tce_delivname") + rows.format(d="dr24"))
    signals = read(npz(tmp_path / "v.npz", **views, **own))
    by_period = with_table(signals, tmp_path / "koi.csv")
    column = by_period.scalar_names.index("koi_impact")
    assert by_period.examples.scalars[:, column].tolist() == [0.1, 0.0, 0.3]
    assert by_period.examples.scalar_present[:, column].tolist() == [True, False, True]
    assert "2 of 3 signals joined by object and period" in by_period.notes[-1]
    assert "1 (object in the table, not this signal)" in by_period.notes[-1]
    by_number = with_table(signals, tmp_path / "tce.csv")  # numbers agree, periods do not, for the star's two signals
    assert by_number.examples.scalar_present[:, by_number.scalar_names.index("koi_impact")].tolist() == [
        False,
        False,
        True,
    ]


def test_signals_written_are_read_back(tmp_path):
    signals = read(npz(tmp_path / "v.npz"))
    write_signals(tmp_path / "s.npz", signals)
    again = read(tmp_path / "s.npz")
    assert again.recipe == signals.recipe
    assert again.scalar_names == signals.scalar_names
    np.testing.assert_array_equal(again.examples.views["main"], signals.examples.views["main"])
    assert again.flags.tolist() == signals.flags.tolist()
    assert (again.groups == signals.groups).all()


def test_candidates_meet_their_light_curves(tmp_path):
    """Written to CSV and read again, a simulated transit has its own depth; a row without a curve keeps its scalars."""
    made = simulate_curves(3, 5, kinds=("planet",))
    write_curves(tmp_path, made)
    with open(tmp_path / "candidates.csv", "a") as file:
        file.write("99,2.0,2458326,3,5000,1,PC,planet\n100000001,-2.0,2458326,3,5000,1,J,planet\n")
    signals = read(tmp_path)
    assert signals.flags[:4].tolist() == ["", "", "", ""]
    assert signals.remarks[:4].tolist() == ["", "", "", "no light curve: scored from its scalars alone"]
    assert signals.examples.view_present["main"].tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(signals.examples.scalars[3, signals.scalar_names.index("period_day")], 2.0)
    assert "must be positive" in signals.flags[4]
    direct = signals_from_curves([m.curve for m in made], [m.ephemeris for m in made])
    for name in ("main", "secondary", "centroid", "ghost"):
        np.testing.assert_allclose(
            signals.examples.views[name][:3], direct.examples.views[name], atol=0.2, err_msg=name
        )
    assert signals.labels.tolist() == ["PC", "PC", "PC", "PC", "J"]


def fits_file(path, star=11, start=100.0, n=400, bad=()):
    time = start + np.arange(n) * 0.02
    flux = np.full(n, 1000.0)
    quality = np.zeros(n, np.int32)
    quality[list(bad)] = 1
    flux[list(bad)] = 5e4
    table = fits.BinTableHDU.from_columns(
        [fits.Column("TIME", "D", array=time), fits.Column("PDCSAP_FLUX", "E", array=flux),
         fits.Column("SAP_QUALITY", "J", array=quality)]
    )  # fmt: skip
    table.header["BJDREFI"], table.header["BJDREFF"] = 2454833, 0.5
    primary = fits.PrimaryHDU()
    primary.header["KEPLERID"] = star
    fits.HDUList([primary, table]).writeto(path)
    return path


def test_fits_files_are_stitched_in_bjd_without_flagged_cadences(tmp_path):
    a, b = (
        fits_file(tmp_path / "kplr000000011-2.fits", start=130.0),
        fits_file(tmp_path / "kplr000000011-1.fits", bad=(3, 4)),
    )
    curve = read_light_curve([a, b])
    assert len(curve) == 798
    assert curve.time[0] == 2454833.5 + 100.0
    assert curve.offset == 2454833.5
    assert set(curve.segment) == {0, 1}
    np.testing.assert_allclose(curve.flux, 1)
    assert files_by_star(tmp_path)[11] == [b, a]


@pytest.mark.parametrize("compress", [False, True])
def test_truncated_light_curves_are_one_sentence(tmp_path, compress, recwarn):
    whole = fits_file(tmp_path / "a.fits").read_bytes()
    path = tmp_path / ("c.fits.gz" if compress else "c.fits")
    path.write_bytes(gzip.compress(whole)[:-200] if compress else whole[:6000])
    with pytest.raises(InputError, match=r"c\.fits"):
        read_light_curve(path)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,flux\n2458000,nan\n2458001,nan\n", "no cadence"),
        ("time,mag\n2458000,1\n", "column 'flux' is missing"),
        ("time,flux\n1,1\n2,1\n", "time_system"),
        ("time,flux\n2458000,-1\n2458001,-2\n", "median flux is -1.5"),
        ("time,flux\n2458000,0\n2458001,0\n", "median flux is 0"),
        ("time,flux\n2458000,1\n2458001,1,5\n2458002,1\n", "Line #3"),
        ("time,flux\nmonday,bright\ntuesday,faint\n", "no cadence"),
        ("time,flux\n", "no cadence"),
        ("", "lc.csv: expected a CSV light curve with a header, found: no header line"),
    ],
)
def test_light_curves_in_csv_are_checked(tmp_path, text, said, recwarn):
    (tmp_path / "lc.csv").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_light_curve(tmp_path / "lc.csv")
    assert "\n" not in str(caught.value)
    assert not recwarn.list


def test_the_same_file_twice_is_read_once(tmp_path):
    a, b = (fits_file(tmp_path / name) for name in ("a.fits", "b.fits"))
    twice, once = read_light_curve([a, b]), read_light_curve(a)
    for name in ("time", "flux", "segment"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(once, name))


@pytest.mark.parametrize(
    ("values", "option", "stated", "added"),
    [
        (2458000.0, "btjd", 2454833.0, 0.0),  # the values can only be BJD
        (120.0, "btjd", 2454833.0, 2454833.0),  # the file states it
        (120.0, "btjd", None, 2457000.0),
        (120.0, "bjd", None, 0.0),
        (np.nan, "auto", None, 0.0),  # nothing to tell, nothing to shift
    ],
)
def test_the_time_system_is_that_of_the_values_then_of_the_file_then_of_the_option(values, option, stated, added):
    assert offset(np.array([values]), option, stated, "x") == added


def test_epochs_in_bjd_meet_light_curves_in_btjd(tmp_path):
    """A TOI table has BJD epochs, a TESS light curve in CSV has BTJD times: one option serves both."""
    made = simulate_curves(2, 5, kinds=("planet",))
    write_curves(tmp_path, made)
    before = read(tmp_path)
    for path in (tmp_path / "light_curves").glob("*.csv"):
        header, *rows = path.read_text().splitlines()
        moved = [f"{float(t) - 2457000:.6f},{rest}" for t, rest in (row.split(",", 1) for row in rows)]
        path.write_text("\n".join([header, *moved]) + "\n")
    after = read(tmp_path, time_system="btjd")
    np.testing.assert_allclose(after.examples.views["main"], before.examples.views["main"], atol=1e-3)
    with pytest.raises(InputError, match="time_system"):
        read_light_curve(next((tmp_path / "light_curves").glob("*.csv")))


def test_an_offset_is_known_where_all_files_have_one(tmp_path):
    (tmp_path / "a.csv").write_text("time,flux\n100,1\n101,1\n")
    (tmp_path / "b.csv").write_text("time,flux\n2458000,1\n2458001,1\n")
    assert read_light_curve(tmp_path / "a.csv", time_system="btjd").offset == 2457000
    assert read_light_curve(tmp_path, time_system="btjd").offset is None


def test_a_table_without_light_curves_is_known_by_its_scalars(tmp_path):
    path = tmp_path / "koi.csv"
    path.write_text("kepid,kepoi_name,koi_disposition,koi_period,koi_impact\n1,a,CONFIRMED,3,0.1\n2,b,FALSE,,0.9\n")
    signals = read(path)
    assert signals.flags.tolist() == ["", ""]
    assert set(signals.remarks) == {"no light curve: scored from its scalars alone"}
    assert "without light curves" in signals.notes[0]
    column = signals.scalar_names.index("koi_impact")
    assert signals.examples.scalars[:, column].tolist() == [0.1, 0.9]
    assert not any(present.any() for present in signals.examples.view_present.values())
    bare = signals_from_curves([None], [""])
    assert bare.flags.tolist() == ["no light curve"]


def test_shards_name_their_split_and_keep_every_feature(tmp_path, monkeypatch):
    views = {"global_view": np.arange(20.0), "local_view": np.arange(10.0)}
    records = [{**views, "kepid": np.array([1])}, {**views, "kepid": np.array([2]), "koi_impact": np.array([0.5])}]
    monkeypatch.setattr(ready_made, "read_tfrecord", lambda path: records)
    for name in ("val-00000-of-00001", "val-00000-of-00001.idx"):
        (tmp_path / name).touch()
    for path in (tmp_path, tmp_path / "val-00000-of-00001"):
        found = ready_made.read_shards(path)
        assert found["split"].tolist() == ["val", "val"]
        np.testing.assert_array_equal(found["koi_impact"], [np.nan, 0.5])


def test_joining_without_a_period_says_so(tmp_path):
    (tmp_path / "koi.csv").write_text("kepid,koi_period,koi_impact\n10,3.0,0.1\n")
    signals = read(npz(tmp_path / "v.npz", Period=None))
    assert "DATA has no period to match by" in with_table(signals, tmp_path / "koi.csv").remarks[0]


def test_the_secondary_is_cut_where_phase_is_one_half():
    phase = (np.arange(2001) - 1000) / 2001
    cut = cut_secondary(np.abs(phase)[None, :, None], 75)[0, :, 0]
    assert cut.argmax() in (36, 37)
    np.testing.assert_allclose(cut, 0.5, atol=38 / 2001)


def test_median_bins_overlap_as_published():
    x, y = np.linspace(-1, 1, 4001), np.linspace(-1, 1, 4001)
    bins = median_bins(x, y, 11, 0.4, 1.0)
    np.testing.assert_allclose(bins, np.linspace(-0.8, 0.8, 11), atol=1e-3)
    view = scaled(np.array([0.0, 0.0, 0.0, -0.5, 0.1]))
    np.testing.assert_allclose(view, [0, 0, 0, -1, 0.2])
    time, flux = averaged(np.arange(0, 10, 2 / 1440), np.arange(0, 10, 2 / 1440), 30 / 1440)
    np.testing.assert_allclose(flux, time)
    assert len(time) == pytest.approx(480, abs=1)


def test_views_of_no_known_pipeline_cannot_be_rebuilt():
    recipe = ready_made_recipe({"global": 500, "main": 50})
    curve = simulate_curves(1, 0)[0]
    with pytest.raises(InputError, match="no known pipeline"):
        signals_from_curves([curve.curve], [curve.ephemeris], recipe=recipe)
    assert set(CONVENTIONS) == {"astronet-kepler", "astronet-tess"}


def test_a_recipe_survives_the_model_card():
    assert Recipe.from_dict(Recipe().as_dict()) == Recipe()
    with pytest.raises(InputError, match="unknown fields nonsense"):
        Recipe.from_dict(Recipe().as_dict() | {"nonsense": 1})


@pytest.mark.realdata
def test_the_dr24_table_joins_every_tce_and_leaks_nothing(real_data):
    folder = real_data / "vetting" / "kepler_dr24_astronet"
    signals = read(folder / "kepler_dr24_views.npz", table=folder / "tce_1058-471-734.csv.gz")
    assert "1997 of 1997" in signals.notes[-1]
    assert len(signals.scalar_names) == 82  # 88 less the two absolute epochs and the place on the sky with its errors
    assert not [name for name in signals.scalar_names if name.startswith("av_") or "nkoi" in name]
    shard = read(folder / "val-00000-of-00001.tfrecord")
    rows = {
        (k, n): i for i, (k, n) in enumerate(zip(signals.table["kepid"], signals.table["tce_plnt_num"], strict=True))
    }
    at = [rows[k, n] for k, n in zip(shard.table["kepid"], shard.table["tce_plnt_num"], strict=True)]
    for name in ("period_day", "duration_hour", "depth_ppm"):  # days in the shard, hours in the table
        np.testing.assert_allclose(shard.table[name], signals.table[name][at], rtol=1e-5)


@pytest.mark.realdata
def test_tess_rows_keep_their_oddities(real_data):
    signals = read(real_data / "vetting" / "tess_triage" / "tess_triage_views.npz")
    count = {text: int((signals.remarks == text).sum()) for text in set(signals.remarks)}
    assert count["depth above 1e6 ppm"] == 44
    assert count["duration longer than the period"] == 7
    assert count["signal-to-noise of zero"] == 6
    assert not (signals.flags != "").any()


@pytest.mark.realdata
def test_wasp_126_is_rebuilt_as_astronet_triage_made_it(real_data):
    """The star stands three times in the views of QLP; its own two-minute light curve gives them again."""
    folder = real_data / "vetting"
    ready = read(folder / "tess_triage" / "tess_triage_views.npz")
    curve = read_light_curve(folder / "watson_tic25155310" / "lc.csv.gz", time_system="btjd")
    rows = np.flatnonzero(ready.groups == 25155310)
    assert len(rows) == 3
    with np.load(folder / "tess_triage" / "tess_triage_views.npz") as z:
        epochs = z["Epoc"][rows] + 2457000
    for row, epoch in zip(rows, epochs, strict=True):
        period, hours = (float(ready.table[name][row]) for name in ("period_day", "duration_hour"))
        made = signals_from_curves([curve], [Ephemeris(period, float(epoch), hours / 24)], recipe=ready.recipe)
        for name, rms in {"main": 0.05, "global": 0.04}.items():
            a, b = made.examples.views[name][0, :, 0], ready.examples.views[name][row, :, 0]
            assert np.corrcoef(a, b)[0, 1] > 0.98, (row, name)
            assert np.sqrt(np.mean((a - b) ** 2)) < rms, (row, name)
