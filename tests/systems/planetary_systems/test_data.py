"""Readers of planet tables: archives' columns, units, errors and limits; bad input is refused in one sentence."""

import gzip

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxastro.errors import InputError
from jaxastro.systems.planetary_systems.columns import parse_cell
from jaxastro.systems.planetary_systems.data import read_planets
from jaxastro.systems.planetary_systems.discs import read_discs
from jaxastro.systems.planetary_systems.examples import to_systems
from jaxastro.systems.planetary_systems.names import host_of, letter_of
from jaxastro.systems.planetary_systems.observation import LIMIT, MINIMUM, VALUE, observe
from jaxastro.systems.planetary_systems.planets import find_host
from jaxastro.systems.planetary_systems.simulate import PodSim, as_table

pytestmark = pytest.mark.core

ARCHIVE = """\
# This file was produced by the NASA Exoplanet Archive
pl_name,hostname,hip_name,pl_orbper,pl_bmasse,pl_bmasseerr1,pl_bmasseerr2,pl_bmasselim,pl_bmassprov,pl_rade,st_mass
TOI-469 b,TOI-469,HIP 29442,13.6308,9.6,0.9,-0.7,0,Mass,3.48,0.901
TOI-469 c,TOI-469,HIP 29442,3.53796,4.5,0.3,-0.3,0,Msini,,0.901
TOI-469 d,TOI-469,HIP 29442,6.42957,5.1,,,1,Mass,1.37,0.901
X 1 b,X 1,,10,7,,,0,M-R relationship,2.0,1.0
"""


def write(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_archive_columns_are_understood(tmp_path):
    planets = read_planets(write(tmp_path, ARCHIVE))
    assert list(planets.letter[:3]) == ["c", "d", "b"]  # from the star outwards
    np.testing.assert_allclose(planets.a.value[:3], [0.0439, 0.0654, 0.1079], rtol=3e-3)  # Damasso et al. 2023
    np.testing.assert_allclose(planets.msini.value[:3], [4.5, np.nan, np.nan])
    np.testing.assert_allclose(planets.mass.value[:4], [np.nan, 5.1, 9.6, np.nan])
    assert planets.mass.limit[1]
    assert not planets.mass.limit[2]
    assert (planets.mass.upper[2], planets.mass.lower[2]) == (0.9, 0.7)
    assert any("not measured" in note for note in planets.notes)  # the mass-radius guess of X 1 b


def test_observation_keeps_the_kind_and_the_asymmetry(tmp_path):
    seen = observe(read_planets(write(tmp_path, ARCHIVE)), "TOI-469")
    assert [int(k) for k in seen.kind[:3, 0]] == [MINIMUM, LIMIT, VALUE]
    np.testing.assert_allclose(seen.error[2, 1], [-np.log10(1 - 0.7 / 9.6), np.log10(1 + 0.9 / 9.6)], rtol=1e-5)


@pytest.mark.parametrize("name", ["TOI-469", "toi-469 b", "TOI-469c", "HIP 29442", "hip29442 d"])
def test_host_is_found_by_star_planet_or_alias(tmp_path, name):
    assert find_host(read_planets(write(tmp_path, ARCHIVE)), name) == "TOI-469"


def test_unknown_host_gets_a_suggestion(tmp_path):
    with pytest.raises(InputError, match=r"no star 'TOI-496'; did you mean .*TOI-469"):
        find_host(read_planets(write(tmp_path, ARCHIVE)), "TOI-496")


@pytest.mark.parametrize(
    ("name", "host", "letter"),
    [
        ("Kepler-11 b", "Kepler-11", "b"),
        ("TOI-469b", "TOI-469", "b"),
        ("GJ 667 C c", "GJ 667 C", "c"),
        ("K00063.01", "K00063", "01"),
        ("HD 10180", "HD 10180", ""),
    ],
)
def test_letter_is_stripped(name, host, letter):
    assert (host_of(name), letter_of(name)) == (host, letter)


def test_compressed_ecsv_fits_and_bom_read_alike(tmp_path):
    plain = write(tmp_path, ARCHIVE)
    want = read_planets(plain)
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + ARCHIVE.encode().replace(b"\n", b"\r\n"))
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(ARCHIVE.encode()))
    table = Table.read(ARCHIVE.splitlines(), format="ascii.csv", comment="#")
    table.write(tmp_path / "t.ecsv", format="ascii.ecsv")
    for name in ("bom.csv", "packed.csv.gz", "t.ecsv"):
        got = read_planets(tmp_path / name)
        np.testing.assert_array_equal(got.a.value, want.a.value)
        assert list(got.system) == list(want.system)


def test_fits_keeps_its_units(tmp_path):
    table = Table({"system": ["A", "A"], "sma": [1.0, 2.0], "mass": [1.8982e27, 1.8982e27]})
    table["sma"].unit, table["mass"].unit = "AU", "kg"
    table.write(tmp_path / "t.fits")
    np.testing.assert_allclose(read_planets(tmp_path / "t.fits").mass.value, 317.83, rtol=1e-3)


