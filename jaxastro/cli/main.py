"""The command `jaxastro`: finds the verb, runs it, and turns every failure into one sentence and an exit code."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from jaxastro.errors import JaxastroError

VERBS = {
    "systems": "the ten analyses, one line each, with their paper",
    "simulate": "data with known truth",
    "train": "train on DATA, or on the simulator",
    "evaluate": "score a trained model on labelled DATA",
    "predict": "one row of results per row of DATA",
    "explain": "figures and tables of why the model says what it says",
    "sample": "draw from a generative model",
    "complete": "what is likely to exist beside what DATA knows",
    "check": "what is understood of a file",
    "cite": "BibTeX of the methods used",
    "doctor": "versions, devices, what is missing",
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0 (done), 1 (failed) or 2 (wrong usage)."""
    words = list(sys.argv[1:] if words is None else words)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        sys.exit(0 if words else 2)
    verb, rest = words[0], words[1:]
    if verb == "--version":
        from jaxastro import __version__

        print(__version__)
        return
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "; see jaxastro --help."
        print(f"'{verb}' is no verb of jaxastro{hint}", file=sys.stderr)
        sys.exit(2)
    try:
        importlib.import_module(f"jaxastro.cli.{verb}").main(rest)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_fail("Interrupted; the last checkpoint is kept: run the same command again to continue."))
    except Exception as error:
        if "--debug" in rest:
            raise
        if isinstance(error, JaxastroError):
            sys.exit(_fail(str(error)))
        sys.exit(_fail(f"{type(error).__name__}: {error} (unforeseen: run again with --debug to see where)."))


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def _usage() -> str:
    lines = [f"  {name:10} {help}" for name, help in VERBS.items()]
    return "\n".join(["usage: jaxastro VERB ...", "", *lines, "", "Each verb has its own --help."])


if __name__ == "__main__":
    main()
