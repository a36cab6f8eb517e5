"""Engine around a model that follows mteb's protocol: ``encode(inputs, *, task_metadata, prompt_type, ...)``.

Such a model chooses its prompts by the task and the role of a text, so the encoder tells it both with each text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, ClassVar

import mteb
import numpy as np
import numpy.typing as npt
from datasets import Dataset
from mteb.abstasks.task_metadata import TaskMetadata
from torch.utils.data import DataLoader

from pytest_embedqa.core.errors import EngineError
from pytest_embedqa.encoders.arrays import as_array
from pytest_embedqa.encoders.engine import Told
from pytest_embedqa.encoders.engines.python_callable import PythonEngine
from pytest_embedqa.encoders.engines.told import told_groups
from pytest_embedqa.encoders.prompts import DOCUMENT, Prompts, TaskContext, TextKind, apart
from pytest_embedqa.quality.mteb.prompts import PROMPT_TYPES

# Context of a text outside any task (a probe, an invariant): a search, as in mteb's default prompt of a document.
_NO_TASK = TaskContext("embedqa", "Retrieval")
_SIMILARITIES = {"cosine": "cosine", "dot": "dot", "None": "cosine"}


class _ByTask(Prompts):
    """The prompts of a model that chooses them itself, by the task and the kind of text."""

    def argument(self, kind: TextKind, task: TaskContext | None = None) -> str:
        """Return task and kind of text as JSON, which :func:`_asked` reads."""
        task = task or _NO_TASK
        instruction = task.instruction if isinstance(task.instruction, str) else dict(task.instruction)
        return json.dumps([task.name, task.type, instruction, kind.value])


class MtebEngine(PythonEngine):
    """Engine that asks a model of mteb's protocol for vectors, with the task and the role of the texts."""

    told: ClassVar[Told] = Told(prompts=True)

    @classmethod
    def of(cls, model: Any) -> PythonEngine:  # any class that has the method
        """Make an engine around a model, which is left as it is.

        Args:
            model: An object with mteb's ``encode``.

        Raises:
            EngineError: If the model fails, gives no dense vectors, or compares them by other than cosine or dot product.
        """
        meta = getattr(model, "mteb_model_meta", None)
        name = str(getattr(meta, "name", None) or f"{type(model).__module__}.{type(model).__qualname__}")
        # As in mteb's own `similarity`: without an entry, the similarity of the inner model, if there is one.
        function = getattr(meta, "similarity_fn_name", None) or getattr(
            getattr(model, "model", None), "similarity_fn_name", None
        )
        similarity = str(getattr(function, "value", function))
        if similarity not in _SIMILARITIES:
            raise EngineError(
                f"The model {name} of the fixture 'encoder' is compared by {similarity}, which takes more than one dense vector of each text. "
                "Return a model that is compared by cosine or dot product."
            )
        engine = cls.around(
            partial(_vectors, model),
            name,
            engine="mteb",
            revision=getattr(meta, "revision", None),
            similarity=_SIMILARITIES[similarity],
        )
        engine.prompts = _ByTask("mteb", note="the model chooses them itself, by task and kind of text")
        return engine

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Estimate lengths in tokens, of the texts without prompts."""
        return super().lengths([apart(text)[2] for text in texts])


def _vectors(model: Any, texts: Sequence[str]) -> npt.NDArray[Any]:
    """Return the vectors of a batch, shape (n, full_dim)."""
    vectors: dict[int, npt.NDArray[Any]] = {}
    for places, arguments, bare in told_groups(texts):
        metadata, kind = _asked(arguments.get("task", ""))
        inputs: Any = DataLoader(Dataset.from_dict({"text": bare}), batch_size=len(bare))
        found = as_array(
            model.encode(
                inputs,
                task_metadata=metadata,
                hf_split=metadata.eval_splits[0],
                hf_subset="default",
                prompt_type=PROMPT_TYPES[kind],
                batch_size=len(bare),
                show_progress_bar=False,
            )
        )
        if len(found) != len(bare):
            raise ValueError(f"it returned an array of shape {found.shape} for {len(bare)} texts")
        vectors.update(zip(places, found, strict=True))
    return np.stack([vectors[place] for place in range(len(texts))])


def _asked(argument: str) -> tuple[TaskMetadata, TextKind]:
    if not argument:  # the first text of all, by which the dimensions are learned
        return _metadata(_NO_TASK.name, _NO_TASK.type, '""'), DOCUMENT
    name, task_type, instruction, kind = json.loads(argument)
    return _metadata(name, task_type, json.dumps(instruction)), TextKind(kind)


@cache
def _metadata(name: str, task_type: str, instruction: str) -> TaskMetadata:
    """Return mteb's metadata of a task; for a user's own data, the metadata that the protocol needs."""
    try:
        return mteb.get_task(name).metadata
    except KeyError:
        return TaskMetadata(
            name=name,
            description=name,
            type=task_type or _NO_TASK.type,
            category="t2t",
            reference=None,
            eval_splits=["test"],
            eval_langs=["eng-Latn"],  # required by mteb, without effect
            main_score="",
            dataset={"path": f"local/{name}", "revision": "none"},
            prompt=json.loads(instruction) or None,
        )
