"""The verbs of the sky system."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from jaxtyping import Float

from jaxastro.errors import ArtefactError, InputError
from jaxastro.io import read_card, stage_directory, write_model
from jaxastro.plots import save
from jaxastro.report import Report
from jaxastro.systems.sky import config, figures, maps, scores
from jaxastro.systems.sky.catalogue import read_positions, source_table, write_regions
from jaxastro.systems.sky.data import TRUTH, Field, read, thin
from jaxastro.systems.sky.iterate import KINDS, Separation, point_spectrum, separate
from jaxastro.systems.sky.model import cropped, with_margin
from jaxastro.systems.sky.reconstruction import Reconstruction, options_of, resume
from jaxastro.systems.sky.reconstruction import restore as restore  # `jaxastro.load` finds it here
from jaxastro.systems.sky.simulate import save_field, simulate_field
from jaxastro.systems.sky.slots import gains
from jaxastro.train.progress import progress

POSTERIOR, CATALOGUE = "posterior.npz", "catalog.ecsv"


def simulate(out: Path, options: config.Simulate) -> Report:
    """Write a simulated field with its truth into the directory `out`."""
    field, truth = simulate_field(options)
    with stage_directory(out, overwrite=options.overwrite) as folder:
        save_field(folder / "field.npz", field, truth)
    total = [int(c) for c in field.counts.sum((1, 2))]
    return Report(
        f"simulated {options.size} x {options.size} pixels, {len(truth['catalog'])} points",
        values={"counts": total, "points": len(truth["catalog"]), "extended": len(truth["catalog_extended"])},
        files=[out / "field.npz"],
    )


def check(data: Path, options: config.Check) -> Report:
    """What `data` was understood to be, channel by channel, and what was repaired."""
    field = read(_one(data), options)
    rows = [
        {
            "channel": name, "energy [keV]": float(field.energy_keV[b]),
            "counts": int(c.sum()), "brightest": int(c.max()),
            f"exposure [{field.exposure_unit}]": float(e.max()), "seen": float((e > 0).mean()),
            "background": float(g.sum()), "PSF half-light [pixel]": half_light(p),
        }
        for name, b, c, e, g, p in zip(
            field.names, field.band, field.counts, field.exposure, field.background, field.psf, strict=True
        )
    ]  # fmt: skip
    ny, nx = field.shape
    return Report(
        f"{data}: {ny} x {nx} pixels, {len(field.counts)} channels",
        tables={"channels": rows},
        values={"shape": [ny, nx], "counts": int(field.counts.sum()), "flux_unit": field.flux_unit},
        notes=list(field.notes),
    )


def half_light(kernel: Float[np.ndarray, "py px"]) -> float:
    """Radius that holds half of a kernel's flux [pixel]."""
    y, x = np.indices(kernel.shape) - kernel.shape[0] // 2
    radius = np.hypot(y, x).ravel()
    order = np.argsort(radius)
    return float(np.interp(0.5, np.cumsum(kernel.ravel()[order]), radius[order]))


def _one(data: Path) -> Path:
    """The field in a directory that `simulate` wrote, else `data` itself."""
    return data / "field.npz" if (data / "field.npz").is_file() else data


def train(data: Path | None, out: Path, options: config.Train) -> Report:
    """Separate the sky of `data`, or of a simulated field, and write the run directory `out`."""
    with stage_directory(out, overwrite=options.overwrite) as folder:
        if data is None:
            field, truth = simulate_field(config.Simulate(seed=options.seed))
            save_field(folder / "field.npz", field, truth)
        else:
            field = read(_one(data), options)
        if options.held_out:
            field = keep(field, options)
        start = resume(options.resume, field) if options.resume else None
        known = positions(options.catalogue, field) if options.catalogue else None
        with progress(options.rounds + 2, "separating", enabled=not options.quiet) as told:
            result = separate(field, options, told=told, known=known, resume=start)
        report = products(folder, field, result, options)
        big, _ = with_margin(field, options.padding)
        write_model(
            folder,
            system="sky",
            model=Reconstruction(result.sky, result.posterior.mean, jax.tree.map(jnp.float32, result.z)),
            config=options,
            data_files=field.files,
            metrics=report.values,
            preprocessing={
                "shape": big.shape, "band": big.band, "energy_keV": big.energy_keV, "psf": big.psf.shape[-1],
                "edges": big.edges_keV is not None,
            },
            history={"energy": np.asarray(result.posterior.info["energy"])},
            citation=config.CITATION,
        )  # fmt: skip
        names = sorted(p.name for p in folder.iterdir())
    report.files = [out / name for name in names]
    return report


