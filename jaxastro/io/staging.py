"""Files and directories that appear whole or not at all: temporary name, fsync, rename."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jaxastro.errors import InputError


@contextlib.contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A temporary path beside `target` that replaces it when the block ends well, and vanishes when it does not.

    The suffixes of `target` are kept, so that libraries which choose a format by suffix still do.
    """
    target = Path(target)
    _require_parent(target)
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=f".{target.name}", dir=target.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def stage_directory(target: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary directory that becomes `target` when the block ends well, and vanishes when it does not.

    Raises:
        InputError: `target` exists and `overwrite` is off, or its parent does not exist.
    """
    target = Path(target)
    refuse_existing(target, overwrite=overwrite)
    _require_parent(target)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        for path in [*temporary.rglob("*"), temporary]:
            _sync(path)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            target.replace(old)
            temporary.replace(target)
            shutil.rmtree(old)
        else:
            temporary.replace(target)
        _sync(target.parent)
        shutil.rmtree(partial(target), ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def partial(target: str | Path) -> Path:
    """Where the checkpoints of an unfinished `target` are kept; gone once `stage_directory` finished it."""
    target = Path(target)
    return target.with_name(f"{target.name}.partial")


def refuse_existing(target: str | Path, *, overwrite: bool) -> None:
    """Refuse a target that exists unless it may be overwritten: called before any long work starts."""
    target = Path(target)
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    if target.exists() and not (overwrite and target.is_dir()):
        raise InputError(f"{target} exists already; choose another output or pass --overwrite.")


def _require_parent(target: Path) -> None:
    if not target.parent.is_dir():
        raise InputError(f"{target} cannot be written: the folder {target.parent} does not exist; create it first.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
