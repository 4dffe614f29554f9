"""Training: `fit`, ensembles in one program, checkpoints, devices."""

from jaxastro.train.devices import mesh_of as mesh_of
from jaxastro.train.fit import Batches as Batches
from jaxastro.train.fit import Fit as Fit
from jaxastro.train.fit import NonFiniteLoss as NonFiniteLoss
from jaxastro.train.fit import fit as fit
from jaxastro.train.fit import fit_members as fit_members
from jaxastro.train.optimizer import adamw as adamw
from jaxastro.train.program import inference_mode as inference_mode
from jaxastro.train.progress import progress as progress
