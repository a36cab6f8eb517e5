"""Text in the log of a job that its runner would take for a command."""

from __future__ import annotations

import pytest

from pytest_embedqa.reports.job_log import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "\\::error::x"),
        ("a\n  \t\u3000::stop-commands::t\nb", "a\n  \t\u3000\\::stop-commands::t\nb"),
        ("a\r::error::x", "a\r\\::error::x"),
        ("a ##[group]b", "a ##\\[group]b"),
        ("std::vector, a::b and ## [x]", "std::vector, a::b and ## [x]"),
        ("", ""),
    ],
)
def test_no_line_is_a_command(text, shown):
    """A backslash stands in each command; other text is as it was."""
    assert harmless(text) == shown
