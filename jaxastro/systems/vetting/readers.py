"""Files in, `Signals` out: whatever holds transit signals, told apart by what it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.systems.vetting import columns as known
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.ready_made import is_shard, read_npz, read_shards, views_of


def read(
    path: str | Path,
    *,
    label_column: str | None = None,
    group_column: str | None = None,
    duration_unit: str = "auto",
    time_system: str = "auto",
) -> Signals:
    """The transit signals of a file or folder.

    Args:
        path: an npz of folded views, a TFRecord shard or a folder of shards.
        label_column: column that holds the label (default: the one the format is known to have).
        group_column: column that folds and bootstraps keep together (default: the star).
        duration_unit: `auto`, `hours`, `days` or `minutes`; `auto` is days in view files and hours in tables.
        time_system: `auto`, `bjd`, `bkjd` or `btjd`, of epochs in columns that do not say.

    Raises:
        InputError: the file is damaged, lacks a column, or repeats a key.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder.")
    if path.suffix == ".npz":
        columns = read_npz(path)
    elif is_shard(path) or (path.is_dir() and any(is_shard(p) for p in path.iterdir())):
        columns = read_shards(path)
    else:
        raise InputError(f"{path}: expected .npz views, TFRecord shards, or a candidate table; found neither.")
    views, recipe = views_of(columns)
    rest = {name: values for name, values in columns.items() if values.ndim == 1}
    return assemble(
        views, recipe, rest, path, label_column=label_column, group_column=group_column,
        duration_hours=HOURS[duration_unit] or 24.0, time_system=time_system,
    )  # fmt: skip


HOURS = {"auto": None, "hours": 1.0, "days": 24.0, "minutes": 1 / 60}


def assemble(
    views, recipe, columns, path, *, label_column=None, group_column=None, duration_hours=1.0, time_system="auto"
) -> Signals:
    rows = len(next(iter(views.values())))
    star = known.find(columns, known.STAR)
    if star is None:
        raise InputError(f"{path}: no column names the object; expected one of {', '.join(known.STAR[:4])}.")
    group = star if group_column is None else _named(columns, group_column, path)
    label = known.find(columns, known.LABEL) if label_column is None else _named(columns, label_column, path)
    split = columns.get("split", np.full(rows, ""))
    scalars = known.scalars(columns, duration_hours=duration_hours)
    matrix = np.stack(list(scalars.values()), axis=1) if scalars else np.zeros((rows, 0))
    finite = {name: np.isfinite(view).all(axis=(1, 2)) for name, view in views.items()}
    present = {name: finite[name] & (view != 0).any(axis=(1, 2)) for name, view in views.items()}
    example = Example(
        views={
            name: np.where(present[name][:, None, None], view, 0).astype(np.float32) for name, view in views.items()
        },
        view_present=present,
        scalars=np.nan_to_num(matrix, nan=0.0),
        scalar_present=np.isfinite(matrix),
    )
    table = Table({name: columns[name] for name in _identities(columns)})
    for name in ("period_day", "duration_hour", "depth_ppm"):
        if name in scalars:
            table[name] = scalars[name]
    flags = np.where(present["main"] & present["global"], "", "no usable view").astype(object)
    return Signals(
        examples=example, scalar_names=tuple(scalars), labels=_text(label, rows), groups=np.asarray(group.values),
        split=np.asarray(split).astype(str), table=table, flags=flags, remarks=np.full(rows, "", object), recipe=recipe,
    )  # fmt: skip


def _identities(columns) -> Sequence[str]:
    roles = (known.STAR, known.PLANET, known.ROW, known.NAME)
    return [key.name for key in (known.find(columns, role) for role in roles) if key is not None]


def _text(key, rows: int) -> np.ndarray:
    return np.full(rows, "") if key is None else np.char.strip(np.asarray(key.values).astype(str))


def _named(columns, name: str, path: Path) -> known.Key:
    key = known.find(columns, [name.lower()])
    if key is None:
        raise InputError(f"{path}: no column '{name}'; the columns are {', '.join(columns)}.")
    return key
