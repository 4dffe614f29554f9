"""Every option of the planetary-systems system; the command line reads this file, so it imports no jax."""

import dataclasses
from pathlib import Path

from jaxastro.options import Common, option

TITLE = "Planetary systems: generate, score and complete them with an exact density over whole systems"

CITATION = """\
@article{alibert2025transformer,
  author  = {Alibert, Y. and Davoult, J. and Marques, S.},
  title   = {Transformer generative model for planetary systems},
  journal = {Astronomy \\& Astrophysics}, volume = {701}, pages = {A149}, year = {2025},
  doi     = {10.1051/0004-6361/202452297}, eprint = {2509.07226}, archivePrefix = {arXiv}
}
@article{emsenhuber2021ngpps,
  author  = {Emsenhuber, A. and Mordasini, C. and Burn, R. and Alibert, Y. and Benz, W. and Asphaug, E.},
  title   = {The New Generation Planetary Population Synthesis (NGPPS). I. Bern global model},
  journal = {Astronomy \\& Astrophysics}, volume = {656}, pages = {A69}, year = {2021},
  doi     = {10.1051/0004-6361/202038553}, eprint = {2007.05561}, archivePrefix = {arXiv}
}
@inproceedings{vaswani2017attention,
  author    = {Vaswani, A. and others},
  title     = {Attention Is All You Need},
  booktitle = {Advances in Neural Information Processing Systems}, year = {2017},
  eprint    = {1706.03762}, archivePrefix = {arXiv}
}
@inproceedings{lopezpaz2017c2st,
  author    = {Lopez-Paz, D. and Oquab, M.},
  title     = {Revisiting Classifier Two-Sample Tests},
  booktitle = {International Conference on Learning Representations}, year = {2017},
  eprint    = {1610.06545}, archivePrefix = {arXiv}
}
"""


@dataclasses.dataclass(frozen=True)
class Simulate(Common):
    """Systems of PodSim, whose density is known in closed form: planets like peas in a pod."""

    n: int = option(2000, "number of systems", short="-n", least=1)
    seed: int = option(0, "seed")


@dataclasses.dataclass(frozen=True)
class Data(Common):
    """How DATA is read: one row per planet with the name or number of its system, semi-major axis (or period and
    stellar mass), mass and radius, under the names of the NASA archive, the Bern model or the Open Exoplanet Catalogue.
    """

    discs: Path | None = option(None, "disc properties by number of the system (NGPPS_variables.txt)")
    a_unit: str | None = option(None, "unit of the semi-major axis where the header does not say it")
    period_unit: str | None = option(None, "unit of the period where the header does not say it")
    mass_unit: str | None = option(None, "unit of the masses where the header does not say it")
    radius_unit: str | None = option(None, "unit of the radii where the header does not say it")
    split: str | None = option(None, "use only the rows of this split, where DATA has a column `split`")


@dataclasses.dataclass(frozen=True)
class Check(Data):
    """What was understood of DATA, and what was left out and why."""


@dataclasses.dataclass(frozen=True)
class Train(Data):
    """The configuration of a training run."""

    preset: str = option("default", "continuous density, or the published grid of cells", choices=("default", "paper"))
    simulated: int = option(2000, "PodSim systems to train on where DATA is omitted", least=1)
    width: int = option(64, "channels of the transformer", least=1)
    layers: int = option(2, "attention layers", least=1)
    heads: int = option(4, "attention heads", least=1)
    components: int = option(12, "components of each mixture (default preset)", least=1)
    cells: int = option(30, "cells along each axis of the grid (paper preset)", least=1)
    mass_edge: float = option(0.1, "mass [Earth] at which the training systems end sharply; 0 where they do not")
    dropout: float = option(0.2, "probability that a channel of a layer's output is zeroed")
    radius_weight: float = option(0.5, "weight of the radii in the loss; places and masses have 1")
    members: int = option(3, "networks whose mean is the density", least=1)
    folds: int = option(4, "folds of the out-of-fold score (0: train the final model only)", least=0)
    epochs: int = option(60, "passes over the training systems, at most", least=1)
    patience: int = option(20, "epochs without improvement after which a network stops", least=1)
    batch_size: int = option(32, "systems per step", least=1)
    learning_rate: float = option(2e-3, "peak learning rate")
    weight_decay: float = option(0.1, "decoupled weight decay")
    ema: float = option(0.99, "decay per step of the averaged weights")
    compare: int = option(200, "systems on each side of the two-sample tests", least=1)
    seed: int = option(0, "seed of weights, shuffling, folds' inner splits and samples")


@dataclasses.dataclass(frozen=True)
class Evaluate(Data):
    """Exact density and two-sample tests of a model on DATA."""

    compare: int = option(200, "systems on each side of the two-sample tests", least=1)
    seed: int = option(0, "seed of the generated systems")


@dataclasses.dataclass(frozen=True)
class Predict(Data):
    """Log density of each system of DATA, and its most surprising planet."""


@dataclasses.dataclass(frozen=True)
class Explain(Data):
    """Which known planet drives what is expected of a system."""

    host: str = option("", "star or planet; the first system with two planets where not given")
    n: int = option(1000, "systems drawn for each set of known planets", short="-n", least=1)
    seed: int = option(0, "seed of the draws")


@dataclasses.dataclass(frozen=True)
class Sample(Common):
    """Systems drawn from a model."""

    n: int = option(1000, "number of systems", short="-n", least=1)
    star_mass: float | None = option(None, "stellar mass [solar masses]")
    metallicity: float | None = option(None, "[Fe/H] [dex]")
    disc_mass: float | None = option(None, "gas mass of the disc [solar masses]")
    inner_edge: float | None = option(None, "inner edge of the disc [AU]")
    wind: float | None = option(None, "external photo-evaporation [solar masses / yr]")
    temperature: float = option(1.0, "below 1 prefers likely systems; anything but 1 biases the population")
    top_p: float = option(1.0, "keep only the likeliest choices with this probability; below 1 biases the population")
    seed: int = option(0, "seed")


@dataclasses.dataclass(frozen=True)
class Complete(Data):
    """The other planets of stars whose known planets are given in DATA: how many, where, how heavy."""

    host: str = option("", "star, planet or alias; every star of DATA where not given")
    known: str = option("", "letters of the planets that are taken as known, such as 'b'; all where not given")
    n: int = option(2000, "systems drawn per star", short="-n", least=1)
    survey: str = option(
        "none", "conclude from what this survey did not find (none: nothing)", choices=("none", "rv", "transit")
    )
    threshold: float = option(1.0, "radial-velocity amplitude [m/s] of which half is found")
    outer: float = option(5.0, "semi-major axis [AU] beyond which radial velocities find nothing")
    noise_ppm: float = option(60.0, "photometric noise in one hour [ppm]")
    days: float = option(27.0, "time that transits were looked for [day]")
    width: float = option(0.1, "range over which the survey's completeness rises [dex]; 0 is a sharp edge")
    use_star: bool = option(True, "use mass and metallicity of the star where the model was trained on them")
    draws: Path | None = option(None, "also write the posterior draws, one row per planet, to this ECSV file")
    figure: Path | None = option(None, "also draw the first star to this PNG file")
    seed: int = option(0, "seed of the draws")


VERBS: dict[str, type] = {
    "simulate": Simulate,
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "explain": Explain,
    "check": Check,
    "sample": Sample,
    "complete": Complete,
}
