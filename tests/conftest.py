"""What all tests share: real data where it is, traces counted, the command line in a subprocess."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data that JAXASTRO_DATA names."""
    folder = os.environ.get("JAXASTRO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("JAXASTRO_DATA does not name a folder of real data")
    return Path(folder)


@pytest.fixture
def count_traces():
    """`count_traces(f)` is `f` counting in `count_traces.n` how often jax traces it."""

    def wrap(function):
        def counted(*args):
            wrap.n += 1
            return function(*args)

        return counted

    wrap.n = 0
    return wrap


@pytest.fixture
def command(tmp_path):
    """`command("train", ...)` runs the command line in a fresh process inside `tmp_path`."""

    def run(*words, timeout=300, **environment):
        return subprocess.run(
            [sys.executable, "-m", "jaxastro.cli.main", *map(str, words)],
            capture_output=True, text=True, timeout=timeout, cwd=tmp_path, env={**os.environ, **environment},
        )  # fmt: skip

    return run
