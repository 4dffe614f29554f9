"""`jaxastro evaluate`: score a trained model on labelled DATA, with intervals and baselines."""

from jaxastro.cli.arguments import Verb
from jaxastro.cli.dispatch import run

VERB = Verb(
    "evaluate",
    "score a trained model on labelled DATA, with intervals and baselines",
    target="RUN",
    data="required",
    output="none",
)


def main(words: list[str]) -> None:
    """Run the verb on the words that follow it."""
    run(VERB, words)
