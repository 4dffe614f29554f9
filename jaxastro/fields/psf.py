"""Point-spread functions as linear operators on images and on point sources at sub-pixel positions."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from jaxastro.errors import InputError
from jaxastro.fields.harmonic import fast_length


class Points(NamedTuple):
    """Point sources: pixel coordinates (centres at integers) and flux per band; a slot that is off has flux 0.

    Attributes:
        y, x: shape (source,) [pixel].
        flux: shape (band, source).
    """

    y: Array
    x: Array
    flux: Array


class PSF(eqx.Module):
    """Convolution with a PSF that may change with energy and with position on the image.

    Where the PSF varies, kernels are given on a regular grid of nodes that spans the image from edge to edge. Each node
    owns the pixels around it with bilinear weights that sum to one, so flux is conserved and the kernel in between is
    the bilinear mean of its neighbours. Images are zero-padded: nothing wraps around.

    Attributes:
        transfer: rfft2 of the padded kernels, axes (node, band, fy, fx).
        shape: pixels (y, x) of the image.
        nodes: number of kernels along y and x.
        padded: pixels (y, x) of the padded transforms.
        centre: index of the kernel's centre pixel.
    """

    transfer: Complex[Array, "node band fy fx"]
    shape: tuple[int, int] = eqx.field(static=True)
    nodes: tuple[int, int] = eqx.field(static=True)
    padded: tuple[int, int] = eqx.field(static=True)
    centre: tuple[int, int] = eqx.field(static=True)

    def __init__(self, kernel: ArrayLike, shape: tuple[int, int], offset: tuple[float, float] = (0.0, 0.0)):
        """The operator of a kernel on images of this shape.

        Args:
            kernel: sums to one over its last two axes; axes (y, x), (band, y, x) or (node y, node x, band, y, x); the
                source is at index size // 2. See `node_positions` for where the kernels of a varying PSF belong.
            shape: pixels (y, x) of the image.
            offset: shift (y, x) of the result [pixel], registers an image whose grid lies between the sky's pixels.

        Raises:
            InputError: where the kernel has another number of axes, is larger than the image, has negative or
                non-finite values, or does not sum to one within 1 %.
        """
        kernel = np.asarray(kernel, float)
        if kernel.ndim not in (2, 3, 5):
            raise InputError(
                f"The PSF has {kernel.ndim} axes, expected (y, x), (band, y, x) or (node y, node x, band, y, x)."
            )
        kernel = kernel.reshape((1,) * (5 - kernel.ndim) + kernel.shape)
        check_kernel(kernel, shape)
        self.shape, self.nodes, size = tuple(shape), kernel.shape[:2], kernel.shape[-2:]  # pyright: ignore
        self.centre = (size[0] // 2, size[1] // 2)
        window = [_window(n, p)[0] for n, p in zip(shape, self.nodes, strict=True)]
        self.padded = tuple(fast_length(w + k - 1) for w, k in zip(window, size, strict=True))  # pyright: ignore
        fy, fx = np.fft.fftfreq(self.padded[0]), np.fft.rfftfreq(self.padded[1])
        phase = np.exp(-2j * np.pi * (fy[:, None] * offset[0] + fx * offset[1]))
        transfer = np.fft.rfft2(kernel, self.padded) * phase
        self.transfer = jnp.asarray(transfer.reshape(-1, *transfer.shape[2:]))

    def __call__(self, image: Float[Array, "band y x"], points: Points | None = None) -> Float[Array, "band y x"]:
        """The image, with point sources added at their sub-pixel positions, as the PSF spreads it."""
        spectrum = jnp.fft.rfft2(self._windows(image), self.padded)
        if points is not None:
            spectrum = spectrum + self._points(points)
        spread = jnp.fft.irfft2(spectrum * self.transfer, self.padded)
        return self._gather(spread)

    def _windows(self, image):
        """Cut out and weighted neighbourhood of every node, axes (node, band, y, x)."""
        if self.nodes == (1, 1):
            return image[None]
        rows, columns = (jnp.asarray(_indices(n, p)) for n, p in zip(self.shape, self.nodes, strict=True))
        weights = [jnp.asarray(_weights(n, p), image.dtype) for n, p in zip(self.shape, self.nodes, strict=True)]
        cut = image[:, rows[:, None, :, None], columns[None, :, None, :]]
        cut = cut * weights[0][:, None, :, None] * weights[1][:, None, :]
        return jnp.moveaxis(cut, 0, 2).reshape(-1, image.shape[0], *cut.shape[-2:])

    def _gather(self, spread):
        """Sum of all neighbourhoods on the image, the transpose of cutting them out of a frame around it."""
        (cy, cx), (ny, nx) = self.centre, self.shape
        if self.nodes == (1, 1):
            return spread[0, :, cy : cy + ny, cx : cx + nx]
        starts = np.stack(np.meshgrid(*map(_starts, self.shape, self.nodes), indexing="ij"), -1).reshape(-1, 2)
        frame = tuple(starts.max(0) + self.padded)

        def cut(canvas):
            return jax.vmap(lambda s: jax.lax.dynamic_slice(canvas, (0, *s), (canvas.shape[0], *self.padded)))(
                jnp.asarray(starts)
            )

        canvas = jax.ShapeDtypeStruct((spread.shape[1], *frame), spread.dtype)
        (total,) = jax.linear_transpose(cut, canvas)(spread)
        return total[:, cy : cy + ny, cx : cx + nx]

    def _points(self, points: Points):
        """Fourier transform of impulses at sub-pixel positions in every node's window, axes (node, band, fy, fx)."""
        waves = [
            _impulses(t, n, p, f)
            for t, n, p, f in zip(
                (points.y, points.x),
                self.shape,
                self.nodes,
                (np.fft.fftfreq(self.padded[0]), np.fft.rfftfreq(self.padded[1])),
                strict=True,
            )
        ]
        spectrum = jnp.einsum("bk,pkf,qkg->pqbfg", points.flux, *waves)
        return spectrum.reshape(-1, *spectrum.shape[2:])


