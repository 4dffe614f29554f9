"""`jaxastro simulate`: data with known truth."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb("simulate", "data with known truth", target="SYSTEM", data="none", output="required")


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
