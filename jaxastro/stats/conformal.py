"""Sets of labels that hold the true one with a stated probability, whatever the classifier (split conformal)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from jaxastro.errors import InputError
from jaxastro.stats.scores import Rows


class LabelSets(eqx.Module):
    """Maps class probabilities to the set of labels that stay possible."""

    least: Float[jax.Array | np.ndarray, "label"]
    """Least probability with which a label still belongs to the set."""

    def __call__(self, probability: Float[jax.Array | np.ndarray, "*rows label"]) -> Bool[jax.Array, "*rows label"]:
        return jnp.asarray(probability) >= self.least


def label_sets(
    probability: Float[np.ndarray, "row label"], truth: Rows, *, level: float = 0.9, by_class: bool = False
) -> LabelSets:
    """Label sets that contain the true label of at least a fraction `level` of new rows, on average.

    The guarantee holds for rows exchangeable with those given here, which no model or calibrator may have trained on
    (Vovk et al. 2005; Angelopoulos & Bates 2021, arXiv:2107.07511, section 1). Too few rows give sets of all labels.

    Args:
        probability: of each label, per row; from one column p of a binary classifier: `np.stack([1 - p, p], 1)`.
        truth: label number of each row.
        level: coverage.
        by_class: hold the coverage for the rows of each class separately (Mondrian).

    Raises:
        InputError: lengths differ or a label has no column.
    """
    probability, truth = np.asarray(probability), np.asarray(truth).astype(int)
    n_labels = probability.shape[1]
    if len(truth) != len(probability) or truth.size == 0 or truth.min() < 0 or truth.max() >= n_labels:
        raise InputError(
            f"Expected a label 0 to {n_labels - 1} for each of {len(probability)} rows of probabilities, "
            f"found {len(truth)} labels with values {np.unique(truth)[:5].tolist()}."
        )
    given = probability[np.arange(len(truth)), truth]
    if by_class:
        return LabelSets(np.array([_lower_quantile(given[truth == label], level) for label in range(n_labels)]))
    return LabelSets(np.full(n_labels, _lower_quantile(given, level)))


def _lower_quantile(given: np.ndarray, level: float) -> float:
    """The value that a further one, exchangeable with those given, reaches with probability >= level."""
    rank = int(np.floor((len(given) + 1) * (1 - level) + 1e-9))
    return float(np.sort(given)[rank - 1]) if rank >= 1 else 0.0
