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
        function: callable on one example; pytrees of arrays in and out.
        example: pytree of arrays of one example; shapes and dtypes are taken from it.
        path: file to write, usually `*.stablehlo`.

    The program knows no class but dicts, lists and tuples: in what it takes and returns a NamedTuple is a dict of its
    fields, and any other node the tuple of its children.
    """
    (batch,) = jax.export.symbolic_shape("batch")
    structs = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *jnp.shape(x)), jnp.result_type(x)), example)
    leaves, structure = jax.tree.flatten(structs)
    order = jax.tree.leaves(_plain(jax.tree.unflatten(structure, range(len(leaves)))))  # dicts sort their keys

    def plain_function(values: Any) -> Any:
        found = dict(zip(order, jax.tree.leaves(values), strict=True))
        return _plain(function(jax.tree.unflatten(structure, [found[i] for i in range(len(leaves))])))

    exported = jax.export.export(jax.jit(jax.vmap(plain_function)), platforms=["cpu", "cuda"])(_plain(structs))
    with atomic_path(path) as temporary:
        temporary.write_bytes(exported.serialize(vjp_order=1))
    return Path(path)


def _plain(tree: Any) -> Any:
    """The same leaves in dicts, lists and tuples only."""
    if isinstance(tree, tuple) and (fields := getattr(tree, "_fields", None)):
        tree = dict(zip(fields, tree, strict=True))
    if isinstance(tree, dict):
        return {name: _plain(child) for name, child in tree.items()}
    children, structure = jax.tree.flatten(tree, is_leaf=lambda node: node is not tree)
    if tree is None or jax.tree_util.treedef_is_leaf(structure):
        return tree
    return [_plain(c) for c in children] if isinstance(tree, list) else tuple(_plain(c) for c in children)
