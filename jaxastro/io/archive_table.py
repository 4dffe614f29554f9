"""Tables as archives export them: CSV with a `#` header and any line end, ECSV, IPAC; `.gz` too."""

import csv
import gzip
import zlib
from pathlib import Path

import numpy as np

from jaxastro.errors import InputError


def read_archive_table(path: Path) -> dict[str, np.ndarray]:
    """The columns of a table by name, in file order: text as it stands in a CSV, typed from ECSV and IPAC.

    Lines that begin with `#` are comments. Lines may end in LF, CR LF or CR alone.

    Raises:
        InputError: the file cannot be read, has no rows, repeats a column, or a row has another number of fields.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text table, found: {error}.") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    columns = _with_astropy(lines, path) if lines[0].startswith(("# %ECSV", "\\", "|")) else _csv(lines, path)
    if not len(next(iter(columns.values()))):
        raise InputError(f"{path}: the table has a header and no rows.")
    return columns


def _csv(lines: list[str], path: Path) -> dict[str, np.ndarray]:
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError(f"{path}: the table is empty; expected a header line with column names.")
    rows = list(csv.reader(line for _, line in numbered))
    names = [name.strip() for name in rows[0]]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: column '{repeated[0]}' stands twice in the header; rename one.")
    for row, (number, _) in zip(rows, numbered, strict=False):
        if len(row) != len(names):
            raise InputError(
                f"{path}: line {number} has {len(row)} fields and the header {len(names)}; is a comma lost?"
            )
    return {name: np.array(column) for name, column in zip(names, zip(*rows[1:], strict=True), strict=False)} or {
        name: np.array([]) for name in names
    }


def _with_astropy(lines: list[str], path: Path) -> dict[str, np.ndarray]:
    from astropy.table import Table

    kind = "ascii.ecsv" if lines[0].startswith("#") else "ascii.ipac"
    try:
        table = Table.read(lines, format=kind)
    except Exception as error:  # astropy raises many kinds
        raise InputError(
            f"{path}: expected an {kind[6:].upper()} table, found: {str(error).splitlines()[0]}."
        ) from error
    columns = {}
    for name in table.colnames:
        values = np.ma.asarray(table[name])
        empty = np.nan if values.dtype.kind == "f" else ""
        columns[name] = np.asarray(values.filled(empty) if values.dtype.kind in "fU" else np.where(
            np.ma.getmaskarray(values), "", values.data.astype(str)
        ) if np.ma.is_masked(values) else values.data)  # fmt: skip
    return columns
