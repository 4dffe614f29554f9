"""Every option of the vetting system; the command line reads this file, so it imports no jax."""

import dataclasses
from pathlib import Path

from jaxastro.options import Common, option

TITLE = "Planet or false positive: calibrated, explained scores of transit signals"

CITATION = """\
@article{devora2025watson,
  author  = {D{\\'e}vora-Pajares, M. and Pozuelos, F. J. and Su{\\'a}rez, J. C. and
             Gonz{\\'a}lez-Penedo, M. and Dafonte, C.},
  title   = {WATSON-Net: vetting, validation, and analysis of transits from space observations with neural networks},
  year    = {2025}, eprint = {2511.08768}, archivePrefix = {arXiv}
}
@article{shallue2018astronet,
  author  = {Shallue, C. J. and Vanderburg, A.},
  title   = {Identifying Exoplanets with Deep Learning},
  journal = {The Astronomical Journal}, volume = {155}, pages = {94}, year = {2018}, doi = {10.3847/1538-3881/aa9e09}
}
@article{yu2019triage,
  author  = {Yu, L. and others},
  title   = {Identifying Exoplanets with Deep Learning. III. Automated Triage and Vetting of TESS Candidates},
  journal = {The Astronomical Journal}, volume = {158}, pages = {25}, year = {2019}, doi = {10.3847/1538-3881/ab21d6}
}
@inproceedings{kull2017beta,
  author    = {Kull, M. and Silva Filho, T. and Flach, P.},
  title     = {Beta calibration: a well-founded and easily implemented improvement on logistic calibration},
  booktitle = {AISTATS}, volume = {54}, pages = {623}, year = {2017}
}
@incollection{shapley1953,
  author = {Shapley, L. S.}, title = {A value for n-person games},
  booktitle = {Contributions to the Theory of Games II}, publisher = {Princeton University Press}, year = {1953}
}
"""


@dataclasses.dataclass(frozen=True)
class Simulate(Common):
    """Transit signals with known truth: planets, eclipsing binaries, blends and variable stars, as an npz of views."""

    signals: int = option(2000, "number of signals", least=1)
    seed: int = option(0, "seed of the simulation")


@dataclasses.dataclass(frozen=True)
class Data(Common):
    """DATA is an npz of folded views, a TFRecord shard or a folder of shards, or a table of candidates (CSV, ECSV)."""

    table: Path | None = option(None, "join the scalars of this archive table by object and planet number")
    light_curves: Path | None = option(None, "folder of light curves (FITS, CSV) of the candidates in DATA")
    split: str | None = option(None, "use only the rows of this split, where DATA has a column `split`")
    label_column: str | None = option(None, "column that holds the label (default: the one the format is known for)")
    group_column: str | None = option(None, "column that folds and intervals keep together (default: the star)")
    duration_unit: str = option("auto", "unit of durations", choices=("auto", "hours", "days", "minutes"))
    time_system: str = option("auto", "of epochs and light curves", choices=("auto", "bjd", "bkjd", "btjd"))


@dataclasses.dataclass(frozen=True)
class Train(Data):
    """Train an ensemble on star-grouped folds, calibrate it on what each member held out, and write a run directory."""

    positive: tuple[str, ...] = option((), "labels that count as positive (default: those that mean a planet)")
    preset: str = option("default", "network", choices=("default", "astronet", "watson"))
    members: int = option(10, "members of the ensemble, each quoted on its own fold (or: of each outer fold)", least=1)
    outer_folds: int = option(
        0, "folds for the quoted scores, with so many members each (0: as many as members)", least=0
    )
    use: str = option("all", "inputs", choices=("all", "views", "scalars"))
    global_bins: int = option(301, "average the global view down to so many bins where it has more", least=1)
    epochs: int = option(20, "passes over the training rows", least=1)
    batch_size: int = option(128, "signals per step", least=1)
    learning_rate: float = option(2e-3, "peak of the cosine schedule", least=0)
    weight_decay: float = option(1e-3, "of AdamW", least=0)
    average: float = option(0.998, "decay per step of the moving average of the weights (0: none)", least=0)
    width: int = option(64, "length of a branch's vector", least=1)
    hidden: int = option(128, "units of the fusion layers", least=1)
    dropout: float = option(0.2, "probability of dropping a unit before a dense layer of the fusion", least=0)
    branch_dropout: float = option(0.1, "probability that an example loses a branch in training", least=0)
    label_weight: float = option(1.0, "of telling labels apart on the same side, against positive or not (1)", least=0)
    flip: bool = option(True, "reverse the time of half of the training views")
    noise: float = option(0.0, "white noise added to training views [depth]", least=0)
    calibration: str = option("beta", "calibrator", choices=("temperature", "platt", "beta", "isotonic"))
    signals: int = option(1000, "simulated signals, where DATA is left away", least=1)
    baseline: bool = option(True, "also fit boosted trees on the same folds")
    seed: int = option(0, "seed of folds, weights, order and dropout")


@dataclasses.dataclass(frozen=True)
class Evaluate(Data):
    """Score a run on labelled DATA beside boosted trees fitted on those rows of DATA that the run was trained on."""

    positive: tuple[str, ...] = option((), "labels that count as positive (default: those of the run)")
    planet_fraction: float | None = option(None, "fraction of positives in the user's population")
    baseline: bool = option(True, "fit boosted trees on the training rows found in DATA")
    resamples: int = option(1000, "bootstrap resamples of the intervals, by star", least=20)


@dataclasses.dataclass(frozen=True)
class Predict(Data):
    """A calibrated probability, its spread over the ensemble and a decision class for every row of DATA, or one star.

    For one star DATA is a light curve (FITS or CSV, or a folder of them) and the ephemeris is given here.
    """

    period: float | None = option(None, "orbital period [day] of a signal in one light curve")
    t0: float | None = option(None, "centre of one transit, in the time system of the light curve")
    duration: float | None = option(None, "transit duration [hour, or --duration-unit]")
    period_error: float = option(0.0, "standard error of --period [day]; adds p_ephemeris_std", least=0)
    t0_error: float = option(0.0, "standard error of --t0 [day]", least=0)
    planet_fraction: float | None = option(None, "fraction of positives in the user's population")
    coverage: float | None = option(None, "add the label set that holds the true label with this probability")


@dataclasses.dataclass(frozen=True)
class Explain(Predict):
    """Branch contributions of every row as a ranked table, and a one-page report of each of the first ones."""

    pages: int = option(5, "report pages, of the highest-ranked rows", least=0)
    format: str = option("png", "of the pages", choices=("png", "pdf"))


@dataclasses.dataclass(frozen=True)
class Check(Data):
    """What was understood of DATA, and which rows cannot be scored."""


VERBS: dict[str, type] = {
    "simulate": Simulate,
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "explain": Explain,
    "check": Check,
}
