"""Harmonic space of a periodic grid: the Hartley transform and the modes that share one wave number."""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def hartley(image: Float[Array, "*batch y x"]) -> Float[Array, "*batch y x"]:
    """Unnormalised Hartley transform, Re FFT + Im FFT, of the last two axes.

    It is symmetric and its own inverse up to the number of pixels: ``hartley(hartley(x)) == x * n_pixels``.
    `jax.lax.custom_linear_solve` tells JAX both facts: the transpose costs one more real FFT and no complex one.
    """
    n = image.shape[-2] * image.shape[-1]
    return lax.custom_linear_solve(lambda v: _hartley(v) / n, image, lambda _, b: _hartley(b), symmetric=True)


def _hartley(image):
    width = image.shape[-1]
    half = jnp.fft.rfft2(image)
    mirrored = (half.real - half.imag)[..., 1 : width - width // 2]
    mirrored = jnp.roll(jnp.flip(mirrored, (-2, -1)), 1, -2)
    return jnp.concatenate([half.real + half.imag, mirrored], -1)


class Modes(NamedTuple):
    """The distinct wave numbers of a periodic grid (NumPy, host memory).

    Attributes:
        length: |k| of each distinct mode [1 / pixel unit], increasing from 0; shape (mode,).
        count: how many grid points share it; shape (mode,).
        index: which distinct mode each grid point has; shape (y, x).
        volume: product of all side lengths.
    """

    length: np.ndarray
    count: np.ndarray
    index: np.ndarray
    volume: float

    @property
    def log_length(self) -> np.ndarray:
        """ln(k / k_1), where k_1 is the smallest non-zero mode; 0 for the zero mode."""
        return np.concatenate([[0.0], np.log(self.length[1:] / self.length[1])])


@lru_cache
def modes(shape: tuple[int, int], pixel: float = 1.0) -> Modes:
    """Distinct modes of a periodic grid of `shape` pixels of side `pixel`; lengths equal to 1e-12 are one mode."""
    squared = [(np.minimum(i := np.arange(n), n - i) / (n * pixel)) ** 2 for n in shape]
    length = np.sqrt(squared[0][:, None] + squared[1][None, :])
    order = np.argsort(length, axis=None)
    ordered = length.ravel()[order]
    new = np.concatenate([[True], np.diff(ordered) > 1e-12 * ordered[1:]])
    index = np.empty(length.size, np.int32)
    index[order] = np.cumsum(new) - 1
    return Modes(ordered[new], np.bincount(index), index.reshape(shape), float(np.prod(shape)) * pixel**2)


def crop(image: Float[Array, "*batch y x"], shape: tuple[int, int]) -> Float[Array, "*batch {shape[0]} {shape[1]}"]:
    """The first `shape` pixels of a padded periodic image: what lies beyond only keeps opposite edges apart."""
    return image[..., : shape[0], : shape[1]]


def padded(shape: tuple[int, int], ratio: float = 1.125) -> tuple[int, int]:
    """The grid at least `ratio` times as large as `shape` on which a field of that shape is drawn.

    Side lengths are rounded up to even numbers without prime factors above 5, which transform fastest.
    """
    return tuple(fast_length(int(np.ceil(n * ratio - 1e-9))) for n in shape)  # pyright: ignore[reportReturnType]


def fast_length(n: int) -> int:
    """The next even number without a prime factor above 5."""
    while n % 2 or _largest_prime(n) > 5:
        n += 1
    return n


def _largest_prime(n: int) -> int:
    largest, p = 1, 2
    while n > 1:
        if n % p:
            p += 1
        else:
            largest, n = p, n // p
    return largest
