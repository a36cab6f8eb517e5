"""Variations of questions: what they change, what they leave, and to what they are not applicable."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.rag import variations
from pytest_embedqa.rag.variations import VARIATIONS

ENGLISH = "What is the notice period during the first year of probation?"
CHINESE = "试用期员工的年假和病假一共是多少天？"
MIXED = "如何在 Docker 容器中把 max_length 设置为 4096？"
QUESTIONS = [ENGLISH, CHINESE, MIXED, "How many of the 25 seats does config.yaml allow for team_a, and since v2.1?"]
CASES = [(variation, level) for variation in VARIATIONS.values() for level in variation.levels]

_words = st.sampled_from(
    ["what", "is", "the", "longest", "allowed", "session", "for", "Users", "of", "HTTP", "in", "Zürich"]
)
_exact = st.sampled_from(
    ["30", "4096", "max_length", "config.yaml", "v2.1", "--dry-run", "a@b.org", "2024-05-01", "x1"]
)
_han = st.text(st.sampled_from("员工的年假是多少天如何设置内存限制请问在不三十合同到期后"), min_size=1, max_size=12)
_marks = st.sampled_from([",", "，", "?", "？", "("])
questions = st.lists(st.one_of(_words, _words, _exact, _han, _marks), min_size=1, max_size=14).flatmap(
    lambda parts: st.sampled_from([" ".join(parts), " ".join(parts) + "?"])
)


def exact(text):
    """Numbers and identifiers of a text, in its order."""
    return re.findall(
        r"--[a-z-]+|[a-z]*@[a-z.]*[a-z]|(?=[A-Za-z.-]*[\d_.])[A-Za-z\d_][A-Za-z\d_.-]*[A-Za-z\d_]|\d+", text
    )


def characters(text):
    """How often each character occurs, without white space and punctuation."""
    return Counter(re.sub(r"[\W]", "", text))


def distance(one, other):
    """Edits between two texts: replaced, added, dropped, or two neighbours changed over."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


@pytest.mark.parametrize(("variation", "level"), CASES, ids=lambda value: getattr(value, "name", value))
@given(question=st.one_of(questions, st.text(max_size=40)))
def test_a_variation_changes_the_question_and_is_never_empty(variation, level, question):
    """What comes back is another, non-empty question, and the same one each time."""
    varied = variation.vary(question, level, "translated")
    assert varied is None or (varied.strip() and varied != question)
    assert variation.vary(question, level, "translated") == varied


@pytest.mark.parametrize(("variation", "level"), CASES, ids=lambda value: getattr(value, "name", value))
@given(question=questions)
def test_numbers_and_identifiers_stay(variation, level, question):
    """No variation makes it a question about another number, file, option or name in code."""
    varied = variation.vary(question, level)
    if varied is not None:
        assert Counter(exact(question)) <= Counter(exact(varied))


def test_the_same_in_another_process():
    """A variation depends on nothing but the question and the level: not on the process or on what was varied before."""
    here = [variation.vary(question, level) for question in QUESTIONS for variation, level in CASES]
    script = (
        f"questions = {QUESTIONS!a}\n"
        "from pytest_embedqa.rag.variations import VARIATIONS as V\n"
        "cases = [(v, n) for v in V.values() for n in v.levels]\n"
        "backwards = {(q, v.name, n): v.vary(q, n) for q in questions[::-1] for v, n in cases[::-1]}\n"
        "print(ascii([backwards[q, v.name, n] for q in questions for v, n in cases]))"
    )
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert there.strip() == ascii(here)


@pytest.mark.parametrize("level", VARIATIONS["typos"].levels)
@given(question=questions)
def test_typos_make_no_more_edits_than_the_level(level, question):
    """A question has so many typing errors at most as its level says."""
    varied = VARIATIONS["typos"].vary(question, level)
    assert varied is None or 1 <= distance(question, varied) <= level


@pytest.mark.parametrize("question", [ENGLISH, CHINESE, MIXED], ids=["english", "chinese", "mixed"])
def test_typos_grow_with_the_level(question):
    """On real questions each level makes as many errors as it says."""
    assert [distance(question, VARIATIONS["typos"].vary(question, level)) for level in (1, 2, 4)] == [1, 2, 4]


