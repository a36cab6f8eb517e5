"""Changes of everything but prompts: similarity, cut, cleaning, batches, number format, length, pooling, closing token."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pytest_embedqa.core.errors import EncoderFaultError
from pytest_embedqa.core.slice import Slice
from pytest_embedqa.diagnosis.closing import closing_token
from pytest_embedqa.diagnosis.kinds import kind_changes
from pytest_embedqa.diagnosis.trials import Change, Trials, Way
from pytest_embedqa.encoders.cleaning import CLEANERS
from pytest_embedqa.encoders.prompts import DOCUMENT, SYMMETRIC, TextKind
from pytest_embedqa.encoders.representations import DENSE

_POOLING = ("mean", "cls", "lasttoken")
_HALF = {"float16", "bfloat16", "half", "fp16", "bf16"}
_LONGEST_TRIED = 8192
_UNTIL_THEN = "Until then set clean={} in the spec, and clean what is indexed the same way."
# Number of texts to check whether a change has any effect.
_LOOKED_AT = 8
_SAME = 0.9999
# In short number formats, rounding keeps a text's vector closer than this to its vector in a batch.
_SAME_ALONE = 0.99


def similarity_changes(trials: Trials, part: Slice) -> Iterator[Change]:
    """Yield the other similarity, if vectors have different lengths; it costs no encoding."""
    if trials.encoder.kind != DENSE.name:
        return  # of multi-vectors and sparse vectors the length is a part of what they say
    some = np.stack(trials.vectors(trials.same(), part.second, _kind(part)))
    lengths = np.linalg.norm(some, axis=1)
    if lengths.max() < 1.01 * max(lengths.min(), 1e-9) or _is_overridden(trials, "normalize"):
        return
    spread = f"lengths {lengths.min():.2f} to {lengths.max():.2f}"
    if trials.dot:
        yield Change(
            kind="similarity",
            cause=f"vectors are not normalised ({spread}) and compared by dot product",
            done="with the cosine",
            advice="Set normalize=true in the spec, or put the module Normalize back into modules.json; "
            "or set similarity_fn_name to cosine in config_sentence_transformers.json.",
            dot=False,
            against="the model itself says dot product",
            whole=trials.reloaded(normalize="true").source if trials.has_option("normalize") else None,
        )
    else:
        yield Change(
            kind="similarity",
            cause=f"vectors of a model of the dot product ({spread}) are compared by cosine",
            done="with the dot product",
            advice='Set "similarity_fn_name": "dot" in config_sentence_transformers.json.',
            dot=True,
            against="the model itself does not say dot product",
        )


def vector_changes(trials: Trials) -> Iterator[Change]:
    """Yield changes of the steps after the model."""
    encoder = trials.encoder
    dim, full = encoder.identity.dim, encoder.identity.full_dim
    if dim and dim != full:
        yield _both(
            "dimensions",
            f"vectors are cut to {dim} of {full} dimensions",
            "with all of them",
            "Set a larger dim= or none, or take a model that was trained for short vectors (Matryoshka).",
            trials.way("whole", encoder.variant(dim=None)),
        )
    if encoder.quantization:
        yield _both(
            "quantisation",
            f"vectors are quantised ({encoder.quantization.label})",
            "with whole vectors",
            "Use a finer precision, or rescore= with the whole query.",
            trials.way("unquantised", encoder.variant(quantization=None)),
        )


def text_changes(trials: Trials, part: Slice) -> Iterator[Change]:
    """Yield changes of the cleaning: undone, or done."""
    now = trials.encoder.identity.clean
    if now != "none":
        what = "texts are lower-cased" if now == "lower" else "cleaning hurts"
        yield _both(
            "cleaning",
            f"{what} (clean={now})",
            "without it",
            f"Take clean={now} out of the spec.",
            trials.way("clean none", trials.encoder.variant(clean="none")),
        )
    texts = list(dict.fromkeys([*part.second, *part.first]))

    def cleaned(name: str, without: str, cause: str, advice: str, **known: Any) -> Iterator[Change]:
        """Yield a cleaner if it changes texts otherwise than another, and also vectors; ``cause`` names their share."""
        changed = [text for text in texts if CLEANERS[name](text) != CLEANERS[without](text)]
        way = trials.way(f"clean {name}", trials.encoder.variant(clean=name))
        if name != now and changed and _differs(trials, way, changed, part):
            cause = cause.format(f"{len(changed) / len(texts):.0%} of the texts")
            yield _both("cleaning", cause, f"with clean={name}", f"{advice} {_UNTIL_THEN.format(name)}", way, **known)

    yield from cleaned(
        "whitespace",
        "none",
        "the encoder reads a text to its first line break ({} have line breaks or needless white space)",
        "Look at what the engine does with line breaks.",
        **_shown(_stops_at_line_breaks(trials, texts, part), "the encoder reads on behind a line break"),
    )
    yield from cleaned(
        "printable",
        "whitespace",
        "soft hyphens or other invisible characters in {}",
        "Take them out where the texts come from.",
    )
    yield from cleaned("nfc", "none", "decomposed characters in {}", "Normalise the texts to NFC where they come from.")
    yield from cleaned(
        "lower",
        "none",
        "capital letters, for which the tokenizer has no words, in {}",
        "Set the tokenizer to lower-case, as the model was trained.",
        **_shown(_knows_no_capitals(trials), "nothing says that the model is for lower-case letters alone"),
    )


def _shown(proof: bool, otherwise: str) -> dict[str, Any]:
    """Return the arguments of a change that say that its fault is proven, or else what speaks against it."""
    return {"proven": True} if proof else {"against": otherwise}


def _stops_at_line_breaks(trials: Trials, texts: Sequence[str], part: Slice) -> bool:
    """Return whether text after the first line break leaves a text's vector unchanged."""
    broken = [text for text in texts if "\n" in text.strip()][:_LOOKED_AT]
    if not broken:
        return False
    first_lines = [text.strip().partition("\n")[0] for text in broken]
    whole, cut = (trials.vectors(trials.same(), some, _kind(part)) for some in (broken, first_lines))
    return bool(trials.closeness(whole, cut).min() >= _SAME)


