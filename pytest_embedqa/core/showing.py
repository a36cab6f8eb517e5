r"""Foreign text in texts for people: what a document, a server or a name says is shown, and commands nobody.

Programs that run a job obey lines of its log. Where each looks for its commands, by its own source or documentation:

- GitHub (actions/runner, ``ActionCommand.cs``): ``::command`` behind any white space of a line, ``##[command]`` anywhere.
- Azure (azure-pipelines-agent, ``Command.cs``): ``##vso[area.event]`` anywhere; its page formats ``##[group]`` and its like.
- GitLab (``ansi2json/converter.rb``): ``section_start:TIME:NAME`` and ``section_end:`` anywhere.
- TeamCity ("Service Messages"): ``##teamcity[name]`` anywhere. Travis: ``travis_fold:`` and ``travis_time:``.
- Buildkite (agent, ``header_times_streamer.go``): ``---``, ``+++``, ``~~~`` and ``^^^ +++`` at the start of a line, colours left out.

Each gets a backslash, so that it reads as before and is none. Case does not count: no runner promises that it does.
"""

from __future__ import annotations

import re

from pytest_embedqa.core.secrets import redacted

# Signs that a terminal does not show, but obeys: controls but for the tab (they begin every escape sequence, also those of
# C1 and the links of OSC 8), other ends of lines, halves of surrogate pairs, and those that turn the direction of a line.
_OBEYED = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ANYWHERE = r"(?:##(?:vso|teamcity)?(?=\[)|(?:section_(?:start|end)|travis_(?:fold|time))(?=:))"
_AT_START = r"^(?:[^\S\n]*(?=::)|(?=(?:---|\+\+\+|~~~|\^\^\^)(?:\s|$)))"
_COMMAND = re.compile(f"{_AT_START}|{_ANYWHERE}", re.IGNORECASE | re.MULTILINE)
_COMMAND_IN_JSON = re.compile(f"({_ANYWHERE})(.)", re.IGNORECASE)
_COLOUR = re.compile(r"(\x1b\[[\d;]*m)")


def shown(text: str) -> str:
    """Text for people, of one line or more: no secret stands in it, and neither a terminal nor the log of a job obeys it."""
    return _COMMAND.sub(r"\g<0>\\", "\n".join(map(one_line, redacted(text).split("\n"))))


def shown_in_colours(text: str) -> str:
    """The same for text that pytest itself has coloured."""
    return "".join(part if number % 2 else shown(part) for number, part in enumerate(_COLOUR.split(text)))


def one_line(text: str) -> str:
    """Text in which the signs that a terminal would obey are escaped, as in a string of Python."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def inert(json: str) -> str:
    """JSON that says the same, and that a terminal or a log may show: what they would obey is escaped as JSON does it."""
    quiet = _COMMAND_IN_JSON.sub(lambda found: f"{found[1]}{_escape(found[2])}", json)
    return "\n".join(_OBEYED.sub(lambda found: _escape(found[0]), line) for line in quiet.split("\n"))


def _escape(sign: str) -> str:
    return f"\\u{ord(sign):04x}"