@given(st.lists(_words, min_size=3, max_size=9).map(" ".join))
def test_typos_keep_first_letters_short_words_and_names_in_capitals(question):
    """A word is mistyped behind its first letter, and only a word of four letters or more in small ones."""
    varied = VARIATIONS["typos"].vary(question, 1)
    for word, mistyped in zip(question.split(), (varied or question).split(), strict=True):
        assert word[0] == mistyped[0]
        assert word == mistyped or (len(word) >= 4 and not word.isupper())


def test_all_kinds_of_typos_occur():
    """Doubled, dropped, transposed and neighbouring letters are all among the errors, and no other letters."""
    kinds = Counter()
    for number in range(200):
        word = VARIATIONS["typos"].vary(f"{number} bright", 1).split()[1]
        if sorted(word) == sorted("bright"):
            kinds["transposed"] += 1
        elif len(word) == 5:
            kinds["dropped"] += 1
        elif len(word) == 7:
            kinds["doubled"] += 1
        else:
            ((right, wrong),) = [(a, b) for a, b in zip("bright", word, strict=True) if a != b]
            assert any(right + wrong in row or wrong + right in row for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm"))
            kinds["neighbour"] += 1
    assert kinds.keys() == {"transposed", "dropped", "doubled", "neighbour"}
    assert min(kinds.values()) > 10


def test_chinese_characters_are_taken_for_ones_of_the_same_sound():
    """Where the table has a character, its like replaces it; elsewhere two neighbours change places."""
    assert VARIATIONS["typos"].vary("假", 1) == "价"
    assert VARIATIONS["typos"].vary("琥珀", 1) == "珀琥"


def test_typos_need_a_place_each():
    """A question with fewer places than errors is left out: at a level every question has as many errors."""
    assert VARIATIONS["typos"].vary("What is RRF?", 1) is not None
    assert VARIATIONS["typos"].vary("What is RRF?", 2) is None
    assert VARIATIONS["typos"].vary("谢谢珀琥", 2) is None  # two of the same can't change places
    assert VARIATIONS["typos"].vary("How do I set max_tokens in config.yaml?", 1) is None


def test_the_table_of_sounds_is_large_and_unambiguous():
    """At least 120 pairs; each character once, so that no edit leaves it as it is; no number and no negation."""
    groups = variations._SAME_SOUND.split()
    assert sum(len(group) * (len(group) - 1) // 2 for group in groups) >= 120
    assert max(Counter("".join(groups)).values()) == 1
    assert not set(variations._KEPT) & set("".join(groups))


@given(st.text(st.sampled_from(variations._KEPT), min_size=1, max_size=8), st.sampled_from([1, 2, 4]))
def test_chinese_numbers_and_negations_are_never_mistyped(numbers, level):
    """A number written in Chinese stays, as one in digits does."""
    varied = VARIATIONS["typos"].vary(f"合同{numbers}到期", level)
    assert varied is None or numbers in varied


def test_case():
    """Capitals, small letters, caps lock; identifiers stay; nothing to do where nothing has case or all has that case."""
    question = "Where is max_Len of PyTorch in Config.yaml?"
    assert [VARIATIONS["case"].vary(question, level) for level in (1, 2, 3)] == [
        "WHERE IS max_Len OF PYTORCH IN Config.yaml?",
        "where is max_Len of pytorch in Config.yaml?",
        "wHERE IS max_Len OF pYtORCH IN Config.yaml?",
    ]
    assert VARIATIONS["case"].vary(CHINESE, 1) is None
    assert VARIATIONS["case"].vary("lower", 2) is None
    assert VARIATIONS["case"].vary("如何安装Docker？", 1) == "如何安装DOCKER？"


@pytest.mark.parametrize("level", VARIATIONS["word_order"].levels)
@given(question=questions)
def test_word_order_keeps_the_characters(level, question):
    """Words change places; none is lost, added or altered."""
    varied = VARIATIONS["word_order"].vary(question, level)
    assert varied is None or characters(varied) == characters(question)


def test_word_order_moves_the_share_of_the_level():
    """Of eight different words 2, 4 or 8 stand elsewhere, and the question mark stays at the end."""
    question = "Who signs travel claims above another manager's limit?"
    moved = [VARIATIONS["word_order"].vary(question, level) for level in (25, 50, 100)]
    plain = question.rstrip("?").split()
    assert [sum(a != b for a, b in zip(plain, q[:-1].split(), strict=True)) for q in moved] == [2, 4, 8]
    assert all(q[-1] == "?" for q in moved)


@pytest.mark.parametrize("level", VARIATIONS["word_order"].levels)
def test_word_order_keeps_a_number_at_its_neighbours(level):
    """A number is not torn from what it counts or names."""
    varied = VARIATIONS["word_order"].vary("What does error 404 mean for orders within 30 days of delivery?", level)
    assert "error 404 mean" in varied
    assert "within 30 days" in varied


def test_chinese_clauses_change_places():
    """Chinese is taken apart at commas, particles and question words, and no mark is left in the wrong place."""
    assert VARIATIONS["word_order"].vary("合同到期后，是否需要支付补偿金？", 100) == "是否需要支付补偿金合同到期后？"
    assert VARIATIONS["word_order"].vary("加班费怎么计算？", 100) == "怎么计算加班费？"
    assert VARIATIONS["word_order"].vary("如何重启Docker？", 100) == "Docker如何重启？"
    assert VARIATIONS["word_order"].vary("新员工领什么？", 100) == "什么新员工领？"
    for question in ("年假天数", "为什么", "notice?", "?", "no no no"):
        assert VARIATIONS["word_order"].vary(question, 50) is None


@pytest.mark.parametrize("question", QUESTIONS, ids=["english", "chinese", "mixed", "identifiers"])
def test_paraphrases_differ_and_speak_the_language_of_the_question(question):
    """Eight templates a language, all different, none of them in the other language."""
    varied = [VARIATIONS["paraphrase"].vary(question, level) for level in VARIATIONS["paraphrase"].levels]
    assert len(set(varied)) == len(varied) >= 8
    assert None not in varied
    chinese = question in {CHINESE, MIXED}
    for text in varied[:-1]:
        added = characters(text) - characters(question)
        assert added
        assert all((character >= "\u4e00") == chinese for character in added)


def test_keywords_are_what_a_searcher_types():
    """The last template leaves out stop words, and nothing that turns the meaning."""
    keywords = {
        "Who may not enter the lab without a badge?": "Who not enter lab without badge",
        "What does plan A of IT cover?": "plan A IT cover",
        "How do I restart the router?": "How restart router",
        "请问试用期员工的年假是多少天？": "试用期员工 年假 多少天",
        "采购目的是什么，员工不可以做什么？": "采购目的 员工不可以做",
    }
    assert {question: VARIATIONS["paraphrase"].vary(question, 8) for question in keywords} == keywords


def test_paraphrase_is_not_applicable_without_a_template():
    """A question in another script, without a word, or of stop words alone gets no template."""
    for question in (
        "有給休暇は何日ですか",
        "휴가는 며칠입니까",
        "Сколько дней отпуска?",
        "42?",
        "What is it?",
        "是什么？",
    ):
        assert VARIATIONS["paraphrase"].vary(question, 7) is None
    assert VARIATIONS["paraphrase"].vary("请问年假几天？", 1) is None
    assert VARIATIONS["paraphrase"].vary("请问年假几天", 2) == "我想知道：年假几天？"


def test_other_language_is_the_translation():
    """Another language is what the author wrote, and not applicable where nothing, or the same, was written."""
    vary = VARIATIONS["other_language"].vary
    assert vary(ENGLISH, 1, CHINESE) == CHINESE
    assert [vary(ENGLISH, 1, translation) for translation in (None, "", "  ", ENGLISH)] == [None] * 4


def test_an_unknown_level_is_named():
    """A level that does not exist is an error that lists those that do."""
    with pytest.raises(SpecError, match=r"'typos' has no level 3\. Choose one of: 1, 2, 4"):
        VARIATIONS["typos"].vary(ENGLISH, 3)


def test_every_variation_is_under_its_name():
    """The names are those of a probe file, and each says in a line what it does."""
    assert list(VARIATIONS) == ["typos", "case", "word_order", "paraphrase", "other_language"]
    assert all(name == variation.name for name, variation in VARIATIONS.items())
    assert all(variation.promise.endswith(".") and "\n" not in variation.promise for variation in VARIATIONS.values())
