"""``@rag_probe`` and probe files: single questions, all questions of a file, or variations of a question."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from pytest_embedqa.core.errors import BaselineError, EmbedQAError, SpecError
from pytest_embedqa.core.properties import DECAY, ENCODER, NOTE, PROBE, UPGRADE, VERDICT, write
from pytest_embedqa.core.requirement import Kind, Requirement
from pytest_embedqa.core.verdict import Outcome, Verdict
from pytest_embedqa.encoders.retrievers.callables import name_of
from pytest_embedqa.encoders.wording import encoder_facts
from pytest_embedqa.index.load import parse_index_of_file
from pytest_embedqa.markers import EXAMPLES, MARKERS, RAG
from pytest_embedqa.plugin.checks.check import Check
from pytest_embedqa.plugin.checks.naming import name_of_probes, path_of, require_own_name
from pytest_embedqa.plugin.checks.probe_result import ProbeResult
from pytest_embedqa.plugin.items import parameters_of
from pytest_embedqa.plugin.state import EXCUSED, get_session
from pytest_embedqa.rag import group
from pytest_embedqa.rag.belonging import TOLERANCE, check_belonging
from pytest_embedqa.rag.choices import INDEXES
from pytest_embedqa.rag.facts import decay_facts, probe_facts
from pytest_embedqa.rag.judging import unanswered
from pytest_embedqa.rag.knowledge import notes_on, revision_of
from pytest_embedqa.rag.probe import INDEX, PASS_RATE, Probe, Robustness, bound_for
from pytest_embedqa.rag.reading import NOISE, read_arguments
from pytest_embedqa.rag.retrieval import Chain
from pytest_embedqa.rag.session_probes import ProbeTest
from pytest_embedqa.rag.validation import place, relative
from pytest_embedqa.rag.wording import (
    decay_failure_text,
    group_failure_text,
    probe_failure_text,
    searched_by_chain,
)
from pytest_embedqa.upgrade.gate import gate_verdict
from pytest_embedqa.upgrade.wording import upgrade_facts

if TYPE_CHECKING:
    from pytest_embedqa.core.evaluation import Evaluation
    from pytest_embedqa.encoders.system import System
    from pytest_embedqa.session import Session
    from pytest_embedqa.upgrade.gate import Comparison

# Number of questions that an inspection of an index asks.
_SAMPLE = 3
_NOT_CHOSEN = (
    "passages come from the project's own fixture 'retriever': --embedqa-retriever changes the built-in one only."
)
# For the test of all probes: the misses that it decides about, and whether it was skipped.
_MISSES: pytest.StashKey[list[str]] = pytest.StashKey()
_SKIPPED: pytest.StashKey[bool] = pytest.StashKey()


class RagCheck(Check[ProbeTest]):
    """The check of ``@rag_probe`` and of probe files."""

    def parse(self, item: pytest.Item, mark: pytest.Mark) -> ProbeTest:
        """Parse a probe; a retrieval method of the command line replaces its own."""
        if mark.args and isinstance(mark.args[0], ProbeTest):
            test = mark.args[0]
        elif mark.args:
            raise SpecError(
                f"@{RAG} takes keyword arguments only, but got {mark.args!r}. Write, for instance,  @{EXAMPLES[RAG]}"
            )
        else:
            file = read_arguments(mark.kwargs, item.name, item.path)
            test = ProbeTest(file, file.probes[0])
        return ProbeTest(get_session(item.config).probing.chosen(test.file), test.about)

    def look_up(self, item: pytest.Item, parsed: ProbeTest) -> None:
        """Require that the probes of a file have a name of their own, and that the index which it names exists."""
        if parsed.file.retrieval.index not in INDEXES:
            try:
                parse_index_of_file(parsed.file.retrieval.index)
            except SpecError as error:
                raise SpecError(f"{place(parsed.file.path, parsed.file.lines.get('retrieve', 1))}: {error}") from None
        if parsed.about == PASS_RATE:
            require_own_name(
                item,
                name_of_probes(item),
                item.path.resolve(),
                "Run them below one rootdir (--rootdir), or rename a folder.",
            )

    def shared(self, item: pytest.Item, parsed: ProbeTest) -> str:
        """Name the corpus, which is indexed once."""
        return f"index of {parsed.file.corpus or item.path}"

    def ask_ahead(self, item: pytest.Item) -> None:
        """Ask the user's own retriever."""
        asked = getattr(item, "funcargs", {}).get(MARKERS[RAG].fixture)
        if isinstance(asked, ProbeResult):
            asked.ask()

    def why_undecided(self, item: pytest.Item, mark: pytest.Mark) -> str:
        """Say that misses were left to a test of all probes that was skipped; probes after it fail on their own."""
        if not _is_of_all(mark):
            return ""
        item.stash[_SKIPPED] = True
        if not (missed := item.stash.get(_MISSES, [])):
            return ""
        names = ", ".join(missed[:3]) + (f" and {len(missed) - 3} more" if len(missed) > 3 else "")  # noqa: PLR2004
        return (
            f"{item.name} was skipped, and nothing else decides about the probes that were missed: {names}. Let it run, or "
            "deselect it: each probe decides for itself then."
        )

    def judge(self, item: pytest.Function, parsed: ProbeTest, session: Session) -> None:  # noqa: ARG002  the result has it
        """Ask the retriever, and fail the test unless the passages that come back are right."""
        result = cast("ProbeResult", item.funcargs["probe_result"])
        about = result.test.about
        if result.is_own and session.settings.retriever:
            item.user_properties.append(write(NOTE, {"text": _NOT_CHOSEN}))
        try:
            if isinstance(about, Probe):
                _check_probe(item, result, about, session)
            elif isinstance(about, Robustness):
                _check_robustness(item, result, about, session)
            elif about == INDEX:
                _check_index(item, result, session)
            else:
                _check_group(item, result, about, session)
        except EmbedQAError as error:
            if isinstance(about, Probe):
                facts = probe_facts(result.test.file, unanswered(about, str(error)), result.model, path_of(item))
                item.user_properties.append(write(PROBE, facts))
            raise pytest.fail.Exception(f"{item.name}: {error}", pytrace=False) from None


