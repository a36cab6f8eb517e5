"""Foreign text in texts for people."""

from __future__ import annotations

import pytest

from pytest_embedqa.core.secrets import hide
from pytest_embedqa.core.showing import one_line, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("::error::x", "\\::error::x"),
        ("a\n  \t\u3000::stop-commands::t\nb", "a\n  \t\u3000\\::stop-commands::t\nb"),
        ("a\r::error::x", r"a\r::error::x"),
        ("a ##[group]b", "a ##\\[group]b"),
        ("std::vector, a::b and ## [x]", "std::vector, a::b and ## [x]"),
        ("", ""),
    ],
)
def test_no_line_is_a_command(text, seen):
    """A backslash stands in each command; other text is as it was."""
    assert shown(text) == seen


def test_signs_that_a_terminal_obeys_are_shown():
    """Ends of lines, controls and turns of direction are escaped; writing of any language and emoji are as they were."""
    assert one_line("a\nb\r\x1b[31m\u2028\u202e\x9b") == r"a\nb\r\x1b[31m\u2028\u202e\x9b"
    for text in ("退货 期限", "می\u200cخواهم", "👩\u200d🔬", "naïve “a” – b", "C:\\n"):
        assert one_line(text) == text


def test_known_secrets_are_taken_out():
    """Also one that is the beginning of another."""
    hide("canary-of-this-test")
    hide("canary-of-this-test-and-more")
    hide("")
    assert shown("a canary-of-this-test-and-more b canary-of-this-test") == "a *** b ***"
