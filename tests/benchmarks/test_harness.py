"""The harness: ratios of known sleeps, alternation, limits, failures, and what it writes."""

import importlib.util
import json
import sys
import time
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "benchmark_harness", Path(__file__).parents[2] / "benchmarks" / "harness.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
harness = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = harness
_SPEC.loader.exec_module(harness)

Variant, Command = harness.Variant, harness.Command


def test_the_ratio_of_two_sleeps_is_found_and_written(tmp_path, capsys):
    slow = Variant("peer", lambda: time.sleep(0.06), units=10, size={"parameters": 7})
    record = harness.compare(
        "sleep", [Variant("ours", lambda: time.sleep(0.02), units=10), slow], repeats=3, results=tmp_path
    )
    assert record["rows"][0]["ratio"] == 1
    assert 1.5 < record["rows"][1]["ratio"] < 4.5  # three, on a machine that does other things too
    assert record["rows"][1]["per_second"] == pytest.approx(10 / record["rows"][1]["median_s"])
    assert json.loads((tmp_path / "sleep.json").read_text())["rows"] == record["rows"]
    assert record["machine"]["versions"]["jax"]
    assert len(record["machine"]["load_average"]) == 3
    printed = capsys.readouterr().out
    assert "peer" in printed
    assert "parameters" in printed


def test_variants_take_turns_in_alternating_order():
    calls = []
    variants = [Variant(name, lambda name=name: calls.append(name)) for name in "abc"]
    harness.compare("turns", variants, repeats=2, results=None, quiet=True)
    assert "".join(calls) == "abccbaabc"


def test_a_slow_variant_stops_at_its_limit_and_a_failing_one_says_why(capsys):
    def broken():
        raise ValueError("no such layer")

    rows = harness.compare(
        "limits",
        [
            Variant("quick", lambda: None),
            Variant("slow", lambda: time.sleep(0.05), limit_s=0.12),
            Variant("broken", broken),
        ],
        repeats=8,
        results=None,
    )["rows"]
    assert [row["n"] for row in rows] == [8, 2, 0]
    assert rows[2]["failed"] == "ValueError: no such layer"
    assert "no such layer" in capsys.readouterr().out


def test_a_command_measures_itself_in_its_own_process():
    commands = [
        Command("own process", "import os; print('starting'); print(0.25)"),
        Command("hangs", "import time; time.sleep(60)", limit_s=0.5),
        Command("fails", "raise SystemExit('no torch here')"),
    ]
    rows = harness.compare("commands", commands, repeats=1, results=None, quiet=True)["rows"]
    assert rows[0]["median_s"] == 0.25
    assert rows[1]["failed"].startswith("TimeoutExpired")
    assert rows[2]["failed"] == "RuntimeError: no torch here"
