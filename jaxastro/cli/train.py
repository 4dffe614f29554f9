"""`jaxastro train`: train on DATA, or on the simulator where DATA is left away."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb(
    "train",
    "train on DATA, or on the simulator where DATA is left away",
    target="SYSTEM",
    data="optional",
    output="required",
)


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
