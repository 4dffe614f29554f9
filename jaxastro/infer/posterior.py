"""What every engine returns: draws of the latents and of what follows from them, with summaries and diagnostics."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxastro.errors import ArtefactError, MissingDependency


class Posterior(eqx.Module):
    """Draws from an approximate or exact posterior of a NumPyro model.

    Attributes:
        latents: standard normal latents, name -> (draw, ...); chains follow each other along the draw axis.
        sites: deterministic sites and physical values of latents, name -> (draw, ...).
        mean: a point in latent space from which another fit can start: MGVI's mean, MAP's maximum, else the mean draw.
        log_likelihood: log density of all observations at each draw, shape (draw,).
        info: what the engine measured on its way, e.g. `energy` per iteration (see the engine).
        chains: independent chains, 1 for variational engines.
        engine: name of the engine.
    """

    latents: dict[str, Array]
    sites: dict[str, Array]
    mean: dict[str, Array]
    log_likelihood: Float[Array, " draw"]
    info: Mapping[str, Array | np.ndarray]
    chains: int = eqx.field(static=True, default=1)
    engine: str = eqx.field(static=True, default="")

    @property
    def draws(self) -> int:
        """Number of draws, all chains together."""
        return len(self.log_likelihood)

    def diagnostics(self) -> dict[str, dict[str, np.ndarray]]:
        """Split R-hat and effective sample size of every site (of latents where there are none); only for chains."""
        from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

        if self.engine != "nuts":
            return {}
        measures = {"r_hat": split_gelman_rubin, "ess": effective_sample_size}
        return {
            name: {label: np.asarray(measure(np.asarray(v))) for label, measure in measures.items()}
            for name, v in _by_chain(self.sites or self.latents, self.chains).items()
        }

    def summary(self, names: tuple[str, ...] | None = None, level: float = 0.9) -> "Any":
        """An astropy Table with mean, standard deviation and central `level` interval of every scalar element.

        Args:
            names: sites or latents to list; by default the sites with at most 32 elements.
            level: probability inside low .. high.
        """
        from astropy.table import Table

        known = self.latents | self.sites
        if names is None:
            names = tuple(n for n, v in (self.sites or self.latents).items() if v[0].size <= 32)
        quantiles, diagnostics, rows = [(1 - level) / 2, (1 + level) / 2], self.diagnostics(), []
        for name in names:
            values = np.asarray(known[name], float).reshape(self.draws, -1)
            low, high = np.quantile(values, quantiles, axis=0)
            columns = {"mean": values.mean(0), "std": values.std(0, ddof=1), "low": low, "high": high}
            columns |= {k: np.ravel(v) for k, v in diagnostics.get(name, {}).items()}
            for i, index in enumerate(np.ndindex(known[name].shape[1:])):
                label = name + (f"[{','.join(map(str, index))}]" if index else "")
                rows.append({"name": label} | {k: float(v[i]) for k, v in columns.items()})
        return Table(rows)

    def save(self, path: Path | str) -> None:
        """Write everything to one safetensors file, whole or not at all."""
        from safetensors.numpy import save_file

        from jaxastro.io import atomic_path

        groups = {"latents": self.latents, "sites": self.sites, "mean": self.mean, "info": self.info}
        arrays = {f"{g}/{n}": np.ascontiguousarray(v) for g, d in groups.items() for n, v in d.items()}
        arrays["log_likelihood"] = np.ascontiguousarray(self.log_likelihood)
        about = {"chains": self.chains, "engine": self.engine, "format": 1}
        with atomic_path(Path(path)) as temporary:
            save_file(arrays, temporary, {"jaxastro.posterior": json.dumps(about)})

    @classmethod
    def load(cls, path: Path | str) -> "Posterior":
        """Read what `save` wrote.

        Raises:
            ArtefactError: the file is damaged or is no posterior.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), "np") as file:
                about = json.loads((file.metadata() or {})["jaxastro.posterior"])
                arrays = {name: jnp.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise ArtefactError(
                f"{path} is not a readable jaxastro posterior ({error}); write it with `save`."
            ) from None
        groups: dict[str, dict[str, Array]] = {"latents": {}, "sites": {}, "mean": {}, "info": {}}
        for name, value in arrays.items():
            group, _, rest = name.partition("/")
            if rest:
                groups[group][rest] = value
        return cls(**groups, log_likelihood=arrays["log_likelihood"], chains=about["chains"], engine=about["engine"])

    def to_arviz(self) -> "Any":
        """The same draws for ArviZ: an `InferenceData` (ArviZ 0.x) or a `DataTree` (1.x) with axes chain, draw."""
        try:
            import arviz
        except ImportError:
            raise MissingDependency("ArviZ is not installed; install it with `pip install jaxastro[peers]`.") from None
        groups = {
            "posterior": _by_chain(self.latents | self.sites, self.chains),
            "sample_stats": _by_chain({"lp": self.log_likelihood}, self.chains),
        }
        groups = jax.tree.map(np.asarray, groups)
        if int(arviz.__version__.split(".")[0]) >= 1:
            return arviz.from_dict(groups)
        return arviz.from_dict(**groups)


def _by_chain(values: Mapping[str, Array], chains: int) -> dict[str, Array]:
    return {name: v.reshape(chains, -1, *v.shape[1:]) for name, v in values.items()}
