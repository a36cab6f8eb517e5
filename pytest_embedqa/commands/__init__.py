"""The command ``embedqa``: tools beside test runs. Each is a module with ``HELP``, ``arguments`` and ``run``."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from pytest_embedqa.core.errors import EmbedQAError
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.credentials import hide_environment

# The order in which ``embedqa --help`` lists the commands.
COMMANDS = ("init", "tasks", "fetch", "doctor", "compare", "schema")
# Exit codes of a command: all is well, something is wrong, it could not be done.
GOOD, BAD, NOT_DONE = 0, 1, 2
_INTERRUPTED = 130  # the exit code that a shell reports after Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        Exit code: 0 all is well, 1 something got worse or is missing, 2 the command could not be done.
    """
    commands = {name: importlib.import_module(f"{__name__}.{name}") for name in COMMANDS}
    given = _parser(commands).parse_args(arguments)
    hide_environment()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have characters that the terminal's charset lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        code: int = commands[given.command].run(given)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; Python would complain again when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except KeyboardInterrupt:
        return _not_done("interrupted", _INTERRUPTED)
    except EmbedQAError as error:
        return _not_done(str(error))
    except OSError as error:  # a folder that can't be written, a full disk
        return _not_done(f"{error.filename or given.command}: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001  whatever may be wrong with us
        from pytest_embedqa.core.fault_text import told  # imports pytest

        return _not_done(told(error, f"embedqa {given.command}"))
    return code


def _not_done(why: str, code: int = NOT_DONE) -> int:
    print(shown(f"embedqa: {why}"), file=sys.stderr)  # noqa: T201
    return code


def _parser(commands: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("embedqa", description="Embedding quality as tests.")
    group = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    for name, module in commands.items():
        module.arguments(group.add_parser(name, help=module.HELP, description=module.__doc__))
    return parser
