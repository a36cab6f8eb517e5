"""What the engines of all kinds of models of sentence-transformers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Limits, Told
from pytest_embedqa.encoders.engines import loading, told
from pytest_embedqa.encoders.engines.weights import code_facts
from pytest_embedqa.encoders.memory import HeapTrimmer
from pytest_embedqa.encoders.model_folder import ModelFolder, limit_of, weights_digest
from pytest_embedqa.encoders.prompts import Prompts, declared_prompts
from pytest_embedqa.encoders.representations import DENSE, Representation
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive

if TYPE_CHECKING:
    from typing_extensions import Self

_LIBRARIES = ("sentence-transformers", "transformers", "tokenizers", "torch")
# Tokens of a batch. A CPU is fastest while a batch stays near its caches (measured on long texts:
# 1,024 take 1.16 of the time and 4,096 take 1.07); a GPU needs large batches.
_LIMITS = {"cpu": Limits(batch_tokens=2048, batch_size=64), "gpu": Limits(batch_tokens=65_536, batch_size=512)}
# Keys for models of every kind.
SHARED_OPTIONS: Mapping[str, Parser] = {
    "device": str,
    "dtype": choice("float32", "float16", "bfloat16", *loading.DTYPES),
    "max_length": positive,
    "trust_remote_code": boolean,
    "attention": choice("eager", "sdpa", "flash_attention_2"),
    "threads": positive,
}


class TorchEngine(ABC):
    """An engine of one kind of model, run by sentence-transformers on CUDA, MPS or the CPU, in this order.

    Attributes:
        model_class: Name of the kind's class in sentence-transformers.
        own_options: Keys that only this kind has.
        representation: What the model makes of a text.
        told: What the model needs to know beside a text.
    """

    counts_tokens = True
    model_class: ClassVar[str]
    own_options: ClassVar[Mapping[str, Parser]] = {}
    options: ClassVar[Mapping[str, Parser]] = SHARED_OPTIONS
    representation: Representation = DENSE
    told: Told

    def __init__(self, model: Any, identity: Identity, prompts: Prompts | None) -> None:
        """Wrap a loaded model."""
        self._model = model
        self.identity = identity
        self.prompts = prompts
        self.limits = _LIMITS["cpu" if identity.device == "cpu" else "gpu"]
        self.told = self.told_to(model)
        self._heap = HeapTrimmer()

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> TorchEngine:
        """Load a model of this kind by its Hub name or folder."""
        return cls.load_from(spec.model, spec, options)

    @classmethod
    def load_from(cls, path: str, spec: Spec, options: Mapping[str, Any], *, name: str | None = None) -> Self:
        """Load the model in a folder that the spec need not name.

        Args:
            path: A folder, or a name on the Hub.
            spec: The spec, for errors.
            options: Values of the spec's keys.
            name: Public name of the model; by default the spec's.
        """
        loading.require_model(spec, path)
        cls.check(path, spec, options)
        model, folder = loading.load(cls.model_class, path, spec, options)
        if "max_length" in options:
            cls._cut_at(model, spec, options["max_length"])
        cls.reconfigure(model, spec, options)
        return cls(model, cls._identity(model, spec, options, name=name, folder=folder), cls.prompts_of(model))

    @classmethod
    def around(cls, model: Any, spec: Spec) -> Self:
        """Make an engine around a model that its user has loaded, and may train further: the model is not changed."""
        return cls(model, cls._identity(model, spec, {}), cls.prompts_of(model))

    @classmethod
    def check(cls, path: str, spec: Spec, options: Mapping[str, Any]) -> None:
        """Refuse a model by its files alone, before it is loaded; most kinds have no reason to."""
        del path, spec, options

    @classmethod
    def reconfigure(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> None:
        """Change a loaded model as the spec's own keys of this kind say, if it has any."""
        del model, spec, options

    @classmethod
    @abstractmethod
    def facts(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the identity that this kind fills in; ``options`` adds to those of all kinds."""

    @classmethod
    def told_to(cls, model: Any) -> Told:
        """Return what the model needs beside a text: the role, for all kinds but dense encoders."""
        return Told(prompts=True, max_lengths=told.lengths_by_role(model))

    @classmethod
    def prompts_of(cls, model: Any) -> Prompts | None:
        """Return the prompts that the model declares."""
        return declared_prompts(model.prompts, model.default_prompt_name)

    @abstractmethod
    def compute(self, texts: Sequence[str]) -> Any:
        """Return what the library makes of a batch."""

    def embed(self, texts: Sequence[str]) -> Any:
        """Return what the model makes of a batch, in the order of the texts."""
        with loading.failures_told(self.identity, len(texts)):
            found = self.compute(texts)
        self._heap.embedded(len(texts))
        return found

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        return told.lengths(self._model, texts)

    def close(self) -> None:
        """Move the weights off the device."""
        import torch

        del self._model
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @classmethod
    def _cut_at(cls, model: Any, spec: Spec, length: int) -> None:
        if by_role := sorted(told.lengths_by_role(model)):
            raise EngineError(
                f"max_length= was given, but the model of the spec '{spec}' cuts texts by their role ({', '.join(by_role)}). Leave it out."
            )
        try:
            cut = model.max_seq_length is not None
            model.max_seq_length = length
        except AttributeError:
            cut = False
        if not cut:
            raise EngineError(f"max_length= was given, but the model of the spec '{spec}' cuts no text. Leave it out.")

    @classmethod
    def _identity(
        cls,
        model: Any,
        spec: Spec,
        options: Mapping[str, Any],
        *,
        name: str | None = None,
        folder: ModelFolder | None = None,
    ) -> Identity:
        facts = cls.facts(model, spec, options)
        return Identity(
            model=name or spec.model,
            engine=spec.engine,
            weights=weights_digest(folder.path) if folder else None,
            revision=spec.revision,
            libraries={library: version(library) for library in _LIBRARIES},
            dtype=str(model.dtype).removeprefix("torch."),
            device=model.device.type,
            max_length=limit_of(model.max_seq_length),
            options={
                **{key: str(options[key]) for key in ("attention", "trust_remote_code") if key in options},
                **facts.pop("options", {}),
                **code_facts(model),
                **{f"{kind}_length": str(length) for kind, length in told.lengths_by_role(model).items()},
            },
            **facts,
        )
