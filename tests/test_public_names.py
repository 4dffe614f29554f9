"""Every public name of every room says what it is."""

import importlib
import inspect

import pytest

pytestmark = pytest.mark.core

ROOMS = ("explain", "fields", "infer", "io", "nn", "plots", "stats", "train")


@pytest.mark.parametrize("room", ROOMS)
def test_public_names_have_docstrings(room):
    module = importlib.import_module(f"jaxastro.{room}")
    assert module.__doc__
    public = {
        n: v
        for n, v in vars(module).items()
        if not n.startswith("_") and getattr(v, "__module__", "").startswith("jaxastro")
    }
    for name, value in public.items():
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"jaxastro.{room}.{name} has no docstring"
            first = value.__doc__.strip().splitlines()[0]
            assert not first.startswith(f"{name}("), f"jaxastro.{room}.{name} has only a generated docstring"
