"""`jaxastro doctor`: versions, devices, and what is missing."""

import platform

from jaxastro.cli.arguments import Parser
from jaxastro.cli.show import show_report
from jaxastro.report import Report

_NEEDED = (
    "jaxastro", "jax", "jaxlib", "equinox", "flax", "optax", "numpyro", "numpy", "astropy", "scikit-learn",
    "matplotlib",
)  # fmt: skip
_OPTIONAL = {"arviz": "peers", "nifty": "peers", "shap": "peers", "torch": "benchmarks"}


def main(words: list[str]) -> None:
    """Show the installation."""
    parser = Parser(prog="jaxastro doctor", description="Versions, devices, and what is missing.")
    parser.add_argument("--json", action="store_true", help="print the result for programs")
    as_json = parser.parse_all(words).json
    import jax

    from jaxastro.io import versions

    found = versions([*_NEEDED, *_OPTIONAL])
    missing = [name for name in _NEEDED if found[name] is None]
    rows = [{"package": name, "version": found[name]} for name in _NEEDED]
    rows += [
        {"package": name, "version": found[name] or f"absent; pip install 'jaxastro[{extra}]'"}
        for name, extra in _OPTIONAL.items()
    ]
    note = f"Missing: {', '.join(missing)}." if missing else "Nothing that jaxastro needs is missing."
    report = Report(
        f"Python {platform.python_version()} on {platform.platform()}",
        tables={"packages": rows, "devices": [{"device": str(d), "kind": d.device_kind} for d in jax.devices()]},
        values={"missing": missing},
        notes=[note],
    )
    show_report(report, as_json=as_json)
