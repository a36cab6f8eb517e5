"""Cross-encoders of sentence-transformers: rerankers, which read a query and a document together."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.engine import Told, Vectors
from pytest_embedqa.encoders.engines import told
from pytest_embedqa.encoders.engines.torch_engine import TorchEngine
from pytest_embedqa.encoders.model_folder import find_folder
from pytest_embedqa.encoders.model_kind import CROSS_ENCODER as CLASS
from pytest_embedqa.encoders.pairs import split
from pytest_embedqa.encoders.prompts import Prompts, apart
from pytest_embedqa.encoders.representations import SCORES
from pytest_embedqa.encoders.spec import Parser, Spec, choice

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Linear

_ACTIVATIONS = {"none": "Identity", "sigmoid": "Sigmoid"}
# Where sentence-transformers before 4.0 wrote a cross encoder's activation, in config.json.
_OLD_ACTIVATION = "sbert_ce_default_activation_function"
_SETTINGS = "config_sentence_transformers.json"


class CrossEncoderEngine(TorchEngine):
    """Engine of a ``CrossEncoder``: the texts are pairs that ``pairs.join`` has made."""

    model_class = CLASS
    own_options: ClassVar[Mapping[str, Parser]] = {"activation": choice(*_ACTIVATIONS)}
    representation = SCORES

    @classmethod
    def check(cls, path: str, spec: Spec, options: Mapping[str, Any]) -> None:
        """Refuse a model whose scores go through anything but a layer of torch: the library calls what the files name."""
        folder = find_folder(path, spec.revision)
        if folder is None or options.get("trust_remote_code"):
            return
        for file, named in _activations(folder):
            if not str(named).startswith("torch.nn."):
                raise EngineError(
                    f"The model of the spec '{spec}' is not loaded: its {file} names the activation {named}, which is no "
                    "layer of torch.nn, and a model's files are data. Choose another model, or save it with one of torch.nn."
                )

    @classmethod
    def reconfigure(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> None:
        """Set the function that scores go through, and refuse a classifier."""
        from torch import nn

        if model.num_labels != 1:
            raise EngineError(
                f"The model of the spec '{spec}' gives {model.num_labels} scores for a pair of texts; one is needed to put documents in order."
            )
        if "activation" in options:
            model.activation_fn = getattr(nn, _ACTIVATIONS[options["activation"]])()

    @classmethod
    def around(cls, model: Any, spec: Spec) -> CrossEncoderEngine:
        """Make an engine around a model that its user has loaded."""
        cls.reconfigure(model, spec, {})
        return super().around(model, spec)

    @classmethod
    def facts(cls, model: Any, spec: Spec, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the function that scores go through, which decides their scale."""
        del spec, options
        name = type(model.activation_fn).__name__
        names = {layer: key for key, layer in _ACTIVATIONS.items()}
        return {"similarity": "score", "options": {"kind": "reranker", "activation": names.get(name, name)}}

    @classmethod
    def told_to(cls, model: Any) -> Told:
        """Return whether the prompt is a message of its own; otherwise it stands before the query."""
        return Told(prompts=told.chats(model))

    @classmethod
    def prompts_of(cls, model: Any) -> Prompts | None:
        """Return the default prompt, before the query: no other is ever applied by ``predict``."""
        name = model.default_prompt_name
        prompt = model.prompts.get(name) if name else None
        unused = {other: text for other, text in model.prompts.items() if text and other != name}
        if not prompt and not unused:
            return None
        note = "sentence-transformers applies the default prompt of a reranker alone, before the query"
        return Prompts("model", {"query": prompt or "", "document": ""}, unused=unused, note=note if unused else "")

    def compute(self, texts: Sequence[str]) -> Vectors:
        """Return the scores of a batch of pairs, shape (n,)."""
        scores = np.empty(len(texts), dtype=np.float32)
        for prompt, places, pairs in self._groups(texts):
            with _float32_head(self._model):
                # An empty prompt keeps the model's default prompt out.
                scores[places] = self._model.predict(
                    pairs, prompt=prompt, batch_size=len(pairs), show_progress_bar=False
                )
        return scores

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each pair, with prompt and template, before any cut. The longer text of a pair is cut first."""
        found = np.empty(len(texts), dtype=np.int64)
        for prompt, places, pairs in self._groups(texts):
            found[places] = told.whole_lengths(self._model[0], pairs, prompt=prompt)
        counted: list[int] = found.tolist()
        return counted

    def _groups(self, texts: Sequence[str]) -> Iterator[tuple[str, list[int], list[tuple[str, str]]]]:
        """Yield pairs by their prompt, which comes apart from the query only where the model wants it so."""
        groups: dict[str, list[int]] = defaultdict(list)
        pairs = []
        for place, text in enumerate(texts):
            query, document = split(text)
            prompt = ""
            if self.told.prompts:
                _, prompt, query = apart(query)
            groups[prompt].append(place)
            pairs.append((query, document))
        for prompt, places in groups.items():
            yield prompt, places, [pairs[place] for place in places]


def _activations(folder: Path) -> Iterator[tuple[str, object]]:
    """Yield the activations that a model's files name, each with its file."""
    for file in ("config.json", _SETTINGS):
        with contextlib.suppress(OSError, ValueError):  # a damaged file is named when the model is loaded
            config = json.loads((folder / file).read_text(encoding="utf-8"))
            own = config.get("sentence_transformers")
            own = own if isinstance(own, dict) else {}
            found = (own.get("activation_fn"), config.get(_OLD_ACTIVATION), config.get("activation_fn"))
            yield from ((file, named) for named in found if named)


@contextlib.contextmanager
def _float32_head(model: Any) -> Iterator[None]:
    """Compute the last layer of a low-precision model in float32 inside this context, as mteb does: near scores tie otherwise."""
    import torch

    hooks = []
    for layer, rows in _head(model):
        if layer.weight.dtype in {torch.float16, torch.bfloat16}:

            def upcast(layer: Linear, given: tuple[Tensor, ...], output: Tensor, rows: Any = rows) -> Tensor:
                bias = None if layer.bias is None else layer.bias[rows].float()
                exact = output.float()
                exact[..., rows] = torch.nn.functional.linear(given[0].float(), layer.weight[rows].float(), bias)
                return exact

            hooks.append(layer.register_forward_hook(upcast))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _head(model: Any) -> list[tuple[Linear, Any]]:
    """Return the layers that scores come from, and the rows of their weights that take part."""
    from torch.nn import Linear

    layers = [module for module in model.modules() if isinstance(module, Linear) and module.out_features == 1]
    last = model[-1]
    if hasattr(last, "linear"):  # a module Dense
        names = ("linear", "residual")
        return [(getattr(last, name), slice(None)) for name in names if hasattr(last, name)]
    if hasattr(last, "true_token_id"):  # two words of a language model's vocabulary
        head = model.transformers_model.get_output_embeddings()
        rows = [row for row in (last.true_token_id, last.false_token_id) if row is not None]
        return [(head, rows)] if isinstance(head, Linear) else []
    return [(layers[-1], slice(None))] if layers else []
