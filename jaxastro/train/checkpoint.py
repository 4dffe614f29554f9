"""Checkpoints in one file each: written atomically, resumed to the same weights as an uninterrupted run."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxastro.errors import ArtefactError, InputError
from jaxastro.io import atomic_path

T = TypeVar("T")
_FILE = "checkpoint.safetensors"


def save_checkpoint(folder: Path, state: Any, *, identity: str, progress: dict[str, Any]) -> None:
    """Write every array of `state` with the run's identity and JSON-able progress, replacing the last checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {str(i): np.asarray(x, order="C") for i, x in enumerate(jax.tree.leaves(state))}
    with atomic_path(folder / _FILE) as temporary:
        save_file(arrays, temporary, metadata={"identity": identity, "progress": json.dumps(progress)})


def load_checkpoint(folder: Path, state: T, *, identity: str) -> tuple[T, dict[str, Any]] | None:
    """The state and progress of the last checkpoint, shaped like `state`; None where there is none.

    Raises:
        InputError: the checkpoint belongs to a run with other data, options or key.
        ArtefactError: the file cannot be read.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    leaves, treedef = jax.tree.flatten(state)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            if metadata["identity"] != identity:
                raise InputError(
                    f"{path} belongs to a run with other data, options or key; resume that one or delete it."
                )
            arrays = [file.get_tensor(str(i)) for i in range(len(leaves))]
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path} cannot be read ({error}); delete it to start again.") from error
    return jax.tree.unflatten(treedef, arrays), json.loads(metadata["progress"])


def identity_of(*parts: Any) -> str:
    """A digest of arrays and plain values: what must be equal for a run to continue another."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(parts):
        value = np.asarray(leaf)
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
