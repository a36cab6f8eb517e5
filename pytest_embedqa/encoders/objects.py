"""Objects that are already encoders, as a project's own fixture ``encoder`` returns them."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.measures import same_text_cosine
from pytest_embedqa.encoders.engine import Engine, Vectors
from pytest_embedqa.encoders.engines.python_callable import PythonEngine, run_of_its_own
from pytest_embedqa.encoders.model_kind import CLASSES
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.spec import OBJECT, Parser, Spec

_HOW = (
    "Return the encoder of pytest-embedqa, a spec such as 'st:FOLDER', a model of sentence-transformers, "
    "or a function that takes a list of texts and returns an array of shape (texts, dimensions)."
)
# Texts whose vectors tell whether an object still computes the same.
_SAMPLE = (
    "The train is late.",
    "How do I return a parcel?",
    "夜间列车从九号站台发车。",
    "Insulin lowers glucose; IKEA 2019.",
)
_ROUNDING = 1e-4
_SAME_COSINE = 0.9995
# Other objects, by class: a description, and the way to vectors of texts.
_KNOWN = {
    "onnxruntime": "It takes token ids, not texts: return the spec 'onnx:FOLDER' of the folder with its tokenizer.",
    "transformers": "It gives vectors of tokens: return SentenceTransformer(FOLDER), or the spec 'st:FOLDER'.",
    "torch": "It takes tensors, not texts: wrap it in a function.",
    "sentence_transformers": "Of sentence-transformers only a SentenceTransformer, SparseEncoder, MultiVectorEncoder or CrossEncoder is a model.",
    "mteb": "Of mteb only a model with encode(inputs, *, task_metadata, ...) gives one dense vector for each text.",
}

# mteb's wrappers of models of sentence-transformers.
_WRAPPERS = {"SentenceTransformerEncoderWrapper", "SparseEncoderWrapper", "MultiVectorWrapper", "CrossEncoderWrapper"}


def engine_around(given: object, of_mteb: Callable[[Any], PythonEngine] | None = None) -> Engine:
    """Make an engine around an object, which is left as it is and never closed.

    Args:
        given: A model of sentence-transformers, of any kind (or mteb's wrapper of one, or its method ``encode`` or
            ``predict``), a model of mteb's protocol, an engine, a function, or an object with a method ``encode``.
        of_mteb: Makes the engine around a model of mteb's protocol.

    Raises:
        EngineError: If the object is anything else, or gives no dense vectors of texts; the text says what to do.
    """
    if isinstance(given, Engine):
        return given
    model, prompts = _unwrapped(given)
    if model is not None:
        return _of_sentence_transformer(model, prompts)
    if of_mteb and not isinstance(given, type) and _follows_mteb(given):
        return of_mteb(given)
    kind = type(given)
    families = [base.__module__.partition(".")[0] for base in kind.__mro__]
    advice = next((_KNOWN[family] for family in families if family in _KNOWN), "")
    function = given if callable(given) else getattr(given, "encode", None)
    if isinstance(given, type) or advice or not callable(function):
        what = (
            f"the class {given.__name__} itself"
            if isinstance(given, type)
            else f"an object of the class {kind.__module__}.{kind.__name__}"
        )
        raise EngineError(f"The fixture 'encoder' returned {what}, which can't be evaluated. {advice or _HOW}")
    name = f"{getattr(given, '__module__', None) or kind.__module__}.{_name(given)}"
    return PythonEngine.around(function, name)


class ObjectEngine(PythonEngine):
    """The engine of objects, for callers that ask the engine of a spec for its options: it has none."""

    options: ClassVar[Mapping[str, Parser]] = {}

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> ObjectEngine:
        """Refuse: an object made by a fixture can't be made anew.

        Raises:
            EngineError: Always.
        """
        del options
        raise EngineError(f"'{spec}' is an object of the fixture 'encoder', which can't be loaded in another way.")


def spec_of(engine: Engine) -> Spec:
    """Return a spec that names an object in reports and tells it from others; nothing can be loaded by it."""
    identity = engine.identity
    weights = f" {identity.weights[:8]}" if identity.weights else ""
    return Spec(f"{identity.model}{weights}", OBJECT, identity.digest)


def state_of(given: object) -> str:
    """Return a digest of an object's visible state: its weights and settings, or its attributes.

    :func:`sample_of` reveals changes of the hidden state.

    An object that can't be looked into has another state each time, so that it is evaluated anew.
    """
    model, _ = _unwrapped(given)
    if model is not None:
        return _weights(model)
    try:
        return hashlib.sha256(pickle.dumps(getattr(given, "__dict__", {}))).hexdigest()[:16]
    except Exception:  # noqa: BLE001  whatever an attribute may raise
        return uuid.uuid4().hex[:16]


def sample_of(engine: Engine) -> Vectors:
    """Return an object's present vectors of a few fixed texts, shape (n, full_dim).

    They reveal changes of a state that is hidden from :func:`state_of`.
    """
    return np.asarray(engine.embed(_SAMPLE), dtype=np.float64)


def is_unchanged(before: Vectors, now: Vectors) -> bool:
    """Return whether two samples come from the same weights: they differ by rounding alone."""
    return before.shape == now.shape and bool(np.linalg.norm(before - now) <= _ROUNDING * np.linalg.norm(before))


def is_same_object(before: Vectors, now: Vectors) -> bool:
    """Return whether an object is still the same encoder, whatever it counts, caches or keeps open.

    An API's vectors vary a little from call to call.
    """
    return before.shape == now.shape and bool(same_text_cosine(before, now).min() >= _SAME_COSINE)


def with_state(engine: Engine, state: str) -> None:
    """Add the state of an engine's object to the engine's identity."""
    engine.identity = replace(engine.identity, options={**engine.identity.options, "state": state})


def digest_of(state: str, sample: Vectors) -> str:
    """Return a digest that tells an object from others of its name."""
    return hashlib.sha256(state.encode() + sample.tobytes()).hexdigest()[:16]


def _follows_mteb(given: object) -> bool:
    """Return whether an object has the ``encode`` of mteb's protocol, which takes the task's metadata."""
    encode = getattr(given, "encode", None)
    try:
        return callable(encode) and "task_metadata" in inspect.signature(encode).parameters
    except (TypeError, ValueError):  # the object has no readable signature
        return False


def _name(given: object) -> str:
    return str(getattr(given, "__qualname__", type(given).__name__))


def _unwrapped(given: object) -> tuple[Any, Prompts | None]:
    """Return the model of sentence-transformers behind an object, and the prompts that mteb's wrapper would use with it."""
    library = sys.modules.get("sentence_transformers")  # without the library there is no such object
    if library is None:
        return None, None
    classes = tuple(getattr(library, name) for name in CLASSES.values())
    wrappers = sys.modules.get("mteb.models.sentence_transformer_wrapper")
    wrapper = type(given).__name__
    prompts = None
    if wrappers is not None and wrapper in _WRAPPERS and type(given) is getattr(wrappers, wrapper, None):
        model: Any = given.model  # type: ignore[attr-defined]
        prompts = _of_wrapper(given, model)
        given = model
    elif getattr(given, "__name__", "") in {"encode", "predict"} and isinstance(
        getattr(given, "__self__", None), classes
    ):
        given = given.__self__  # type: ignore[attr-defined]
    return (given, prompts) if isinstance(given, classes) else (None, None)