def keep(field: Field, options: config.Train) -> Field:
    """The field that is left to train on when a fraction of the photons is held out."""
    counts, _ = thin(field.counts, options.held_out, seed=options.seed)
    share = np.float32(1 - options.held_out)
    return dataclasses.replace(
        field, counts=counts, exposure=field.exposure * share, background=field.background * share
    )


def positions(path: Path, field: Field) -> Float[np.ndarray, "source 2"]:
    """(y, x) of the sources of a table that lie in the field [pixel]."""
    table = read_positions(path, field)
    return np.column_stack([np.asarray(table["y"]), np.asarray(table["x"])]).astype(float)


def products(folder: Path, field: Field, result: Separation, options: config.Train) -> Report:
    """Write posterior, catalogue, maps, regions and figures; the numbers of the run."""
    posterior, sky = result.posterior, result.sky
    sites = {n: np.asarray(v) for n, v in posterior.sites.items()}
    ln_flux, rate = (cropped(sites[n], field, result.start) for n in ("ln_flux", "rate"))
    table = catalogue(field, result)
    np.savez(
        folder / POSTERIOR, ln_flux=ln_flux, rate=rate,
        **{n: v for n, v in sites.items() if n.startswith(("point_", "extended_"))},  # pyright: ignore
        tension=np.stack([r.seen.tension for r in result.rounds]), need=np.stack([r.seen.need for r in result.rounds]),
    )  # fmt: skip
    table.write(folder / CATALOGUE, format="ascii.ecsv")
    write_regions(folder / "sources.reg", table)
    first, last = result.rounds[0].seen, result.rounds[-1].seen
    maps.write_maps(
        folder / "tension.fits", field,
        {"TENSION": last.tension, "NEED": last.need, "TENSION_FIRST": first.tension, "NEED_FIRST": first.need},
        dict.fromkeys(("TENSION", "NEED", "TENSION_FIRST", "NEED_FIRST"), "sigma"),
    )  # fmt: skip
    unit = f"{field.flux_unit} / pixel"
    maps.write_maps(
        folder / "sky.fits", field,
        {"FLUX": np.exp(ln_flux).mean(0), "LN_FLUX": ln_flux.mean(0), "LN_FLUX_STD": ln_flux.std(0)}, {"FLUX": unit},
    )  # fmt: skip
    mean = rate.mean(0)
    plain, matched = scores.residuals(field.counts, mean, field)
    maps.write_maps(
        folder / "model.fits", field, {"EXPECTED": mean, "RESIDUAL": plain, "MATCHED_RESIDUAL": matched},
        {"EXPECTED": "count", "RESIDUAL": "sigma", "MATCHED_RESIDUAL": "sigma"},
    )  # fmt: skip
    estimate, spread, upper = maps.point_flux(field, rate, point_spectrum(sky)[field.band])
    maps.write_maps(
        folder / "sensitivity.fits", field, {"UPPER_LIMIT": upper, "ESTIMATE": estimate, "STD": spread},
        dict.fromkeys(("UPPER_LIMIT", "ESTIMATE", "STD"), field.flux_unit),
    )  # fmt: skip
    if options.figures:
        draw_figures(folder, field, folder, table)
    extended = int(np.asarray(table["extended"]).sum()) if len(table) else 0
    seen = field.exposure > 0
    values = {
        "points": len(table) - extended, "extended": extended, "rounds": len(result.rounds),
        "tension_first": float(first.tension.max()), "tension_last": float(last.tension.max()),
        "need_last": float(last.need.max()), "residual_first": float(first.residual.max()),
        "residual_largest": float(np.abs(matched).max()),
        "chi2": float((((field.counts - mean) ** 2 / mean)[seen]).mean()),
        "log_likelihood": float(np.mean(np.asarray(posterior.log_likelihood))),
        "upper_limit_median": float(np.nanmedian(upper)),
    }  # fmt: skip
    columns = ("y", "x", *(("ra", "dec") if field.wcs is not None else ()), "flux", "flux_std", "extended", "z")
    shown = [{c: r[c] for c in columns} for r in table[:20]]
    notes = list(field.notes)
    if not len(table):
        notes.append("No source was found; sensitivity.fits holds the upper limit of a point at every pixel.")
    return Report(
        f"{len(table) - extended} points and {extended} extended sources in {len(result.rounds)} rounds",
        tables={f"sources (flux in {field.flux_unit})": [_plain(r) for r in shown]},
        values=values,
        notes=notes,
    )


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: (bool(v) if isinstance(v, np.bool_) else float(v)) for k, v in row.items()}


