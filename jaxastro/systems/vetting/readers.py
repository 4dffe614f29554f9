"""Files in, `Signals` out: whatever holds transit signals, told apart by what it is."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.io.archive_table import read_archive_table
from jaxastro.systems.vetting import columns as known
from jaxastro.systems.vetting.candidates import signals_of_candidates
from jaxastro.systems.vetting.columns import Columns
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.join import match
from jaxastro.systems.vetting.ready_made import checked, is_shard, read_npz, read_shards, views_of
from jaxastro.systems.vetting.recipe import Recipe
from jaxastro.systems.vetting.signals_file import holds_signals, signals_of

HOURS = {"hours": 1.0, "days": 24.0, "minutes": 1 / 60}
TABLES = (".csv", ".ecsv", ".tbl", ".txt")
CANDIDATES, LIGHT_CURVES = "candidates.csv", "light_curves"


def read(
    path: str | Path,
    *,
    table: str | Path | None = None,
    light_curves: str | Path | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    duration_unit: str = "auto",
    time_system: str = "auto",
    recipe: Recipe | None = None,
) -> Signals:
    """The transit signals of a file or folder, one per row, in its order.

    Args:
        path: npz of folded views; TFRecord shard or folder of shards; candidate table (CSV, ECSV, IPAC, `.gz` too); or
            a folder with `candidates.csv` and `light_curves/`.
        table: archive table whose scalars are joined by object and planet.
        light_curves: folder of the candidates' light curves (FITS or CSV, their names hold the object ids).
        label_column: column that holds the label (default: the one the format is known to have).
        group_column: column that folds and bootstraps keep together (default: the star).
        duration_unit: `auto` (days in view files, hours in tables), `hours`, `days` or `minutes`.
        time_system: `auto`, `bjd`, `bkjd` or `btjd`, of epochs and times of which neither file nor size say it.
        recipe: how to make the views of light curves (default: WATSON-Net's).

    Raises:
        InputError: the file is damaged, lacks a column, or repeats a key.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give an npz, TFRecord shards or a candidate table.")
    if duration_unit not in ("auto", *HOURS):
        raise InputError(f"Duration unit '{duration_unit}' is unknown; choose from auto, {', '.join(HOURS)}.")
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"{path}: the folder is empty; expected TFRecord shards, or {CANDIDATES} and {LIGHT_CURVES}/.")
    if path.is_dir() and (path / CANDIDATES).exists():
        light_curves = light_curves or (path / LIGHT_CURVES if (path / LIGHT_CURVES).exists() else path)
        path = path / CANDIDATES
    if path.name.removesuffix(".gz").endswith(TABLES):
        columns = read_archive_table(path)
        signals = signals_of_candidates(
            columns, path, None if light_curves is None else Path(light_curves), recipe=recipe,
            duration_hours=HOURS.get(duration_unit, 1.0), time_system=time_system,
        )  # fmt: skip
    elif path.suffix == ".npz":
        columns = read_npz(path)
        if holds_signals(columns):
            return signals_of(columns, path)
        signals = _ready_made(checked(columns, path), HOURS.get(duration_unit, 24.0))
    elif is_shard(path) or (path.is_dir() and any(map(is_shard, path.iterdir()))):
        columns = read_shards(path)
        signals = _ready_made(columns, HOURS.get(duration_unit, 24.0))
    elif ".fit" in path.name:
        raise InputError(
            f"{path}: a light curve alone is no list of signals; give --period, --t0 and --duration with it."
        )
    else:
        raise InputError(
            f"{path}: expected an npz, TFRecord shards, or a candidate table (.csv, .ecsv); found neither."
        )
    signals = _identified(signals, columns, path, label_column, group_column)
    return signals if table is None else with_table(signals, Path(table), columns)


def _ready_made(columns: Columns, duration_hours: float) -> Signals:
    views, recipe = views_of(dict(columns))
    rows = len(columns["global_view"])
    rest = {name: values for name, values in columns.items() if values.ndim == 1}
    scalars = dict(sorted(known.scalars(rest, duration_hours=duration_hours).items()))
    matrix = np.stack(list(scalars.values()), axis=1) if scalars else np.zeros((rows, 0))
    finite = {name: np.isfinite(view).all(axis=(1, 2)) for name, view in views.items()}
    present = {name: finite[name] & (view != 0).any(axis=(1, 2)) for name, view in views.items()}
    views = {name: np.where(present[name][:, None, None], view, 0).astype(np.float32) for name, view in views.items()}
    flags = np.full(rows, "", object)
    for column, name in (("local_view", "main"), ("global_view", "global")):
        flags[~present[name]] = f"{column} is empty"
        flags[~finite[name]] = f"{column} is not finite"
    return Signals(
        Example(views, present, np.nan_to_num(matrix), np.isfinite(matrix)),
        tuple(scalars),
        labels=np.full(rows, ""),
        groups=np.arange(rows),
        split=np.full(rows, ""),
        table=Table({n: scalars[n] for n in ("period_day", "duration_hour", "depth_ppm") if n in scalars}),
        flags=flags,
        remarks=np.full(rows, "", object),
        recipe=recipe,
    )