def _knows_no_capitals(trials: Trials) -> bool:
    """Return whether the words of the model's tokenizer are all in lower case, so that it has to lower-case texts."""
    path = trials.folder.path / "tokenizer.json" if trials.folder else None
    if path is None or not path.is_file():
        return False
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    special = {one["content"] for one in tokenizer.get("added_tokens", ())}
    vocabulary = tokenizer["model"].get("vocab")
    return isinstance(vocabulary, dict) and all(word == word.lower() for word in vocabulary if word not in special)


def _differs(trials: Trials, way: Way, texts: Sequence[str], part: Slice, same: float = _SAME) -> bool:
    """Return whether a way of encoding changes the vectors of a few texts; otherwise no other texts need encoding."""
    some = texts[:_LOOKED_AT]
    try:
        both = [trials.vectors(one, some, _kind(part)) for one in (way, trials.same())]
    except EncoderFaultError:  # for example because vectors depend on the batch
        return True
    return bool(trials.closeness(*both).min() < same)


def batch_changes(trials: Trials, part: Slice) -> Iterator[Change]:
    """Yield the change to a separate batch for each text, if that changes vectors."""
    alone = trials.way("alone", trials.encoder.computing(batch_size=1))
    # Padding has the largest effect on the shortest texts.
    texts = sorted(dict.fromkeys(part.second), key=len)[:_LOOKED_AT]
    if _differs(trials, alone, texts, part, _SAME_ALONE):
        yield _both(
            "batches",
            "vectors depend on what else is in the batch",
            "with each text in a batch of its own",
            "Check the tokenizer's padding_side and that padding is masked in attention and pooling; "
            "batch_size=1 in the spec avoids padding until then.",
            alone,
            proven=True,
        )


def model_changes(trials: Trials, part: Slice) -> Iterator[Change]:
    """Yield changes that need the model loaded anew, and a closing token."""
    identity = trials.encoder.identity
    if identity.dtype in _HALF and trials.has_option("dtype"):
        yield _both(
            "dtype",
            f"numbers of {identity.dtype} are too coarse or too small for this model",
            "with dtype=float32",
            "Set dtype=float32 in the spec, or bfloat16 if float16 overflows.",
            trials.reloaded(dtype="float32"),
        )
    yield from _overridden(trials, part)
    yield from kind_changes(trials)
    yield from _longer(trials, part)
    if trials.encoder.kind != DENSE.name:
        return
    if _may_change(trials, "pooling") and "+" not in identity.pooling and identity.pooling not in {"none", "model"}:
        for pooling in _POOLING:
            if pooling != identity.pooling:
                yield _both(
                    "pooling",
                    f"pooling is {identity.pooling}",
                    f"with pooling={pooling}",
                    f"Set pooling={pooling} in the spec, and correct the model's 1_Pooling/config.json if it says otherwise.",
                    trials.reloaded(pooling=pooling),
                    against=f"{_sayer(trials, 'pooling')} pooling={identity.pooling}",
                )
    token = closing_token(trials)
    if token:
        yield _both(
            "closing token",
            "the tokenizer does not append the model's closing token",
            f"with {token!r} behind each text",
            f"Mend the tokenizer so that it appends {token!r} (post_processor in tokenizer.json, add_eos_token; a newer "
            "transformers may have dropped it), as the model was trained.",
            trials.closed_by(token),
            against="the model's own tokenizer does not append it",
        )


