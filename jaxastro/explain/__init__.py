"""Why a model says what it says: exact Shapley values, integrated gradients."""

from jaxastro.explain.gradients import integrated_gradients as integrated_gradients
from jaxastro.explain.shapley import coalitions as coalitions
from jaxastro.explain.shapley import shapley_values as shapley_values
