"""All errors that a user can meet. Each text names the thing, what was wrong, and what to do next."""

from __future__ import annotations

from pytest_embedqa.core.secrets import redacted


class EmbedQAError(Exception):
    """Base class of everything that this package reports as wrong with the input, the model or the data."""

    def __init__(self, *said: object) -> None:
        """Keep the text, without the secrets that servers, libraries and commands quote."""
        super().__init__(*(redacted(one) if isinstance(one, str) else one for one in said))


class SpecError(EmbedQAError):
    """An encoder spec, an option or a marker argument can't be understood."""


class MissingExtraError(EmbedQAError):
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Name the missing package, what needs it, and the command that installs it."""
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed.\n"
            f'Install it with:  pip install "pytest-embedqa[{extra}]"'
        )


class EngineError(EmbedQAError):
    """A model could not be loaded, or an engine failed while it embedded."""


class OutOfMemoryError(EngineError):
    """The engine ran out of memory for this batch. The encoder halves the batch and goes on."""


class EncoderFaultError(EmbedQAError):
    """An engine returned vectors that can't be right (shape, NaN, constant, rows out of order)."""


class NotFiniteError(EncoderFaultError):
    """An engine returned NaN or infinity."""


class TimeLimitError(EmbedQAError):
    """An evaluation used up the minutes that its test allows."""


class DataError(EmbedQAError):
    """Data is there but malformed. The text names file and line."""


class MissingDataError(EmbedQAError):
    """Data can't be reached. ``--embedqa-missing-data`` decides whether the test is skipped or fails."""


class TaskError(EmbedQAError):
    """A task, split, subset or metric does not exist."""


class PublishedScoreError(EmbedQAError):
    """A comparison with the published score was asked for, and there is none to compare with."""


class BaselineError(EmbedQAError):
    """A baseline can't be read, or nothing can be compared with it. The text says how to mend it."""


class IndexFaultError(EmbedQAError):
    """An index returned what it was never given, or can't do what its test asks."""


class NotTheIndexError(EmbedQAError):
    """The search was exact although an index was asked for, or a setting of the index had no effect."""
