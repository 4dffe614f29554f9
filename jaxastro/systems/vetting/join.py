"""Joining the scalars of an archive table to signals: by planet number within one delivery, otherwise by period."""

from typing import NamedTuple

import numpy as np

from jaxastro.systems.vetting import columns as known
from jaxastro.systems.vetting.columns import Columns

PERIOD_TOLERANCE = 1e-3


class Match(NamedTuple):
    """Which row of a table belongs to each signal.

    Attributes:
        rows: row of the table, -1 where there is none.
        how: the sentence that says by what they were matched.
        reasons: why a signal has no row, empty where it has one.
    """

    rows: np.ndarray
    how: str
    reasons: np.ndarray


def match(signals: Columns, table: Columns) -> Match:
    """The table row of every signal: same object, and the same planet.

    The same planet is the same row id where both have one; else the same planet number where both are of one delivery
    (planet numbers of different pipeline runs mean different things); else the period nearest to it within 0.1 %. A
    planet number is not believed where the periods differ by more than that.

    Args:
        signals: identity and ephemeris columns of the signals.
        table: all columns of the table.
    """
    star, other = (np.asarray(known.required(c, known.STAR, "object").values).astype(str) for c in (signals, table))
    star, other = (np.char.lstrip(np.char.strip(ids), "0") for ids in (star, other))
    at: dict[str, list[int]] = {}
    for row, name in enumerate(other):
        at.setdefault(name, []).append(row)
    number, table_number, how = _numbers(signals, table)
    period, table_period = _period(signals), _period(table)
    rows, reasons = np.full(len(star), -1), np.full(len(star), "", object)
    for i, name in enumerate(star):
        candidates = np.array(at.get(name, []), dtype=int)
        if not candidates.size:
            reasons[i] = "object not in the table"
            continue
        if number is not None:
            same = candidates[table_number[candidates] == number[i]]
            if period is not None and table_period is not None:
                apart = np.abs(table_period[same] / period[i] - 1)
                same = same[~(apart > PERIOD_TOLERANCE)]
        elif period is None or table_period is None:
            same = candidates[:0]
        else:
            apart = np.abs(table_period[candidates] / period[i] - 1)
            same = candidates[apart <= PERIOD_TOLERANCE][np.argsort(apart[apart <= PERIOD_TOLERANCE])][:1]
        if same.size == 1:
            rows[i] = same[0]
        elif number is None and (period is None or table_period is None):
            who = "DATA" if period is None else "the table"
            reasons[i] = f"{who} has no period to match by"
        else:
            reasons[i] = "several rows of the table fit" if same.size else "object in the table, not this signal"
    return Match(rows, how, reasons)


def _numbers(signals: Columns, table: Columns) -> tuple[np.ndarray | None, np.ndarray, str]:
    ids = known.find(signals, known.ROW), known.find(table, known.ROW)
    if ids[0] is not None and ids[1] is not None:
        return _whole(ids[0].values), _whole(ids[1].values), "object and row id"
    mine, theirs = known.find(signals, known.PLANET), known.find(table, known.PLANET)
    delivery, table_delivery = known.find(signals, known.DELIVERY), known.find(table, known.DELIVERY)
    nothing = None, np.zeros(0), "object and period within 0.1 %"
    if mine is None or theirs is None:
        return nothing
    runs = set() if table_delivery is None else {str(x) for x in table_delivery.values if str(x)}
    stated = runs if delivery is None else {str(x) for x in delivery.values if str(x)}
    if len(runs) > 1 or stated != runs or (delivery is None and mine.name != theirs.name):
        return nothing
    assumed = f" (DATA names no delivery; taken as {', '.join(runs)})" if delivery is None and runs else ""
    return _whole(mine.values), _whole(theirs.values), f"object and planet number{assumed}"


def _whole(values: np.ndarray) -> np.ndarray:
    as_numbers = known.numbers(values)
    return np.asarray(values).astype(str) if as_numbers is None else np.nan_to_num(as_numbers, nan=-1).astype(np.int64)


def _period(columns: Columns) -> np.ndarray | None:
    key = known.find(columns, ("period_day", *known.CANONICAL["period_day"]))
    return None if key is None else known.numbers(key.values)
