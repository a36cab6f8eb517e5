"""Probe files: what they say, and what is wrong with them."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from pytest_embedqa.core.errors import DataError
from pytest_embedqa.rag.choices import CHUNKINGS, INDEXES, RETRIEVALS, Chunking, Retrieval
from pytest_embedqa.rag.probe import GROUP_MEASURES, Expect, PageSpan, Pattern, Reject
from pytest_embedqa.rag.reading import NOISE, NOISE_LEVELS, read_arguments, read_file, read_retrieval
from pytest_embedqa.rag.validation import SCHEMA
from pytest_embedqa.rag.variations import VARIATIONS

WHOLE = """\
corpus: documents
chunk: {by: headings, size: 120, overlap: 10}
retrieve: {by: rerank, k: 4, candidates: 50}
pass_rate: 0.92
mrr: {some/model: 0.5}
robustness:
  typos: {keep: {some/model: 0.8}}
  noise: {levels: [10]}
probes:
  - name: three architectures
    ask: 哪三种架构？
    translation: Which three architectures?
    expect:
      source: paper.pdf
      all_of:
        - 云边协同
        - {contains: 去中心化, page: [24, 25]}
      page_span: ">15"
    required: true
    expected_failures: {some/model: reads no Chinese}
  - name: limit
    ask: How many requests a second?
    expect: {contains: 100, regex: '\\b100\\b', page: 3, rank: 1}
    reject:
      - {contains: '1000', margin: 0.05}
      - {any_of: [ignore, previous]}
    max_latency_ms: 200
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads a text as a probe file of the current folder."""
    monkeypatch.chdir(tmp_path)

    def read_text(text):
        file = tmp_path / "faq.probe.yaml"
        file.write_text(text, encoding="utf-8")
        return read_file(file)

    return read_text


def test_everything_a_file_says_is_read(read, tmp_path):
    """Corpus, cuts, retrieval, bounds, variations and each part of a probe arrive as they were written."""
    file = read(WHOLE.replace("contains: 100,", "contains: '100',"))
    assert file.corpus == tmp_path / "documents"
    assert file.chunking == Chunking("headings", 120, 10)
    assert file.retrieval == Retrieval("rerank", 4, 50)
    assert file.bounds == {"pass_rate": 0.92, "mrr": {"some/model": 0.5}}
    assert [(one.variation, one.levels, one.keep) for one in file.robustness] == [
        ("typos", VARIATIONS["typos"].levels, {"some/model": 0.8}),
        ("noise", (10,), None),
    ]
    three, limit = file.probes
    assert three.expect == Expect(
        (Pattern("云边协同", source="paper.pdf"), Pattern("去中心化", source="paper.pdf", page=(24, 25))),
        PageSpan(">", 15),
    )
    assert three.required
    assert three.expected_failures == {"some/model": "reads no Chinese"}
    assert (three.line, limit.line) == (10, 21)
    assert limit.expect == Expect((Pattern("100", regex=r"\b100\b", page=(3,), rank=1),))
    assert limit.reject == (Reject(Pattern("1000"), 0.05), Reject(Pattern(any_of=("ignore", "previous"))))
    assert limit.max_latency_ms == 200


def test_rank_and_a_text_beside_all_of(read):
    """Rank and source beside all_of hold for each of its pieces; a text beside it is a piece of its own."""
    file = read("probes: [{name: a, ask: b, expect: {contains: x, rank: 2, all_of: [y, {contains: z, rank: 3}]}}]")
    assert file.probes[0].expect.pieces == (Pattern("x", rank=2), Pattern("y", rank=2), Pattern("z", rank=3))


def test_a_source_or_a_page_alone_is_an_expectation(read):
    """Any passage of the document, or of the page, will do; beside all_of a page is a passage of its own."""
    file = read(
        "probes: [{name: a, ask: b, expect: {source: x.md}}, {name: b, ask: b, expect: {page: 3, all_of: [y]}}]"
    )
    assert file.probes[0].expect.pieces == (Pattern(source="x.md"),)
    assert file.probes[1].expect.pieces == (Pattern(page=(3,)), Pattern("y"))


@pytest.mark.parametrize(("given", "held"), [("15", [15, 16]), ("'>15'", [16]), ("'<=14'", [14]), ("'<15'", [14])])
def test_page_spans(read, given, held):
    """A number is the least span; a sign says otherwise."""
    span = (
        read(f"probes: [{{name: a, ask: b, expect: {{contains: x, page_span: {given}}}}}]").probes[0].expect.page_span
    )
    assert [pages for pages in (14, 15, 16) if span.holds(pages)] == held


def probe(body):
    """A file with one probe."""
    return f"probes:\n  - name: a\n    ask: b\n    {body}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (probe("expect: {contain: x}"), "faq.probe.yaml:4: unknown key 'contain' in probes.expect. Did you mean 'contains'? It takes: "),
        (probe("expct: {contains: x}"), "faq.probe.yaml:4: unknown key 'expct' in probes. Did you mean 'expect'?"),
        (probe("expect: {all_of: [{page: 3, pages: 4}]}"), "faq.probe.yaml:4: unknown key 'pages' in probes.expect.all_of"),
        ("corpus: x\nchunk:\n  by: sentence\n" + probe("expect: {contains: x}"), "faq.probe.yaml:3: chunk.by: 'sentence' is unknown. Did you mean 'sentences'? There are: tokens, sentences, headings."),
        (probe("translation: c"), "faq.probe.yaml:2: probe 'a' expects nothing. Give it expect, reject or max_latency_ms."),
        ("probes:\n  - ask: b\n    max_latency_ms: 3", "faq.probe.yaml:2: probes needs 'name'."),
        ("probes: []", "faq.probe.yaml:1: probes is empty, and must hold something."),
        ("corpus: x", "faq.probe.yaml:1: the file needs 'probes'."),
        ("- a\n- b", 'the file is ["a", "b"], but must be a mapping.'),
        ("", "faq.probe.yaml:1: the file is empty, but must be a mapping. It needs  probes:  and below it each probe with a dash in front."),
        (probe("expect: {contains: 100}"), "faq.probe.yaml:4: probes.expect.contains is 100, but must be a text (in quotes)."),
        (probe("expect: {}"), "faq.probe.yaml:4: probes.expect is empty, and must"),
        (probe("expect: {contains: ''}"), "faq.probe.yaml:4: probes.expect.contains is empty, and must"),
        (probe("expect: {regex: '('}"), "faq.probe.yaml:4: probes.expect.regex: '(' is not a regular expression"),
        (probe("expect: {contains: x, page: 0}"), "faq.probe.yaml:4: probes.expect.page: 0 is less than the minimum of 1."),
        (probe("expect: {contains: x, page_span: about 15}"), "faq.probe.yaml:4: probes.expect.page_span: 'about 15' must be like '>15'"),
        (probe("expect: {contains: x, rank: 9}"), "faq.probe.yaml:2: rank 9 can never hold: 5 passages come back. Raise k in retrieve, or lower the rank."),
        (probe("reject: {contains: x, margin: 0.1}"), "faq.probe.yaml:2: margin is measured from the expected passage: it needs expect."),
        ("retrieve: {by: rrf}\n" + probe("expect: {contains: y}\n    reject: {contains: x, margin: 0.1}"), "faq.probe.yaml:3: margin compares scores, and those of rrf only say ranks."),
        (probe("max_latency_ms: -1"), "faq.probe.yaml:4: probes.max_latency_ms: -1 is less than or equal to the minimum of 0."),
        ("pass_rate: 92\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: pass_rate: 92 is greater than the maximum of 1. It is a share: did you mean 0.92?"),
        ("chunk: {size: 20, overlap: 20}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: overlap 20 must be less than size 20."),
        ("retrieve: {by: bm25, openwebui: 'http://x'}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: retrieve takes one of by, openwebui and http."),
        ("retrieve: {openwebui: 'http://x', reranker: builtin}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: reranker orders passages of the built-in chain, and not those of openwebui. Leave one out."),
        ("retrieve: {by: bm25,\n  reranker: 'opnai:x'}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:2: Unknown engine 'opnai'"),
        ("retrieve: {by: bm25, reranker: 'st:x?dmi=3'}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1:"),
        ("retrieve: {by: bm25, reranker: 'rerank:[bm25]'}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: The spec 'rerank:…' has 1 in square brackets"),
        ("retrieve: {by: bm25, cross_encoder: st:x}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: unknown key 'cross_encoder' in retrieve."),
        ("retrieve: {openwebui: 'http://x?hybird=true'}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1:"),
        (probe("max_latency_ms: 1\n  - {name: a, ask: c, max_latency_ms: 1}"), "faq.probe.yaml:5: the name 'a' is taken. Each test needs its own."),
        (probe("max_latency_ms: 1\n  - {name: index, ask: c, max_latency_ms: 1}"), "faq.probe.yaml:5: the name 'index' is that of a test on the whole file. Give the probe another."),
        ("robustness: {typo: {}}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: unknown key 'typo' in robustness. Did you mean 'typos'?"),
        ("expected_failures:\n  m:\n    why:\n      - aa\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:4: there is no probe 'aa'. Did you mean 'a'?"),
        ("robustness:\n  case: {}\n  typos: {levels: [1, 3]}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:3: typos has no level 3. There are: 1, 2, 4."),
        ("probes: [\na: b", "faq.probe.yaml:"),
        (probe("expect: {contains: ' '}"), "faq.probe.yaml:4: probes.expect.contains: ' ' has only blanks and invisible characters, which any text contains."),
        (probe('expect: {any_of: [x, "\\u3000"]}'), "faq.probe.yaml:4: probes.expect.any_of: '\u3000' has only blanks"),
        (probe('expect: {all_of: [x, "\\u00ad"]}'), "faq.probe.yaml:4: probes.expect.all_of: '\u00ad' has only blanks"),
        (probe('expect: {source: "\\u200b"}'), "faq.probe.yaml:4: probes.expect.source: '\u200b' has only blanks"),
        (probe('reject: [{contains: x}, {contains: "\\u2060"}]'), "faq.probe.yaml:4: probes.reject.contains: '\u2060' has only blanks"),
        ('probes:\n  - name: "\\u200b"\n    ask: " "\n    max_latency_ms: 1', "faq.probe.yaml:3: probes.ask: ' ' has only blanks"),
        (probe("expect: {regex: '.*'}"), "faq.probe.yaml:4: probes.expect.regex: '.*' matches any text, or only an empty text: say what the passage must contain."),
        (probe("reject: {regex: '^$'}"), "faq.probe.yaml:4: probes.reject.regex: '^$' matches any text"),
        (probe("expect: {regex: '30 days|'}"), "faq.probe.yaml:4: probes.expect.regex: '30 days|' matches any text"),
        (probe("reject: {regex: '\\w+'}"), "faq.probe.yaml:4: probes.reject.regex: '\\w+' matches any text"),
        (probe("expect: {regex: 'a{99999999999}'}"), "faq.probe.yaml:4: probes.expect.regex: 'a{99999999999}' is not a regular expression: "),
        (probe("expect: {contains: x}\n    reject: {contains: y, margin: .nan}"), "faq.probe.yaml:5: probes.reject.margin is nan, but must be a finite number."),
        ("pass_rate: .nan\n" + probe("max_latency_ms: .inf"), "faq.probe.yaml:1: pass_rate is nan, but must be"),
        ("pass_rate: {1: 0.5}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: the key 1 in pass_rate must be a text (in quotes)."),
        ("pass_rate: {[a, b]: 0.5}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: the key ('a', 'b') in pass_rate must be"),
        (probe("max_latency_ms: 1\n  - {name: \"it’s\", ask: c, max_latency_ms: 1}\n  - {name: \"it's\", ask: c, max_latency_ms: 1}"), "faq.probe.yaml:6: the name 'it's' is taken."),
        ("retrieve: {by: rerank, k: 20, candidates: 10}\n" + probe("max_latency_ms: 1"), "faq.probe.yaml:1: candidates 10 must be at least k 20."),
        (probe('ask: "a \x1b[1m"'), "faq.probe.yaml:4: not valid YAML: the control character U+001B, which YAML does not allow. Delete it."),
        (probe("max_latency_ms: !!int abc"), "faq.probe.yaml:4: not valid YAML: 'abc' does not fit its form or tag: invalid literal"),
        (probe("max_latency_ms: !!binary abc"), "faq.probe.yaml:4: not valid YAML: failed to decode base64 data"),
        (probe("max_latency_ms: *nope"), "faq.probe.yaml:4: not valid YAML: found undefined alias 'nope'"),
        (probe("expect: !secret x"), "faq.probe.yaml:4: probes.expect is "),
        ("probes:\n\t- a", "faq.probe.yaml:2: not valid YAML: found character"),
        ("a: 1\n---\nb: 2", "faq.probe.yaml:2: not valid YAML: a second YAML document begins here, and a file holds one. Delete its '---', or give each"),
        ("[" * 3000, "faq.probe.yaml:1: not valid YAML: it is nested too deeply."),
        ("corpus: a\ncorpus: b", "faq.probe.yaml:2: not valid YAML: found duplicate key"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(read, text, message):
    """Each mistake names file, line, what is wrong, and where it can what would be right."""
    with pytest.raises(DataError) as error:
        read(text)
    assert message in str(error.value)


def test_all_mistakes_are_said_at_once(read):
    """A file with three mistakes gives three lines."""
    with pytest.raises(DataError) as error:
        read("corups: x\n" + probe("expect: {contain: x}") + "  - {name: c, ask: d}\n")
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [
        "faq.probe.yaml:1",
        "faq.probe.yaml:5",
        "faq.probe.yaml:6",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ask: How long: days?", "A text that has a colon and a blank in it needs quotes: 'like: this'."),
        ("expect: {contains: note: x}", "A text that has a colon and a blank in it needs quotes"),
        ("ask: *bold* how", "found undefined alias 'bold*'. A text that begins with * needs quotes: '*bold* how'."),
        ("ask: '@you'\n    expect: {contains: @you}", "A text that begins with @ needs quotes: '@you'."),
        ("ask: `you` how", "A text that begins with ` needs quotes: '`you` how'."),
        ("expect: {any_of: [%x, b]}", "A text that begins with % needs quotes: '%x'."),
        ("max_latency_ms: 1\n    translation: !you how", "probes.translation is tagged !you, which is nothing here. A text that begins with ! needs quotes: '!you …'."),
        ("translation: x\n\tmax_latency_ms: 1", "A tab can't indent in YAML: use blanks."),
        ("translation: 'it's'", "A quote inside of the same quotes is written twice: 'it''s'."),
        ('translation: "it', "what begins here, a quote or a bracket, is not closed"),
        ("translation", "a key without a colon behind it"),
        (" translation: x", "Keys of one mapping begin in the same column: look at how this line and the one before it are indented."),
        ("expect: {contains: 30 days, or more}", "unknown key 'or more' in probes.expect. A text with a comma, in { }, needs quotes."),
        ("expect: 30 days", 'probes.expect is "30 days", but must be a mapping. Write  expect: {contains: 30 days}'),
        ("max_latency_ms: 1\nretrieve: dense", 'retrieve is "dense", but must be a mapping. Write  retrieve: {by: dense}'),
        ("max_latency_ms: 1\nchunk: 200", "chunk is 200, but must be a mapping. Write  chunk: {size: 200}"),
        ("expect: {contains: [a, b]}", "must be a text (in quotes). Several texts stand in any_of or all_of."),
        ("expect: [a, b]", "must be a mapping. Several texts stand in any_of or all_of."),
    ],
)  # fmt: skip
def test_mistakes_that_everybody_makes(read, line, message):
    """The error says what to write, beside the line and the words of the reader of YAML."""
    with pytest.raises(DataError) as error:
        read(probe(line))
    (said,) = str(error.value).splitlines()
    assert message in said
    assert said.startswith(f"faq.probe.yaml:{4 + line.count(chr(10))}: ")


@pytest.mark.parametrize("text", ["", "\ufeff", "# later\n", "---\n"])
def test_an_empty_file(read, text):
    """It is called empty, and told what it needs."""
    with pytest.raises(
        DataError, match=r"^faq.probe.yaml:1: the file is empty, but must be a mapping. It needs  probes: "
    ):
        read(text)


@pytest.mark.parametrize("text", ["probes:\n", "probes: {name: a}\n"])
def test_probes_that_are_no_list(read, text):
    """A dash before each of them makes a list."""
    with pytest.raises(DataError, match=r"but must be a list\. Each probe begins with a dash:  - name: …"):
        read(text)


def test_each_key_of_a_pattern_has_its_line(read):
    """Of one in all_of its own, or that of the key which holds for all of them; it makes no other expectation of it."""
    text = probe(
        "expect:\n      contains: x\n      source: a.md\n      all_of:\n        - y\n        - contains: z\n          source: b.md\n          page: 3"
    )
    x, y, z = read(text).probes[0].expect.pieces
    assert [x.lines, y.lines, z.lines] == [
        {"contains": 5, "source": 6},
        {"source": 6},
        {"source": 10, "contains": 9, "page": 11},
    ]
    assert x == Pattern("x", source="a.md")
    assert repr(x) == repr(Pattern("x", source="a.md"))


def test_a_typo_is_said_once(read):
    """What a mapping seems to lack is under the wrong key, which alone is named; elsewhere it is said."""
    with pytest.raises(DataError) as error:
        read("probes:\n  - nmae: a\n    ask: b\n    expct: {contains: x}\n  - {name: c, ask: d}\n")
    assert [line.partition(". ")[0] for line in str(error.value).splitlines()] == [
        "faq.probe.yaml:2: unknown key 'nmae' in probes",
        "faq.probe.yaml:4: unknown key 'expct' in probes",
        "faq.probe.yaml:5: probe 'c' expects nothing",
    ]
    with pytest.raises(
        DataError, match=r"^faq.probe.yaml:1: unknown key 'probe' in the file. Did you mean 'probes'[^\n]*$"
    ):
        read("probe: []")


def test_paths_are_those_of_pytest(read, tmp_path, monkeypatch):
    """An error names the file from where pytest was started, so that two files of one name are told apart."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "faq.probe.yaml").write_text("corpus: [")
    with pytest.raises(DataError, match=r"^kb/faq.probe.yaml:1: not valid YAML"):
        read_file(tmp_path / "kb" / "faq.probe.yaml")
    monkeypatch.chdir(tmp_path / "kb")
    with pytest.raises(DataError, match=r"^\.\./faq.probe.yaml:1: not valid YAML"):
        read("corpus: [")


def test_expected_failures_of_many_probes(read):
    """A file may say at one place which of its probes a model can't pass, and why."""
    two = "probes: [{name: a, ask: q, max_latency_ms: 1, expected_failures: {n: x}}, {name: b, ask: q, max_latency_ms: 1}]"
    a, b = read("expected_failures: {m: {knows no Chinese: [a, b]}, n: {y: [b]}}\n" + two).probes
    assert a.expected_failures == {"n": "x", "m": "knows no Chinese"}
    assert b.expected_failures == {"m": "knows no Chinese", "n": "y"}


def test_words_of_yaml_that_other_readers_take_for_booleans_are_texts(read):
    """A question "no" is a text, as in YAML 1.2."""
    assert read("probes: [{name: no, ask: on, expect: {contains: yes}}]").probes[0].ask == "on"


def test_a_file_that_is_no_utf8(tmp_path):
    """An error that says what to do, and not a traceback."""
    file = tmp_path / "old.probe.yaml"
    file.write_bytes("probes: 问".encode("gb18030"))
    with pytest.raises(DataError, match=r"old.probe.yaml:1: not UTF-8.*Save it as UTF-8"):
        read_file(file)


def test_the_schema_is_one(read):
    """It is valid JSON Schema, and offers exactly what the code knows."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert tuple(properties["chunk"]["properties"]["by"]["enum"]) == CHUNKINGS
    assert tuple(properties["retrieve"]["properties"]["by"]["enum"]) == RETRIEVALS
    assert all(name in properties["retrieve"]["properties"]["index"]["description"] for name in INDEXES)
    assert set(properties["robustness"]["properties"]) == {*VARIATIONS, NOISE}
    assert set(GROUP_MEASURES) <= set(properties)
    assert read(f"robustness: {{{NOISE}: {{}}}}\n" + probe("max_latency_ms: 1")).robustness[0].levels == NOISE_LEVELS


def test_arguments_of_a_marker(tmp_path):
    """They say the same as a file does, without lines."""
    given = {"ask": "b", "corpus": "docs", "expect": {"any_of": ("x", "y"), "page": (1, 2)}, "retrieve": {"k": 3}}
    file = read_arguments(given, "test_a", tmp_path / "test_it.py")
    assert (file.corpus, file.retrieval.k) == (tmp_path / "docs", 3)
    assert file.probes[0].expect == Expect((Pattern(any_of=("x", "y"), page=(1, 2)),))
    with pytest.raises(DataError, match=r"^test_it.py: unknown key 'expects' in probes. Did you mean 'expect'?"):
        read_arguments({"ask": "b", "expects": {}, "max_latency_ms": 1}, "test_a", tmp_path / "test_it.py")


def test_a_retrieval_for_all_files(tmp_path):
    """A YAML file with what stands under retrieve is read by the same rules."""
    file = tmp_path / "how.yaml"
    file.write_text(
        "http: {url: 'http://127.0.0.1:9/', body: {q: '{query}'}, hits: hits, text: body}\nk: 3\n", encoding="utf-8"
    )
    retrieval, service = read_retrieval(file)
    assert (retrieval.k, service.url) == (3, "http://127.0.0.1:9/")
    file.write_text("k: 3\nby: bm52\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"how.yaml:2: .*'bm52' is unknown. Did you mean 'bm25'"):
        read_retrieval(file)


def test_a_date_is_a_text(read):
    """In YAML 1.2 it is, whether there is such a day or not."""
    names = [one.name for one in read(probe("max_latency_ms: 1").replace("name: a", "name: 2025-02-30")).probes]
    assert names == ["2025-02-30"]


def test_names_are_found_as_they_look(read):
    """What is expected to fail may be typed with another apostrophe than the name of its probe."""
    text = 'expected_failures: {m: {why: ["don\'t"]}}\n' + probe("max_latency_ms: 1").replace("name: a", "name: don’t")
    assert read(text).probes[0].expected_failures == {"m": "why"}


@pytest.mark.parametrize("by", RETRIEVALS)
def test_more_passages_than_a_first_stage_hands_on_by_default(read, by):
    """Whoever asks for 150 gets 150, of any way to search."""
    retrieval = read(f"retrieve: {{by: {by}, k: 150}}\n" + probe("max_latency_ms: 1")).retrieval
    assert (retrieval.k, retrieval.candidates) == (150, 150)


def test_values_of_python_in_a_marker(tmp_path):
    """Paths and sets are what they say; what JSON has no word for is named."""
    given = {"ask": "b", "corpus": tmp_path / "docs", "expect": {"any_of": {"y", "x"}, "page": range(2, 4)}}
    file = read_arguments(given, "test_a", tmp_path / "test_it.py")
    assert file.corpus == tmp_path / "docs"
    assert file.probes[0].expect == Expect((Pattern(any_of=("x", "y"), page=(2, 3)),))
    with pytest.raises(
        DataError,
        match=r"test_it.py: @rag_probe takes texts, numbers, lists and mappings, but there is a object among them\.",
    ):
        read_arguments({"ask": object()}, "test_a", tmp_path / "test_it.py")


def test_a_file_that_can_not_be_opened(tmp_path):
    """An error in words, not a traceback."""
    (tmp_path / "a.probe.yaml").mkdir()
    with pytest.raises(
        DataError, match=r"a\.probe\.yaml:1: can't be read: it is a folder, a pipe or a device, and no file\."
    ):
        read_file(tmp_path / "a.probe.yaml")


def test_characters_that_json_writes_in_two_halves(read):
    """As any writer of JSON does with an emoji, they are one character."""
    text = json.dumps({"probes": [{"name": "😀", "ask": "how 🥖?", "expect": {"contains": "🥖"}}]})
    assert "\\ud83d" in text
    (probe,) = read(text).probes
    assert (probe.name, probe.ask, probe.expect.pieces[0].contains) == ("😀", "how 🥖?", "🥖")
