"""Options dataclasses as command-line arguments: types, help, defaults and a TOML file, without importing jax."""

import argparse
import dataclasses
import difflib
import importlib
import inspect
import json
import sys
import typing
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from jaxastro.errors import ArtefactError, InputError
from jaxastro.options import Common, build, chosen, element_type, read_toml
from jaxastro.systems.catalogue import SYSTEMS


class Verb(NamedTuple):
    """A verb that works on a system.

    Attributes:
        name: the word on the command line.
        help: what it does, in a line.
        target: "SYSTEM" or "RUN" (a model directory), the word after the verb.
        data: "required", "optional" or "none".
        output: "required", "optional" or "none".
    """

    name: str
    help: str
    target: str = "RUN"
    data: str = "required"
    output: str = "none"


class Call(NamedTuple):
    """What the user asked for."""

    system: str
    target: str
    data: Path | None
    output: Path | None
    json: bool
    debug: bool
    devices: int | None
    options: Any


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, with the nearest option where one was misspelt."""

    def __init__(self, **settings: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def parse_all(self, words: list[str]) -> argparse.Namespace:
        namespace, unknown = self.parse_known_args(words)
        if unknown:
            near = difflib.get_close_matches(unknown[0].split("=")[0], self._option_string_actions, n=1)
            self.error(f"'{unknown[0]}' is not understood" + (f"; did you mean {near[0]}" if near else ""))
        return namespace

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see {self.prog} --help.\n")


def parse(verb: Verb, words: list[str]) -> Call:
    """The call that `words`, what follows the verb, describe; exits with help or a usage sentence otherwise."""
    prog = f"jaxastro {verb.name}"
    if not words or words[0] in ("-h", "--help"):
        print(_overview(verb, prog))
        sys.exit(0 if words else 2)
    target = words[0]
    if target.startswith("-"):
        Parser(prog=prog).error(f"{verb.target} comes right after '{verb.name}', found '{target}'")
    system = _known(target, prog) if verb.target == "SYSTEM" else _system_of(Path(target))
    verbs = importlib.import_module(f"jaxastro.systems.{system}.config").VERBS
    if verb.name not in verbs:
        Parser(prog=prog).error(f"{system} has no verb '{verb.name}'; it has {', '.join(verbs)}")
    kind = verbs[verb.name]
    parser = _parser(verb, f"{prog} {target}", kind)
    given = vars(parser.parse_all(words[1:]))
    fixed = {name: given.pop(name, None) for name in ("data", "output", "json", "debug", "config", "devices")}
    values = read_toml(Path(fixed["config"])) if fixed["config"] else {}
    options = build(kind, {**values, **given})
    data, output = (None if fixed[name] is None else Path(fixed[name]) for name in ("data", "output"))
    if data is not None and not data.exists():
        raise InputError(f"{data} does not exist; give an existing file or folder.")
    return Call(
        system=system,
        target=target,
        data=data,
        output=output,
        json=bool(fixed["json"]),
        debug=bool(fixed["debug"]),
        devices=fixed["devices"],
        options=options,
    )


def _parser(verb: Verb, prog: str, kind: type) -> Parser:
    parser = Parser(prog=prog, description=_description(verb, kind))
    if verb.data != "none":
        parser.add_argument(
            "data", nargs="?" if verb.data == "optional" else None, metavar="DATA", help="file or folder"
        )
    if verb.output != "none":
        required = verb.output == "required"
        parser.add_argument("-o", "--output", required=required, metavar="PATH", help="where to write")
    parser.add_argument("--config", metavar="TOML", help="file of options; those given here rule")
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(
        "--devices", type=int, metavar="N", help="CPU devices to share the work (default: one per core)"
    )
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        _add(parser, field, hints[field.name])
    return parser


def _description(verb: Verb, kind: type) -> str:
    """The docstrings of the options dataclass and of those it extends, most specific first."""
    classes = [c for c in kind.__mro__ if dataclasses.is_dataclass(c) and c is not Common]
    return "\n\n".join(inspect.cleandoc(c.__doc__) for c in classes if c.__doc__) or verb.help


def _add(parser: Parser, field: dataclasses.Field, hint: Any) -> None:
    flags = [field.metadata["short"]] if field.metadata["short"] else []
    flags.append("--" + field.name.replace("_", "-"))
    shown = _shown(field.default)
    settings: dict[str, Any] = {
        "dest": field.name,
        "default": argparse.SUPPRESS,
        "help": (field.metadata["help"] + (f" (default: {shown})" if shown else "")).replace("%", "%%"),
    }
    kind, many, _ = element_type(hint)
    if kind is bool:
        action = argparse.BooleanOptionalAction if field.default else "store_true"
        parser.add_argument(*flags, action=action, **settings)
        return
    settings["metavar"] = {int: "N", float: "X", str: "WORD", Path: "PATH"}[kind]
    choices = field.metadata["choices"]
    if choices:
        settings |= {"choices": choices, "metavar": None}
    if many:
        parser.add_argument(*flags, nargs="+", action=_Listed, kind=kind, **settings)
    else:
        parser.add_argument(*flags, type=(lambda word: chosen(word, choices)) if choices else kind, **settings)


class _Listed(argparse.Action):
    """Several values, separated by spaces or commas, as a tuple."""

    def __init__(self, option_strings: list[str], dest: str, kind: type, **settings: Any):
        super().__init__(option_strings, dest, **settings)
        self.kind = kind

    def __call__(self, parser, namespace, values, option_string=None):
        words = [w.strip() for value in typing.cast(list, values) for w in value.split(",") if w.strip()]
        try:
            setattr(namespace, self.dest, tuple(self.kind(w) for w in words))
        except ValueError:
            parser.error(f"{option_string} expects {self.kind.__name__} values, found {' '.join(words)!r}")


def _shown(default: Any) -> str:
    if default is None or default is dataclasses.MISSING or default == () or isinstance(default, bool):
        return ""
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _known(name: str, prog: str) -> str:
    if name not in SYSTEMS:
        near = difflib.get_close_matches(name, SYSTEMS, n=1)
        Parser(prog=prog).error(f"'{name}' is no system" + (f"; did you mean {near[0]}" if near else ""))
    if not SYSTEMS[name].ready:
        Parser(prog=prog).error(f"'{name}' is planned and not there yet; ready are {', '.join(_ready())}")
    return name


def _system_of(run: Path) -> str:
    try:
        return json.loads((run / "card.json").read_text())["system"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{run} is not a model directory with a readable card.json; give the directory that train wrote."
        raise ArtefactError(message) from error


def _ready() -> list[str]:
    return [name for name, entry in SYSTEMS.items() if entry.ready]


def _overview(verb: Verb, prog: str) -> str:
    data = {"required": " DATA", "optional": " [DATA]", "none": ""}[verb.data]
    output = {"required": " -o PATH", "optional": " [-o PATH]", "none": ""}[verb.output]
    lines = [f"usage: {prog} {verb.target}{data}{output} [options]", "", verb.help, ""]
    if verb.target == "SYSTEM":
        lines += [f"All options: {prog} SYSTEM --help. Systems:"]
        lines += [f"  {name:18} {SYSTEMS[name].title}" for name in _ready()]
    else:
        lines += [f"RUN is a directory that train wrote. All options: {prog} RUN --help."]
    return "\n".join(lines)
