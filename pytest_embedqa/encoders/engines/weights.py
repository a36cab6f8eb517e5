"""Whether transformers loaded a model whole: what a file of weights lacks it fills with random numbers, and only logs that."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_embedqa.core.errors import EngineError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# No embedding is computed from a pooler (that of sentence-transformers pools tokens), and positions are counted, not learned.
_UNUSED = re.compile(r"(^|\.)pooler\.|position_ids$|rotary_emb\.inv_freq$")
# Names that a message shows.
_SHOWN = 4


@contextlib.contextmanager
def loaded_whole(spec: object) -> Iterator[None]:
    """Load models of transformers inside this context: the ones that are not whole are an error.

    Raises:
        EngineError: If weights are missing, so that random numbers would stand for them, or if weights of the file belong to
            parts of the model that it was not built with. Heads that no embedding needs may be there or not.
    """
    from transformers import PreTrainedModel  # noqa: PLC0415  seconds to import

    own = PreTrainedModel.__dict__["from_pretrained"]

    def from_pretrained(cls: type[PreTrainedModel], *given: Any, **named: Any) -> Any:  # noqa: ANN401
        if named.pop("output_loading_info", False):
            return own.__func__(cls, *given, output_loading_info=True, **named)
        # Shapes that do not fit are in the report then, with their names.
        named = {"ignore_mismatched_sizes": True, **named}
        model, report = own.__func__(cls, *given, output_loading_info=True, **named)
        require_whole(model, report, spec)
        return model

    PreTrainedModel.from_pretrained = classmethod(from_pretrained)
    try:
        yield
    finally:
        PreTrainedModel.from_pretrained = own


def require_whole(model: PreTrainedModel, report: Mapping[str, Iterable[Any]], spec: object) -> None:
    """Refuse a model that transformers reports missing or unexpected weights of, those that no embedding needs aside."""
    missing = _used(report["missing_keys"])
    if missing:
        raise EngineError(
            f"The weights of the spec '{spec}' lack {_shown(missing)}; transformers would put random numbers in their place. "
            "Fetch the model again, or save it anew: names that torch.compile changed (_orig_mod.) do not fit, and every shard must be there."
        )
    shapes = [
        f"{name} ({list(there)}, not {list(wanted)})"
        for name, there, wanted in sorted(report["mismatched_keys"])
        if _used([name])
    ]
    if shapes:
        raise EngineError(
            f"The weights of the spec '{spec}' have other shapes than the model's config.json says: {_shown(shapes)}. "
            "Does config.json belong to these weights?"
        )
    parts = {name for name, part in model.named_children() if any(True for _ in part.parameters())}
    prefix = f"{model.base_model_prefix}."
    left = [name for name in _used(report["unexpected_keys"]) if name.removeprefix(prefix).partition(".")[0] in parts]
    if left:
        raise EngineError(
            f"The weights of the spec '{spec}' have {_shown(left)}, which the model's config.json has no place for: it would be computed without. "
            "Does config.json belong to these weights?"
        )


def _used(names: Iterable[Any]) -> list[str]:
    return sorted(name for name in map(str, names) if not _UNUSED.search(name))


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
