"""`load`: a model directory back as the callable it was, with its preprocessing."""

import importlib
from pathlib import Path
from typing import Any

from jaxastro.io import read_card, read_model


def load(run: str | Path) -> Any:
    """The trained model of `run`, a directory that `train` wrote: a callable pytree with its preprocessing inside.

    Raises:
        ArtefactError: `run` is not a model directory, is damaged, or was written by a newer version.
    """
    card = read_card(run)
    system = importlib.import_module(f"jaxastro.systems.{card['system']}.system")
    return read_model(run, system.restore(card))
