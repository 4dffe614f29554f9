"""Signals as one npz file: views, masks, scalars, labels and identities, plain arrays only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from jaxastro.errors import InputError
from jaxastro.io.staging import atomic_path
from jaxastro.systems.vetting.data import Example, Signals
from jaxastro.systems.vetting.recipe import Recipe

PER_ROW = ("labels", "groups", "split", "flags", "remarks")


def write_signals(path: Path, signals: Signals) -> None:
    """One npz with everything that `read` gives back; written whole or not at all."""
    example = signals.examples
    arrays = {f"view/{name}": view for name, view in example.views.items()}
    arrays |= {f"present/{name}": mask for name, mask in example.view_present.items()}
    arrays |= {f"table/{name}": np.asarray(column) for name, column in signals.table.items()}
    arrays |= {name: np.asarray(getattr(signals, name)) for name in PER_ROW}
    arrays = {k: v.astype(str) if v.dtype == object else v for k, v in arrays.items()}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, scalars=example.scalars, scalar_present=example.scalar_present,
            scalar_names=np.array(signals.scalar_names, dtype=str), recipe=json.dumps(signals.recipe.as_dict()),
            **arrays,
        )  # fmt: skip


def holds_signals(columns: dict[str, np.ndarray]) -> bool:
    """Whether the arrays of an npz are those of `write_signals`."""
    return {"recipe", "scalar_names", *PER_ROW} <= set(columns)


def signals_of(columns: dict[str, np.ndarray], path: Path) -> Signals:
    """The signals that `write_signals` wrote.

    Raises:
        InputError: arrays are missing or of different lengths.
    """
    parts: dict[str, dict] = {"view": {}, "present": {}, "table": {}}
    for name, array in columns.items():
        part, _, key = name.partition("/")
        if key:
            parts[part][key] = array
    rows = len(columns["labels"])
    per_row = [*(columns[n] for n in (*PER_ROW, "scalars", "scalar_present")), *parts["view"].values()]
    if set(parts["view"]) != set(parts["present"]) or any(len(array) != rows for array in per_row):
        raise InputError(f"{path}: the arrays of the signals are of different lengths; write the file again.")
    rest: dict[str, Any] = {name: columns[name] for name in PER_ROW}
    rest |= {name: rest[name].astype(object) for name in ("flags", "remarks")}
    return Signals(
        examples=Example(parts["view"], parts["present"], columns["scalars"], columns["scalar_present"]),
        scalar_names=tuple(map(str, columns["scalar_names"])),
        table=Table(parts["table"]),
        recipe=Recipe.from_dict(json.loads(str(columns["recipe"]))),
        **rest,
    )