def _overridden(trials: Trials, part: Slice) -> Iterator[Change]:
    """Yield the options in which the spec contradicts the model."""
    spec, identity = trials.encoder.spec, trials.encoder.identity
    by_spec = spec.options.get("normalize")
    causes = {
        ("pooling", "pooling"): f"pooling is {identity.pooling} by the spec, not by the model",
        # The cosine does not depend on lengths.
        ("normalize", "normalisation"): f"normalize={by_spec} stands in the spec, not in the model"
        if trials.dot
        else "",
        ("max_length", "maximum length"): _cut(trials, part),
    }
    for (option, words), cause in causes.items():
        if cause and _is_overridden(trials, option):
            yield _both(
                option.replace("_", " "),
                cause,
                f"with the model's own {words}",
                f"Take {option}={spec.options[option]} out of the spec.",
                trials.reloaded(**{option: None}),
            )


def _is_overridden(trials: Trials, option: str) -> bool:
    """Return whether the spec contradicts the model's own value: then only undoing that is tried."""
    return option in trials.encoder.spec.options and trials.declares(option)


def _may_change(trials: Trials, option: str) -> bool:
    return trials.has_option(option) and not _is_overridden(trials, option)


def _longer(trials: Trials, part: Slice) -> Iterator[Change]:
    limit, cause = trials.encoder.max_length(_kind(part)), _cut(trials, part)
    by_role = limit != trials.encoder.identity.max_length  # cut at a length of their own, which kind_changes undoes
    if not cause or not limit or by_role or not _may_change(trials, "max_length"):
        return
    longer = min(_most_tokens(trials), max(_lengths(trials, part) or [0]))
    if longer > limit:
        yield _both(
            "max length",
            cause,
            f"with max_length={longer}",
            f"Set max_length={longer} in the spec, and max_seq_length in the model's sentence_bert_config.json.",
            trials.reloaded(max_length=str(longer)),
            against=f"{_sayer(trials, 'max_length')} {limit} tokens",
        )


def _sayer(trials: Trials, option: str) -> str:
    return "the spec says" if option in trials.encoder.spec.options else "the model itself says"


def _cut(trials: Trials, part: Slice) -> str:
    """Describe how many texts are cut; empty if none is."""
    limit, lengths = trials.encoder.max_length(_kind(part)), _lengths(trials, part)
    cut = sum(length > limit for length in lengths) if limit and lengths else 0
    return f"{cut / len(lengths):.0%} of the texts are cut at {limit} tokens" if lengths and cut else ""


def facts(trials: Trials, part: Slice) -> Iterator[str]:
    """Yield facts that may lower the score and that no change from outside can undo."""
    if cut := _cut(trials, part):
        yield f"{cut}."
    if trials.encoder.identity.weights:
        return  # its own tokenizer lower-cases, or nothing does
    texts = [text for text in part.second if text != text.lower()]
    lowered = trials.way("clean lower", trials.encoder.variant(clean="lower"))
    if texts and not _differs(trials, lowered, texts, part):
        yield "The encoder does not tell upper from lower case. If its model does, something lower-cases the texts."


def _lengths(trials: Trials, part: Slice) -> list[int] | None:
    """Count the tokens of each text before any cut."""
    return trials.encoder.count_tokens([*part.first, *part.second], _kind(part), trials.context)


def _most_tokens(trials: Trials) -> int:
    """Return the most tokens that the model takes, by its own files; 0 if they do not say. More would crash a GPU."""
    positions = trials.folder.config.get("max_position_embeddings") if trials.folder else None
    # Models of RoBERTa's kind keep two positions for themselves.
    return min(positions - 2, _LONGEST_TRIED) if positions else 0


def _kind(part: Slice) -> TextKind:
    return SYMMETRIC if part.symmetric else DOCUMENT


def _both(  # noqa: PLR0913  as a change
    kind: str, cause: str, done: str, advice: str, way: Way, *, against: str = "", proven: bool = False
) -> Change:
    return Change(kind, cause, done, advice, first=way, second=way, against=against, proven=proven, whole=way.source)
