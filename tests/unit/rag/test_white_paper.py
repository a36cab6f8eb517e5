"""The white paper and the documents of many formats are made as they should be, and their probes can be answered."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import read_documents
from pytest_embedqa.rag.folding import comparable
from pytest_embedqa.rag.reading import read_file

pypdf = pytest.importorskip("pypdf")
pytest.importorskip("reportlab", reason="needs reportlab to make PDFs")

RAG = Path(__file__).parents[3] / "suites" / "rag"
GENERATORS = {"white_paper": "make_white_paper", "formats": "make_formats"}
FILES = {name: read_file(RAG / f"{name}.probe.yaml") for name in GENERATORS}
PROBES = [pytest.param(name, probe, id=f"{name}-{probe.name}") for name in FILES for probe in FILES[name].probes]
ARCHITECTURES = {"云边协同架构": 5, "边缘自治集群架构": 14, "端边对等架构": 24, "去中心化架构": 24}
# What stands in HTML documents where no reader sees it.
HIDDEN = ("58 euros", "涨价到 520 元", "drops support for the H2 probe", "is a style sheet")


def generator(name):
    """A generator of the suite, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location(name, RAG / f"{GENERATORS[name]}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contents(folder):
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without_blanks(text):
    """What is printed, wherever its lines are broken."""
    return re.sub(r"\s", "", text)


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The text of each page of the white paper."""
    path = generator("white_paper").build(tmp_path_factory.mktemp("white_paper"))
    return [without_blanks(page.extract_text()) for page in pypdf.PdfReader(path).pages]


@pytest.fixture(scope="module")
def passages():
    """The passages of each corpus, as they are cut for the embedded model."""
    encoder = load_encoder(parse_spec("builtin"), None)
    cut = {}
    for name, file in FILES.items():
        generator(name).build()
        cut[name] = list(chunked(read_documents(file.corpus), file.chunking, encoder.estimate_tokens))
    return cut


def test_the_text_comes_back_as_it_was_written(printed):
    """The white paper has 28 pages, and every character of each is read back, in order."""
    script = generator("white_paper")
    written = script.pages(script.TEXT.read_text(encoding="utf-8"))
    assert len(written) == 28
    marks = re.compile(r"^#+ |\|")
    assert printed == [without_blanks("".join(marks.sub("", line) for line in page)) for page in written]


def test_pages_are_full_of_chinese(printed):
    """Each page has the text of a page: some 300 to 450 Chinese characters, fewer where there is a table."""
    assert all(200 <= len(re.findall(r"[\u4e00-\u9fff]", page)) <= 450 for page in printed)


def test_each_architecture_is_on_its_own_page_only(printed):
    """The three architectures are described on pages more than 15 apart, and named nowhere else."""
    for name, expected in ARCHITECTURES.items():
        assert [number for number, page in enumerate(printed, 1) if name in page] == [expected], name
    assert max(ARCHITECTURES.values()) - min(ARCHITECTURES.values()) > 15


def test_a_sentence_runs_over_a_page_break(printed):
    """At least one sentence begins on one page and ends on the next."""
    assert any(not before.endswith("。") and "。" in after for before, after in pairwise(printed))


@pytest.mark.parametrize("name", GENERATORS)
def test_documents_are_the_same_bytes_each_time(name, tmp_path):
    """Processes that build at once, and one that builds elsewhere, make the same files and leave nothing else."""
    together, alone = tmp_path / "together", tmp_path / "alone"
    code = "import pathlib, runpy, sys; runpy.run_path(sys.argv[1])['build'](pathlib.Path(sys.argv[2]))"
    script = RAG / f"{GENERATORS[name]}.py"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, script, folder]) for folder in (together, together, alone)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert contents(together) == contents(alone)
    assert all(file.endswith((".pdf", ".docx")) for file in contents(alone))


def test_word_documents_do_not_note_when_they_were_made(tmp_path):
    """The DOCX documents are the same bytes at another time, too."""
    generator("formats").build(tmp_path)
    for path in tmp_path.glob("*.docx"):
        assert {member.date_time for member in zipfile.ZipFile(path).infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("name", GENERATORS)
def test_what_is_there_is_not_built_again(name, tmp_path):
    """A document that is newer than its sources is left alone; an older one is made anew."""
    generator(name).build(tmp_path)
    made = contents(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(b"changed")
    generator(name).build(tmp_path)
    assert set(contents(tmp_path).values()) == {b"changed"}
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    generator(name).build(tmp_path)
    assert contents(tmp_path) == made


def test_the_formats_are_as_many_as_promised(passages):
    """There are five formats, as many documents in Chinese as in English, and one document is not in UTF-8."""
    texts = {}
    for passage in passages["formats"]:
        texts[passage.source] = texts.get(passage.source, "") + passage.text
    assert sorted(Path(source).suffix for source in texts) == sorted(
        [".docx", ".html", ".md", ".txt"] * 2 + [".md", ".pdf"]
    )
    chinese = {source for source, text in texts.items() if re.search(r"[\u4e00-\u9fff]", text)}
    english = {source for source, text in texts.items() if re.search(r"[a-z]+ [a-z]+ [a-z]+", text)}
    assert len(chinese) == 5
    assert english == texts.keys() - chinese | {"mobile_app.md"}
    assert (FILES["formats"].corpus / "faq.html").read_bytes().decode("gb18030")
    with pytest.raises(UnicodeDecodeError):
        (FILES["formats"].corpus / "faq.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "probe"), PROBES)
def test_what_is_expected_is_in_one_passage(name, probe, passages):
    """All that a probe expects stands where it says, each piece within a single passage."""
    for piece in probe.expect.pieces:
        assert any(piece.matches(passage) for passage in passages[name]), str(piece)


@pytest.mark.parametrize(("name", "probe"), [case for case in PROBES if case.values[1].reject])
def test_what_is_rejected_could_come_back(name, probe, passages):
    """What a probe rejects is another passage of the corpus, or was hidden in a document, so the probe can fail."""
    for pattern in (reject.pattern for reject in probe.reject):
        found = [passage for passage in passages[name] if pattern.matches(passage)]
        if pattern.contains in HIDDEN:
            assert not found
        else:
            assert found
            assert not any(piece.matches(passage) for piece in probe.expect.pieces for passage in found)


def test_what_is_hidden_is_in_the_files():
    """What no reader sees really stands in the HTML documents."""
    hidden = [path.read_bytes().decode("gb18030") for path in FILES["formats"].corpus.glob("*.html")]
    rejected = {reject.pattern.contains for probe in FILES["formats"].probes for reject in probe.reject}
    for text in HIDDEN:
        assert any(text in html for html in hidden)
        assert text in rejected


@pytest.mark.parametrize(("name", "probe"), PROBES)
def test_no_question_is_copied_from_its_answer(name, probe, passages):
    """A question shares no run of eight Chinese characters, or of five English words, with what answers it."""
    answers = [
        comparable(passage.text)
        for passage in passages[name]
        if any(one.matches(passage) for one in probe.expect.pieces)
    ]
    question = comparable(probe.ask)
    runs = {question[at : at + 8] for at in range(len(question) - 7) if not question[at : at + 8].isascii()}
    words = question.split()
    runs |= {" ".join(words[at : at + 5]) for at in range(len(words) - 4)}
    assert not [run for run in runs if any(run in answer for answer in answers)]
