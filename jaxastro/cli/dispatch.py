"""From a parsed call to the system's function and back to the user."""

import importlib
import os
from pathlib import Path
from typing import Any

from jaxastro.cli.arguments import Call, Verb, parse
from jaxastro.cli.show import show_report, show_table
from jaxastro.report import Report


def run(verb: Verb, words: list[str]) -> None:
    """Do what `words`, those after the verb, ask for, and show the result."""
    call = parse(verb, words)
    if call.output is not None:
        from jaxastro.io import refuse_existing

        refuse_existing(call.output, overwrite=call.options.overwrite)
        if verb.output == "optional":
            _format(call.output)
    _use_devices(call.devices)
    function = getattr(importlib.import_module(f"jaxastro.systems.{call.system}.system"), verb.name)
    result = function(*_positional(verb, call), call.options)
    if isinstance(result, Report):
        show_report(result, as_json=call.json)
    elif call.output is not None:
        _write(result, call)
        show_report(Report(f"{len(result)} rows", files=[call.output]), as_json=call.json)
    else:
        show_table(result, as_json=call.json)


def _positional(verb: Verb, call: Call) -> list[Any]:
    values: list[Any] = [Path(call.target)] if verb.target == "RUN" else []
    if verb.data != "none":
        values.append(call.data)
    if verb.output == "required":
        values.append(call.output)
    return values


def _write(table: Any, call: Call) -> None:
    from jaxastro.io import atomic_path

    assert call.output is not None
    with atomic_path(call.output) as temporary:
        table.write(temporary, format=_format(call.output), overwrite=True)


def _format(output: Path) -> str:
    """The format of a table that is written to a file of this name; only verbs with an optional output write one."""
    from jaxastro.errors import InputError

    formats = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits"}
    if output.suffix not in formats:
        raise InputError(f"{output} has no known table suffix; expected one of {', '.join(formats)}.")
    return formats[output.suffix]


def _use_devices(count: int | None) -> None:
    """One virtual CPU device per core, so that members and chunks run side by side; must precede the first jax use."""
    import jax

    if "JAX_NUM_CPU_DEVICES" not in os.environ or count is not None:
        jax.config.update("jax_num_cpu_devices", count or len(os.sched_getaffinity(0)))
