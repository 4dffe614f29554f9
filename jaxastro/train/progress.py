"""Progress of long work: a live bar on a terminal, plain lines in a pipe, silence on request."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Update = Callable[..., None]


@contextlib.contextmanager
def progress(total: int, label: str, *, enabled: bool = True, done: int = 0) -> Iterator[Update]:
    """A function `update(done, **values)` that shows how far the work is, its numbers and the time left.

    Until the first update the line says "compiling", which is what the first step of a jitted loop does.

    Args:
        total: number of steps of the whole work.
        label: what is being done, in a word or two.
        enabled: False shows nothing.
        done: steps already done when the work resumes.
    """
    if not enabled:
        yield lambda done, **values: None
    elif sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[values]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, completed=done, values="compiling")

            def update(done: int, **values: float) -> None:
                bar.update(task, completed=done, values=_format(values), refresh=True)

            yield update
    else:
        yield _lines(total, label, done)


def _lines(total: int, label: str, first: int) -> Update:
    start = last = time.monotonic()
    print(f"{label}: compiling", file=sys.stderr, flush=True)

    def update(done: int, **values: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 5 and done < total:
            return
        last = now
        left = (now - start) / max(done - first, 1) * (total - done)
        print(f"{label}: {done}/{total} {_format(values)} {left:.0f} s left", file=sys.stderr, flush=True)

    return update


def _format(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in values.items())
