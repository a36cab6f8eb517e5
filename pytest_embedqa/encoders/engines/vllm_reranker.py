"""``vllm:`` with a reranker: the scores of sentence-transformers' ``CrossEncoder``, computed by vLLM in this process.

vLLM's own ``score`` reads pairs in other ways than that library: it makes no pair of an empty document, cuts the end of
both texts together (closing token included), applies no template by itself, and looks for the last function in another
file. So pairs are tokenised here, vLLM computes their logits, and the last function is applied here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.engine import Vectors
from pytest_embedqa.encoders.engines import vllm_running as running
from pytest_embedqa.encoders.engines.checkpoint import require_whole_checkpoint
from pytest_embedqa.encoders.model_files import require_fetched
from pytest_embedqa.encoders.model_folder import ModelFolder, weights_digest
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.prompts import Prompts
from pytest_embedqa.encoders.representations import SCORES, Representation
from pytest_embedqa.encoders.score_scale import sigmoid
from pytest_embedqa.encoders.spec import Spec

if TYPE_CHECKING:
    from vllm import LLM

# Modules of a model with a head for classification, and of a language model whose words for yes and no are its score.
_HEAD, _WORDS = (("Transformer",), ()), (("Transformer", "LogitScore"),)
_SIGMOID, _IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


class VllmReranker:
    """Engine that scores pairs with vLLM.

    A pair longer than the model takes is cut as sentence-transformers does: the longer text loses its end.
    """

    representation: Representation = SCORES
    counts_tokens = True
    prompts: Prompts | None = None

    def __init__(self, llm: LLM, identity: Identity, *, sigmoid: bool, template: bool) -> None:
        """Wrap a loaded model.

        Args:
            llm: vLLM with the model.
            identity: Identity of the model.
            sigmoid: Whether a sigmoid is the model's last function; otherwise scores are logits.
            template: Whether a pair is put into the tokenizer's chat template.
        """
        self._llm = llm
        self._tokenizer = llm.get_tokenizer()
        self._sigmoid = sigmoid
        self._suffix = _suffix(self._tokenizer) if template else None
        self.identity = identity
        self.limits = running.limits(identity)

    @classmethod
    def load(cls, spec: Spec, options: Mapping[str, Any], files: ModelFolder) -> VllmReranker:
        """Start vLLM on a reranker, whose files are on this machine.

        Raises:
            EngineError: If vLLM would compute other scores than sentence-transformers.
        """
        if unfit := [key for key in ("pooling", "normalize") if key in options]:
            raise EngineError(
                f"{unfit[0]}= was given, but the model of the spec '{spec}' scores pairs and has no vectors."
            )
        activation = {"sigmoid": _SIGMOID, "none": _IDENTITY}.get(options.get("activation", ""), _activation(files))
        overrides = _overrides(files, spec, activation)
        if running.loads_by_name(options):
            require_fetched(spec, *files.path.iterdir())
            require_whole_checkpoint(files.transformer, spec, "CAUSAL_LM" if overrides else "SEQUENCE_CLASSIFICATION")
        given = {"hf_overrides": {**overrides, **options.get("hf_overrides", {})}} if overrides else {}
        with running.environment_kept():
            llm = running.start(spec, options, **given)
        identity = _identity(llm, spec, options, files, activation)
        return cls(llm, identity, sigmoid=activation == _SIGMOID, template="message" in _modalities(files))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the scores of a batch of pairs, shape (n,)."""
        from vllm import PoolingParams, TokensPrompt

        prompts, parameters = [], []
        for ids, types in self._tokens(texts, self.identity.max_length):
            # vLLM takes the place of the first token of the second text.
            second = {"compressed_token_type_ids": types.index(1) if 1 in types else len(types)} if types else None
            prompts.append(TokensPrompt(prompt_token_ids=ids))
            parameters.append(PoolingParams(task="classify", use_activation=False, extra_kwargs=second))
        outputs = running.encode(self._llm, self.identity, prompts, pooling_params=parameters, pooling_task="classify")
        logits = np.array([float(output.outputs.data) for output in outputs], dtype=np.float32)
        return sigmoid(logits) if self._sigmoid else logits

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each pair before any cut."""
        return [len(ids) for ids, _ in self._tokens(texts, None)]

    def close(self) -> None:
        """Stop vLLM's processes and free the device."""
        with running.stopping(self._llm):
            del self._llm, self._tokenizer

    def _tokens(self, texts: Sequence[str], limit: int | None) -> list[tuple[list[int], list[int] | None]]:
        """Return token ids and segments (``None`` where the model has none) of each pair."""
        pairs = [split(text) for text in texts]
        if self._suffix is not None:
            return [(self._rendered(*pair, limit), None) for pair in pairs]
        cut = {"truncation": "longest_first", "max_length": limit} if limit else {"truncation": False}
        found = self._tokenizer(pairs, return_attention_mask=False, verbose=False, **cut)
        types = found.get("token_type_ids") or [None] * len(pairs)
        return list(zip(found["input_ids"], types, strict=True))

    def _rendered(self, query: str, document: str, limit: int | None) -> list[int]:
        ids = _render(self._tokenizer, query, document)
        if not limit or len(ids) <= limit:
            return ids
        # The end of the template must stay: the score is read there.
        return [*ids[: limit - len(self._suffix or ())], *(self._suffix or ())]