def _of_wrapper(wrapper: Any, model: Any) -> Prompts:
    """Return the prompts that a wrapper of mteb uses with its model."""
    default = model.default_prompt_name or ""
    always = model.prompts.get(default) or ""
    if not hasattr(wrapper, "model_prompts"):  # that of a cross-encoder
        return Prompts("mteb", {"query": always + wrapper.query_prefix, "document": wrapper.passage_prefix})
    return Prompts("mteb", {**dict(wrapper.model_prompts or {}), default: always}, default=default)


def _of_sentence_transformer(model: Any, prompts: Prompts | None) -> Engine:  # without importing it
    from pytest_embedqa.encoders.engines.sentence_transformers import engine_of

    kind = type(model)
    engine = engine_of(model).around(model, Spec(kind.__name__, "st", kind.__name__))
    # A method may be patched without a trace, so vectors are reused in this run alone.
    engine.identity = replace(
        engine.identity, weights=_weights(model), options={**engine.identity.options, **run_of_its_own()}
    )
    engine.prompts = prompts or engine.prompts
    return engine


def _weights(model: Any) -> str:
    """Return the SHA-256 (hex) of a model's present weights and settings: tests may train or change it in between."""
    import torch

    settings = [
        (name, getattr(model, name, None))
        for name in (
            *("max_seq_length", "truncate_dim", "similarity_fn_name", "prompts", "default_prompt_name"),
            *("max_active_dims", "activation_fn"),
        )
    ]
    parts = [
        (type(part).__qualname__, part.get_config_dict() if hasattr(part, "get_config_dict") else "") for part in model
    ]
    digest = hashlib.sha256(repr((settings, parts)).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
