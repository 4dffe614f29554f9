"""Model directories: weights in safetensors, everything else in card.json; refused when damaged or newer."""

import csv
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from jaxastro.errors import ArtefactError

T = TypeVar("T")

FORMAT = 1
WEIGHTS, CARD, HISTORY = "model.safetensors", "card.json", "history.csv"
_PACKAGES = ("jaxastro", "jax", "jaxlib", "equinox", "flax", "optax", "numpyro", "numpy", "astropy", "scikit-learn")


def write_model(
    folder: str | Path,
    *,
    system: str,
    model: Any,
    config: Any,
    data_files: Iterable[str | Path] = (),
    metrics: Mapping[str, Any] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    history: Mapping[str, Any] | None = None,
    citation: str = "",
    licence: str = "",
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write `model.safetensors`, `card.json` and `history.csv` into `folder`, a directory being staged.

    Args:
        folder: where to write; made whole by `stage_directory`.
        system: name of the system that can read the model back.
        model: pytree; its arrays are stored under their tree paths.
        config: options dataclass; every value is kept in the card.
        data_files: the files that the model was trained on; stored by name with sha256.
        metrics: scores with intervals and baselines.
        preprocessing: constants that prediction needs, besides those that are arrays of `model`.
        history: columns of equal length, one row per epoch.
        citation: BibTeX of the methods used.
        licence: terms of the training data, where known.
        extra: further entries of the card.
    """
    folder = Path(folder)
    weights = save(_arrays(model))
    (folder / WEIGHTS).write_bytes(weights)
    options = dataclasses.asdict(config)
    card = {
        "format": FORMAT,
        "system": system,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "config": options,
        "seed": options.get("seed"),
        "preprocessing": preprocessing or {},
        "data": [_describe(Path(f)) for f in data_files],
        "metrics": metrics or {},
        "versions": {"python": platform.python_version(), **versions(_PACKAGES)},
        "device": [str(d) for d in jax.devices()],
        "licence": licence,
        "citation": citation,
        "files": {WEIGHTS: hashlib.sha256(weights).hexdigest()},
        **(extra or {}),
    }
    card = plain(card)
    card["checksum"] = _checksum(card)
    (folder / CARD).write_text(json.dumps(card, indent=1, allow_nan=False) + "\n")
    if history:
        with (folder / HISTORY).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(history)
            writer.writerows(zip(*(np.asarray(v).tolist() for v in history.values()), strict=True))


def read_card(run: str | Path, *, system: str | None = None) -> dict[str, Any]:
    """The card of a model directory, after its format and every checksum were verified.

    Raises:
        ArtefactError: not a model directory, damaged, newer than this package, or of another system than `system`.
    """
    run = Path(run)
    path = run / CARD
    if not path.is_file():
        raise ArtefactError(f"{run} is not a model directory: it has no {CARD}; give the directory that train wrote.")
    try:
        card = json.loads(path.read_text())
        version, checksum, files = card["format"], card["checksum"], card["files"]
    except (ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} is damaged ({error!r}); take the directory from its source again.") from error
    if version > FORMAT:
        raise ArtefactError(f"{path} has format {version}, this jaxastro reads up to {FORMAT}; upgrade jaxastro.")
    if checksum != _checksum(card):
        raise ArtefactError(f"{path} does not match its checksum: it was changed; take the directory again.")
    for name, expected in files.items():
        file = run / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise ArtefactError(f"{file} is missing or does not match its sha256; take the directory again.")
    if system is not None and card["system"] != system:
        raise ArtefactError(f"{run} holds a model of '{card['system']}'; expected one of '{system}'.")
    return card


def read_model(run: str | Path, template: T) -> T:
    """`template` with its arrays (or `jax.ShapeDtypeStruct`) replaced by those of `run`, found by tree path.

    Raises:
        ArtefactError: the weights are unreadable, or their names, shapes or dtypes differ from the template's.
    """
    path = Path(run) / WEIGHTS
    try:
        stored = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); take the directory again.") from error
    leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
    filled = []
    for key_path, leaf in leaves:
        if not _is_array(leaf):
            filled.append(leaf)
            continue
        name = jax.tree_util.keystr(key_path)
        array = stored.get(name)
        if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
            found = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
            raise ArtefactError(
                f"{path} holds {found} at '{name}', expected {leaf.dtype}{list(leaf.shape)}; "
                "the model was written by another configuration or version."
            )
        filled.append(jax.numpy.asarray(array) if array.dtype.itemsize < 8 else array)
    return jax.tree.unflatten(treedef, filled)


def versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Installed versions by package name; None where a package is absent."""

    def version(name: str) -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {name: version(name) for name in packages}


def plain(value: Any) -> Any:
    """`value` in strict JSON types: arrays become lists, paths and other objects strings, non-finite numbers null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    return str(value)


def _arrays(model: Any) -> dict[str, np.ndarray]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(model, eqx.is_array))
    return {jax.tree_util.keystr(path): np.asarray(leaf, order="C") for path, leaf in leaves}


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _checksum(card: Mapping[str, Any]) -> str:
    content = {k: v for k, v in card.items() if k != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}
