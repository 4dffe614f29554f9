"""The Fermi-LAT Galactic centre above 10 GeV, diffuse emission learned without a template, against the 3FHL catalogue.

    JAXASTRO_DATA=... python benchmarks/sky_fermi.py [-o results/sky_fermi.json] [--run DIRECTORY]

Points match within 0.3 deg, each detection once; a disk is found by a detection inside its radius. Entries above
catalogue significance 7 are scored by themselves, then all 22 together.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
PIXEL = 0.05  # deg


def labels(folder: Path, field):
    """3FHL entries in the field: y, x [pixel], catalogue significance, disk radius [pixel] (0: point), index, name."""
    from astropy.coordinates import SkyCoord
    from astropy.table import Table

    table, disks = (Table.read(folder / "gll_psch_v13.fit.gz", hdu=i) for i in (1, 2))
    sky = SkyCoord(table["GLON"], table["GLAT"], unit="deg", frame="galactic")
    table = table[(np.abs(sky.l.wrap_at("180d").deg) < 9.9) & (np.abs(sky.b.deg) < 4.9)]
    sky = SkyCoord(table["GLON"], table["GLAT"], unit="deg", frame="galactic")
    x, y = field.wcs.world_to_pixel(sky)
    size = {str(n).strip(): float(r) for n, r in zip(disks["Source_Name"], disks["Model_SemiMajor"], strict=True)}
    radius = [size.get(str(n).strip(), 0.0) / PIXEL for n in table["Extended_Source_Name"]]
    return {
        "place": np.column_stack([y, x]),
        "significance": np.asarray(table["Signif_Avg"], float),
        "radius": np.array(radius),
        "index": np.asarray(table["PowerLaw_Index"], float),
        "index_std": np.asarray(table["Unc_PowerLaw_Index"], float),
        "name": [str(n).strip() for n in table["Source_Name"]],
    }


def score(table, known, chosen) -> dict:
    """Detections of the chosen entries."""
    from jaxastro.systems.sky.scores import detection_scores

    disk = known["radius"] > 0
    found = detection_scores(
        table,
        known["place"][chosen & ~disk],
        known["place"][chosen & disk],
        radius=0.3 / PIXEL,
        extended_radius=known["radius"][chosen & disk],
    )
    gap = np.array(found.pop("localisation")) * PIXEL
    return found | {"localisation_median_deg": float(np.median(gap)), "localisation_largest_deg": float(gap.max())}


def main() -> None:
    from astropy.table import Table

    from jaxastro.stats import wilson
    from jaxastro.systems.sky.catalogue import match
    from jaxastro.systems.sky.config import Train
    from jaxastro.systems.sky.data import read
    from jaxastro.systems.sky.system import train

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "sky_fermi.json")
    parser.add_argument("--run", type=Path, help="score this run directory; trained first where it does not exist")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = Path(os.environ["JAXASTRO_DATA"]) / "sky" / "fermi_gc"
    run = options.run or Path(tempfile.mkdtemp()) / "run"
    settings = Train(background="none", seed=options.seed, overwrite=True)
    start = time.process_time()
    if not run.exists():
        train(folder, run, settings)
    cpu = time.process_time() - start
    table = Table.read(run / "catalog.ecsv", format="ascii.ecsv")
    known = labels(folder, read(folder, settings))
    bright = known["significance"] > 7
    strong, every = score(table, known, bright), score(table, known, np.ones(len(bright), bool))
    total = every["points_found"] + every["extended_found"]
    index, gap = match(known["place"], np.column_stack([table["y"], table["x"]]), 0.3 / PIXEL)
    rows = []
    for k in np.argsort(-known["significance"]):
        row = {"name": known["name"][k], "significance": known["significance"][k], "disk": bool(known["radius"][k])}
        if index[k] >= 0:
            ours = table[int(index[k])]
            row |= {
                "distance_deg": float(gap[k] * PIXEL), "extended": bool(ours["extended"]), "z": float(ours["z"]),
                "index": float(ours["index"]), "index_std": float(ours["index_std"]),
                "index_pull": float(
                    (ours["index"] + known["index"][k]) / np.hypot(ours["index_std"], known["index_std"][k])
                ),
            }  # fmt: skip
        rows.append(row)
    purity = wilson(every["detections"] - every["false"], every["detections"])
    result = {
        "seed": options.seed,
        "bright_points": f"{strong['points_found']}/{strong['points']}",
        "bright_disks": f"{strong['extended_found']}/{strong['extended']}",
        "disks_called_extended": strong["extended_called_extended"],
        "all": f"{total}/{len(bright)}",
        "detections": every["detections"],
        "purity": [purity.value, purity.low, purity.high],
        "localisation_median_deg": strong["localisation_median_deg"],
        "localisation_median_all_deg": every["localisation_median_deg"],
        "cpu_s": cpu,
        "strong": strong,
        "every": every,
        "each": rows,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "each"}, indent=1))


if __name__ == "__main__":
    main()
