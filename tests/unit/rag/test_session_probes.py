"""A session's retrievers: opened once, and closed before what they stand on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.choices import Chunking, Retrieval
from pytest_embedqa.rag.probe import Pattern, Probe, ProbeFile, Reject, Robustness
from pytest_embedqa.rag.session_probes import Probing


def encoder(digest):
    """As much of an encoder as BM25 needs."""
    identity = SimpleNamespace(digest=digest, max_length=None)
    return SimpleNamespace(
        spec=digest, identity=identity, estimate_tokens=lambda texts: [len(text.split()) for text in texts]
    )


@pytest.fixture
def file(tmp_path):
    """Writes a corpus and gives its probe file."""

    def write(name):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text("dough rises", encoding="utf-8")
        probes = (Probe("p", "dough", max_latency_ms=1e9),)
        return ProbeFile(tmp_path / f"{name}.probe.yaml", tmp_path / name, Chunking(), Retrieval("bm25"), probes)

    return write


def test_an_index_is_built_once_for_a_model(file):
    """The same file and model give the same retriever; another model or noise another one."""
    probing, one = Probing(None), file("one")
    first = probing.retriever(one, encoder("m"))
    assert probing.retriever(one, encoder("m")) is first
    assert probing.retriever(one, encoder("n")) is not first
    assert probing.retriever(one, encoder("n"), noise=2).size == 3


def test_a_charset_has_an_index_of_its_own(file):
    """The same corpus, said to be in another charset, is read anew."""
    probing, one = Probing(None), file("one")
    (one.corpus / "b.txt").write_bytes("Größe".encode("cp850"))
    (found,) = probing.retriever(replace(one, encoding="cp850"), encoder("m"))("Größe", 1)
    assert found.text == "Größe"
    assert probing.retriever(replace(one, encoding="cp1252"), encoder("m"))("Größe", 1) != [found]


def test_a_corpus_that_changes_is_read_anew(file):
    """What a test writes into a corpus, changes or takes out of it between two questions is seen; else the index is kept."""
    probing, one = Probing(None), file("one")

    def found(query):
        return [passage.text for passage in probing.retriever(one, encoder("m"))(query, 9)]

    first = probing.retriever(one, encoder("m"))
    (one.corpus / "a.md").write_text("bread rises", encoding="utf-8")  # of the same length
    assert (found("dough"), found("bread")) == ([], ["bread rises"])
    (one.corpus / "b.md").write_text("dough falls", encoding="utf-8")
    assert found("dough") == ["dough falls"]
    (one.corpus / "b.md").unlink()
    assert found("dough") == []
    second = probing.retriever(one, encoder("m"))
    assert second is not first
    assert probing.retriever(one, encoder("m")) is second


def test_few_indexes_are_open_at_a_time(file):
    """A corpus of long ago is closed: memory does not grow with the number of files."""
    probing, files = Probing(None), [file(name) for name in "abc"]
    first, *_ = [probing.retriever(one, encoder("m")) for one in files]
    assert probing.retriever(files[0], encoder("m")) is not first
    assert probing.retriever(files[2], encoder("m")) is probing.retriever(files[2], encoder("m"))


def test_what_uses_a_closed_model_is_forgotten(file):
    """A model that is loaded again later gets an index of its own; those of other models stay."""
    probing, one = Probing(None), file("one")
    gone, stays = probing.retriever(one, encoder("m")), probing.retriever(one, encoder("n"))
    probing.forget(encoder("m"))
    assert probing.retriever(one, encoder("n")) is stays
    assert probing.retriever(one, encoder("m")) is not gone


def test_all_probes_of_a_file_are_asked(file):
    """As often as they are looked at, for a pipeline of one's own may change its mind."""
    probing, one = Probing(None), file("one")
    asked = []

    def retriever(query, k):
        asked.append((query, k))
        return ["dough rises"]

    for _ in range(2):
        assert [answer.holds for answer in probing.answers(one, retriever)] == [True]
    assert len(asked) == 4  # each time for what comes back, and for how long it takes


def test_what_can_not_be_opened_is_tried_once(file):
    """The same error again, without reading the corpus for each probe, until a test is tried again or the corpus changes."""
    probing, one = Probing(None), file("one")
    (one.corpus / "b.csv").write_text("x")

    def error():
        with pytest.raises(DataError) as raised:
            probing.retriever(one, encoder("m"))
        return raised.value

    first = error()
    assert error() is first
    probing.try_again()
    assert error() is not first
    (one.corpus / "b.csv").unlink()
    assert probing.retriever(one, encoder("m")).size == 1


@pytest.mark.parametrize("place", [Pattern("dough", source="typo.md"), Pattern("dough", page=(3,))])
@pytest.mark.parametrize("wrong_first", [False, True])
def test_each_file_answers_for_the_places_it_names(file, place, wrong_first):
    """Of two files on one corpus only the one that names a document or page it has not is refused, whichever comes first."""
    probing, right = Probing(None), file("one")
    wrong = replace(right, path=right.path.with_name("wrong.probe.yaml"))
    wrong = replace(wrong, probes=(Probe("w", "dough", reject=(Reject(place),), line=7),))
    if not wrong_first:
        probing.retriever(right, encoder("m"))
    for _ in range(2):
        with pytest.raises(DataError, match=r"wrong\.probe\.yaml:7: w: "):
            probing.retriever(wrong, encoder("m"))
    assert probing.retriever(right, encoder("m")).size == 1
    same_path = replace(right, probes=wrong.probes)  # markers of one module
    with pytest.raises(DataError, match=r"one\.probe\.yaml:7: w: "):
        probing.retriever(same_path, encoder("m"))


def test_questions_are_computed_together(file, monkeypatch):
    """The built-in chain gets all questions of a variation before the first is asked."""
    asked = []
    probing, one = Probing(None), file("one")
    one = replace(one, probes=(Probe("p", "How dough rises"), Probe("q", "Who bakes")))
    chain = probing.retriever(one, encoder("m"))
    answers = probing.answers(one, chain)
    monkeypatch.setattr(type(chain), "prepare", lambda _, queries: asked.append(list(queries)))
    monkeypatch.setattr(type(chain), "__call__", lambda _, query, __: asked.append(query) or [])
    probing.decays(one, Robustness("case", (1,)), answers, chain, None)
    assert asked == [["HOW DOUGH RISES", "WHO BAKES"], "HOW DOUGH RISES", "WHO BAKES"]


def test_a_closed_session_leaves_nothing_behind(file, tmp_path, monkeypatch):
    """Indexes on disk are gone once the session ends, which may be said twice."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    probing = Probing(None)
    probing.retriever(file("one"), encoder("m"))
    assert list(place.iterdir())
    probing.close()
    assert not list(place.iterdir())
    probing.close()
