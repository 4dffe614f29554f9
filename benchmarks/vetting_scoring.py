"""Seconds to score 14,858 signals with ten members of a run, file reading apart.

    python benchmarks/vetting_scoring.py RUN DATA.npz

Writes results/vetting_scoring.json. The first call includes compilation.
"""

import sys
from pathlib import Path

from harness import Variant, compare

import jaxastro
from jaxastro.systems.vetting.readers import read


def main(run: Path, data: Path) -> None:
    vetter = jaxastro.load(run)
    signals = read(data)
    members = vetter.members.tokens.shape[0]
    size = {"signals": len(signals), "members": members}
    variant = Variant(f"{members} members", lambda: vetter.score(signals).p, units=len(signals), size=size)
    compare("vetting_scoring", [variant], repeats=5, notes="views and scalars to calibrated probabilities")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
