"""Folded views that another pipeline made: an npz of arrays, or AstroNet's TFRecord shards."""

import re
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from jaxastro.errors import InputError
from jaxastro.io.tfrecord import read_tfrecord
from jaxastro.systems.vetting.recipe import Recipe, ready_made_recipe

SHARD = re.compile(r"-\d+-of-\d+(\.tfrecord)?$|\.tfrecord$")
VIEW_COLUMNS = {"global_view": "global", "local_view": "main", **{f"{n}_view": n for n in ("secondary", "odd", "even")}}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file by name.

    Raises:
        InputError: the file is no npz of plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError) as error:
        raise InputError(f"{path}: expected an npz of plain arrays, found: {error}.") from error


def read_shards(path: Path) -> dict[str, np.ndarray]:
    """The features of a TFRecord shard, or of all shards in a directory, as columns, with `split` from the file names.

    A feature that only some records have is NaN (text: empty) in the others.

    Raises:
        InputError: no shard, a damaged shard, or records without the same features.
    """
    shards = sorted(p for p in path.iterdir() if is_shard(p)) if path.is_dir() else [path]
    records, split = [], []
    for shard in shards:
        new = read_tfrecord(shard)
        records += new
        split += [SHARD.sub("", shard.name)] * len(new)
    names = dict.fromkeys(name for record in records for name in record)
    columns = {name: _column(name, records, path) for name in names}
    columns.setdefault("split", np.array(split, str))
    return checked(columns, path)


def is_shard(path: Path) -> bool:
    """Whether a file name is that of a TFRecord shard: `*.tfrecord` or `name-00000-of-00008`."""
    return SHARD.search(path.name) is not None


def _column(name: str, records: list, path: Path) -> np.ndarray:
    values = []
    for number, record in enumerate(records):
        value = record.get(name)
        if value is None and name in VIEW_COLUMNS:
            raise InputError(f"{path}: record {number} has no feature '{name}'; every record needs the same views.")
        values.append(np.array([np.nan]) if value is None or not len(value) else value)
    if any(isinstance(value, list) for value in values):
        return np.array([value[0].decode() if isinstance(value, list) else "" for value in values])
    lengths = {len(value) for value in values}
    if len(lengths) > 1:
        raise InputError(f"{path}: feature '{name}' has lengths {sorted(lengths)}; every record needs the same length.")
    stacked = np.stack(values)
    return stacked[:, 0] if name not in VIEW_COLUMNS and stacked.shape[1] == 1 else stacked


def checked(columns: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """The same columns, once they are known to be views of signals.

    Raises:
        InputError: a view is missing or not two-dimensional, or a column has another number of rows.
    """
    for name in ("global_view", "local_view"):
        if name not in columns:
            raise InputError(
                f"{path}: column '{name}' is missing among {', '.join(columns)}; write it as (object, bin)."
            )
        if columns[name].ndim != 2 or columns[name].dtype.kind not in "fiu":
            raise InputError(
                f"{path}: '{name}' has shape {columns[name].shape} of {columns[name].dtype}, expected (object, bin)."
            )
    rows = len(columns["global_view"])
    if not rows:
        raise InputError(f"{path}: 'global_view' has no rows; the file holds no signal.")
    for name, values in columns.items():
        if values.shape[:1] != (rows,):
            raise InputError(
                f"{path}: '{name}' has {len(values) if values.ndim else 'no'} rows, 'global_view' has {rows}."
            )
    return columns


def views_of(columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Recipe]:
    """The views of ready-made columns, each (object, bin, 1), and the recipe they came from.

    The secondary is cut around phase 0.5 out of a global view that is fine enough (2001 bins over the whole period).
    """
    views = {
        view: columns[name][..., None].astype(np.float32) for name, view in VIEW_COLUMNS.items() if name in columns
    }
    recipe = ready_made_recipe({name: view.shape[1] for name, view in views.items()})
    if recipe.secondary_cut and "secondary" not in views:
        views["secondary"] = cut_secondary(views["global"], recipe.secondary_cut)
    return views, recipe


def cut_secondary(views: np.ndarray, bins: int) -> np.ndarray:
    """The `bins` bins around phase 0.5 of global views (object, bin, channel) whose transit stands in the middle.

    The global view runs from phase -0.5 to 0.5, so the two ends meet at the secondary.
    """
    half = bins // 2
    return np.concatenate([views[:, -half:], views[:, : bins - half]], axis=1)
