"""`jaxastro systems`: the ten analyses, one line each, with their paper."""

import json

from jaxastro.cli.arguments import Parser
from jaxastro.systems.catalogue import SYSTEMS


def main(words: list[str]) -> None:
    """List the systems."""
    parser = Parser(prog="jaxastro systems", description="The ten analyses, one line each, with their paper.")
    parser.add_argument("--json", action="store_true", help="print the list for programs")
    if parser.parse_all(words).json:
        print(json.dumps({name: entry._asdict() for name, entry in SYSTEMS.items()}, indent=1, ensure_ascii=False))
        return
    for name, entry in SYSTEMS.items():
        state = "" if entry.ready else " (planned)"
        print(f"{name:18} {entry.title}{state} [{entry.reference}]")
