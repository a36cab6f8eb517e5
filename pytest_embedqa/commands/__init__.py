"""The command ``embedqa``: what needs no test run. One module a command, with ``HELP``, ``arguments`` and ``run``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.credentials import hide_environment

# In the order in which ``embedqa --help`` lists them.
COMMANDS = ("init", "tasks", "fetch", "doctor", "compare", "schema")
# What a command answers to the shell: as it should be, not as it should be, could not be done.
GOOD, BAD, NOT_DONE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit code: 0 all is well, 1 it is not (something got worse or is missing), 2 it could not be done.
    """
    commands = {name: importlib.import_module(f"{__name__}.{name}") for name in COMMANDS}
    given = _parser(commands).parse_args(arguments)
    hide_environment()
    try:
        code: int = commands[given.command].run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; Python would complain again when it flushes at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except EmbedQAError as error:
        print(shown(f"embedqa: {error}"), file=sys.stderr)  # noqa: T201
        return NOT_DONE
    return code


def _parser(commands: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("embedqa", description="Embedding quality as tests.")
    group = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, module in commands.items():
        module.arguments(group.add_parser(name, help=module.HELP, description=module.__doc__))
    return parser
