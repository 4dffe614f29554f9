"""`jaxastro predict`: one row of results per row of DATA."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb("predict", "one row of results per row of DATA", output="optional")


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