CHECK = RagCheck()


def _check_probe(item: pytest.Function, result: ProbeResult, probe: Probe, session: Session) -> None:
    file, answer = result.test.file, result.answer  # asked first: a pipeline that fails is no expected miss
    if reason := probe.expected_failures.get(result.label):
        # pytest's settings decide whether an unexpected pass is a failure; with another retrieval method the file may
        # be wrong.
        other_chain = session.settings.retriever and not result.is_own
        loosely, as_set = pytest.mark.xfail(reason=reason, strict=False), pytest.mark.xfail(reason=reason)
        excused = loosely if other_chain else as_set
        item.stash[EXCUSED] = excused.mark
        item.add_marker(excused)
    _write(item, result, answer.verdicts(result.model))
    if _is_followed(result, session):
        answer = session.probing.followed(file, result.retriever, answer)
    facts = probe_facts(file, answer, result.model, path_of(item), result.retriever)
    item.user_properties.append(write(PROBE, facts))
    if answer.holds:
        return
    has_bound = bound_for(result.label, file.bounds.get(PASS_RATE)) is not None
    decides = _test_of_all(item) if has_bound and not (probe.required or reason) else None
    if decides and not decides.stash.get(_SKIPPED, False):
        decides.stash.setdefault(_MISSES, []).append(item.name)
        pytest.xfail(f"missed; {PASS_RATE} of {file.path.name} decides")
    text = probe_failure_text(answer, _searched(item, result), result.encoder)
    if hint := _other_name(probe, result.label):
        text += f"\n  {hint}"
    pytest.fail(text, pytrace=False)


def _is_followed(result: ProbeResult, session: Session) -> bool:
    """Return whether misses are followed: a pipeline of the user's own is asked again only if that is asked for."""
    when = session.settings.diagnose
    return when == "always" or (when == "auto" and not result.is_own)


def _searched(item: pytest.Function, result: ProbeResult) -> str | None:
    """Describe how passages were found; ``None`` for a live system, which the file names."""
    if isinstance(result.retriever, Chain):
        return searched_by_chain(result.test.file, result.retriever)
    if not result.is_own:
        return None
    fixture = item._fixtureinfo.name2fixturedefs["retriever"][-1].func  # noqa: SLF001  pytest has no public way
    code, where = getattr(fixture, "__code__", None), ""
    if code and not fixture.__module__.startswith("_pytest"):  # pytest's own, for a parameter
        where = f" ({relative(Path(code.co_filename))}:{code.co_firstlineno})"
    return f"by your own '{name_of(result.retriever)}', of the fixture 'retriever'{where}"


def _other_name(probe: Probe, label: str) -> str:
    """Return this model's name here if ``expected_failures`` has nearly that name; otherwise an empty text."""
    end = label.rpartition("/")[2].lower()
    known = {name.rpartition("/")[2].lower(): name for name in probe.expected_failures}
    guess = get_close_matches(end, known, n=1, cutoff=0.8)
    return f"hint       expected_failures says '{known[guess[0]]}'; here it is called '{label}'." if guess else ""


def _test_of_all(item: pytest.Item) -> pytest.Item | None:
    """Return the pass-rate test that counts the probe of an item; ``None`` if this run leaves it out."""
    tests = (
        one
        for one in item.session.items
        if one.path == item.path
        and parameters_of(one) == parameters_of(item)
        and _is_of_all(one.get_closest_marker(RAG))
    )
    return next(tests, None)


def _is_of_all(mark: pytest.Mark | None) -> bool:
    return bool(mark and mark.args and isinstance(mark.args[0], ProbeTest) and mark.args[0].about == PASS_RATE)


