"""Loading of a model with sentence-transformers: as the kind of model that it is, whole, or not at all."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import EmbedQAError, EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engines.weights import loaded_whole, require_read
from pytest_embedqa.encoders.hub import hub_or_cache
from pytest_embedqa.encoders.model_files import damaged
from pytest_embedqa.encoders.model_folder import ModelFolder, find_folder, read_folder
from pytest_embedqa.encoders.model_kind import CLASSES, CROSS_ENCODER, DENSE, MULTI_VECTOR, SPARSE, described
from pytest_embedqa.encoders.reproducible import OUT_OF_RANGE
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.encoders.threads import cpu_threads

DTYPES = {"half": "float16", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
# The files of a model on the Hub that say what it is.
_FACTS = ("*.json", "README.md")
# The parts that sentence-transformers makes up of random numbers, where a folder of another kind lacks them.
_LACKING = {
    SPARSE: (
        "ForMaskedLM",
        "a head that predicts words (it was saved as {saved}), and sentence-transformers would append a new layer of random numbers",
    ),
    MULTI_VECTOR: (
        "ColBERT",
        "a projection of its token vectors (it was saved as {saved}), and sentence-transformers would append a new one of random numbers",
    ),
    CROSS_ENCODER: (
        ("ForSequenceClassification", "ForRanking", "ForCausalLM"),
        "a head that scores a pair of texts (it was saved as {saved}), and transformers would append a new one of random numbers",
    ),
}


def require_model(spec: Spec, path: str) -> None:
    """Refuse a spec that names no model, or a path where none can be; and an environment without the library.

    Raises:
        EngineError: If there is no model.
        MissingExtraError: If sentence-transformers is not installed.
    """
    if not path:
        raise EngineError(f"The spec '{spec}' names no model. Write st:MODEL, with a name on the Hub or a folder.")
    if not Path(path).is_dir() and (Path(path).exists() or path.startswith((".", "/", "~"))):
        what = "is a file" if Path(path).exists() else "does not exist"
        raise EngineError(
            f"The model of the spec '{spec}' can't be loaded: {path} {what}. Give the folder of a model, or a name on the Hub: ORG/NAME."
        )
    if importlib.util.find_spec("sentence_transformers") is None:
        raise MissingExtraError("sentence-transformers", "st", f"The engine of the spec '{spec}'")


def class_of(spec: Spec, path: str, asked: str | None) -> str:
    """Return the class of sentence-transformers that a model belongs to: its folder says so, else the spec's ``kind=``.

    Args:
        spec: The spec, for errors.
        path: A folder, or a name on the Hub.
        asked: The value of ``kind=`` in the spec.

    Raises:
        EngineError: If folder and spec contradict each other, or parts of the model would be random numbers.
    """
    folder = _folder(path, spec.revision, fetch=True)
    wanted = CLASSES[asked] if asked else None
    if folder is None:
        return wanted or DENSE
    if folder.says_kind and wanted not in {None, folder.kind}:
        raise EngineError(
            f"kind={asked} was given, but the folder of the spec '{spec}' says that the model is a {described(folder.kind)}. Leave kind= out."
        )
    found = wanted or folder.kind
    if found not in CLASSES.values():
        raise EngineError(
            f"The model of the spec '{spec}' is a {found} (model_type in config_sentence_transformers.json), which nobody knows here: "
            f"{', '.join(CLASSES.values())} are known."
        )
    if not folder.chain:
        _require_trained(folder, found, spec)
    return found


def _folder(path: str, revision: str | None, *, fetch: bool = False) -> ModelFolder | None:
    found = find_folder(path, revision, fetch=_FACTS if fetch else ())
    return read_folder(found) if found else None


def _require_trained(folder: ModelFolder, wanted: str, spec: Spec) -> None:
    """Refuse a bare transformer without the head of the kind that it shall be."""
    saved = [str(name) for name in folder.config.get("architectures") or []]
    if any(name.endswith("ForRetrieval") for name in saved):
        raise EngineError(
            f"The model of the spec '{spec}' ({saved[0]}) finds images of pages, and here documents are texts. Choose a model of texts."
        )
    if wanted not in _LACKING:
        return
    parts, lack = _LACKING[wanted]
    if not any(part in name for name in saved for part in ([parts] if isinstance(parts, str) else parts)):
        raise EngineError(
            f"The model of the spec '{spec}' is no trained {described(wanted)}: it has not {lack.format(saved=', '.join(saved) or 'an unknown class')}. "
            "Give a model that was trained as one."
        )


def load(name: str, path: str, spec: Spec, options: Mapping[str, Any]) -> tuple[Any, ModelFolder | None]:
    """Load a model as a class of sentence-transformers.

    Args:
        name: Name of the class.
        path: A folder, or a name on the Hub.
        spec: The spec, for errors.
        options: Values of the spec's keys.

    Returns:
        The model, and the facts of its folder if it lies on this machine, as after a download.

    Raises:
        EngineError: If the model can't be loaded, or not whole.
    """
    import sentence_transformers  # seconds to import

    dtype = options.get("dtype", "")
    arguments = {"dtype": DTYPES.get(dtype, dtype), "attn_implementation": options.get("attention")}
    _require_device(spec, options.get("device"))
    # A download may take minutes and shows its bars; a folder is read in seconds, and its bar is noise.
    reading = contextlib.redirect_stderr(io.StringIO()) if Path(path).is_dir() else hub_or_cache()
    try:
        with reading, loaded_whole(spec) as unfilled:
            model = getattr(sentence_transformers, name)(
                path,
                device=options.get("device"),
                revision=spec.revision,
                trust_remote_code=options.get("trust_remote_code", False),
                model_kwargs={key: value for key, value in arguments.items() if value},
            )
    except EmbedQAError:
        raise
    except ImportError as error:  # peft for an adapter, what a model's own code imports
        raise EngineError(
            f"The model of the spec '{spec}' needs a package that is not installed here: {error}"
        ) from error
    except Exception as error:  # each library and each format of files has its own errors
        wrong = damaged(path)
        raise EngineError(
            f"The model of the spec '{spec}' can't be loaded: {wrong or f'{type(error).__name__}: {error}'}\n"
            + (
                "A file of this folder is missing, damaged or of a newer release: fetch or save the model again."
                if Path(path).is_dir()
                else f"There is no folder '{path}' here, so it was taken for a name on the Hub. "
                "Give a folder with the model, or a name on the Hub while it can be reached."
            )
        ) from error
    require_read(model, unfilled, spec)
    folder = _folder(path, spec.revision)
    if folder and folder.kind != name and folder.says_kind:  # the Hub could not be asked before the download
        raise EngineError(
            f"The model of the spec '{spec}' is a {described(folder.kind)} and was loaded as another kind. It is on this machine now: run again."
        )
    if model.device.type == "cpu":
        _set_threads(options.get("threads"))
    return model, folder


@contextlib.contextmanager
def failures_told(identity: Identity, texts: int) -> Iterator[None]:
    """Turn torch's errors inside this context into this package's.

    Args:
        identity: Identity of the engine.
        texts: Number of texts in the batch.

    Raises:
        OutOfMemoryError: If the batch did not fit.
        EngineError: For any other error of the computation.
    """
    import torch

    try:
        yield
    except (RuntimeError, IndexError) as error:
        if (
            isinstance(error, torch.OutOfMemoryError)
            or "out of memory" in str(error)
            or "can't allocate memory" in str(error)
        ):
            message = str(error).partition("\n")[0]
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise OutOfMemoryError(message) from None
        raise EngineError(
            f"sentence-transformers failed on a batch of {texts} texts ({identity.model}): {error}"
            + (OUT_OF_RANGE if isinstance(error, IndexError) else "")
        ) from error


def _require_device(spec: Spec, device: str | None) -> None:
    """Raise EngineError if torch can't compute on the spec's device; model loading says it less plainly."""
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        first = str(error).partition("\n")[0]
        raise EngineError(f"The spec '{spec}' asks for device={device}, which torch can't use here: {first}") from error


def _set_threads(asked: int | None) -> None:
    """Set the requested number of threads; else fewer than torch's own where a container or user allows fewer."""
    import torch

    threads = asked or cpu_threads()
    if threads and (asked or threads < torch.get_num_threads()):
        torch.set_num_threads(threads)
