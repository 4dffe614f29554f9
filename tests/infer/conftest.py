"""Counting compilations."""

import contextlib

import jax
import pytest


@pytest.fixture
def count_compilations():
    """A context that yields a function telling how many programs were compiled inside."""

    @contextlib.contextmanager
    def context():
        seen = []

        def listen(event, duration, **_):
            if event == "/jax/core/compile/backend_compile_duration":
                seen.append(duration)

        jax.monitoring.register_event_duration_secs_listener(listen)
        yield lambda: len(seen)
        jax.monitoring.unregister_event_duration_listener(listen)

    return context
