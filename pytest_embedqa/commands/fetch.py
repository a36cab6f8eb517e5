"""Download the data of tasks, so that tests run without the Hub. Exit code: 0 all tasks load, 2 one does not."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_embedqa.commands import GOOD, NOT_DONE
from pytest_embedqa.commands.arguments import path
from pytest_embedqa.commands.lines import say, wrapped
from pytest_embedqa.commands.tasks import require_mteb
from pytest_embedqa.core.errors import DataError, EmbedQAError, MissingDataError
from pytest_embedqa.encoders.hub import hub_is_reachable

if TYPE_CHECKING:
    from pytest_embedqa.quality.mteb.listing import Listed, Source

HELP = "download the data of tasks into a folder, for runs without the Hub"
# huggingface_hub keeps a file for each download in this folder; its first line is the commit of the download.
_RECORDS = ".cache/huggingface/download"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("tasks", nargs="+", metavar="TASK", help="name of a task or of a benchmark")
    parser.add_argument("--to", type=path, required=True, metavar="DIR", help="folder for DIR/ORG/NAME; made if needed")


def run(given: argparse.Namespace) -> int:
    """Fetch one task after another; a failed task does not keep the others back."""
    require_mteb("embedqa fetch")
    if given.to.exists() and not given.to.is_dir():
        raise DataError(f"--to: {given.to} is a file. Name a folder.")
    from pytest_embedqa.quality.mteb import listing  # imports mteb: seconds

    tasks = listing.chosen(given.tasks)
    fetch = _Fetch(given.to)
    for task in tasks:
        say(task.name)
        for line in fetch.lines(task):
            say(wrapped(line))
    for line in _summary(given.to, tasks, fetch.failed):
        say(line)
    return NOT_DONE if fetch.failed else GOOD


def _summary(to: Path, tasks: list[Listed], failed: list[str]) -> Iterator[str]:
    good = len(tasks) - len(failed)
    yield f"\n{good} of {len(tasks)} tasks can be used offline."
    if good:
        yield f"  pytest --embedqa-datasets={shlex.quote(str(to))}"
    if failed:
        yield "Fetched data is kept. For the rest:"
        yield f"  embedqa fetch {shlex.join(failed)} --to {shlex.quote(str(to))}"


class _Fetch:
    """The download of tasks into a folder.

    Attributes:
        failed: Names of the tasks that can't be used.
    """

    def __init__(self, to: Path) -> None:
        self.failed: list[str] = []
        self._to = to
        # Several tasks may read the same dataset.
        self._done: dict[Source, str | EmbedQAError] = {}

    def lines(self, task: Listed) -> Iterator[str]:
        """Yield the outcome for each dataset of a task, and whether the task loads from them."""
        from pytest_embedqa.quality.mteb import listing

        problem: EmbedQAError | None = None
        for source in task.sources:
            said = self._fetched(source)
            yield f"{source.path}: {said}"
            problem = said if isinstance(said, EmbedQAError) else problem
        if not problem:
            try:
                listing.load(task.name, self._to)
                yield "loads"
            except EmbedQAError as error:
                problem = error
                yield f"does not load: {error}"
        if problem:
            self.failed.append(task.name)

    def _fetched(self, source: Source) -> str | EmbedQAError:
        if source not in self._done:
            try:
                self._done[source] = _fetch(source, self._to / source.path)
            except EmbedQAError as error:
                self._done[source] = error
        return self._done[source]


def _fetch(source: Source, folder: Path) -> str:
    """Download a dataset into a folder, unless it is already there.

    Raises:
        DataError: If the folder holds another revision.
        MissingDataError: If the Hub does not deliver it.
    """
    recorded = _recorded(folder)
    if not recorded and folder.is_dir() and any(folder.iterdir()):
        return f"there already; which revision it is, nobody wrote down (the task wants {source.revision[:8]})"
    others = sorted(commit for commit in recorded if not commit.startswith(source.revision))
    # A branch or tag can't be told from the commit it stands for.
    if others and all(character in "0123456789abcdef" for character in source.revision):
        raise DataError(
            f"{folder} holds revision {others[0][:8]}, but the task needs {source.revision[:8]}. "
            "Fetch it into another folder, or delete this one first."
        )
    before = _sizes(folder)
    _download(source, folder)
    new = {path: size for path, size in _sizes(folder).items() if path not in before}
    if not new:
        return "there already"
    return f"{len(new)} file{'s' if len(new) > 1 else ''}, {sum(new.values()) / 1e6:.1f} MB"


def _download(source: Source, folder: Path) -> None:
    """Download a snapshot; continue what an earlier call left unfinished."""
    from huggingface_hub import constants, errors, snapshot_download  # a second to import

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its warnings are told here instead
    page = f"{constants.ENDPOINT}/datasets/{source.path}"
    try:
        snapshot_download(
            source.path,
            repo_type="dataset",
            revision=source.revision,
            local_dir=folder,
            local_files_only=not hub_is_reachable(),  # otherwise each dataset costs minutes of retries
        )
    except errors.GatedRepoError:
        raise MissingDataError(
            f"not fetched: it is gated. Accept its terms at {page}, and set HF_TOKEN to a token of your account."
        ) from None
    except errors.RepositoryNotFoundError:
        raise MissingDataError(
            f"not fetched: {page} does not exist, or is not open to you. If it is private, set HF_TOKEN."
        ) from None
    except errors.RevisionNotFoundError:
        raise MissingDataError(
            f"not fetched: {page} has no revision {source.revision}. A newer mteb may name another revision:  pip install -U mteb"
        ) from None
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        if not hub_is_reachable():
            said = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it does not answer"
        raise MissingDataError(
            f"not fetched from {constants.ENDPOINT}: {said}. Run the command again where the Hub can be reached."
        ) from error


def _recorded(folder: Path) -> set[str]:
    """Return the commits of the files that huggingface_hub has downloaded here."""
    records = (folder / _RECORDS).rglob("*.metadata")
    return {path.read_text(encoding="utf-8").partition("\n")[0] for path in records}


def _sizes(folder: Path) -> dict[tuple[Path, int], int]:
    """Return the size in bytes of each file, by path and modification time."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.relative_to(folder).parts]
    return {(path, path.stat().st_mtime_ns): path.stat().st_size for path in files}
