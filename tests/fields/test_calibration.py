"""Simulation-based calibration: the benchmark's own program, on as many fields as it quotes."""

import importlib.util
from pathlib import Path

import jax
import pytest

N = 200


@pytest.mark.slow
def test_ranks_are_flat_and_intervals_cover():
    path = Path(__file__).parents[2] / "benchmarks" / "sky_calibration.py"
    spec = importlib.util.spec_from_file_location("sky_calibration", path)
    assert spec is not None
    assert spec.loader is not None
    calibration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(calibration)
    runs = [calibration.ranked(jax.random.fold_in(jax.random.key(11), i)) for i in range(N)]
    for name, found in calibration.summary(runs)["hmc"].items():
        assert 0.86 <= found["coverage_90"][0] <= 0.94, (name, found)
        assert found["p_flat"] > 1e-3, (name, found)
