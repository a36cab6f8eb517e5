"""The text corpora of suites/rag: coherent, and every probe on them can pass and can fail."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag.reading import read_file

RAG = Path(__file__).parents[3] / "suites" / "rag"
DOCUMENTS = RAG / "documents"
MANUAL = "api_manual"
CORPORA = (MANUAL, "knowledge_base")
HEADING = re.compile(r"(?m)^(?=## )")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ERROR_CODE = re.compile(r"`([A-Z]+-\d{4})`")
LABELS = ("参数", "返回", "错误", "示例", "说明")


def sections(corpus):
    """The sections of a corpus as passages: of the manual the functions, else whole documents."""
    return [
        Passage(text, source=path.relative_to(DOCUMENTS).as_posix())
        for path in sorted((DOCUMENTS / corpus).iterdir())
        for text in HEADING.split(path.read_text(encoding="utf-8"))
    ]


SECTIONS = [passage for corpus in CORPORA for passage in sections(corpus)]
FUNCTIONS = {
    match[1]: passage
    for passage in SECTIONS
    if passage.source.startswith(MANUAL) and (match := re.match(r"## (\w+)", passage.text))
}
FILES = {name: read_file(RAG / f"{name}.probe.yaml") for name in (MANUAL, "distractors", "across_languages")}
PROBES = [pytest.param(file, probe, id=f"{name}-{probe.name}") for name, file in FILES.items() for probe in file.probes]


def signature(name):
    """The signature of a function, parsed."""
    code = re.search(r"```python\n(async )?(.+)\n```", FUNCTIONS[name].text)
    assert code, f"{name} has no signature"
    [function] = ast.parse(f"{code[1] or ''}def {code[2]}: ...").body
    return function


def labelled(name):
    """What a function's section says, by label."""
    return dict(re.findall(r"(?m)^- (\w+)：(.+)$", FUNCTIONS[name].text))


def matching(pattern, corpus):
    """Sections of a corpus that a pattern describes."""
    return [
        passage
        for passage in SECTIONS
        if (DOCUMENTS / passage.source).is_relative_to(corpus) and pattern.matches(passage)
    ]


def test_manual_is_large():
    """The manual has at least 60 functions, in 6 to 8 files by module."""
    assert len(FUNCTIONS) >= 60
    assert len(FUNCTIONS) == sum(passage.text.startswith("## ") for passage in SECTIONS), "a function is there twice"
    assert 6 <= len({passage.source for passage in FUNCTIONS.values()}) <= 8


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_documented(name):
    """Every function has a signature with types, each labelled line, and an explanation in Chinese."""
    function = signature(name)
    assert function.name == name
    assert function.returns
    assert all(argument.annotation for argument in function.args.args)
    assert tuple(labelled(name)) == LABELS
    explanation = re.search(r"```\n\n(.+)\n\n- ", FUNCTIONS[name].text)
    assert explanation
    assert CHINESE.search(explanation[1])
    assert CHINESE.search(labelled(name)["说明"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_example_calls_the_function(name):
    """Every example is valid Python that calls its own function with parameters that the signature has."""
    code = re.fullmatch(r"`(.+)`", labelled(name)["示例"])
    assert code
    [call] = [
        node
        for node in ast.walk(ast.parse(code[1]))
        if isinstance(node, ast.Call) and re.fullmatch(r"client\.\w+\.\w+", ast.unparse(node.func))
    ]
    module = Path(FUNCTIONS[name].source).stem
    assert ast.unparse(call.func) == f"client.{module}.{name}"
    arguments = [argument.arg for argument in signature(name).args.args]
    needed = len(arguments) - len(signature(name).args.defaults)
    given = [*arguments[: len(call.args)], *(keyword.arg for keyword in call.keywords)]
    assert len(call.args) <= len(arguments)
    assert set(given) <= set(arguments)
    assert set(arguments[:needed]) <= set(given)


def test_deprecated_functions_name_their_successor():
    """Every deprecated function says which function of the manual replaces it."""
    deprecated = [name for name in FUNCTIONS if name.endswith("_v1")]
    assert len(deprecated) >= 5
    for name in deprecated:
        assert FUNCTIONS[name].text.startswith(f"## {name}（已弃用）")
        successor = re.search(r"请改用 `(\w+)`", FUNCTIONS[name].text)
        assert successor, name
        assert successor[1] in FUNCTIONS


def test_error_codes_belong_to_one_function():
    """An error code stands in one function alone, so that a question for it has one answer."""
    codes = Counter(code for passage in FUNCTIONS.values() for code in set(ERROR_CODE.findall(passage.text)))
    assert len(codes) >= 60
    assert {code for code, functions in codes.items() if functions > 1} == set()


@pytest.mark.parametrize(("file", "probe"), PROBES)
def test_expected_passages_are_in_the_corpus(file, probe):
    """Each expected text stands in the named document and in one section of the corpus alone: the probe can pass."""
    for piece in probe.expect.pieces:
        found = matching(piece, file.corpus)
        assert found, f"{piece} is nowhere"
        anywhere = matching(replace(piece, source=None), file.corpus)
        assert anywhere == found, f"{piece} is elsewhere too"
        assert len(found) == max(1, len(piece.any_of)), f"{piece} is in {len(found)} sections"


@pytest.mark.parametrize(("file", "probe"), PROBES)
def test_rejected_passages_are_in_the_corpus(file, probe):
    """Each rejected text stands in one section that is not an expected one: the probe can fail."""
    expected = [passage for piece in probe.expect.pieces for passage in matching(piece, file.corpus)]
    for reject in probe.reject:
        [found] = matching(reject.pattern, file.corpus)
        assert found not in expected


@pytest.mark.parametrize(("file", "probe"), PROBES)
def test_question_does_not_give_the_answer(file, probe):
    """No question, in either language, has the expected text in it; the translation is in the other language."""
    for question in (probe.ask, probe.translation):
        assert not any(piece.matches_text(Passage(question)) for piece in probe.expect.pieces)
    english, chinese = sorted((probe.ask, probe.translation), key=lambda text: len(CHINESE.findall(text)) / len(text))
    assert not CHINESE.search(english)
    assert CHINESE.search(chinese)


def test_each_kind_of_distractor_is_asked_for():
    """Each kind of distractor is rejected by two probes at least, with small margins and without."""
    probes = FILES["distractors"].probes
    kinds = Counter(probe.name.split()[0] for probe in probes)
    assert set(kinds) == {"outdated", "near-duplicate", "opinion", "injection", "wrong"}
    assert min(kinds.values()) >= 2
    margins = {reject.margin for probe in probes for reject in probe.reject}
    assert None in margins
    assert 0 < max(margins - {None}) <= 0.05, "cosines of some models differ by no more"


def test_there_are_enough_probes():
    """The files have so many probes that a rate says something, and names are unique across them."""
    names = Counter(probe.name for file in FILES.values() for probe in file.probes)
    assert set(names.values()) == {1}
    assert len(FILES[MANUAL].probes) >= 16
    assert len(FILES["distractors"].probes) >= 16
    assert len(FILES["across_languages"].probes) >= 12
