"""Every option of the sky system; the command line reads this file, so it imports no jax."""

import dataclasses
from pathlib import Path

from jaxastro.options import Common, option

TITLE = "Bayesian multi-band sky: diffuse, point and extended emission, separated by latent-space tension"

CITATION = """\
@article{guardiani2025tension,
  author  = {Guardiani, M. and Eberle, V. and Westerkamp, M. and R{\\"u}stig, J. and Frank, P. and En{\\ss}lin, T.},
  title   = {Latent-space field tension for astrophysical component detection},
  journal = {Astronomy \\& Astrophysics}, volume = {703}, pages = {A203}, year = {2025},
  doi     = {10.1051/0004-6361/202556103}, eprint = {2506.20758}, archivePrefix = {arXiv}
}
@article{knollmuller2019mgvi,
  author  = {Knollm{\\"u}ller, J. and En{\\ss}lin, T. A.},
  title   = {Metric Gaussian Variational Inference},
  year    = {2019}, eprint = {1901.11033}, archivePrefix = {arXiv}
}
@article{frank2021geovi,
  author  = {Frank, P. and Leike, R. and En{\\ss}lin, T. A.},
  title   = {Geometric Variational Inference},
  journal = {Entropy}, volume = {23}, pages = {853}, year = {2021}, doi = {10.3390/e23070853}
}
@article{arras2022m87,
  author  = {Arras, P. and Frank, P. and Haim, P. and Knollm{\\"u}ller, J. and Leike, R. and Reinecke, M. and
             En{\\ss}lin, T.},
  title   = {Variable structures in M87* from space, time and frequency resolved interferometry},
  journal = {Nature Astronomy}, volume = {6}, pages = {259}, year = {2022}, doi = {10.1038/s41550-021-01548-0}
}
@article{phan2019numpyro,
  author  = {Phan, D. and Pradhan, N. and Jankowiak, M.},
  title   = {Composable Effects for Flexible and Accelerated Probabilistic Programming in NumPyro},
  year    = {2019}, eprint = {1912.11554}, archivePrefix = {arXiv}
}
"""


@dataclasses.dataclass(frozen=True)
class Simulate(Common):
    """A field with known truth: log-normal diffuse emission, points and one extended source in several bands."""

    size: int = option(64, "pixels on a side", least=1)
    energies: tuple[float, ...] = option((0.45, 1.41, 3.0), "band energies [keV]; the middle one is the reference")
    points: int = option(8, "number of point sources, log-spaced in flux", least=0)
    extended: int = option(1, "number of extended sources (elliptical beta models)", least=0)
    faintest: float = option(20.0, "flux of the faintest point [diffuse level per pixel]")
    brightest: float = option(600.0, "flux of the brightest point [diffuse level per pixel]")
    level: float = option(5e-4, "diffuse flux per pixel at the reference band [1/s]")
    seed: int = option(0, "seed of the field and of its noise")


@dataclasses.dataclass(frozen=True)
class Data(Common):
    """How DATA is read. DATA is one of:

    - an npz file with `counts` and `psf` (optional: `exposure`, `background`, `energy_keV`), axes (band, y, x);
    - a FITS counts image or cube, with the options below naming what belongs to it;
    - a directory of FITS files, told apart by `exp`, `psf`, `back`/`bkg` in their names, several observations by
      what is left of the name;
    - a TOML file with one [[observation]] table each of: counts, exposure, psf, psf_sigma, background, area.
    """

    exposure: str | None = option(None, "exposure: a FITS image or cube, a number, or a header keyword of the counts")
    psf: str | None = option(None, "PSF: a FITS image, cube or gtpsf table")
    psf_sigma: float | None = option(None, "Gaussian PSF width [pixel], where there is no PSF file")
    background: str | None = option(None, "expected background: a FITS file, counts per pixel, or `none` to ignore it")
    area: float | None = option(None, "effective area [cm2], where the exposure is a time")
    energies: tuple[float, ...] = option((), "band energies [keV] where the files name none")
    bands: int = option(4, "merge a cube into at most this many bands of similar counts", least=1)
    crop: tuple[int, ...] = option((), "use only the pixels y0 y1 x0 x1")


@dataclasses.dataclass(frozen=True)
class Check(Data):
    """What would be read from DATA, and what was repaired or is wrong."""


@dataclasses.dataclass(frozen=True)
class Train(Data):
    """Fit the diffuse sky, insert sources where its latents are in tension, repeat until none is left."""

    seed: int = option(0, "seed of everything random")
    threshold: float = option(4.6, "tension at which a source is inserted [robust sigma]")
    point_threshold: float = option(4.5, "significance of a missing point at which one is inserted [sigma]")
    keep: float = option(2.5, "significance below which an inserted source is removed again [sigma]")
    sources: int = option(32, "slots for point sources", least=0)
    extended: int = option(4, "slots for extended sources", least=0)
    rounds: int = option(5, "rounds of insertion at most", least=0)
    catalogue: Path | None = option(None, "start from these sources (a table with ra, dec or y, x)")
    resume: Path | None = option(None, "start from the posterior of this run")
    held_out: float = option(0.0, "fraction of the counts kept out by binomial thinning, scored by `evaluate`")
    engine: str = option("geovi", "inference engine", choices=("mgvi", "geovi"))
    iterations: int = option(
        8, "iterations of the first fit; half as many in later ones, twice as many in the last", least=1
    )
    pairs: int = option(2, "antithetic pairs of samples in the iterations", least=1)
    draws: int = option(32, "posterior draws kept (even)", least=2)
    padding: float = option(1.125, "size of the modelled sky in fields; the margin takes flux from outside")
    fluctuations: tuple[float, ...] = option((0.8, 0.4), "prior mean and std of the diffuse ln-flux fluctuations")
    slope: tuple[float, ...] = option((-4.0, 0.5), "prior mean and std of the diffuse power-spectrum slope")
    flexibility: tuple[float, ...] = option(
        (0.5, 0.2), "prior mean and std of the power spectrum's departure from a line"
    )
    index: tuple[float, ...] = option(
        (), "prior mean and std of the diffuse spectral index; default: that of all counts, 0.5"
    )
    index_fluctuations: tuple[float, ...] = option((0.3, 0.15), "prior mean and std of the index's fluctuations")
    deviations: tuple[float, ...] = option((), "prior mean and std of departures from power laws per ln energy, if any")
    source_index: tuple[float, ...] = option(
        (), "prior mean and std of sources' indices; default: 0.3 below the sky's, 0.7"
    )
    figures: bool = option(True, "draw the figures")


@dataclasses.dataclass(frozen=True)
class Evaluate(Common):
    """Scores of a run against the truth in a mock file, a catalogue, or the counts that were held out."""

    catalogue: Path | None = option(None, "a table of known sources (ra, dec or y, x)")
    radius: float = option(1.5, "largest distance of a match [pixel]")
    seed: int = option(0, "seed of the posterior predictive draws")


@dataclasses.dataclass(frozen=True)
class Predict(Common):
    """The catalogue of sources as a table."""


@dataclasses.dataclass(frozen=True)
class Explain(Common):
    """Figures of data, model, residual and tension, before and after insertion."""


VERBS: dict[str, type] = {
    "simulate": Simulate,
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "explain": Explain,
    "check": Check,
}
