r"""Foreign text made safe to show: a document, a server or a name can't command a terminal or the log of a job.

Programs that run a job obey commands in its log. By their own sources or documentation, they look for these:

- GitHub (actions/runner, ``ActionCommand.cs``): ``::command`` behind any white space of a line, ``##[command]`` anywhere.
- Azure (azure-pipelines-agent, ``Command.cs``): ``##vso[area.event]`` anywhere; its page formats ``##[group]`` and its like.
- GitLab (``ansi2json/converter.rb``): ``section_start:TIME:NAME`` and ``section_end:`` anywhere.
- TeamCity ("Service Messages"): ``##teamcity[name]`` anywhere. Travis: ``travis_fold:`` and ``travis_time:``.
- Buildkite (agent, ``header_times_streamer.go``): ``---``, ``+++``, ``~~~`` and ``^^^ +++`` at the start of a line, colours left out.

Each command gets a backslash: it still reads as before, but nothing obeys it. Case does not count, as no runner
promises that it does.
"""

from __future__ import annotations

import re

from pytest_embedqa.core.secrets import redacted

# Characters that a terminal obeys instead of showing: control characters except the tab (they begin every escape
# sequence, also those of C1 and the links of OSC 8), other line ends, surrogate halves, and changes of text direction.
_OBEYED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ANYWHERE = r"(?:##(?:vso|teamcity)?(?=\[)|(?:section_(?:start|end)|travis_(?:fold|time))(?=:))"
_AT_START = r"^(?:[^\S\n]*(?=::)|(?=(?:---|\+\+\+|~~~|\^\^\^)(?:\s|$)))"
_COMMAND = re.compile(f"{_AT_START}|{_ANYWHERE}", re.IGNORECASE | re.MULTILINE)
_COMMAND_IN_JSON = re.compile(f"({_ANYWHERE})(.)", re.IGNORECASE)
_COLOUR = re.compile(r"(\x1b\[[\d;]*m)")


def shown(text: str) -> str:
    """Return text of any number of lines for people: without secrets or anything that a terminal or job log obeys."""
    return _COMMAND.sub(r"\g<0>\\", "\n".join(map(one_line, redacted(text).split("\n"))))


def shown_in_colours(text: str) -> str:
    """Return ``shown`` for text that pytest itself has coloured; the colours stay."""
    return "".join(part if number % 2 else shown(part) for number, part in enumerate(_COLOUR.split(text)))


def is_obeyed(text: str) -> bool:
    """Whether a terminal or the log of a job would obey something in a text."""
    return bool(_OBEYED.search(text) or _COMMAND.search(text))


def one_line(text: str) -> str:
    """Escape the characters of a text that a terminal would obey, as a Python string literal does."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def inert(json: str) -> str:
    """Escape in JSON whatever a terminal or a log would obey; the JSON still says the same."""
    quiet = _COMMAND_IN_JSON.sub(lambda found: f"{found[1]}{_escape(found[2])}", json)
    return "\n".join(_OBEYED.sub(lambda found: _escape(found[0]), line) for line in quiet.split("\n"))


def _escape(sign: str) -> str:
    return f"\\u{ord(sign):04x}"
