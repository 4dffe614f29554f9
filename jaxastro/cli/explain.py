"""`jaxastro explain`: figures and tables of why the model says what it says."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb("explain", "figures and tables of why the model says what it says", output="required")


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
