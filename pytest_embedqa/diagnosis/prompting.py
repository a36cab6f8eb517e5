"""Changes of prompts: known prompts of the model, prompts of well-known families, no prompts, and swapped prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlencode

from pytest_embedqa.core.slice import Slice
from pytest_embedqa.diagnosis.trials import Change, Source, Trials, Way
from pytest_embedqa.encoders.prompts import DOCUMENT, QUERY, SYMMETRIC, Prompts

Pair = tuple[str, str]

# Tried where no prompts of the model are known: (query, document) of E5, BGE, Nomic, and of instructed models.
FAMILIES: dict[str, Pair] = {
    "E5": ("query: ", "passage: "),
    "BGE": ("Represent this sentence for searching relevant passages: ", ""),
    "Nomic": ("search_query: ", "search_document: "),
    "instructed models": (
        "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:",
        "",
    ),
}
# Weights among changes that gain about as much: the model's known prompts explain most; then a single mistake
# (a missing prompt, two swapped prompts), then two mistakes at once.
_KNOWN, _ONE, _TWO = 2, 1, 0
# Origin of the effective prompts, in words.
_SOURCES = {"mteb": "mteb has for the model", "model": "the model itself declares"}
# Characters of a prompt in a sentence; the advice has the whole prompt.
_SHOWN = 40


def prompt_changes(trials: Trials, part: Slice, known_prompts: Sequence[Prompts]) -> Iterator[Change]:
    """Yield all changes of prompts worth trying on this slice."""
    known = [some for some in (*known_prompts, trials.encoder.declared_prompts) if some.named]
    if part.symmetric:
        yield from _symmetric(trials, known)
    else:
        yield from _asymmetric(trials, known)


def _asymmetric(trials: Trials, known: Sequence[Prompts]) -> Iterator[Change]:
    now = trials.prompt(QUERY), trials.prompt(DOCUMENT)
    right = [(some.resolve(QUERY, trials.context), some.resolve(DOCUMENT, trials.context)) for some in known]
    wanted: dict[Pair, str] = dict.fromkeys(right, "")
    if not known:
        wanted.update({pair: family for family, pair in FAMILIES.items()})
        wanted.update({(query, now[1]): family for family, (query, _) in FAMILIES.items()})
    for query, document in right:
        wanted.setdefault((query, now[1]), "")
        wanted.setdefault((now[0], document), "")
    for pair in ((now[1], now[0]), ("", now[1]), (now[0], ""), ("", "")):
        wanted.setdefault(pair, "")
    for pair, family in wanted.items():
        if pair == now:
            continue
        prompts = Prompts("diagnosis", {"query": pair[0], "document": pair[1]}, placeholder=True)
        swapped = pair == (now[1], now[0])
        sides = (pair[0] != now[0]) + (pair[1] != now[1])
        yield Change(
            kind="prompts",
            cause=_cause(now, pair, swapped=swapped),
            done=_done(now, pair) + (f" (as {family})" if family else ""),
            advice=_advice(trials, pair, known=pair in right),
            first=_way(trials, pair[0]) if pair[0] != now[0] else None,
            second=_way(trials, pair[1]) if pair[1] != now[1] else None,
            weight=_KNOWN if pair in right else _ONE if swapped or sides == 1 else _TWO,
            against=_against(trials, pair in right, now in right),
            whole=_whole(trials, prompts),
        )


def _symmetric(trials: Trials, known: Sequence[Prompts]) -> Iterator[Change]:
    now = trials.prompt(SYMMETRIC)
    right = [some.resolve(SYMMETRIC, trials.context) for some in known]
    # Without known prompts none are guessed: neither side asks, so most models want no prompt here.
    asked = [some.resolve(QUERY, trials.context) for some in known]
    for prompt in dict.fromkeys([*right, "", *asked]):
        if prompt == now:
            continue
        way = _way(trials, prompt)
        cause = "has a prompt that hurts" if not prompt else "has the wrong prompt" if now else "has no prompt"
        yield Change(
            kind="prompts",
            cause=f"each text {cause}",
            done=f"with {_shown(prompt)} in front of each text"
            if prompt
            else f"without {_shown(now)} in front of each text",
            advice=(
                f"Neither side of this task asks, so the key query_prompt= does not reach it: declare {prompt!r} in the model's "
                "config_sentence_transformers.json as a prompt, with its name as default_prompt_name."
                if prompt
                else "Take it out of the prompts of config_sentence_transformers.json (default_prompt_name), or set query_prompt= in the spec."
            ),
            first=way,
            second=way,
            weight=_KNOWN if prompt in right else _ONE,
            against=_against(trials, prompt in right, now in right),
            whole=_whole(trials, _for_each(prompt)),
        )


def _against(trials: Trials, wanted: bool, in_force: bool) -> str:
    """Return the reason against a change of prompts: only known prompts that are not in effect are advised.

    Prompts in the spec may come from the model's card, so nothing speaks for removing them either.
    """
    if in_force:
        return f"the prompts in force are those that {_SOURCES.get(trials.encoder.prompts.source, 'are known for the model')}"
    return "" if wanted else "nothing says that the model was trained with that"


def _whole(trials: Trials, prompts: Prompts) -> Source:
    return trials.way("", trials.encoder.with_prompts(prompts)).source


def _way(trials: Trials, prompt: str) -> Way:
    """Return the way of encoding every text with this prompt, whatever its kind."""
    return trials.way(f"prompt {prompt!r}", trials.encoder.with_prompts(_for_each(prompt)))


def _for_each(prompt: str) -> Prompts:
    return Prompts("diagnosis", {"every": prompt}, default="every", placeholder=True)


def _cause(now: Pair, then: Pair, *, swapped: bool) -> str:
    if swapped:
        return "query and document prompt are swapped"
    if now[1] == then[1]:
        return "query prompt " + _wrong(now[0], then[0])
    if now[0] == then[0]:
        if now[0] and now[0] == now[1]:
            return "the query prompt is on documents too"
        return "document prompt " + _wrong(now[1], then[1])
    return "prompts are " + ("missing" if now == ("", "") else "wrong")


def _wrong(now: str, then: str) -> str:
    return "is missing" if not now else "is wrong" if then else "hurts"


def _done(now: Pair, then: Pair) -> str:
    sides = zip(("queries", "documents"), now, then, strict=True)
    changes = [
        f"with {_shown(new)} in front of {side}" if new else f"without {_shown(old)} in front of {side}"
        for side, old, new in sides
        if old != new
    ]
    return " and ".join(changes)


def _shown(prompt: str) -> str:
    return repr(prompt if len(prompt) <= _SHOWN else f"{prompt[:_SHOWN]}…")


def _advice(trials: Trials, pair: Pair, *, known: bool) -> str:
    # A missing key means an empty prompt, so both keys are named where both are needed.
    keys = {"query_prompt": pair[0], "document_prompt": pair[1]}
    set_keys = {key: prompt for key, prompt in keys.items() if prompt}
    own = {"query_prompt", "document_prompt"} & set(trials.encoder.spec.options)
    if not set_keys:
        return "Set query_prompt= (empty) in the spec."
    advice = f"Set {urlencode(set_keys).replace('+', '%20').replace('%3A', ':')} in the spec"
    if known and own:
        return f"{advice}, or take {' and '.join(sorted(own))} out of it."
    if known:
        return f"{advice}, or the model's public name with name=, so that mteb's prompts are found."
    return f"{advice}; the model's card says which prompts it was trained with."