def node_positions(shape: tuple[int, int], nodes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates (y, x) at which the kernels of a position-dependent PSF must be given."""
    return tuple(_node_centres(n, p) for n, p in zip(shape, nodes, strict=True))  # pyright: ignore


def gaussian_kernel(sigma: float, size: int | None = None) -> Float[np.ndarray, "y x"]:
    """Normalised, pixel-integrated round Gaussian of width `sigma` [pixel], out to 5 sigma unless `size` is given."""
    from scipy.special import ndtr

    half = int(np.ceil(5 * sigma)) if size is None else size // 2
    edges = np.arange(-half, half + 2) - 0.5
    profile = np.diff(ndtr(edges / sigma))
    kernel = np.outer(profile, profile)
    return kernel / kernel.sum()


def crop_kernel(kernel: Float[np.ndarray, "*batch y x"], shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """The kernel cut to at most `shape` and renormalised, and the largest fraction of flux that was cut off."""
    cuts = [slice(None)] * (kernel.ndim - 2)
    for n, k in zip(shape, kernel.shape[-2:], strict=True):
        keep = min(k, n - 1 + n % 2)
        start = k // 2 - keep // 2
        cuts.append(slice(start, start + keep))
    kept = kernel[tuple(cuts)]
    total, inside = kernel.sum((-2, -1), keepdims=True), kept.sum((-2, -1), keepdims=True)
    return kept / inside, float(np.max(1 - inside / total))


def check_kernel(kernel: np.ndarray, shape: tuple[int, int]) -> None:
    """Raise an InputError that names what is wrong with a PSF kernel (its last two axes are y and x)."""
    if not np.isfinite(kernel).all() or (kernel < 0).any():
        raise InputError(
            f"The PSF has {int((~np.isfinite(kernel) | (kernel < 0)).sum())} negative or non-finite values, expected "
            "none; clip them and renormalise."
        )
    sums = kernel.sum((-2, -1))
    if np.abs(sums - 1).max() > 0.01:
        raise InputError(
            f"The PSF sums to {sums.ravel()[np.abs(sums - 1).argmax()]:.4g}, expected 1; divide by its sum."
        )
    if any(k > n for k, n in zip(kernel.shape[-2:], shape, strict=True)):
        raise InputError(
            f"The PSF has {kernel.shape[-2:]} pixels, more than the image's {shape}; cut it with `crop_kernel`."
        )


def _node_centres(n: int, nodes: int) -> np.ndarray:
    return np.array([(n - 1) / 2]) if nodes == 1 else np.linspace(0, n - 1, nodes)


def _window(n: int, nodes: int) -> tuple[int, float]:
    """Pixels of a node's window along one axis, and the distance between nodes."""
    if nodes == 1:
        return n, np.inf
    spacing = (n - 1) / (nodes - 1)
    return min(n, int(np.ceil(2 * spacing)) + 1), spacing


def _starts(n: int, nodes: int) -> np.ndarray:
    width, spacing = _window(n, nodes)
    if nodes == 1:
        return np.zeros(1, int)
    return np.clip(np.floor(_node_centres(n, nodes) - spacing).astype(int), 0, n - width)


def _indices(n: int, nodes: int) -> np.ndarray:
    return _starts(n, nodes)[:, None] + np.arange(_window(n, nodes)[0])


def _weights(n: int, nodes: int) -> np.ndarray:
    distance = np.abs(_indices(n, nodes) - _node_centres(n, nodes)[:, None])
    return np.maximum(0, 1 - distance / _window(n, nodes)[1])


def _impulses(position, n, nodes, frequency):
    """Weighted phase factors of impulses along one axis, axes (node, source, frequency).

    The Nyquist frequency keeps its real part only, as the transform of a real signal must.
    """
    dtype = position.dtype
    centres, starts = jnp.asarray(_node_centres(n, nodes), dtype), jnp.asarray(_starts(n, nodes), dtype)
    inside = jnp.clip(position, 0, n - 1)
    weight = jnp.maximum(0, 1 - jnp.abs(inside - centres[:, None]) / _window(n, nodes)[1])
    angle = (position - starts[:, None])[..., None] * jnp.asarray(-2 * np.pi * frequency, dtype)
    real_only = jnp.asarray(np.abs(frequency) < 0.5, dtype)
    return weight[..., None] * jax.lax.complex(jnp.cos(angle), jnp.sin(angle) * real_only)
