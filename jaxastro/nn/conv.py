"""One-dimensional convolution with gradients that stay fast inside `lax.scan`, where XLA:CPU's own are 30 times slower.

XLA rewrites the gradients of a convolution to its fast kernel outside loops only. Here both gradients are written as
convolutions in the canonical layout, which are fast everywhere, and over the whole batch: a primitive of its own is
what lets `jax.vmap` of one example become one convolution of the batch before it is differentiated.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, PRNGKeyArray


def conv1d(
    x: Float[Array, "time channel_in"], kernel: Float[Array, "width channel_in channel_out"]
) -> Float[Array, "time channel_out"]:
    """The cross-correlation of one series with `kernel`, zero-padded to the length of `x` (XLA's `SAME`).

    Batches come from `jax.vmap`.
    """
    if x.shape[-1] == 1:  # a matrix product over patches is faster than a convolution of a single channel
        return _patches(x, kernel.shape[0]) @ kernel.reshape(-1, kernel.shape[-1])
    return _conv_p.bind(x[None], kernel)[0]


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

    Written without `lax.reduce_window`, whose gradient costs several times more.
    """
    stride = width if stride is None else stride
    steps = (x.shape[0] - width) // stride + 1
    if stride == width:
        windows = x[: steps * width].reshape(steps, width, -1)
        return functools.reduce(jnp.maximum, [windows[:, i] for i in range(width)])
    parts = [jax.lax.slice_in_dim(x, i, i + (steps - 1) * stride + 1, stride) for i in range(width)]
    return functools.reduce(jnp.maximum, parts)


def _patches(x: Array, width: int) -> Array:
    """Every bin's neighbourhood, (time, width * channel)."""
    before = (width - 1) // 2
    padded = jnp.pad(x, ((before, width - 1 - before), (0, 0)))
    return jnp.concatenate([padded[i : i + x.shape[0]] for i in range(width)], axis=-1)


def _canonical(x: Array, kernel: Array, padding: tuple[int, int]) -> Array:
    return jax.lax.conv_general_dilated(x, kernel, (1,), [padding], dimension_numbers=("NWC", "WIO", "NWC"))


def _padding(width: int) -> tuple[int, int]:
    before = (width - 1) // 2
    return before, width - 1 - before


def _conv(x: Array, kernel: Array) -> Array:
    """The primitive's meaning: (example, time, channel_in) and a kernel to (example, time, channel_out)."""
    return _canonical(x, kernel, _padding(kernel.shape[0]))


def _transpose_x(g: Array, x, kernel: Array) -> Array:
    before, after = _padding(kernel.shape[0])
    return _canonical(g, jnp.flip(kernel, 0).swapaxes(1, 2), (after, before))


def _transpose_kernel(g: Array, x: Array, kernel) -> Array:
    padding = _padding(kernel.aval.shape[0])
    return _canonical(x.transpose(2, 1, 0), g.transpose(1, 0, 2), padding).transpose(1, 0, 2)


def _batch(arguments, axes):
    """More examples where only `x` has the new axis; else one convolution for each of its entries."""
    x, kernel = arguments
    x_axis, kernel_axis = axes
    if kernel_axis is None:
        x = jnp.moveaxis(x, x_axis, 0)
        return _conv_p.bind(x.reshape(-1, *x.shape[2:]), kernel).reshape(*x.shape[:3], -1), 0
    kernel = jnp.moveaxis(kernel, kernel_axis, 0)
    x = jnp.broadcast_to(x, (len(kernel), *x.shape)) if x_axis is None else jnp.moveaxis(x, x_axis, 0)
    return jax.lax.map(lambda pair: _conv_p.bind(*pair), (x, kernel)), 0


_conv_p = Primitive("conv1d")
_conv_p.def_impl(jax.jit(_conv))
_conv_p.def_abstract_eval(lambda x, kernel: x.update(shape=(*x.shape[:2], kernel.shape[2])))
mlir.register_lowering(_conv_p, mlir.lower_fun(_conv, multiple_results=False))
ad.defbilinear(_conv_p, _transpose_x, _transpose_kernel)
batching.primitive_batchers[_conv_p] = _batch