def catalogue(field: Field, result: Separation) -> Table:
    """The sources of all slots in use."""
    sites, (top, left) = result.posterior.sites, result.start
    parts, extended = {}, []
    for kind, slots in (("point", result.sky.points), ("extended", result.sky.extended)):
        used = np.asarray(slots.active) > 0
        extended += [kind == "extended"] * int(used.sum())
        for name in ("y", "x", "index", "flux", "size", "ratio", "angle"):
            value = sites.get(f"{kind}_{name}")
            value = np.full((*sites["point_y"].shape[:1], len(used)), np.nan) if value is None else np.asarray(value)
            parts.setdefault(name, []).append(value[..., used])
    draws = {name: np.concatenate(values, -1) for name, values in parts.items()}
    draws["y"], draws["x"] = draws["y"] - top, draws["x"] - left
    draws["axis_ratio"] = np.exp(-np.abs(draws.pop("ratio")))
    used = np.concatenate([np.asarray(s.active) > 0 for s in (result.sky.points, result.sky.extended)])
    return source_table(
        field,
        draws,
        z=np.concatenate([result.z[k] for k in KINDS])[used],
        extended=np.array(extended, bool),
        significance=np.concatenate([gains(result.sky, result.posterior.mean, k) for k in KINDS]),
    )


def _load(run: Path, data: Path) -> tuple[Field, dict[str, np.ndarray], Table, config.Train]:
    """The data as the run read it, its posterior draws and its catalogue."""
    card = read_card(run, system="sky")
    options = options_of(card)
    field = read(_one(data), options)
    try:
        with np.load(run / POSTERIOR) as file:
            draws = {name: file[name] for name in file.files}
        table = Table.read(run / CATALOGUE, format="ascii.ecsv")
        table["flag"] = [str(f) if isinstance(f, str) else "" for f in table["flag"]]  # ECSV masks empty strings
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{run} lacks {POSTERIOR} or {CATALOGUE} ({error}); train again.") from error
    if draws["rate"].shape[1:] != field.counts.shape:
        raise InputError(
            f"{data} has counts {field.counts.shape} (channel, y, x), {run} was trained on {draws['rate'].shape[1:]}; "
            "give the data of the run."
        )
    return field, draws, table, options


def predict(run: Path, data: Path, options: config.Predict) -> Table:
    """The catalogue of the run."""
    return _load(run, data)[2]


def explain(run: Path, data: Path, out: Path, options: config.Explain) -> Report:
    """Draw the figures of a run into the directory `out`."""
    field, _, table, settings = _load(run, data)
    if settings.held_out:
        field = keep(field, settings)
    with stage_directory(out, overwrite=options.overwrite) as folder:
        names = draw_figures(folder, field, run, table)
    return Report(f"figures of {run}", files=[out / name for name in names])


def draw_figures(folder: Path, field: Field, run: Path, table: Table) -> list[str]:
    """Write all figures of the run directory `run` into `folder`; their names."""
    from astropy.io import fits

    with np.load(run / POSTERIOR) as file:
        tension, need, rate, ln_flux = (file[n] for n in ("tension", "need", "rate", "ln_flux"))
    _, matched = scores.residuals(field.counts, rate.mean(0), field)
    reference = ln_flux[:, field.reference]
    flux = np.exp(reference).mean(0)
    with fits.open(run / "sensitivity.fits") as file:
        upper = np.asarray(file[0].data, float)  # pyright: ignore
    made = {
        "overview.png": figures.overview(field, rate.mean(0), matched, tension[0], tension[-1], flux, table),
        "components.png": figures.components(field, flux, reference.std(0), None, upper, table),
        "rounds.png": figures.stages(field, list(tension), list(need), table),
        "spectra.png": figures.spectra(field, table),
    }
    for name, figure in made.items():
        save(figure, folder / name)
    return list(made)


