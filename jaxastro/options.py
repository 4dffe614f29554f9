"""Options as frozen dataclasses: the command line, a TOML file and Python all fill the same fields. No jax import."""

import dataclasses
import difflib
import numbers
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxastro.errors import InputError

T = TypeVar("T")


def option(
    default: Any, help: str, *, short: str | None = None, choices: tuple = (), least: int | float | None = None
) -> Any:
    """A dataclass field that the command line shows as `--name`, with its help, short flag, choices and least value."""
    return dataclasses.field(
        default=default, metadata={"help": help, "short": short, "choices": choices, "least": least}
    )


@dataclasses.dataclass(frozen=True)
class Common:
    """Options that every verb of every system has.

    Raises:
        InputError: a value is of another type than its field, none of its choices, or below its least.
    """

    quiet: bool = option(False, "show no progress")
    overwrite: bool = option(False, "replace an existing output")

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, hints[field.name], getattr(self, field.name)))


def element_type(hint: Any) -> tuple[type, bool, bool]:
    """The type of a field's values, whether it takes several of them, and whether it may be None."""
    optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if optional:
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True, optional
    return hint, False, optional


def chosen(word: str, choices: tuple) -> str:
    """The choice that a word means whatever its case, or the word itself."""
    return next((choice for choice in choices if choice.lower() == word.lower()), word)


def _checked(field: dataclasses.Field, hint: Any, value: Any) -> Any:
    kind, many, optional = element_type(hint)
    if value is None and optional:
        return None
    if many:
        values = value if isinstance(value, tuple | list) else (value,)
        return tuple(_checked_one(field, kind, one) for one in values)
    return _checked_one(field, kind, value)


def _checked_one(field: dataclasses.Field, kind: type, value: Any) -> Any:
    choices, least = field.metadata.get("choices"), field.metadata.get("least")
    accepted, name = _ACCEPTED[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"Option '{field.name}' is {value!r}; expected {name}.")
    value = kind(value)
    if choices and (value := chosen(value, choices)) not in choices:
        raise InputError(f"Option '{field.name}' is '{value}'; choose from {', '.join(choices)}.")
    if least is not None and not value >= least:
        raise InputError(f"Option '{field.name}' is {value}; it must be at least {least:g}.")
    return value


_ACCEPTED = {
    bool: (bool, "true or false"),
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: ((str, Path, numbers.Real), "text"),
    Path: ((str, Path), "a path"),
}


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """An options dataclass from a mapping of field names; lists become tuples.

    Raises:
        InputError: a name is not a field of `kind` (the nearest field is suggested), or a value does not fit its field.
    """
    names = [f.name for f in dataclasses.fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(names)}."
            raise InputError(f"Option '{name}' does not exist for {kind.__name__.lower()}; {hint}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


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
