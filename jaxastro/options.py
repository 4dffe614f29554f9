"""Options as frozen dataclasses: the command line, a TOML file and Python all fill the same fields. No jax import."""

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxastro.errors import InputError

T = TypeVar("T")


def option(default: Any, help: str, *, short: str | None = None, choices: tuple = ()) -> Any:
    """A dataclass field that the command line shows as `--name`, with its help, short flag and choices."""
    return dataclasses.field(default=default, metadata={"help": help, "short": short, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Common:
    """Options that every verb of every system has."""

    quiet: bool = option(False, "show no progress")
    overwrite: bool = option(False, "replace an existing output")


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """An options dataclass from a mapping of field names; lists become tuples.

    Raises:
        InputError: a name is not a field of `kind`; the nearest field is suggested.
    """
    names = [f.name for f in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(names)}."
            raise InputError(f"Option '{name}' does not exist for {kind.__name__.lower()}; {hint}")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def read_toml(path: Path) -> dict[str, Any]:
    """The options written in a TOML file, with `-` in names read as `_`.

    Raises:
        InputError: the file is absent or is not TOML.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: expected a readable TOML file of options, found: {error}.") from error
    return {name.replace("-", "_"): value for name, value in values.items()}
