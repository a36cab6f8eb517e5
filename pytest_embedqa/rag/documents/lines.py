"""Lines and pages joined again where a sentence goes on."""

from __future__ import annotations

import re

# Chinese and Japanese characters and their punctuation, for use inside of [] in a pattern.
CJK = "\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"

_IS_CJK = re.compile(f"[{CJK}]")
_SENTENCE_END = re.compile(r"[.!?:;。！？：；…][\"'”’」』）)\]]*$")
_LIST_ITEM = re.compile(r"[•·▪●○■◆–*-]|\(?\d+[.)、]|[（(]?[一二三四五六七八九十]+[、）)]|第.{1,4}[章节条]")
_LINE_HYPHEN = re.compile(r"[^\W\d_]-$")


def in_sentence(before: str, after: str) -> bool:
    """Whether a sentence may go on from one line, or page, to the next."""
    return not _SENTENCE_END.search(before[-8:]) and not _LIST_ITEM.match(after)


def continued(before: str, after: str) -> str:
    """Two parts of a sentence: without a blank beside Chinese, and without the hyphen at the end of a line."""
    if _LINE_HYPHEN.search(before[-2:]) and after[0].islower():
        return before[:-1] + after
    return before + ("" if _IS_CJK.search(before[-1] + after[0]) else " ") + after
