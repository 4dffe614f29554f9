"""On simulated signals whose guilt sits in one branch, hiding that branch is what changes the score."""

import numpy as np
import pytest

from jaxastro.systems.vetting import config
from jaxastro.systems.vetting.pages import contributions
from jaxastro.systems.vetting.simulate import simulated_signals
from jaxastro.systems.vetting.training import train_ensemble

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vetter():
    options = config.Train(members=2, epochs=25, use="views", quiet=True)
    return train_ensemble(simulated_signals(2500, seed=1), options).vetter


@pytest.mark.parametrize(
    ("kind", "guilty"), [("secondary", "secondary"), ("odd_even", "odd_even"), ("blend", "centroid")]
)
def test_the_guilty_branch_speaks_loudest_against_a_planet(vetter, kind, guilty):
    signals = simulated_signals(200, seed=99, kinds=(kind,))
    parts = contributions(vetter, signals)
    loudest = np.array(vetter.members.branches)[np.argmin(parts, axis=1)]
    assert np.mean(loudest == guilty) >= 0.9
