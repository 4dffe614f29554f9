"""What a verb tells its user: titled tables of rows, notes, and the files written; the same for people and programs."""

import dataclasses
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Report:
    """The result of a verb.

    Attributes:
        title: one line that names what was done, on what.
        tables: rows by table title; a row maps column names to strings, numbers or None.
        values: scalars for programs (`--json`), by name.
        notes: sentences that the user should read.
        files: what was written, where.
    """

    title: str
    tables: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    files: list[Path] = dataclasses.field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON types; `values` stand at the top level."""
        return {
            **self.values,
            "title": self.title,
            "tables": self.tables,
            "notes": self.notes,
            "files": [str(f) for f in self.files],
        }
