"""Passages keep their headings: with the text that follows, and as a path before each."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.rag.choices import CHUNKINGS, Chunking
from pytest_embedqa.rag.chunking import chunked
from pytest_embedqa.rag.documents import Document
from pytest_embedqa.rag.sections import sections_of

GUIDE = """# Guide

Read me.

## Returns

### Windows

One two three. Four five six. Seven eight nine.

## Refunds

Five days.
"""


def words(texts):
    """A tokenizer for which every word is a token, with two special ones."""
    return [len(text.split()) + 2 for text in texts]


def cut(text, chunking, form="markdown"):
    """The texts of the passages of one document."""
    return [passage.text for passage in chunked([Document("a", (text,), format=form)], chunking, words)]


def paths(text):
    """Each section of a text with the path of its headings."""
    return [(text[one.start : one.end].strip(), one.path) for one in sections_of(text) if one.start < one.end]


def test_heading_goes_with_the_first_piece():
    """A section that is too long has its headings before the first piece, and none has them alone."""
    assert cut(GUIDE, Chunking("headings", 10)) == [
        "# Guide\n\nRead me.",
        "## Returns\n\n### Windows\n\nOne two three.",
        "Four five six.",
        "Seven eight nine.",
        "## Refunds\n\nFive days.",
    ]


NESTED = f"""# The guide to all returns

## Returns from other countries

### Windows and their frames

