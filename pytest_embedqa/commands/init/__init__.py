"""Write a first suite for a model: measure it once, and propose bounds.

Exit code: 0 written, 1 written but the model breaks an invariant, 2 nothing written.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote_plus

from pytest_embedqa.commands import BAD, GOOD
from pytest_embedqa.commands.arguments import path, share
from pytest_embedqa.commands.init import suite_files as texts
from pytest_embedqa.commands.init.measuring import DOCUMENTS, OWN_DATA, PROBES, TEMPLATE, Measured, Plan, measure
from pytest_embedqa.commands.lines import say
from pytest_embedqa.core.errors import DataError, EmbedQAError, MissingExtraError, SpecError
from pytest_embedqa.core.secrets import holds_secret
from pytest_embedqa.core.showing import shown
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import parse_spec

HELP = "a first suite for a model, with bounds from one measurement"
# Files that --force rewrites; data, documents and probes are the user's and never rewritten.
_TESTS = ("test_quality.py", "test_invariants.py", "test_speed.py")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=path,
        default=Path("embedding_tests"),
        metavar="DIR",
        help="where to write (embedding_tests)",
    )
    parser.add_argument(
        "--model", default="builtin", metavar="SPEC", help="the model, as for --embedqa-model (builtin)"
    )
    parser.add_argument(
        "--tasks",
        nargs="*",
        metavar="NAME",
        help="tasks of mteb; by default well-known ones whose data is at hand and that take less than two minutes; without a name none",
    )
    parser.add_argument(
        "--datasets",
        type=path,
        metavar="DIR",
        help="take task data from DIR/ORG/NAME, as --embedqa-datasets (environment: EMBEDQA_DATASETS)",
    )
    parser.add_argument(
        "--margin",
        type=share,
        metavar="DROP",
        help="how far below a score its bound lies (0.01, or what one query decides where there are fewer than 100)",
    )
    parser.add_argument(
        "--force", action="store_true", help="write tests, README and pytest.ini again; data and probes are kept"
    )


def run(given: argparse.Namespace) -> int:
    """Measure the model, write the suite, and say what was written."""
    tasks = None if given.tasks is None else tuple(dict.fromkeys(given.tasks))
    plan = Plan(parse_spec(given.model), given.folder, tasks, given.datasets, given.margin)
    read_all_options(plan.spec)
    if holds_secret(unquote_plus(plan.spec.text)):
        raise SpecError(
            f"--model: a secret of '{plan.spec}' would be written to {texts.INI}. Take the key from the environment: key_env=NAME in the spec."
        )
    if plan.place.exists() and not plan.place.is_dir():
        raise EmbedQAError(f"{plan.folder} is a file. Name a folder: embedqa init DIR.")
    there = [name for name in _TESTS if (plan.place / name).exists()]
    there += [name for name in (texts.README, texts.INI) if _is_ours(plan.place / name)]
    if there and not given.force:
        raise EmbedQAError(
            f"{plan.folder} has {', '.join(there)} already; nothing was measured or written. "
            "--force writes these again and keeps data, documents and probes; or name another folder."
        )
    measured = measure(plan, _datasets(given), _say)
    notes = _write(plan, measured)
    for line in (*_lines(measured), *notes):
        say(line)
    say(f"\nRun it:  pytest {shlex.quote(str(plan.folder))}")
    return BAD if measured.faults else GOOD


def _datasets(given: argparse.Namespace) -> Path | None:
    named = given.datasets or os.environ.get("EMBEDQA_DATASETS")
    if not named:
        return None
    path = Path(named).expanduser().resolve()
    if not path.is_dir():
        raise DataError(f"--datasets: {named} is not a folder. It holds task data as DIR/ORG/NAME.")
    return path


def _say(line: str) -> None:
    """Report progress, apart from the result."""
    sys.stderr.write(shown(f"embedqa: {line}\n"))


def _write(plan: Plan, measured: Measured) -> list[str]:
    """Write all files.

    Returns:
        Notes on the files for the user.
    """
    folder, speed = plan.place, importlib.util.find_spec("pytest_benchmark") is not None
    files = {"test_quality.py": texts.quality_test(measured, plan)}
    if measured.expected is not None:
        files["test_invariants.py"] = texts.invariants_test(measured.expected)
    if speed:
        files["test_speed.py"] = texts.speed_test()
    else:
        measured.left_out.append(str(MissingExtraError("pytest-benchmark", "speed", "test_speed.py")))
    if measured.probes:
        files[PROBES] = texts.probe_file(*measured.probes)
    files[texts.README] = texts.readme(measured, plan, speed=speed)
    datasets = _from(folder, plan.datasets) if plan.datasets else None
    python_path = os.path.relpath(Path.cwd(), folder) if plan.spec.engine == "python" else None
    files[texts.INI] = texts.ini_file(plan.spec, datasets, python_path)
    existing = texts.project_ini(folder)
    # A pytest.ini would override the settings that a folder has in another file.
    foreign = existing is not None and existing.parent == folder and not _is_ours(existing)
    for name in (texts.README, texts.INI):
        if ((folder / name).exists() and not _is_ours(folder / name)) or (foreign and name == texts.INI):
            del files[name]
    folder.mkdir(parents=True, exist_ok=True)
    for name in (OWN_DATA, *([DOCUMENTS] if measured.probes else ())):
        if not (folder / name).exists():
            shutil.copytree(TEMPLATE / name, folder / name)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    notes = [f"written to {plan.folder}: {', '.join(files)}"]
    project = existing if foreign else texts.project_ini(folder.parent)
    if project:
        when = "here" if foreign else f"on more than {plan.folder}"
        notes.append(
            f"Started {when}, pytest reads {project}. To test the same model there, add to its section for pytest:\n"
            f"  {texts.ini_line(project, plan.spec)}"
        )
    return notes


def _is_ours(path: Path) -> bool:
    """Return whether a file exists and was written by this command."""
    return path.is_file() and texts.WRITTEN in path.read_text(encoding="utf-8", errors="replace")


def _from(folder: Path, path: Path) -> str:
    """Return a path for an ini file: relative to its folder within the same project, so that both can move."""
    whole = path.expanduser().resolve()
    return os.path.relpath(whole, folder) if whole.is_relative_to(Path.cwd()) else str(whole)


def _lines(measured: Measured) -> list[str]:
    """Return the lines about what was measured and what follows."""
    lines = [f"model    {measured.model}", f"prompts  {measured.prompts}", ""]
    for one in (measured.own, *measured.tasks):
        sure = f"  95 % interval {one.interval[0]:.3f} to {one.interval[1]:.3f}" if one.interval else ""
        lines.append(f"{one.task:<26} {one.metric} {one.score:.4f}  bound {one.bound:g}{sure}")
    if measured.expected is not None:
        expected = ", ".join(measured.expected) or "none"
        lines.append(f"{'invariants':<26} fail by design, expected: {expected}")
    if measured.probes:
        lines.append(f"{PROBES:<26} {measured.probes[0]} of {measured.probes[1]} hold")
    lines.append("")
    lines += [f"left out: {' '.join(why.split())}" for why in measured.left_out]
    lines += [
        f"FAULT: {name}: {seen} No model does this by design, so its test fails until it is mended."
        for name, seen in measured.faults.items()
    ]
    return lines
