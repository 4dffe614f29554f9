"""One family of errors: each is one sentence that says what was found where, what was expected, and what to do."""


class JaxastroError(Exception):
    """Any failure that jaxastro reports to its user in one sentence."""


class InputError(JaxastroError, ValueError):
    """A file, table, array or option is not what the call needs."""


class ArtefactError(JaxastroError):
    """A model directory is damaged, of another system, or written by a newer version."""


class MissingDependency(JaxastroError, ImportError):
    """An optional package is needed and absent; the message names the extra to install."""
