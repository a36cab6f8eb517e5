"""Words for BM25: English, Chinese, code and numbers, each in real sentences."""

from __future__ import annotations

import importlib.util

import pytest

from pytest_embedqa.core.errors import MissingExtraError
from pytest_embedqa.rag import words as module
from pytest_embedqa.rag.words import words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("running databases", "Run DATABASE"),
        ("the user's files", "the users file"),
        ("the user’s files", "the user's files"),
        ("ＨＴＴＰ／２ ﬁle", "http/2 file"),
        ("Straße", "STRASSE"),
        ("ÉCOLE", "e\u0301cole"),
        ("DataFrames", "Data frames dataframes"),
    ],
    ids=["inflection", "possessive", "apostrophe", "compatibility", "eszett", "accent", "camel case"],
)
def test_other_spelling_is_the_same_word(one, other):
    """What people write differently and mean alike gives the same words."""
    assert words(one) == words(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("get_user_by_id", ["get", "user", "by", "id", "get_user_by_id"]),
        ("getUserById", ["get", "user", "by", "id", "getuserbyid"]),
        ("HTTPServer2", ["http", "server", "2", "httpserver2"]),
        ("a.b.c", ["a", "b", "c", "a.b.c"]),
        ("__init__", ["init", "__init__"]),
        ("torch.nn.Linear", ["torch", "nn", "linear", "torch.nn.linear"]),
        ("get_users", ["get", "user", "get_users"]),
    ],
)
def test_name_in_code_is_kept_whole_and_split(text, expected):
    """A name is found as it is written, whatever its case, and by its parts."""
    assert words(f"({text}),") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.75", ["0.75"]),
        ("10² 10⁻²", ["10²", "10⁻²"]),
        ("192.168.0.1", ["192.168.0.1"]),
        ("10ms", ["10", "ms", "10ms"]),
        ("10 ms", ["10", "ms"]),
        ("v2.1", ["v", "2.1", "v2.1"]),
        ("It took 3.", ["it", "took", "3"]),
    ],
)
def test_number_stays_whole(text, expected):
    """A number keeps its decimal point, and is found with and without its unit."""
    assert words(text) == expected


def test_chinese_is_segmented():
    """A run of Chinese gives its words, also those within longer ones, and never itself as one word."""
    text = "这本书可以在北京清华大学图书馆借阅"
    found = words(text)
    assert {"北京", "清华大学", "大学", "图书馆", "借阅"} <= set(found)
    assert text not in found


def test_chinese_between_english():
    """Chinese, English and numbers in one run without spaces are told apart."""
    assert {"配置", "http", "代理", "服务器"} <= set(words("如何配置HTTP代理服务器"))
    assert {"默认", "超时", "30", "秒"} <= set(words("默认超时是30秒。"))


@pytest.mark.parametrize(("text", "phrase"), [("データベースの接続", "データベース"), ("ภาษาไทยง่าย", "ภาษาไทย")])
def test_other_scripts_without_spaces_share_pairs(text, phrase):
    """A Japanese or Thai phrase shares words with a longer run that has it."""
    assert set(words(phrase)) <= set(words(text))
    assert len(words(phrase)) > 1


def test_one_letter_of_such_a_script_is_a_word():
    """A lone letter between other scripts is not lost."""
    assert words("C の D") == ["c", "の", "d"]


@pytest.mark.parametrize("text", ["", " \n", "，。！ 😀", "___ -- ..."])
def test_text_without_words(text):
    """Punctuation alone gives nothing."""
    assert words(text) == []


@pytest.mark.parametrize(
    ("text", "name", "missing"),
    [("word", "Stemmer", "PyStemmer"), ("图书馆", "rjieba", "rjieba"), ("a", "regex", "regex")],
)
def test_missing_package_is_named(monkeypatch, text, name, missing):
    """Without a package of the extra, the error says how to install it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else find(asked))
    for cached in (module._stemmer, module._patterns, module._need):
        cached.cache_clear()
    with pytest.raises(MissingExtraError, match=rf"{missing}[^\n]*\n.*pytest-embedqa\[rag\]"):
        words(text)
