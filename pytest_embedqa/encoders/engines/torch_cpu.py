"""BERT-like models in float32 on a CPU: without padding, and with linear layers that oneDNN has packed for this processor.

The weights and the arithmetic are the same, only the order of sums differs: vectors agree to the last bits, which is
checked before any is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_embedqa.encoders.engine import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from torch import Tensor, nn

# Architectures whose layers mix tokens only by attention, and that take positions as an input.
_ARCHITECTURES = {"bert", "roberta", "xlm-roberta"}
_ATTENTION = "embedqa_without_padding"
# Short, long, empty, and two texts of the same length: a fault in any changed part shows in some of these.
_PROBES = ("", "A text.", "Another.", "bread and butter " * 12, "the same length, now and then " * 6)
# Layers see this many tokens or a multiple, and the attention of a text this many keys or a multiple.
_STEP = 32
_KEYS = 16
_TOLERANCE = 1e-5  # share of a vector's length


def speed_up(model: SentenceTransformer) -> bool:
    """Rebuild the layers that a batch goes through, if the model is of a kind that gains from it.

    :func:`tokenize` and :func:`compute` then run the rebuilt model.

    Input without padding is sentence-transformers' to change, packed layers are torch's. So probes go through
    the model before and after, and it stays as it was if a vector differs or anything fails: that only costs speed.
    """
    if not _gains(model):
        return False
    probes = [*_PROBES, f"A text with {model.tokenizer.pad_token} in it."]
    before = model.encode(probes, prompt="", show_progress_bar=False)
    with ExitStack() as undo:
        try:
            _leave_padding_out(model[0], undo)
            for layer in list(_pack(model[0].model, undo)):
                undo.callback(layer.register_parameter, "weight", layer.weight)
                layer.register_parameter("weight", None)  # its packed copy is enough
            after = compute(model, tokenize(model, probes))
        except Exception:  # noqa: BLE001  whatever another version of a library may raise
            return False
        if not np.abs(after - before).max() <= _TOLERANCE * np.linalg.norm(before, axis=1).max():
            return False
        undo.pop_all()
    return True


def tokenize(model: SentenceTransformer, texts: Sequence[str]) -> dict[str, Any]:
    """Return the model's input for these texts; not for several threads at once."""
    tokens: dict[str, Any] = model.preprocess(
        list(texts), prompt=""
    )  # no default prompt: prompts are in the texts already
    if offset := model[0]._flatten_position_offset:  # noqa: SLF001
        _count_positions(tokens, offset - 1)
    return tokens


def _count_positions(tokens: dict[str, Any], padding: int) -> None:
    """Count positions as RoBERTa's family does: a padding token written in a text has no position of its own."""
    counted = tokens["input_ids"][0] != padding
    if counted.all():
        return
    for first, last in pairwise(tokens["cu_seq_lens_q"].tolist()):
        text = counted[first:last]
        tokens["position_ids"][0, first:last] = text.cumsum(0) * text + padding


def compute(model: SentenceTransformer, tokens: dict[str, Any]) -> Vectors:
    """Return the vectors of a batch, shape (n, full_dim), in the given order; fastest with texts sorted by length."""
    import torch

    with torch.inference_mode():
        vectors: Vectors = model(tokens)["sentence_embedding"].numpy()
    return vectors


def _gains(model: SentenceTransformer) -> bool:
    import torch
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    transformer, *others = model
    return (
        model.device.type == "cpu"
        and model.dtype == torch.float32
        and model.truncate_dim is None
        and isinstance(transformer, Transformer)
        and transformer.backend == "torch"
        and transformer.config.model_type in _ARCHITECTURES
        and all(isinstance(module, (Pooling, Dense, Normalize)) for module in others)
    )


def _leave_padding_out(transformer: Transformer, undo: ExitStack) -> None:
    """Put a batch's texts into a single row of tokens, as sentence-transformers does for flash-attention kernels."""
    from transformers import AttentionInterface, DataCollatorWithFlattening

    AttentionInterface.register(_ATTENTION, _attend_within_texts)
    undo.callback(transformer.model.set_attn_implementation, transformer.config._attn_implementation)  # noqa: SLF001
    transformer.model.set_attn_implementation(_ATTENTION)
    undo.callback(setattr, transformer, "can_flatten_inputs", transformer.can_flatten_inputs)
    transformer.can_flatten_inputs = True
    transformer.data_collator = DataCollatorWithFlattening(
        return_position_ids=True, return_seq_idx=True, return_flash_attn_kwargs=True
    )
    if transformer.model_forward_params is not None:
        transformer.model_forward_params |= {"cu_seq_lens_q"}
    transformer._flatten_position_offset = transformer._infer_flatten_position_offset()  # noqa: SLF001


