"""Commands of a page, run as a reader would, and what they must show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fork_server import ForkServer
from pages import Block, blocks


def run_page(page: Path, folder: Path, fork_server: ForkServer) -> None:
    """Write its files and run its commands, in the order of the page."""
    for block in blocks():
        if block.page == page and block.file:
            write(folder, block)
        elif block.page == page and block.language == "console":
            for command, expected in commands_of(block):
                require_shown(expected, shell(command, folder, fork_server), f"{block}: {command}")


def write(folder: Path, block: Block) -> None:
    """A file of a page."""
    (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
    (folder / block.file).write_text(block.text, encoding="utf-8")


def commands_of(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Commands of a console block, each with the lines that it shows."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *lines = part.splitlines()
        yield command, [line for line in lines if line.strip(" …")]


def require_shown(expected: Iterable[str], output: str, what: str) -> None:
    """Each expected line stands in the output, in this order; an ellipsis stands for anything."""
    rest = iter(output.splitlines())
    for line in expected:
        pattern = re.compile(re.escape(line.rstrip()).replace("…", ".*"))
        assert any(pattern.fullmatch(one.rstrip()) for one in rest), f"{what}\nshould show\n{line}\nin\n{output}"


def shell(command: str, folder: Path, fork_server: ForkServer) -> str:
    """What a command prints, run in a folder with the installed plugin and a vector store of its own."""
    unset = {"CI", "EMBEDQA_DATASETS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "COLUMNS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(str(one) for one in (folder, folder / "embedqa-hashing", Path(__file__).parent)),
        "XDG_CACHE_HOME": str(folder.parent / "cache"),
        "PYTEST_ADDOPTS": "-p no:langsmith_plugin",
    }
    printed, (program, *words) = "", shlex.split(command.partition("; ")[0])
    if program == "pytest":
        code, printed = fork_server.ended("-m", "pytest", *words, folder=folder, environment=environment)
        command = f"(exit {code}); {command.partition('; ')[2]}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return printed + done.stdout + done.stderr
