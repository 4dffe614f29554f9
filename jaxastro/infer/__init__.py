"""One NumPyro model, many engines, one `Posterior`."""

from jaxastro.infer.engines import geovi as geovi
from jaxastro.infer.engines import log_score as log_score
from jaxastro.infer.engines import map_estimate as map_estimate
from jaxastro.infer.engines import mgvi as mgvi
from jaxastro.infer.engines import nuts as nuts
from jaxastro.infer.engines import svi as svi
from jaxastro.infer.fisher import fisher_coordinates as fisher_coordinates
from jaxastro.infer.hamiltonian import hmc as hmc
from jaxastro.infer.posterior import Posterior as Posterior
from jaxastro.infer.standard import from_standard as from_standard
from jaxastro.infer.standard import standard_model as standard_model
from jaxastro.infer.standard import standardise as standardise
from jaxastro.infer.variational import Limits as Limits
