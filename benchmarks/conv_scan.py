"""Gradients of a convolution inside `lax.scan`: the package's against XLA's own, which use a slow kernel there.

    python benchmarks/conv_scan.py

Writes results/conv_scan.json; a ratio of "lax.conv in a scan" near 1 would mean that the trap is gone from XLA.
"""

import jax
import jax.numpy as jnp
from harness import Variant, compare

from jaxastro.nn.conv import conv1d


def xla(x, kernel):
    layout = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x[None], kernel, (1,), "SAME", dimension_numbers=layout)[0]


def main() -> None:
    x = jax.random.normal(jax.random.key(0), (6, 128, 98, 16))
    kernel = 0.1 * jax.random.normal(jax.random.key(1), (5, 16, 32))

    def steps(conv):
        def loss(kernel, x):
            return jnp.sum(jnp.tanh(jax.vmap(conv, (0, None))(x, kernel)))

        def step(kernel, x):
            gradient, dx = jax.grad(loss, (0, 1))(kernel, x)
            return kernel - 1e-6 * gradient + 1e-12 * dx.sum(), None

        return step

    def scanned(conv):
        epoch = jax.jit(lambda kernel, x: jax.lax.scan(steps(conv), kernel, x)[0])
        return lambda: epoch(kernel, x)

    def looped(conv):
        one = jax.jit(lambda kernel, x: steps(conv)(kernel, x)[0])

        def epoch():
            current = kernel
            for batch in x:
                current = one(current, batch)
            return current

        return epoch

    variants = [
        Variant("conv1d in a scan", scanned(conv1d), units=6),
        Variant("conv1d in a Python loop", looped(conv1d), units=6),
        Variant("lax.conv in a Python loop", looped(xla), units=6),
        Variant("lax.conv in a scan", scanned(xla), units=6),
    ]
    compare("conv_scan", variants, notes="16 to 32 channels, width 5, 98 bins, batch 128; gradients of both inputs")


if __name__ == "__main__":
    main()
