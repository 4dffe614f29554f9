"""The ten systems: what each does and the paper behind it. No jax import."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One system.

    Attributes:
        title: what it does, in a line.
        reference: the paper it rebuilds.
        ready: False while it is only planned.
    """

    title: str
    reference: str
    ready: bool = False


SYSTEMS = {
    "vetting": Entry(
        "planet or false positive: calibrated, explained scores of transit signals",
        "Dévora-Pajares et al. 2025, arXiv:2511.08768",
        ready=True,
    ),
    "radio_galaxies": Entry(
        "E(2)-equivariant classifier of radio-galaxy morphologies", "Hossain et al. 2025, arXiv:2510.22190"
    ),
    "xray_spectra": Entry(
        "latents of an X-ray spectrum, forward-folded through its response",
        "Pinciroli Vago et al. 2025, arXiv:2510.14102",
    ),
    "variable_stars": Entry(
        "latents from XP spectrum, folded light curve and dm-dt map", "Huijse et al. 2025, A&A 701, A150"
    ),
    "ulx": Entry(
        "candidates for pulsating ULXs with a recall guarantee", "Pinciroli Vago et al. 2025, arXiv:2507.15032"
    ),
    "planetary_systems": Entry(
        "generate, score and complete planetary systems with an exact density",
        "Alibert, Davoult & Marques 2025, A&A 701, A149",
        ready=True,
    ),
    "climate": Entry(
        "3-D temperature and winds of a tidally locked gas giant", "Plaschzug et al. 2025, arXiv:2508.10827"
    ),
    "astrochemistry": Entry(
        "emulator of molecular ratios, Shapley values, UMAP groups", "Vermarien et al. 2025, A&A 699, A18"
    ),
    "stellar_mass": Entry(
        "what each input knows about stellar mass, and why",
        "causal and information analysis",
    ),
    "sky": Entry(
        "Bayesian multi-band sky: diffuse, points and extended sources told apart by tension",
        "Guardiani et al. 2025, A&A 703, A203",
        ready=True,
    ),
}
