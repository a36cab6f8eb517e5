"""Model parts that each engine computes as sentence-transformers does; it refuses other parts by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.model_folder import ModelFolder, Module, require_dense, similarity_of
from pytest_embedqa.encoders.spec import Spec

OUT_OF_RANGE = (
    "\nA number lies beyond a table of the model: set max_length= no higher than its positions allow, "
    "and see that its tokenizer has no more tokens than the model has rows."
)


@dataclass(frozen=True)
class Abilities:
    """The parts of a model that an engine computes as sentence-transformers does.

    Attributes:
        pooling: Ways of pooling, by sentence-transformers' names.
        several: Whether the engine joins the results of several ways of pooling.
        activations: Functions that may follow a module ``Dense``, by class name; empty without support for it.
        bias: Whether a module ``Dense`` may have a bias.
        adapters: Whether the engine applies an adapter (LoRA) in the folder.
    """

    pooling: tuple[str, ...]
    several: bool = False
    activations: tuple[str, ...] = ()
    bias: bool = True
    adapters: bool = False


_TORCH = "torch.nn.modules."
ABILITIES: Mapping[str, Abilities] = {
    # An exported graph includes its adapter.
    "onnx": Abilities(
        pooling=("mean", "cls", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens"), several=True, adapters=True
    ),
    "vllm": Abilities(
        pooling=("mean", "cls", "lasttoken"),
        activations=tuple(
            f"{_TORCH}{name}"
            for name in (
                "linear.Identity",
                "activation.Tanh",
                "activation.ReLU",
                "activation.GELU",
                "activation.SiLU",
                "activation.Sigmoid",
            )
        ),
    ),
    # Modules Dense work if they were converted into the file.
    "llamacpp": Abilities(pooling=("mean", "cls", "lasttoken"), activations=(f"{_TORCH}linear.Identity",), bias=False),
}


def require_reproducible(
    folder: ModelFolder, spec: Spec, engine: str, options: Mapping[str, Any], *, whole: bool = False
) -> None:
    """Refuse a model that the engine would compute only in part: the vectors would not be the model's.

    Args:
        folder: The model's folder.
        spec: The spec, for the message.
        engine: Name of the engine, a key of ``ABILITIES``.
        options: The spec's keys; ``pooling`` replaces the folder's.
        whole: Whether the engine's file holds all modules (a graph that pools by itself).

    Raises:
        EngineError: If the model is no dense encoder, has a similarity other than cosine and dot product, or has a part
            that the engine can't compute; the text names the first.
    """
    require_dense(folder, spec)
    similarity_of(folder.similarity, spec)
    if folder.truncate_dim and options.get("normalize"):
        raise EngineError(
            f"normalize=true was given, but the model of the spec '{spec}' cuts its vectors to {folder.truncate_dim} dimensions after that. "
            "Take truncate_dim out of its config_sentence_transformers.json, and set dim= in the spec."
        )
    reason = next(_beyond(folder, ABILITIES[engine], options.get("pooling"), whole=whole), None)
    if reason:
        raise EngineError(
            f"The model of the spec '{spec}' {reason}, which '{engine}' can't reproduce: its vectors would differ. Load it with st:."
        )


def _beyond(folder: ModelFolder, can: Abilities, pooling: str | None, *, whole: bool) -> Iterator[str]:
    """Yield the parts of a model beyond an engine's abilities, each as the end of a sentence about the model."""
    if not folder.include_prompt:
        yield "leaves the prompt out of its pooling (include_prompt in its pooling's config.json)"
    if not can.adapters and (folder.transformer / "adapter_config.json").is_file():
        yield "has an adapter (adapter_config.json)"
    for module in folder.chain:
        yield from _beside_the_text(module)
    if whole:
        return
    yield from _order(folder)
    for dense in (module for module in folder.chain if module.name == "Dense"):
        yield from _dense(dense, can)
    ways = (pooling or folder.pooling or "").split("+")
    if len(ways) > 1 and not can.several:
        yield f"joins several ways of pooling ({pooling or folder.pooling})"
    for way in (way for way in ways if way and way not in can.pooling):
        yield f"has {way} pooling"


def _beside_the_text(module: Module) -> Iterator[str]:
    """Yield the facts beside the tokens of prompt and text that decide a module's vectors."""
    if "." in module.name:
        yield f"has code of its own ({module.name})"
    if module.arguments:
        yield f"takes more than a text ({', '.join(module.arguments)}, for its module {module.name})"
    if module.name != "Transformer":
        return
    roles = [key for key in ("query_length", "document_length", "query_expansion") if module.config.get(key)]
    if roles:
        yield f"treats queries and documents differently ({', '.join(roles)})"
    text = module.config.get("modality_config") or {
        "text": {"method": "forward", "method_output_name": "last_hidden_state"}
    }
    if "message" in text:
        yield "puts texts into a chat template (modality_config)"
    elif text.get("text") != {"method": "forward", "method_output_name": "last_hidden_state"}:
        yield f"takes its vectors from {text.get('text')} (modality_config)"
    if module.config.get("processing_kwargs"):
        yield "has settings of its own for the tokenizer (processing_kwargs)"


def _order(folder: ModelFolder) -> Iterator[str]:
    names = [name for name in folder.modules if name != "Dropout"]  # it does nothing once a model is trained
    for name in names:
        if name not in ("Transformer", "Pooling", "Dense", "Normalize"):
            yield f"has the module {name}"
    dense = ["Dense"] * names.count("Dense")
    if names and names not in (["Transformer", "Pooling", *dense], ["Transformer", "Pooling", *dense, "Normalize"]):
        yield f"has its modules in the order {', '.join(names)}"


def _dense(dense: Module, can: Abilities) -> Iterator[str]:
    if not can.activations:
        yield "has the module Dense"
    activation = dense.config.get("activation_function")
    if activation not in can.activations:
        yield f"has the module Dense with {activation or 'no word about its activation'}"
    if dense.config.get("bias", True) and not can.bias:
        yield "has the module Dense with a bias"
    if dense.config.get("use_residual"):
        yield "has the module Dense with a residual connection (use_residual)"
    ends = {dense.config.get(key) for key in ("module_input_name", "module_output_name")}
    if not ends <= {None, "sentence_embedding"}:
        yield f"has the module Dense between {' and '.join(sorted(map(str, ends)))}"
