"""Whether a command line of a page can be run, as far as that can be seen without running it."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable
from importlib import import_module

import pytest
from pages import ROOT

from pytest_embedqa import commands
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import parse_spec

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
# Of commands that are not ours only the name is known.
OTHERS = (".", "cp", "docker", "echo", "git", "ls", "ollama")


def words_of(line: str) -> list[str]:
    """Words of the first command of a line, without comments, variables that are set, and brackets around what may be left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";>&|")
    lexer.whitespace_split = True
    words = list(itertools.takewhile(lambda word: not re.fullmatch(r"[;>&|]+", word), lexer))
    return [
        re.sub(r"^\[|\]$", "", word)
        for word in words
        if not re.fullmatch(r"[A-Z_]+=\S*", word) or word.startswith("ARGS=")
    ]


def program(line: str) -> str:
    """The program that a line starts; empty if it starts none."""
    try:
        return next(iter(words_of(line)), "")
    except ValueError:  # an apostrophe: no command
        return ""


def check_command(line: str, config: pytest.Config) -> None:
    """Fail unless a command line can be run, as far as that can be seen without running it."""
    name, *words = words_of(line)
    CHECKED[name](words, config)


def check_pytest(words: list[str], config: pytest.Config) -> None:
    """Options exist; encoders can be read."""
    given = config._parser.parse(words)
    specs = [*(given.embedqa_model or ()), *([given.embedqa_baseline] if given.embedqa_baseline else ())]
    for spec in specs:
        # Engines of the pages themselves are run, and not installed here.
        if not spec.endswith(".json") and not spec.startswith("hashing:"):
            read_all_options(parse_spec(spec))


def check_embedqa(words: list[str], config: pytest.Config) -> None:
    """The command and its arguments exist."""
    if len(words) == 1 or words[0] == "COMMAND":  # a name in a sentence, or all of them
        assert words[0] in {*commands.COMMANDS, "COMMAND"}, f"there is no embedqa {words[0]}"
        return
    modules = {name: import_module(f"{commands.__name__}.{name}") for name in commands.COMMANDS}
    try:
        commands._parser(modules).parse_args(words)
    except SystemExit:
        pytest.fail(f"embedqa does not take {shlex.join(words)}")


def check_make(words: list[str], config: pytest.Config) -> None:
    """The target exists; what its ARGS hold is pytest's."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        if word.startswith("ARGS="):
            check_pytest(shlex.split(word.removeprefix("ARGS=").replace("...", "builtin")), config)
        else:
            assert re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE), f"the Makefile has no target {word}"


def check_pip(words: list[str], config: pytest.Config) -> None:
    """The extras exist."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert words[0] == "install"
    for word in words:
        named = re.search(r"(?:pytest-embedqa|^\.)\[(.+?)(?:\]|$)", word)
        assert set(named[1].split(",") if named else ()) <= set(extras), f"no such extra: {word}"


def check_python(words: list[str], config: pytest.Config) -> None:
    """The script exists."""
    assert words[0].startswith("-") or (ROOT / words[0]).is_file(), f"there is no {words[0]}"


def known(words: list[str], config: pytest.Config) -> None:
    """Nothing more is known of it."""


CHECKED: dict[str, Callable[[list[str], pytest.Config], None]] = {
    "pytest": check_pytest,
    "embedqa": check_embedqa,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    **dict.fromkeys(OTHERS, known),
}
