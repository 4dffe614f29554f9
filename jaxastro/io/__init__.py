"""Model artefacts and the field's file formats."""

from jaxastro.io.artefact import plain as plain
from jaxastro.io.artefact import read_card as read_card
from jaxastro.io.artefact import read_model as read_model
from jaxastro.io.artefact import versions as versions
from jaxastro.io.artefact import write_model as write_model
from jaxastro.io.export import export as export
from jaxastro.io.staging import atomic_path as atomic_path
from jaxastro.io.staging import partial as partial
from jaxastro.io.staging import refuse_existing as refuse_existing
from jaxastro.io.staging import stage_directory as stage_directory
