"""Trained functions as portable programs: StableHLO through `jax.export`, run where jaxastro cannot be imported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxastro.io.staging import atomic_path


def export(function: Callable[[Any], Any], example: Any, path: str | Path) -> Path:
    """Write `function`, vmapped over a free leading batch axis, with its weights inside; returns the path written.

    The file is read by `jax.export.deserialize(bytes).call(batch)`, with gradients to first order, on CPU and CUDA.

    Args:
        function: callable on one example; arrays, dicts and tuples in and out.
        example: pytree of arrays of one example; shapes and dtypes are taken from it.
        path: file to write, usually `*.stablehlo`.
    """
    (batch,) = jax.export.symbolic_shape("batch")
    structs = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *jnp.shape(x)), jnp.result_type(x)), example)
    exported = jax.export.export(jax.jit(jax.vmap(function)), platforms=["cpu", "cuda"])(structs)
    with atomic_path(path) as temporary:
        temporary.write_bytes(exported.serialize(vjp_order=1))
    return Path(path)