def _render(tokenizer: Any, query: str, document: str) -> list[int]:
    messages = [{"role": "query", "content": query}, {"role": "document", "content": document}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _suffix(tokenizer: Any) -> list[int]:
    """Return the tokens of a template behind the document, which all pairs share."""
    ends = [_render(tokenizer, "one", document)[::-1] for document in ("two", "3", "?!")]
    same = next((place for place, row in enumerate(zip(*ends, strict=False)) if len(set(row)) > 1), 0)
    return ends[0][:same][::-1]


def _modalities(files: ModelFolder) -> Mapping[str, Any]:
    """Return how sentence-transformers passes inputs to the model, by kind of input: pairs become messages where it can."""
    found: Mapping[str, Any] = (files.chain[0].config.get("modality_config") or {}) if files.chain else {}
    return found


def _activation(files: ModelFolder) -> str:
    """Return the class of the model's last function, as sentence-transformers finds it."""
    file = files.path / "config_sentence_transformers.json"
    own = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    older = files.config.get("sentence_transformers") or {}
    named = (
        own.get("activation_fn")
        or older.get("activation_fn")
        or files.config.get("sbert_ce_default_activation_function")
    )
    return str(named or _SIGMOID)


def _overrides(files: ModelFolder, spec: Spec, activation: str) -> dict[str, Any]:
    """Return what vLLM must be told about a model beside its ``config.json``; nothing for a head that it knows by itself.

    Raises:
        EngineError: If the model has a part that vLLM would leave out.
    """
    architectures = [str(one) for one in files.config.get("architectures") or []]
    labels = files.config.get("num_labels", len(files.config.get("id2label") or [0]))
    words = files.chain[1].config if files.modules in _WORDS else None
    message = _modalities(files).get("message")
    templated = any((files.transformer / name).is_file() for name in ("chat_template.jinja", "chat_template.json"))
    problems = {
        f"has the modules {', '.join(files.modules)}": files.modules not in _HEAD + _WORDS,
        f"applies {activation} to its scores": activation not in {_SIGMOID, _IDENTITY},
        "has an adapter (adapter_config.json)": (files.transformer / "adapter_config.json").is_file(),
        f"declares prompts ({', '.join(map(repr, files.prompts.prefixes))})" if files.prompts else "": bool(
            files.prompts
        ),
        f"has {labels} labels": words is None and labels != 1,
        f"was saved as {', '.join(architectures) or 'an unknown class'}, whose template and words for yes and no nothing tells": words
        is None
        and not any(one.endswith("ForSequenceClassification") for one in architectures),
        "has a chat template, and nothing says whether pairs go through it (modality_config)": templated
        and not _modalities(files),
        "puts pairs into messages of several parts": message is not None and message.get("format", "flat") != "flat",
        "has a single word for its score": words is not None and words.get("false_token_id") is None,
    }
    if problem := next((problem for problem, there in problems.items() if there), None):
        raise EngineError(
            f"The reranker of the spec '{spec}' {problem}, which 'vllm' can't reproduce: its scores would differ. Load it with st:."
        )
    if words is None:
        return {}
    from transformers import AutoTokenizer  # seconds to import

    tokenizer = AutoTokenizer.from_pretrained(files.transformer)
    return {
        "architectures": [one.replace("ForCausalLM", "ForSequenceClassification") for one in architectures],
        "classifier_from_token": tokenizer.convert_ids_to_tokens([words["false_token_id"], words["true_token_id"]]),
        "method": "from_2_way_softmax",
    }


def _identity(llm: LLM, spec: Spec, options: Mapping[str, Any], files: ModelFolder, activation: str) -> Identity:
    from vllm.platforms import current_platform

    config = llm.llm_engine.model_config
    limits = [options.get("max_length") or files.max_length, config.max_model_len]
    return Identity(
        model=spec.model,
        engine=spec.engine,
        weights=weights_digest(files.path),
        revision=spec.revision,
        libraries=running.libraries(),
        dtype=str(config.dtype).removeprefix("torch."),
        device=current_platform.device_type,
        max_length=min(limit for limit in limits if limit),
        similarity="score",
        options={
            "kind": "reranker",
            "activation": "sigmoid" if activation == _SIGMOID else "none",
            **running.deciding(llm, options),
        },
    )
