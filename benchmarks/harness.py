"""Times jaxastro and a peer alternately on this machine and keeps medians, ratios, sizes and versions.

    from harness import Variant, compare

    compare("vetting_step", [Variant("jaxastro", ours, units=128), Variant("torch", theirs, units=128)])

A variant is a function without arguments, already compiled or not: its first call is reported apart as `first_s`. It
must wait for its own result (`jax.block_until_ready`), or return it, which the harness then waits for. Only ratios of
one run are worth quoting: absolute times depend on the machine and on who else uses it.
"""

import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from jaxastro.io import atomic_path

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jaxastro", "jax", "jaxlib", "equinox", "flax", "numpy", "scikit-learn", "torch")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to do the same work.

    Attributes:
        name: as it stands in the table.
        run: does the work once and waits for it, or returns arrays that are waited for.
        units: how many units of work one call does (examples, samples), for a rate.
        size: numbers that belong to the row, from the same saved model (parameters, accuracy).
        limit_s: no further repeats once this variant has used so much time, its first call included.
    """

    name: str
    run: Callable[[], Any]
    units: float = 1
    size: dict[str, float] = dataclasses.field(default_factory=dict)
    limit_s: float = 60.0


@dataclasses.dataclass(frozen=True)
class Command:
    """A variant in a process of its own: `python -c code` prints the seconds of one timed repeat as its last line.

    For peers that cannot share a process (thread pools, global switches). Start-up and compilation do not count,
    because the code measures itself; `limit_s` ends a process that hangs.
    """

    name: str
    code: str
    units: float = 1
    size: dict[str, float] = dataclasses.field(default_factory=dict)
    limit_s: float = 60.0
    python: str = sys.executable


def compare(
    title: str,
    variants: Sequence[Variant | Command],
    *,
    repeats: int = 7,
    notes: str = "",
    results: Path | None = RESULTS,
    quiet: bool = False,
) -> dict[str, Any]:
    """Medians of alternating repeats as a record, which is printed as a table and written to `results/TITLE.json`.

    The variants take turns, in the opposite order every second round, so that a drift of the machine meets all alike.
    A variant that fails or passes its limit keeps what it has; the others go on.

    Args:
        title: name of the file and the table.
        variants: the first is the one that ratios refer to: `ratio` is a variant's median over the first's, so above 1
            means that the first is faster.
        repeats: timed calls of each variant, after one call that is not counted.
        notes: what the reader must know (threads, precision, batch).
        results: folder of the JSON file; None writes nothing.
        quiet: print no table.
    """
    load_before = os.getloadavg()
    first: dict[str, float] = {}
    times: dict[str, list[float]] = {v.name: [] for v in variants}
    failed: dict[str, str] = {}
    for turn in range(repeats + 1):
        for variant in variants[:: 1 if turn % 2 == 0 else -1]:
            spent = first.get(variant.name, 0.0) + sum(times[variant.name])
            if variant.name in failed or spent > variant.limit_s:
                continue
            try:
                seconds = _seconds(variant)
            except Exception as error:  # a peer may fail in any way; the row says how
                *_, last = str(error).strip().splitlines() or [""]
                failed[variant.name] = f"{type(error).__name__}: {last}"
                continue
            if turn == 0:
                first[variant.name] = seconds
            else:
                times[variant.name].append(seconds)
    rows = [_row(v, first.get(v.name), times[v.name], failed.get(v.name)) for v in variants]
    reference = rows[0]["median_s"]
    for row in rows:
        row["ratio"] = row["median_s"] / reference if row["median_s"] and reference else None
    record = {"title": title, "notes": notes, "rows": rows, "machine": machine(), "load_before": load_before}
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        with atomic_path(results / f"{title}.json") as path:
            path.write_text(json.dumps(record, indent=1) + "\n")
    if not quiet:
        print_table(record)
    return record


def machine() -> dict[str, Any]:
    """Processors, load average, device and versions: what a timing cannot be read without."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu_count": os.cpu_count(),
        "cpu": _processor(),
        "load_average": os.getloadavg(),
        "devices": sorted({d.device_kind for d in jax.devices()}),
        "python": platform.python_version(),
        "versions": versions,
    }


def print_table(record: dict[str, Any]) -> None:
    """The record as a table for people."""
    sizes = sorted({name for row in record["rows"] for name in row["size"]})
    columns = ["variant", "median", "spread", "ratio", "per second", "first call", "n", *sizes]
    found = record["machine"]
    caption = f"{found['cpu_count']} CPUs, load {found['load_average'][0]:.1f}, {', '.join(found['devices'])}"
    table = Table(title=record["title"], caption=f"{caption}. {record['notes']}".strip())
    for column in columns:
        table.add_column(column, justify="left" if column == "variant" else "right")
    for row in record["rows"]:
        if row["median_s"] is None:
            table.add_row(row["variant"], "failed" if row["failed"] else "over limit")
            continue
        table.add_row(
            row["variant"],
            _pretty(row["median_s"]),
            f"{_pretty(row['quartiles_s'][0])} - {_pretty(row['quartiles_s'][1])}",
            f"{row['ratio']:.2f}" if row["ratio"] else "-",
            f"{row['per_second']:.4g}",
            _pretty(row["first_s"]),
            str(row["n"]),
            *(f"{row['size'][name]:.6g}" if name in row["size"] else "" for name in sizes),
        )
    console = Console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)
    for row in record["rows"]:
        if row["failed"]:
            console.print(f"{row['variant']}: {row['failed']}", markup=False)


def _seconds(variant: Variant | Command) -> float:
    if isinstance(variant, Command):
        done = subprocess.run(
            [variant.python, "-c", variant.code], capture_output=True, text=True, timeout=variant.limit_s
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return float(done.stdout.split()[-1])
    start = time.perf_counter()
    jax.block_until_ready(variant.run())
    return time.perf_counter() - start


def _row(variant: Variant | Command, first: float | None, times: list[float], failed: str | None) -> dict[str, Any]:
    median = statistics.median(times) if times else None
    quartiles = statistics.quantiles(times, n=4, method="inclusive")[::2] if len(times) > 1 else [median, median]
    return {
        "variant": variant.name,
        "median_s": median,
        "quartiles_s": quartiles,
        "first_s": first,
        "n": len(times),
        "per_second": variant.units / median if median else None,
        "size": dict(variant.size),
        "failed": failed,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _pretty(seconds: float) -> str:
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