def evaluate(run: Path, data: Path, options: config.Evaluate) -> Report:
    """Detection, flux and field scores against what is known of `data`, and posterior predictive checks."""
    field, draws, table, settings = _load(run, data)
    report = Report(f"{run} on {data}")
    used, rates = field, draws["rate"]
    if settings.held_out:
        held_out(report, field, rates, settings)
        used = keep(field, settings)
    checks = scores.predictive_checks(used, used.counts, rates, seed=options.seed)
    report.values |= checks
    report.tables["posterior predictive p-values"] = [{"score": k, "value": v} for k, v in checks.items()]
    if options.catalogue is not None:
        places = positions(options.catalogue, field)
        found = scores.detection_scores(
            table, places, np.empty((0, 2)), radius=options.radius, extended_radius=options.radius
        )
        _detections(report, found)
    truth = read_truth(_one(data))
    if "catalog" in truth or "diffuse" in truth:
        against_truth(report, field, draws, table, truth, options)
    return report


def read_truth(path: Path) -> dict[str, np.ndarray]:
    """What a mock file says about its own sky; empty for anything else."""
    if path.suffix != ".npz":
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in TRUTH if name in file.files}


def held_out(report: Report, field: Field, rates: np.ndarray, settings: config.Train) -> None:
    """Add the log score of the photons that were held out, per photon, against a flat sky."""
    from jaxastro.stats import interval

    _, held = thin(field.counts, settings.held_out, seed=settings.seed)
    ratio = settings.held_out / (1 - settings.held_out)
    seen = field.exposure > 0
    ours = scores.log_score(held, rates * ratio, seen)
    flat = scores.log_score(held, scores.flat_rates(field, field.counts - held) * settings.held_out, seen)
    blocks = np.broadcast_to(np.indices(field.shape).sum(0) // 8, field.counts.shape)[seen]
    photons = max(int(held.sum()), 1)
    gain = interval(lambda d: float(d.sum() / photons), ours - flat, groups=blocks)
    report.values |= {"held_out_log_score": float(ours.sum()), "held_out_photons": photons, "held_out_gain": gain.value}
    report.tables["held-out log score per photon, against a flat sky [nat]"] = [gain.as_row("gain", 0.0)]


def _detections(report: Report, found: dict[str, Any]) -> None:
    gap, pulls = (np.array(found.pop(name)) for name in ("localisation", "position_pulls"))
    found["position_pull_rms"] = float(np.sqrt(np.mean(pulls**2))) if len(pulls) else float("nan")
    report.values |= found | {"localisation_median": float(np.median(gap)) if len(gap) else float("nan")}
    report.values["localisation_largest"] = float(gap.max()) if len(gap) else float("nan")
    report.tables["detections"] = [
        {"score": k, "value": v} for k, v in report.values.items() if k in found or k.startswith("localisation")
    ]


def against_truth(
    report: Report, field: Field, draws: dict[str, np.ndarray], table: Table, truth: dict[str, np.ndarray], options: Any
) -> None:
    """Add scores against a simulated field's truth."""
    diffuse = truth["diffuse"] + truth.get("extended", 0.0)
    found = scores.field_scores(np.log(diffuse), draws["ln_flux"])
    report.values |= {f"ln_flux_{k}": v for k, v in found.items()}
    report.tables["ln flux of diffuse and extended emission, all bands"] = [
        {"score": k, "value": v} for k, v in found.items()
    ]
    known = truth.get("catalog", np.empty((0, 4)))
    image = truth.get("extended", np.zeros_like(diffuse))[field.reference]
    places = truth["catalog_extended"][:, :2] if "catalog_extended" in truth else _peak(image)
    detected = scores.detection_scores(
        table, known[:, :2], places, radius=options.radius, extended_radius=4.0, flux=known[:, 2]
    )
    pulls = np.array(detected.pop("flux_pulls"))
    detected.pop("flux_ratio")
    report.values |= {
        "flux_pull_rms": float(np.sqrt(np.mean(pulls**2))) if len(pulls) else float("nan"),
        "flux_pull_largest": float(np.abs(pulls).max()) if len(pulls) else float("nan"),
        "flux_pulls": pulls.tolist(),
    }
    _detections(report, detected)


def _peak(image: np.ndarray) -> np.ndarray:
    """(y, x) of the centre of the one extended source in an image of them; empty for none."""
    if not image.max() > 0:
        return np.empty((0, 2))
    return np.array([np.average(i, weights=image**2) for i in np.indices(image.shape)])[None]
