"""Reports and tables on the terminal, or as JSON for programs."""

import json
import sys
from typing import Any

from jaxastro.report import Report


def show_report(report: Report, *, as_json: bool) -> None:
    """Print a report: titled tables, notes, and the files written last."""
    if as_json:
        from jaxastro.io import plain

        print(json.dumps(plain(report.as_json()), indent=1))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # A pipe has no width; a table cut to 80 columns there would lose numbers.
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(f"[bold]{escape(report.title)}[/bold]", soft_wrap=True)
    for title, rows in report.tables.items():
        columns = list(dict.fromkeys(name for row in rows for name in row))
        table = Table(title=escape(title), title_justify="left", title_style="bold")
        for name in columns:
            numeric = any(isinstance(row.get(name), int | float) for row in rows)
            table.add_column(escape(name), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape(_cell(row.get(name))) for name in columns))
        console.print(table)
    for note in report.notes:
        console.print(escape(note), soft_wrap=True)
    if report.files:
        console.print("Written: " + ", ".join(escape(str(f)) for f in report.files), soft_wrap=True)


def show_table(table: Any, *, as_json: bool) -> None:
    """Print an astropy table, whole in JSON, shortened to the terminal otherwise."""
    if as_json:
        from jaxastro.io import plain

        rows = [dict(zip(table.colnames, row, strict=True)) for row in zip(*table.columns.values(), strict=True)]
        print(json.dumps(plain(rows), indent=1))
    else:
        print("\n".join(table.pformat(max_lines=40, max_width=160)))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
