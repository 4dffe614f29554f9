"""Candidate tables of the archives with a folder of light curves: every row becomes a signal or says why not."""

from pathlib import Path

from jaxastro.errors import InputError
from jaxastro.systems.vetting import columns as known
from jaxastro.systems.vetting.columns import Columns
from jaxastro.systems.vetting.data import Signals
from jaxastro.systems.vetting.ephemeris import Ephemeris
from jaxastro.systems.vetting.from_curves import signals_from_curves
from jaxastro.systems.vetting.lightcurve import LightCurve, files_by_star, read_light_curve
from jaxastro.systems.vetting.recipe import Recipe


def signals_of_candidates(
    columns: Columns,
    path: Path,
    light_curves: Path | None,
    *,
    recipe: Recipe | None = None,
    duration_hours: float = 1.0,
    time_system: str = "auto",
) -> Signals:
    """The signals of a candidate table, in its order, without labels and groups (the reader adds them).

    Args:
        columns: of the table.
        path: of the table, for messages.
        light_curves: folder whose file or folder names hold the object ids; None: only the scalars are known. So it is
            with a row that has none in the folder, which a remark then says.
        recipe: how to make the views.
        duration_hours: hours in the table's unit of duration.
        time_system: of epochs in a column that does not say.

    Raises:
        InputError: the table names no object; there is a folder, and it holds no file or the table has no period,
            epoch or duration.
    """
    star = known.required(columns, known.STAR, "object", path)
    scalars = known.scalars(columns, duration_hours=duration_hours)
    if light_curves is None:
        rows, note = len(star.values), f"{path.name} came without light curves: only scalars are known."
        return signals_from_curves([None] * rows, [""] * rows, recipe=recipe, scalars=scalars, notes=[note])
    for name in ("period_day", "duration_hour"):
        if name not in scalars:
            names = ", ".join(known.CANONICAL[name][:4])
            raise InputError(f"{path}: no column for the {name.split('_')[0]}; expected one of {names}.")
    epochs = known.epoch_bjd(columns, time_system)
    if epochs is None:
        raise InputError(f"{path}: no column for the transit epoch; expected one of {', '.join(known.EPOCHS)}.")
    ephemerides = [
        _ephemeris(*row) for row in zip(scalars["period_day"], epochs, scalars["duration_hour"] / 24, strict=True)
    ]
    files = files_by_star(light_curves)
    curves: dict[int, LightCurve | str | None] = {}
    stars = [_number(value) for value in star.values]
    for number in sorted(set(stars)):
        curves[number] = _curve(files[number], time_system) if number in files else None
    planets = [(s, e) for s, e in zip(stars, ephemerides, strict=True)]
    by_star: dict[int, list[Ephemeris]] = {}
    for number, ephemeris in planets:
        if isinstance(ephemeris, Ephemeris):
            by_star.setdefault(number, []).append(ephemeris)
    others = [[o for o in by_star.get(s, []) if o is not e and not _same(o, e)] for s, e in planets]
    matched = sum(isinstance(curve, LightCurve) for curve in curves.values())
    return signals_from_curves(
        [curves[number] for number in stars],
        ephemerides,
        recipe=recipe,
        others=others,
        scalars=scalars,
        notes=[f"{matched} of {len(curves)} objects of {path.name} have a light curve."],
    )


def _number(value: object) -> int:
    try:
        return int(float(str(value).upper().removeprefix("TIC").removeprefix("KIC").removeprefix("EPIC")))
    except ValueError:
        return -1


def _ephemeris(period: float, epoch: float, duration: float) -> Ephemeris | str:
    try:
        return Ephemeris(float(period), float(epoch), float(duration))
    except InputError as error:
        return str(error)


def _same(one: Ephemeris, other: Ephemeris | str) -> bool:
    """Whether two rows are the same signal (or one at a multiple of the other's period), which must not be masked."""
    if isinstance(other, str):
        return False
    ratio = one.period_day / other.period_day
    whole = max(ratio, 1 / ratio)
    if abs(whole - round(whole)) > 1e-3 * whole:
        return False
    shorter = min(one.period_day, other.period_day)
    apart = (one.t0_bjd - other.t0_bjd + shorter / 2) % shorter - shorter / 2
    return abs(apart) < max(one.duration_day, other.duration_day)


def _curve(paths: list[Path], time_system: str) -> LightCurve | str:
    try:
        return read_light_curve(paths, time_system=time_system)
    except InputError as error:
        return str(error)
