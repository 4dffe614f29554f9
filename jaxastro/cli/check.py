"""`jaxastro check`: what is understood of a file, row by row where it is not."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb("check", "what is understood of a file, row by row where it is not", target="SYSTEM")


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