def _check_group(item: pytest.Function, result: ProbeResult, measure: str, session: Session) -> None:
    file = result.test.file
    bound = bound_for(result.label, file.bounds.get(measure))
    shown = path_of(item)
    verdicts = [] if bound is None else [group.verdict(shown, measure, bound, result.answers, result.model)]
    upgrade = _upgrade(name_of_probes(item), result, session) if measure == PASS_RATE else None
    if upgrade and session.gate and result.encoder:
        allowed = Requirement(Kind.MAX_REGRESSION, PASS_RATE, session.settings.max_regression)
        verdicts.append(gate_verdict(allowed, upgrade, result.model))
        facts = upgrade_facts(result.encoder, upgrade, session.gate.differences(result.encoder))
        item.user_properties.append(write(UPGRADE, facts))
    kept = session.settings.save_baseline and result.encoder is not None
    if result.encoder is None and measure == PASS_RATE and (session.settings.save_baseline or session.gate):
        note = f"{shown}: a baseline is of an encoder, and the retriever '{result.model}' has none: neither kept nor compared"
        item.user_properties.append(write(NOTE, {"text": note}))
    if not verdicts and not kept:
        known = file.bounds.get(measure)
        others = f", but for {', '.join(known)}" if isinstance(known, Mapping) else ""
        pytest.skip(f"{file.path.name} has no {measure} for '{result.label}'{others}")
    _write(item, result, verdicts)
    failed = [verdict for verdict in verdicts if not session.holds(verdict)]
    if failed:
        answers = result.answers
        if _is_followed(result, session):
            answers = [session.probing.followed(file, result.retriever, one) for one in answers]
        pytest.fail(group_failure_text(failed[0], answers), pytrace=False)


def _upgrade(name: str, result: ProbeResult, session: Session) -> Comparison | None:
    """Compare the probes of a file with the baseline's, if it has them; keep them if a baseline is to be made."""
    file, encoder = result.test.file, result.encoder
    if encoder is None or not session.is_under_test(encoder):
        return None
    revision = revision_of(file)
    evaluation = group.evaluation(name, result.answers, revision)
    session.keep_for_baseline(encoder, evaluation)
    if session.gate is None:
        return None

    def before(old: System) -> Evaluation:
        if not session.probing.has_opened(result.retriever):
            raise BaselineError(
                f"the pipeline '{result.model}' of the fixture 'retriever' can't be asked with the encoder '{old.spec}'. "
                "Save a baseline of it (--embedqa-save-baseline=FILE), and compare with the file."
            )
        answers = session.probing.answers(file, session.probing.retriever(file, old))
        return group.evaluation(name, answers, revision)

    return session.gate.compare(evaluation.subject, encoder, lambda: evaluation, before, anew=True)


def _check_index(item: pytest.Function, result: ProbeResult, session: Session) -> None:
    if result.encoder is None:
        pytest.skip(f"{result.model} has no encoder of this run, with whose vectors its index could be compared")
    file = result.test.file
    to_cosine = float if result.is_own else getattr(result.retriever, "to_cosine", float)
    queries = [probe.ask for probe in file.probes[:_SAMPLE]]
    found = check_belonging(session.probing.search(result.retriever), result.encoder, queries, to_cosine=to_cosine)
    outcome = {True: Outcome.PASS, False: Outcome.FAIL, None: Outcome.INCONCLUSIVE}[found.holds]
    verdict = Verdict.of(
        Requirement(Kind.MAX, "cosines apart", TOLERANCE),
        float("nan") if found.apart is None else found.apart,
        (outcome, TOLERANCE, found.reason),
        model=result.model,
        task=f"{path_of(item)} {INDEX}",
        requirement=INDEX,
        units=found.compared,
        unit="scores",
        notes=() if found.holds else (found.reason,),
    )
    _write(item, result, [verdict])
    if not session.holds(verdict):
        pytest.fail(f"{file.path.name}: {found.reason}", pytrace=False)


def _check_robustness(item: pytest.Function, result: ProbeResult, robustness: Robustness, session: Session) -> None:
    file = result.test.file
    if robustness.variation == NOISE and (result.encoder is None or result.is_own or file.service is not None):
        pytest.skip("noise is added to the corpus of the built-in chain only")
    decays = session.probing.decays(file, robustness, result.answers, result.retriever, result.encoder)
    if not any(one.probes for one in decays):
        pytest.skip(f"no probe of {file.path.name} holds and can be varied by {robustness.variation}")
    verdicts = []
    if (keep := bound_for(result.label, robustness.keep)) is not None:
        verdicts.append(group.decay_verdict(path_of(item), decays, keep, result.model))
    _write(item, result, verdicts)
    item.user_properties.append(write(DECAY, decay_facts(decays, result.model, path_of(item))))
    failed = [verdict for verdict in verdicts if not session.holds(verdict)]
    if failed:
        pytest.fail(decay_failure_text(failed[0], decays), pytrace=False)


def _write(item: pytest.Function, result: ProbeResult, verdicts: list[Verdict]) -> None:
    item.user_properties += [write(VERDICT, verdict.as_dict()) for verdict in verdicts]
    if result.encoder:
        item.user_properties.append(write(ENCODER, encoder_facts(result.encoder)))
    if result.encoder and not result.is_own:
        item.user_properties += [write(NOTE, {"text": note}) for note in notes_on(result.test.file, result.retriever)]
