"""`jaxastro sample`: draw from a generative model."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb("sample", "draw from a generative model", data="none", output="optional")


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
