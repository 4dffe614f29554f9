"""`jaxastro cite SYSTEM`: BibTeX of the paper and of the methods that the system uses."""

import importlib

from jaxastro.cli.arguments import Parser
from jaxastro.systems.catalogue import SYSTEMS


def main(words: list[str]) -> None:
    """Print the BibTeX entries of one system."""
    parser = Parser(prog="jaxastro cite", description="BibTeX of the paper and of the methods that a system uses.")
    ready = [name for name, entry in SYSTEMS.items() if entry.ready]
    parser.add_argument("system", metavar="SYSTEM", choices=ready, help=", ".join(ready))
    name = parser.parse_all(words).system
    print(importlib.import_module(f"jaxastro.systems.{name}.config").CITATION.strip())