{" ".join(f"w{number}" for number in range(40))}"""


@pytest.mark.parametrize("path", [False, True])
@pytest.mark.parametrize("size", [24, 30, 40])
def test_nested_headings_go_with_the_text(size, path):
    """Headings without text between them are in the first passage with the beginning of the text, and none is alone."""
    passages = cut(NESTED, Chunking("headings", size, heading_path=path))
    headings = "# The guide to all returns\n\n## Returns from other countries\n\n### Windows and their frames\n\n"
    assert passages[0].startswith(f"{headings}w0 w1")
    assert all(passage.startswith("w" if not path else "") and " w" in passage for passage in passages[1:])
    assert not path or all("Windows and their frames\n\n" in passage for passage in passages)


def test_a_path_that_leaves_no_room_for_its_own_heading():
    """The heading goes with the text without the path, and all passages after it have room for the path."""
    title = " ".join("abcdefghij")
    text = f"# The guide to all returns\n\nIntro.\n\n### {title}\n\n" + " ".join(f"w{number}" for number in range(60))
    _, first, *others = cut(text, Chunking("headings", 36, heading_path=True))
    assert first.startswith(f"### {title}\n\nw0 w1")
    assert all(passage.startswith(f"The guide to all returns > {title}\n\nw") for passage in others)


def test_nested_headings_without_room_for_all():
    """As many of the inner ones as fit go with the text; only the outer ones are by themselves."""
    first, second, *others = cut(NESTED, Chunking("headings", 20))
    assert first == "# The guide to all returns"
    assert second.startswith("## Returns from other countries\n\n### Windows and their frames\n\nw0 w1")
    assert all(passage.startswith("w") for passage in others)


@pytest.mark.parametrize("by", CHUNKINGS)
def test_path_is_before_every_piece(by):
    """Each passage begins with the headings that it is under, however it is cut, and has its own heading too."""
    passages = cut(GUIDE, Chunking(by, 18, heading_path=True))
    assert passages[0] == "Guide\n\n# Guide\n\nRead me."
    assert passages[1].startswith("Guide > Returns > Windows\n\n## Returns\n\n### Windows\n\nOne two")
    assert passages[2].startswith("Guide > Returns > Windows\n\n")
    assert "eight nine." in passages[2]
    assert passages[-1] == "Guide > Refunds\n\n## Refunds\n\nFive days."


def test_path_without_room_loses_its_outer_headings():
    """A path takes up to half of a passage: the inner headings stay, and one that is too long is left to the text."""
    text = "# One two three four\n\n## Five\n\nA b c d e. F g h i j."
    assert all(one.startswith("Five\n\n") for one in cut(text, Chunking("sentences", 10, heading_path=True)))
    assert cut("# A b c d e f g h i j k\n\nText.", Chunking("headings", 12, heading_path=True))[0].startswith("#")


def test_character_without_room_for_the_path():
    """A character that fits by itself alone is a passage without the path rather than one over the size."""
    document = Document("a", ("# ab\n\n字字",), format="markdown")
    costs = Chunking("sentences", 12, heading_path=True)
    found = chunked([document], costs, lambda texts: [len(text) + 8 * text.count("字") for text in texts])
    assert [one.text for one in found][-1] == "字"


def test_text_without_headings_has_no_path():
    """Plain text, and Markdown before its first heading, are as they are."""
    chunking = Chunking("headings", 50, heading_path=True)
    assert cut(GUIDE, chunking, "text") == [GUIDE.strip()]
    assert cut("Before.\n\n# A\n\na.", chunking) == ["Before.", "A\n\n# A\n\na."]


def test_headings_are_those_of_a_renderer():
    """A heading over two lines is one; in code, a list, a quote or an indented block there is none."""
    text = "Two\nlines\n===\n\na\n\n```\n# code\n```\n\n    # indented\n\n- # item\n\n> # quote\n\n## B ##\n\nb"
    (first, path), second = paths(text)
    assert first.endswith("> # quote")
    assert path == ("Two lines",)
    assert second == ("## B ##\n\nb", ("Two lines", "B"))


def test_overlap_is_counted_without_the_path():
    """Pieces repeat as many tokens with a path as without one."""
    text = "# H\n\n" + " ".join(f"w{number}" for number in range(12))
    passages = cut(text, Chunking("tokens", 10, 2, heading_path=True))
    bodies = [one.removeprefix("H\n\n").removeprefix("# H\n\n").split() for one in passages]
    assert all(one[-2:] == other[:2] for one, other in itertools.pairwise(bodies))


FRONT = [
    "---\ntitle: Returns\n# comment\ntags: [a, b]\nauthor: Jo\n---",
    '+++\ntitle = "Returns"\n# comment\n+++',
    "---\ntitle: Returns\n# comment\n...",
    "---\n# comment\ntitle:\n  - x\n---",
]


@pytest.mark.parametrize("front", FRONT)
@pytest.mark.parametrize("by", CHUNKINGS)
def test_front_matter_is_whole(front, by):
    """Front matter of YAML or TOML is a passage of its own, and no line of it a heading."""
    text = f"{front}\n# Returns\n\nText."
    assert paths(text) == [(front, ()), ("# Returns\n\nText.", ("Returns",))]
    if by == "headings":
        assert cut(text, Chunking(by, 40)) == [front, "# Returns\n\nText."]
    else:
        assert cut(text, Chunking(by, 40)) == [text]


@pytest.mark.parametrize(
    "text", ["---\n\nText.\n\n---\n\n# A\n\na", "---\nNo key here\n---\n\na", "---\ntitle: x\n\na"]
)
def test_rule_is_no_front_matter(text):
    """A rule at the beginning, with text that is no data after it, is one."""
    assert "".join("".join(one.split()) for one, _ in paths(text)) == "".join(text.split())
    assert not text.startswith("---\n\n") or paths(text)[0][0] == "---\n\nText.\n\n---"
    assert sum(one.end for one in sections_of(text) if not one.start and one.body == one.end) < len(text)


def test_prose_between_rules_is_no_front_matter():
    """A first line that looks like a key makes no data of the headings and sentences that follow it."""
    text = "---\nNote: this is a text\n\n# Heading\n\nLong prose.\n\n---\nend"
    assert ("# Heading\n\nLong prose.\n\n---\nend", ("Heading",)) in paths(text)


PIECES = st.sampled_from(
    [
        "# A\n",
        "## Bb cc\n\n",
        "### D\n",
        "Word ",
        "two. ",
        "\n\n",
        "Set\n---\n",
        "```\n",
        "- x\n",
        "---\n",
        "k: v\n",
        "字。",
        "y" * 30,
    ]
)


@example(text="# A\n# A\n", by="tokens", size=6, overlap=0, path=True)  # ends in a heading
@given(
    text=st.lists(PIECES, max_size=40).map("".join),
    by=st.sampled_from(CHUNKINGS),
    size=st.integers(6, 60),
    overlap=st.integers(0, 5),
    path=st.booleans(),
)
def test_laws_of_cutting(text, by, size, overlap, path):
    """With headings before them passages are within the size, and without overlap they are all of the text in order."""

    def lengths(texts):
        return [len(text) for text in texts]

    chunking = Chunking(by, size, overlap, heading_path=path)
    found = list(chunked([Document("a", (text,), format="markdown")], chunking, lengths))
    assert all(len(one.text) <= size for one in found)
    if not overlap:
        rest = "".join(text.split())
        for one in found:
            bare = "".join(one.text.split())
            tail = "".join(one.text.partition("\n\n")[2].split())
            rest = rest.removeprefix(bare if rest.startswith(bare) else tail)
        assert not rest


def test_missing_parser(monkeypatch):
    """Without the parser of Markdown, the error names it and the extra."""
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    with pytest.raises(MissingExtraError, match=r"Cutting documents at headings needs .*'markdown-it-py'"):
        cut("# A", Chunking("headings"))
