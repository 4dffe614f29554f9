"""One-dimensional convolution with gradients that stay fast inside `lax.scan`, where XLA:CPU's own are 30 times slower.

XLA rewrites the gradients of a convolution to its fast kernel outside loops only. Here both gradients are written in
forms that are fast everywhere: a convolution in the canonical layout, and matrix products.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

# Below this many input channels a matrix product over patches is faster than a convolution (benchmarks/conv_scan.py).
_FEW_CHANNELS = 17


def conv1d(
    x: Float[Array, "time channel_in"], kernel: Float[Array, "width channel_in channel_out"]
) -> Float[Array, "time channel_out"]:
    """The cross-correlation of one series with `kernel`, zero-padded to the length of `x` (XLA's `SAME`).

    Batches come from `jax.vmap`. Reverse mode only where `x` has many channels.
    """
    return _patch_product(x, kernel) if x.shape[-1] < _FEW_CHANNELS else _conv(x, kernel)


class Conv1d(eqx.Module):
    """A convolution layer on one series, (time, channel_in) -> (time, channel_out), safe inside `lax.scan`.

    Attributes:
        kernel: (width, channel_in, channel_out).
        bias: (channel_out,).
    """

    kernel: Float[Array, "width channel_in channel_out"]
    bias: Float[Array, "channel_out"]

    def __init__(self, channels_in: int, channels_out: int, width: int, *, key: PRNGKeyArray):
        scale = (2 / (channels_in * width)) ** 0.5
        self.kernel = scale * jax.random.normal(key, (width, channels_in, channels_out))
        self.bias = jnp.zeros(channels_out)

    def __call__(self, x: Float[Array, "time channel_in"]) -> Float[Array, "time channel_out"]:
        """The filtered series."""
        return conv1d(x, self.kernel) + self.bias


def max_pool(x: Float[Array, "time channel"], width: int, stride: int | None = None) -> Float[Array, "step channel"]:
    """The largest value of every window of `width` bins, `stride` apart (default: `width`); an incomplete one is cut.

    Written as a maximum of slices: its gradient costs far less than that of `lax.reduce_window`.
    """
    stride = width if stride is None else stride
    steps = (x.shape[0] - width) // stride + 1
    parts = [jax.lax.slice_in_dim(x, i, i + (steps - 1) * stride + 1, stride) for i in range(width)]
    return jnp.stack(parts).max(0)


def _patches(x: Array, width: int) -> Array:
    """Every bin's neighbourhood, (time, width * channel)."""
    before = (width - 1) // 2
    padded = jnp.pad(x, ((before, width - 1 - before), (0, 0)))
    return jnp.concatenate([padded[i : i + x.shape[0]] for i in range(width)], axis=-1)


def _patch_product(x: Array, kernel: Array) -> Array:
    return _patches(x, kernel.shape[0]) @ kernel.reshape(-1, kernel.shape[-1])


def _canonical(x: Array, kernel: Array, padding: tuple[int, int]) -> Array:
    layout = ("NWC", "WIO", "NWC")
    return jax.lax.conv_general_dilated(x[None], kernel, (1,), [padding], dimension_numbers=layout)[0]


@jax.custom_vjp
def _conv(x: Array, kernel: Array) -> Array:
    before = (kernel.shape[0] - 1) // 2
    return _canonical(x, kernel, (before, kernel.shape[0] - 1 - before))


def _forward(x, kernel):
    return _conv(x, kernel), (x, kernel)


def _backward(saved, g):
    x, kernel = saved
    before = (kernel.shape[0] - 1) // 2
    dx = _canonical(g, jnp.flip(kernel, 0).swapaxes(1, 2), (kernel.shape[0] - 1 - before, before))
    return dx, (_patches(x, kernel.shape[0]).T @ g).reshape(kernel.shape)


_conv.defvjp(_forward, _backward)
