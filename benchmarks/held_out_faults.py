"""Faults on which no diagnosis was tuned: their kinds, tasks and models differ from those of the tests."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from pipeline_faults import (
    CODE,
    UNIVERSAL,
    Fault,
    _builtin,
    _e5,
    _st,
    cased,
    e5,
    folder,
    from_its_file,
    large_values,
    load,
    load_saturating,
    pooled,
)

from pytest_embedqa.core.slice import Slice
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.spec import parse_spec

NEWS, SCIENCE, MEANING = "STS14", "SciFact", "STS16"


def _universal() -> Encoder:
    encoder: Encoder = load(parse_spec(UNIVERSAL))
    return encoder


def _decomposed(part: Slice) -> Slice:
    """Decompose Korean, as macOS does in file names."""
    return replace(part, second=[unicodedata.normalize("NFD", text) for text in part.second])


def _spaced(part: Slice) -> Slice:
    """Insert zero-width spaces after every third letter, as web pages do to allow line breaks."""

    def spaced(text: str) -> str:
        return "\u200b".join(text[start : start + 3] for start in range(0, len(text), 3))

    return replace(part, first=[spaced(text) for text in part.first], second=[spaced(text) for text in part.second])


HELD_OUT = {
    "last token instead of the mean": Fault(
        "pooling is lasttoken", MEANING, 400, _builtin, _st(pooling=pooled("lasttoken")), in_files=True
    ),
    "pooling of the spec": Fault(
        "pooling is cls by the spec", CODE, 100, _builtin, lambda _: load(parse_spec("builtin?pooling=cls"))
    ),
    "max length of the spec": Fault(
        "cut at 24 tokens", CODE, 100, _builtin, lambda _: load(parse_spec("builtin?max_length=24"))
    ),
    "max length 24 in the files": Fault(
        "cut at 24 tokens",
        SCIENCE,
        64,
        _builtin,
        _st(sentence_bert_config=lambda config: {**config, "max_seq_length": 24}),
        in_files=True,
    ),
    "prompt of another family": Fault(
        "query prompt is wrong",
        CODE,
        200,
        _e5,
        lambda _: e5("Represent this sentence for searching relevant passages: ", "passage: "),
    ),
    "zero-width spaces": Fault("invisible characters", MEANING, 200, _universal, lambda _: _universal(), spoil=_spaced),
    "decomposed Korean": Fault(
        "decomposed characters",
        "SIB200Classification kor_Hang",
        150,
        _universal,
        lambda _: _universal(),
        spoil=_decomposed,
    ),
    "float16 overflow, saturated": Fault(
        "float16",
        MEANING,
        150,
        _builtin,
        lambda place: load_saturating(parse_spec(f"{folder(place, tensors=large_values)}?dtype=float16")),
        load=load_saturating,
    ),
    "cut to 16 dimensions": Fault(
        "cut to 16 of 384 dimensions", NEWS, 300, _builtin, lambda _: load(parse_spec("builtin?dim=16"))
    ),
    "normalize=false of the spec with the dot product": Fault(
        "stands in the spec",
        NEWS,
        300,
        _builtin,
        _st("?normalize=false", config_sentence_transformers=lambda config: {**config, "similarity_fn_name": "dot"}),
    ),
    "uncased model not lower-cased": Fault(
        "capital letters", NEWS, 300, _builtin, _st(tokenizer=cased, tokenizer_config=from_its_file)
    ),
    "corpus file cut off": Fault(
        "corpus is incomplete", SCIENCE, 64, _builtin, lambda _: _builtin(), cut_off="mteb/scifact"
    ),
}
