"""Archive tables: headers, line ends, compression, formats, and files that are none."""

import gzip

import pytest
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.io.archive_table import read_archive_table

pytestmark = pytest.mark.core
TEXT = '# a header, with a comma\n#\nkepid,name,koi_period\n1,"a, b",2.5\n2,,\n'


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("compress", [False, True])
def test_every_line_end_gives_the_same_columns(tmp_path, end, compress):
    content = TEXT.replace("\n", end).encode()
    path = tmp_path / ("t.csv.gz" if compress else "t.csv")
    path.write_bytes(gzip.compress(content) if compress else content)
    columns = read_archive_table(path)
    assert {name: list(values) for name, values in columns.items()} == {
        "kepid": ["1", "2"], "name": ["a, b", ""], "koi_period": ["2.5", ""],
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["ascii.ecsv", "ascii.ipac"])
def test_ecsv_and_ipac_keep_their_types(tmp_path, kind):
    Table({"kepid": [3, 4], "koi_period": [1.5, 2.5]}).write(tmp_path / "t.tbl", format=kind)
    columns = read_archive_table(tmp_path / "t.tbl")
    assert columns["kepid"].tolist() == [3, 4]
    assert columns["koi_period"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only\n# comments\n", "is empty"),
        ("a,b\n", "no rows"),
        ("a,b,a\n1,2,3\n", "column 'a' stands twice"),
        ("# c\na,b\n1,2\n3\n", "line 4 has 1 fields and the header 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_archive_table(tmp_path / "t.csv")


def test_a_truncated_gzip_is_one_sentence(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT.encode() * 100)[:-20])
    with pytest.raises(InputError, match="expected a readable text table"):
        read_archive_table(tmp_path / "t.csv.gz")


@pytest.mark.realdata
def test_the_archives_own_exports(real_data):
    folder = real_data / "vetting"
    koi = read_archive_table(folder / "catalogues" / "koi_cumulative_2025-10-04.csv.gz")
    assert (len(koi), len(koi["kepid"])) == (50, 9564)
    tces = read_archive_table(folder / "tess_triage" / "tces.csv.gz")  # ends its lines in CR alone
    assert tces["tic_id"][0] == "278825952"
    assert len(tces) == 20
    sup = read_archive_table(folder / "kepler_dr25_robovetter" / "kplr_dr25_sup_robovetter_input.txt.gz")
    assert len(next(iter(sup.values()))) == 1908