def _attend_within_texts(  # noqa: PLR0913  the interface of transformers
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,  # noqa: ARG001
    *,
    cu_seq_lens_q: Tensor,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Compute attention of each text to itself; query, key and value have the shape (1, heads, all tokens, head_dim).

    A round number of keys is faster: tokens after the text fill it up, hidden by a mask.
    """
    import torch

    # Tokens after the last text are removed again where they were added. A mask hides them, but would let NaN through.
    result = torch.zeros_like(query.transpose(1, 2))
    for tokens, count, length in _runs(cu_seq_lens_q.tolist()):
        keys, mask = length + -length % _KEYS, None
        if length < keys <= key.shape[2] - (tokens.stop - length):
            mask = torch.arange(keys)[None] < length
        else:
            keys = length
        attended = torch.nn.functional.scaled_dot_product_attention(
            _of_texts(query, tokens, length, length),
            _of_texts(key, tokens, length, keys),
            _of_texts(value, tokens, length, keys),
            attn_mask=mask,
            scale=scaling,
        )
        result[0, tokens].unflatten(0, (count, length)).copy_(attended.transpose(1, 2))
    return result, None


def _of_texts(states: Tensor, tokens: slice, length: int, seen: int) -> Tensor:
    """Return a view of texts of the same length, shape (texts, heads, seen, head_dim): their tokens and some behind."""
    return states[0, :, tokens.start : tokens.stop - length + seen].unfold(1, seen, length).permute(1, 0, 3, 2)


def _runs(ends: list[int]) -> Iterator[tuple[slice, int, int]]:
    """Yield runs of neighbouring texts of the same length: their tokens, the number of texts, the tokens of each."""
    first = 0
    for last in range(1, len(ends)):
        length = ends[last] - ends[last - 1]
        if last + 1 == len(ends) or ends[last + 1] - ends[last] != length:
            yield slice(ends[first], ends[last]), last - first, length
            first = last


def _round_up(encoder: nn.Module, undo: ExitStack) -> None:
    """Give the layers few different numbers of tokens: oneDNN makes code for each number, and never frees all of it."""
    import torch

    compute = encoder.forward

    def forward(states: Tensor, *others: Any, **keys: Any) -> Any:  # the model's own types
        tokens = states.shape[1]
        output = compute(torch.nn.functional.pad(states, (0, 0, 0, -tokens % _STEP)), *others, **keys)
        output.last_hidden_state = output.last_hidden_state[:, :tokens]
        return output

    _replace(encoder, forward, undo)


def _pack(model: nn.Module, undo: ExitStack) -> Iterator[nn.Linear]:
    """Let oneDNN compute each linear layer, with the GELU or the sum after it in the same pass; yield packed layers."""
    import torch

    if not torch.backends.mkldnn.is_available():
        return
    _round_up(model.encoder, undo)
    before_gelu, before_sum = set(), {}
    for module in model.modules():
        if hasattr(module, "intermediate_act_fn") and model.config.hidden_act == "gelu":
            before_gelu.add(module.dense)
            _replace(module.intermediate_act_fn, lambda states: states, undo)
        if hasattr(module, "dense") and hasattr(module, "LayerNorm"):
            before_sum[module.dense] = module
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            linear = _linear(module, "gelu" if module in before_gelu else "none")
            _replace(module, linear, undo)
            if output := before_sum.get(module):
                _replace(output, _sum_normalised(linear, output.LayerNorm), undo)
            yield module


def _linear(layer: nn.Linear, activation: str) -> Callable[..., Tensor]:
    import torch

    weight = layer.weight.detach().to_mkldnn()
    compute = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001  the operator with which torch.compile runs such layers

    def forward(states: Tensor, plus: Tensor | None = None) -> Tensor:
        if plus is None:
            return compute(states, weight, layer.bias, activation, [], "none")
        return compute.binary(states, plus, weight, layer.bias, "add")

    return forward


def _sum_normalised(linear: Callable[..., Tensor], norm: nn.LayerNorm) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda states, residual: norm(linear(states, residual))


def _replace(module: nn.Module, forward: Callable[..., Tensor], undo: ExitStack) -> None:
    module.forward = forward
    undo.callback(module.__dict__.pop, "forward", None)  # layers may share a module
