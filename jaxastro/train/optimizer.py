"""The default optimizer of a fit."""

from collections.abc import Callable

import jax
import optax

Optimizer = optax.GradientTransformation | Callable[[int], optax.GradientTransformation]


def adamw(learning_rate: float = 1e-3, *, weight_decay: float = 1e-4, warmup: float = 0.05) -> Optimizer:
    """AdamW on a cosine schedule with linear warm-up, for however many steps the fit will take.

    Decay acts on arrays of two or more axes only, so that biases and gains stay free.
    """

    def optimizer(steps: int) -> optax.GradientTransformation:
        schedule = optax.warmup_cosine_decay_schedule(0, learning_rate, max(1, int(warmup * steps)), max(2, steps))
        return optax.adamw(schedule, weight_decay=weight_decay, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p))

    return optimizer