def _identified(
    signals: Signals, columns: Columns, path: Path, label_column: str | None, group_column: str | None
) -> Signals:
    """The signals with the labels, groups, split, identities and remarks that the columns of their file give."""
    rows = len(signals)
    star = known.required(columns, known.STAR, "object", path)
    label = known.find(columns, known.LABEL) if label_column is None else _named(columns, label_column, path)
    group = star if group_column is None else _named(columns, group_column, path)
    split = known.find(columns, ("split",))
    keys = [key for role in (known.STAR, known.PLANET, known.ROW, known.NAME) if (key := known.find(columns, role))]
    _refuse_repeats(keys, path)
    table = Table({key.name: np.asarray(key.values) for key in keys})
    for name in signals.table.colnames:
        table[name] = signals.table[name]

    def text(key: known.Key | None) -> np.ndarray:
        return np.full(rows, "") if key is None else np.char.strip(np.asarray(key.values).astype(str))

    return dataclasses.replace(
        signals,
        labels=text(label),
        groups=np.asarray(group.values),
        split=text(split),
        table=table,
        remarks=_remarks(signals),
    )


def _refuse_repeats(keys: list[known.Key], path: Path) -> None:
    """One star may have many rows; a star with a planet number or row id only one."""
    if len(keys) < 2:
        return
    rows = list(zip(*(map(str, key.values) for key in keys), strict=True))
    key, times = Counter(rows).most_common(1)[0]
    if times > 1:
        where = [i for i, row in enumerate(rows) if row == key]
        name = ", ".join(f"{k.name} {v}" for k, v in zip(keys, key, strict=True))
        raise InputError(f"{path}: rows {where[0]} and {where[1]} are both {name}; keep one of them.")


def _remarks(signals: Signals) -> np.ndarray:
    """What is odd about a row that can still be scored."""
    remarks = signals.remarks.copy()
    scalars, there = signals.examples.scalars, signals.examples.scalar_present

    def column(name: str) -> np.ndarray:
        i = signals.scalar_names.index(name) if name in signals.scalar_names else None
        return np.full(len(signals), np.nan) if i is None else np.where(there[:, i], scalars[:, i], np.nan)

    odd = {
        "depth above 1e6 ppm": column("depth_ppm") > 1e6,
        "duration longer than the period": column("duration_hour") > 24 * column("period_day"),
        "signal-to-noise of zero": column("snr") == 0,
        "period not positive": column("period_day") <= 0,
    }
    for text, rows in odd.items():
        remarks[rows] = [f"{old}; {text}" if old else text for old in remarks[rows]]
    return remarks


def _named(columns: Columns, name: str, path: Path) -> known.Key:
    key = known.find(columns, [name.lower()])
    if key is None:
        raise InputError(f"{path}: no column '{name}'; the columns are {', '.join(columns)}.")
    return key


def with_table(signals: Signals, table: Path, columns: Columns | None = None) -> Signals:
    """The signals with the scalars of an archive table joined to them; what DATA itself knows stays.

    Unmatched signals keep their row, their new scalars are missing, and a note counts and names them.

    Args:
        signals: from `read`.
        table: archive table, CSV, ECSV or IPAC.
        columns: the columns of the signals' own file, where it has a delivery column.

    Raises:
        InputError: the table cannot be read or names no object.
    """
    other = read_archive_table(table)
    mine = {**(columns or {}), **{name: np.asarray(signals.table[name]) for name in signals.table.colnames}}
    found = match(mine, other)
    matched = found.rows >= 0
    names, values = list(signals.scalar_names), np.where(
        signals.examples.scalar_present, signals.examples.scalars, np.nan
    )  # fmt: skip
    values = [values[:, i] for i in range(len(names))]
    for name, column in known.scalars(other, duration_hours=1.0).items():
        joined = np.where(matched, column[found.rows], np.nan)
        if name in names:
            old = names.index(name)
            values[old] = np.where(np.isnan(values[old]), joined, values[old])
        elif np.isfinite(joined).any():
            names.append(name)
            values.append(joined)
    matrix = np.stack(values, axis=1) if values else np.zeros((len(signals), 0))
    example = signals.examples._replace(scalars=np.nan_to_num(matrix), scalar_present=np.isfinite(matrix))
    note = f"{table.name}: {matched.sum()} of {len(signals)} signals joined by {found.how}."
    if not matched.all():
        lost = np.flatnonzero(~matched)
        who = ", ".join(f"{signals.groups[i]} ({found.reasons[i]})" for i in lost[:5])
        note += f" Without a row: {who}{' and more' if len(lost) > 5 else ''}."
        note += " A table of chosen objects tells the label by who is missing: do not train on its scalars then."
    identities = signals.table.copy()
    for name in ("period_day", "duration_hour", "depth_ppm"):
        if name in names and name not in identities.colnames:
            identities[name] = matrix[:, names.index(name)]
    remarks = signals.remarks.copy()
    remarks[~matched] = [
        f"{old}; {why}" if old else why for old, why in zip(remarks[~matched], found.reasons[~matched], strict=True)
    ]
    return dataclasses.replace(
        signals,
        examples=example,
        scalar_names=tuple(names),
        table=identities,
        remarks=remarks,
        notes=(*signals.notes, note),
    )