@pytest.mark.parametrize(
    ("cell", "value", "upper", "lower", "limit"),
    [
        ('<div><span class=supersubNumber">-0.15</span><span class="superscript">+0.02</span>'
         '<span class="subscript">-0.03</span></div>"', -0.15, 0.02, 0.03, False),
        ("<5.2", 5.2, np.nan, np.nan, True),
        ("&lt; 5.2", 5.2, np.nan, np.nan, True),
        ("4.5 ± 0.3", 4.5, 0.3, 0.3, False),
        ("1.2e3", 1200.0, np.nan, np.nan, False),
        ("", np.nan, np.nan, np.nan, False),
        ("…", np.nan, np.nan, np.nan, False),
    ],
)  # fmt: skip
def test_cells_written_as_text(cell, value, upper, lower, limit):
    np.testing.assert_array_equal(parse_cell(cell), (value, upper, lower, limit))


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e3))
def test_number_with_error_survives_its_text(value, error):
    assert parse_cell(f"<b>{value!r}</b> &plusmn; {error!r}") == (value, error, error, False)


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_refused(text):
    try:
        value = parse_cell(text)[0]
    except ValueError:
        return
    assert np.isnan(value) or np.isfinite(value)


HEAD = "hostname,pl_orbsmax,pl_masse\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD, "no rows"),
        (HEAD + "A,-1,3\n", r"row 1: the semi-major axis is -1; expected a positive number"),
        (HEAD + "A,0,3\n", r"the semi-major axis is 0"),
        (HEAD + "A,1,-3\n", r"row 1: mass is -3"),
        (HEAD + "A,1,3\nB,heavy,4\n", r"row 2: expected a number in column 'pl_orbsmax', found 'heavy'"),
        ("pl_orbsmax,pl_masse\n1,2\n", r"neither a system column .* nor planet names"),
        ("hostname,pl_masse\nA,2\n", r"neither a semi-major axis"),
        ("hostname,a,mass\nA,1,2\n", r"column 'mass' has no unit; name it in the header"),
        ("hostname,a,mass[furlong]\nA,1,2\n", r"cannot be read as earthMass|unknown unit 'furlong'"),
        ("hostname,a,mass[M_Eart]\nA,1,2\n", r"unknown unit 'M_Eart'; did you mean 'earthMass'"),
        ("hostname,a[kg],mass[kg]\nA,1,2\n", r"is in 'kg', which cannot be read as AU"),
        ("pl_name,pl_orbsmax,pl_masse\nA b,1,2\nA b,1,3\n", r"'A b' stands in rows 1 and 2 with different values"),
        (HEAD + ",1,2\n", r"row 1: the name of the star is blank"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as error:
        read_planets(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_absent_file_and_no_table(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_planets(tmp_path / "nothing.csv")
    (tmp_path / "image.fits").write_bytes(b"\x00" * 100)
    with pytest.raises(InputError, match="expected a table with one row per planet"):
        read_planets(tmp_path / "image.fits")


def test_repeated_rows_are_dropped_and_unsorted_ones_sorted(tmp_path):
    text = "pl_name,pl_orbsmax,pl_masse\nA c,3,1\nA b,1,2\nA c,3,1\n"
    planets = read_planets(write(tmp_path, text))
    assert list(planets.letter) == ["b", "c"]
    assert "1 repeated rows were left out." in planets.notes


def test_continuation_rows_belong_to_the_star_above(tmp_path):
    text = "Name,Mstar[Msun],P[day],m[M_Earth],R[R_Earth],rr,Rstar[Rsun]\nT,0.9,13.6,9.1,if radius,0.0319,0.98\n"
    text += ",,3.5,4.5,,0.0145,\n,,6.4,5.1,,0.0144,\n"
    planets = read_planets(write(tmp_path, text))
    assert list(planets.system) == ["T"] * 3
    assert list(planets.letter) == ["c", "d", "b"]
    np.testing.assert_allclose(planets.radius.value, np.array([0.0145, 0.0144, 0.0319]) * 0.98 * 109.1, rtol=1e-3)
    assert any("holds no numbers" in note for note in planets.notes)


def test_rows_of_one_split(tmp_path):
    path = write(tmp_path, "hostname,pl_orbsmax,pl_masse,split\nA,1,2,train\nB,3,4,test\nA,5,6,train\n")
    planets = read_planets(path, split="train")
    np.testing.assert_array_equal(planets.a.value, [1, 5])
    assert len(read_planets(path)) == 3
    with pytest.raises(InputError, match=r"split 'tset' is not in the data; its splits are: test, train\."):
        read_planets(path, split="tset")
    with pytest.raises(InputError, match=r"there is no column 'split'"):
        read_planets(write(tmp_path, HEAD + "A,1,2\n"), split="test")


def test_a_system_without_all_masses_is_left_out_whole(tmp_path):
    text = HEAD + "A,1,2\nA,2,\nB,1,2\n"
    systems, names = to_systems(read_planets(write(tmp_path, text)))
    assert list(names["hostname"]) == ["B"]
    assert int(systems.mask.sum()) == 1
    with pytest.raises(InputError, match="None of the 1 systems has the true mass"):
        to_systems(read_planets(write(tmp_path, HEAD + "A,1,\n")))


def test_a_system_longer_than_the_context_is_refused(tmp_path):
    text = HEAD + "".join(f"A,{0.1 * i},1\n" for i in range(1, 40))
    with pytest.raises(InputError, match="System 'A' has 39 planets, but 32 fit"):
        to_systems(read_planets(write(tmp_path, text)))


def test_disc_table_joins_by_number(tmp_path):
    line = "SIM00000007 MSTAR=1 SIGMA=1.4E+02 EXPO=9.0E-01 AIN=4.5E-02 AOUT=6.9E+01 FPG=1.49E-02 MWIND=1E-08\n"
    discs = write(tmp_path, line, "discs.txt")
    planets = read_planets(write(tmp_path, "system_number,a,total_mass,r\n7,1,1,1\n"), discs=discs)
    au = 1.495979e13
    grams = 2 * np.pi * 140 * 5.2**0.9 * 69**1.1 / 1.1 * au**2  # integral of the profile to infinity
    np.testing.assert_allclose(planets.context[0], [0, 0, np.log10(grams / 1.98841e33), np.log10(0.045), -8], atol=1e-5)
    with pytest.raises(InputError, match="line 1: expected 'SIM00000001"):
        read_discs(write(tmp_path, "SIM1 SIGMA=x\n", "bad.txt"))
    with pytest.raises(InputError, match="None of the systems"):
        read_planets(write(tmp_path, "system_number,a,total_mass,r\n8,1,1,1\n"), discs=discs)


@given(st.permutations(range(12)), st.sampled_from([("AU", 1.0), ("km", 1.495978707e8), ("solRad", 215.03215567)]))
@settings(deadline=None, max_examples=15)
def test_row_order_and_units_change_nothing(tmp_path_factory, order, unit):
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    a, mass, host = rng.uniform(0.1, 5, 12), rng.uniform(1, 9, 12), np.repeat(["1", "2", "3"], 4)
    name, factor = unit
    want, _ = to_systems(read_planets(_write_rows(folder / "a.csv", "AU", host, a, mass)))
    got, names = to_systems(
        read_planets(_write_rows(folder / "b.csv", name, *(v[list(order)] for v in (host, a * factor, mass))))
    )
    back = np.argsort(names["hostname"])
    np.testing.assert_allclose(np.asarray(got.log_a)[back], want.log_a, atol=1e-5)
    np.testing.assert_allclose(np.asarray(got.log_mass)[back], want.log_mass, atol=1e-6)


def _write_rows(path, unit, host, a, mass):
    rows = "".join(f"{h},{x!r},{m!r}\n" for h, x, m in zip(host, map(float, a), map(float, mass), strict=True))
    path.write_text(f"hostname,a[{unit}],mass[earthMass]\n{rows}")
    return path


def test_simulated_table_reads_back(tmp_path):
    import jax

    made = PodSim().sample(jax.random.key(0), 20)
    as_table(made).write(tmp_path / "pods.csv", format="ascii.csv")
    systems, _ = to_systems(read_planets(tmp_path / "pods.csv"))
    np.testing.assert_allclose(systems.log_a, made.log_a, atol=1e-5)
    np.testing.assert_allclose(systems.log_mass, made.log_mass, atol=1e-5)
    np.testing.assert_array_equal(systems.mask, made.mask)


@pytest.mark.realdata
def test_published_tables(real_data):
    folder = real_data / "planets"
    bern = read_planets(folder / "bern_ngpps/bern_ngpps_systems.csv", discs=folder / "bern_ngpps/NGPPS_variables.txt")
    systems, names = to_systems(bern)
    assert (len(names), int(systems.mask.sum())) == (794, 9875)
    assert bool((np.diff(np.asarray(systems.log_a), axis=1)[np.asarray(systems.mask)[:, 1:]] >= 0).all())
    catalogue = read_planets(folder / "observed/open_exoplanet_catalogue.csv")
    three = observe(catalogue, "HIP 29442 b")
    np.testing.assert_allclose(10 ** np.asarray(three.value[:3, 1]), [4.5, 5.1, 9.6], rtol=2e-3)
    egger = read_planets(folder / "observed/TOI-469_Egger2024.csv")
    np.testing.assert_allclose(egger.radius.value, [1.55, 1.54, 3.41], atol=0.01)  # Egger et al. 2024
    nasa = read_planets(folder / "observed/nasa_pscomppars_2026.csv")
    assert int((nasa.system == find_host(nasa, "HIP 29442")).sum()) == 2  # the table lacks b
