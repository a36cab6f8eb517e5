"""What a job's log takes for a command: foreign text in it must not be one."""

from __future__ import annotations

import re

# GitHub's runner looks for "::command" behind the blanks of a line, and for its older "##[command]" anywhere.
_COMMAND = re.compile(r"((?:^|\r)\s*(?=::)|##(?=\[))", re.MULTILINE)


def harmless(text: str) -> str:
    """Text with a backslash in each command of a job's log, so that it is none."""
    return _COMMAND.sub(r"\1\\", text)
