"""`jaxastro complete`: what is likely to exist beside what DATA knows."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb("complete", "what is likely to exist beside what DATA knows", output="optional")


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
