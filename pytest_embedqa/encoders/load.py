"""Loading of an encoder from its spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_embedqa.core.errors import EmbedQAError, EngineError, SpecError
from pytest_embedqa.encoders.cleaning import CLEANERS
from pytest_embedqa.encoders.composites import OPTIONS as COMPOSITE_OPTIONS
from pytest_embedqa.encoders.encoder import Encoder, Progress
from pytest_embedqa.encoders.engine import Engine, told_by
from pytest_embedqa.encoders.objects import ObjectEngine
from pytest_embedqa.encoders.prompts import NO_PROMPTS, Prompts
from pytest_embedqa.encoders.representations import SCORES, representation_of
from pytest_embedqa.encoders.reranker import Reranker
from pytest_embedqa.encoders.spec import OBJECT, ON_RAY, Parser, Spec, choice, engines, positive, read_options, usage
from pytest_embedqa.encoders.store import Store

# Keys of every engine: the encoder implements them.
COMMON_OPTIONS: dict[str, Parser] = {
    "name": str,
    "dim": positive,
    "clean": choice(*CLEANERS),
    "query_prompt": str,
    "document_prompt": str,
    "batch_tokens": positive,
    "batch_size": positive,
}

# Takes the name of a model and the prompts that it declares.
PromptLookup = Callable[[str, Prompts], Prompts | None]


def engine_class(spec: Spec) -> type[Engine]:
    """Import the class of a spec's engine.

    Raises:
        SpecError: If no installed package provides that engine.
    """
    if spec.engine.startswith(ON_RAY):
        from pytest_embedqa.encoders.engines.on_ray import on_ray  # only where it is asked for

        return on_ray(engine_class(spec.off_ray()))
    if spec.engine == OBJECT:
        return ObjectEngine
    if spec.engine not in engines():
        raise SpecError(f"Unknown engine '{spec.engine}'.\n{usage()}")
    loaded: type[Engine] = engines()[spec.engine].load()
    return loaded


def read_all_options(spec: Spec) -> dict[str, Any]:
    """Return the values of all keys of a spec, the engine's and the common keys.

    Raises:
        SpecError: If a key is unknown or a value is wrong. The model is not loaded to find out.
    """
    if spec.is_composite:
        for part in spec.parts:
            read_all_options(part)
        return read_options(spec, COMPOSITE_OPTIONS[spec.engine])
    return read_options(spec, {**COMMON_OPTIONS, **engine_class(spec).options})


def load_encoder(
    spec: Spec, store: Store | None, *, mteb_prompts: PromptLookup | None = None, progress: Progress | None = None
) -> Encoder:
    """Load the model of a spec, like :func:`load_model`, where vectors are needed.

    Raises:
        SpecError: If it is a reranker, which has none.
    """
    model = load_model(spec, store, mteb_prompts=mteb_prompts, progress=progress)
    if isinstance(model, Reranker):
        model.close()
        model.encode()
    return model


def load_model(
    spec: Spec, store: Store | None, *, mteb_prompts: PromptLookup | None = None, progress: Progress | None = None
) -> Encoder | Reranker:
    """Load the model of a spec and wrap it: an encoder, or a reranker if its engine scores pairs.

    Args:
        spec: The parsed spec.
        store: Store of vectors; ``None`` computes every vector anew.
        mteb_prompts: Finds the prompts that mteb gives a model, so that scores reproduce the leaderboard.
        progress: Shows the progress of a long encoding.

    Raises:
        SpecError: If an option of the spec is unknown or wrong.
        MissingExtraError: If a package is not installed.
        EngineError: If the model can't be loaded.
    """
    options = read_all_options(spec)
    if spec.is_composite:
        raise SpecError(
            f"'{spec}' names no single model: it ranks documents, in tasks that do so (@mteb_task) and for RAG probes. Give one of its models instead."
        )
    if spec.is_public:
        raise SpecError(
            f"The spec '{spec}' comes from a report or a baseline, which leave out secrets and commands. Give the whole spec on the command line."
        )
    if spec.revision and Path(spec.model).is_dir():
        raise SpecError(
            f"The spec '{spec}' names the revision '{spec.revision}', but a folder has no revisions. Leave '@{spec.revision}' out."
        )
    common = {key: options.pop(key, None) for key in COMMON_OPTIONS}
    try:
        engine = engine_class(spec).load(spec, options)
    except EmbedQAError:
        raise
    except (Exception, SystemExit) as error:  # whatever a library, or an engine of another package, lets through
        raise EngineError(f"The model of the spec '{spec}' can't be loaded: {type(error).__name__}: {error}") from error
    name = common["name"] or engine.identity.model
    arguments: dict[str, Any] = {
        "spec": spec,
        "name": name,
        "prompts": _prompts(common, engine, name, mteb_prompts),
        "clean": common["clean"] or "none",
        "limits": replace(engine.limits, **{key: common[key] for key in ("batch_tokens", "batch_size") if common[key]}),
        "progress": progress,
    }
    if representation_of(engine) is not SCORES:
        return Encoder(engine, store, dim=common["dim"], **arguments)
    if common["dim"]:
        engine.close()
        raise SpecError(
            f"'{spec}' was given dim={common['dim']}, but its model scores pairs and has no vectors to cut."
        )
    return Reranker(engine, store, **arguments)


def _prompts(common: dict[str, Any], engine: Engine, name: str, mteb_prompts: PromptLookup | None) -> Prompts:
    """Return the spec's prompts, else mteb's for that model, else the model's own, else none."""
    own = engine.prompts or NO_PROMPTS
    found = (mteb_prompts(name, own) if mteb_prompts else None) or own
    if common["query_prompt"] is not None or common["document_prompt"] is not None:
        prefixes = {"query": common["query_prompt"] or "", "document": common["document_prompt"] or ""}
        found = Prompts("spec", prefixes, placeholder=True).instead_of(found)
    if found.adapters and not told_by(engine).adapters:
        values = ", ".join(sorted(set(found.adapters.values())))
        note = f"mteb also passes task= ({values}), which the engine '{engine.identity.engine}' does not"
        found = replace(found.noted(note), adapters={}, adapter="")
    return found
