"""Every example of the pages is run, or checked as far as it can be without what it speaks of."""

from __future__ import annotations

import configparser
import doctest
import json
import re
import shutil
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from command_lines import CHECKED, check_command, program
from jsonschema import Draft7Validator
from pages import PAGES, ROOT, Block, anchors, blocks, code_spans, links
from ruamel.yaml import YAML
from running import commands_of, run_page, shell, write

import pytest_embedqa
from pytest_embedqa.encoders.load import read_all_options
from pytest_embedqa.encoders.spec import engines, parse_spec
from pytest_embedqa.rag.validation import require_valid

tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
TUTORIAL, ENGINE = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "writing_an_engine.md"
PROJECT = ROOT / "docs" / "in_your_project.md"
# Pages that are run from the top to the bottom, as a reader would.
SESSIONS = (TUTORIAL, ENGINE, PROJECT)
# Languages of fenced blocks, each with a test below.
LANGUAGES = ("python", "pycon", "console", "bash", "yaml", "ini", "toml", "json", "jsonl", "tsv", "text")
# How a block begins that is shown and not typed: what a run prints, a row of a table, the form of a spec, a tree of files.
SHOWN = re.compile(
    r"_{5}|FAILED |embedqa: |ENGINE:MODEL|embedqa-hashing/|vs_published= is |Out of memory for |query prompt is |machine\n"
    r"|'.+' in \S+ is at rank |\d+ of \d+ probes hold| *\[1\] |[^#\n]*( {2,}[^ #]+){2,}|[\w.: ]+: .*( is |'|, )"
)


def sort_of(block: Block) -> str:
    """The one class of a block, which says what is done with it; empty if it has none."""
    if block.language:
        return block.language if block.language in LANGUAGES else ""
    if block.text.startswith("$ "):
        return "console"
    if all(program(line) in CHECKED for line in block.lines):
        return "shell"
    return "shown" if SHOWN.match(block.text) else ""


def of_sort(*sorts: str) -> list[Any]:
    """Blocks of these classes, as parameters of a test."""
    return [pytest.param(block, id=str(block)) for block in blocks() if sort_of(block) in sorts]


def test_every_block_is_of_one_class():
    """A block that no check is meant for is an error, so that no example goes unchecked."""
    unknown = [f"{block}: {block.language or block.lines[0]!r}" for block in blocks() if not sort_of(block)]
    assert not unknown, "say in SHOWN or LANGUAGES here, or in command_lines.py, what these are:\n" + "\n".join(unknown)


# ---------------------------------------------------------------- python


def python_blocks() -> list[Block]:
    """Those that belong into one folder; a page that is run as a whole is not among them."""
    return [block for block in blocks() if sort_of(block) == "python" and block.page not in SESSIONS]


@pytest.fixture(scope="module")
def python_outcomes(tmp_path_factory, fork_server) -> dict[str, dict[str, str]]:
    """All python blocks in one folder, with data in the documented formats, run in one process: test to outcome, by file."""
    folder = tmp_path_factory.mktemp("blocks")
    write_data(folder)
    for block in python_blocks():
        (folder / file_of(block)).parent.mkdir(parents=True, exist_ok=True)
        (folder / file_of(block)).write_text(as_module(block), encoding="utf-8")
    done = shell(
        "pytest -p not_run -p no:cacheprovider --embedqa-diagnose=off --embedqa-json=run.json --junitxml=results.xml",
        folder,
        fork_server,
    )
    assert (folder / "results.xml").exists(), done
    found: dict[str, dict[str, str]] = {}
    for case in ET.parse(folder / "results.xml").iter("testcase"):
        problem = next((child for child in case if child.tag in {"failure", "error", "skipped"}), None)
        said = "passed" if problem is None else f"{problem.tag}: {problem.get('message')} {problem.text or ''}"
        found.setdefault(case.get("classname", ""), {})[case.get("name", "")] = said
    for block in filter(is_script, python_blocks()):
        said = shell(f"python {file_of(block)} && echo passed", folder, fork_server)
        found[file_of(block).removesuffix(".py")] = {"script": said.splitlines()[-1]}
    return found | {"": {"output": done}}


@pytest.mark.slow
@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in python_blocks()])
def test_python(block, python_outcomes):
    """A test that is shown passes on the embedded model; what is not run is at least collected, with its markers checked."""
    module = PIPELINE_TESTS if file_of(block) == PIPELINE else file_of(block).removesuffix(".py")
    outcomes, output = python_outcomes.get(module, {}), python_outcomes[""]["output"]
    assert outcomes or block.file in IMPORTED, output
    for name, said in outcomes.items():
        assert said.startswith(("passed", "skipped: not run: ")), f"{name}: {said}\n{output}"


# Modules without tests, which others need.
IMPORTED = ("conftest.py", "my_model.py")
# A retriever of the reader's own, and the probe file that it answers.
PIPELINE, PIPELINE_TESTS = "pipeline/conftest.py", "pipeline.shop.probe.yaml"


def is_script(block: Block) -> bool:
    """Whether it is neither a test nor a module of tests."""
    return not block.file and file_of(block) != PIPELINE and "def test_" not in as_module(block)


def file_of(block: Block) -> str:
    """Where a block is written: under the name that the page gives it, or one of its own."""
    if "def retriever(" in block.text:
        return PIPELINE
    kind = "test" if "def test_" in as_module(block) else "script"
    return block.file or f"{kind}_{block.page.stem}_{block.line}.py".lower()


def as_module(block: Block) -> str:
    """A block with what the text around it speaks of."""
    imports = f"import numpy as np\nimport pytest\nfrom pytest_embedqa import {', '.join(pytest_embedqa.__all__)}\n\n"
    if block.file:
        return block.text
    if "def retriever(" in block.text:
        return f"{imports}\n{MY_INDEX}\n\n{block.text}"
    if "diagnose(encoder" in block.text:
        return f"{imports}\n{TO_DIAGNOSE}\n{textwrap.indent(block.text, '    ')}"
    return imports + block.text


MY_INDEX = '''
class MyIndex:
    """The smallest index that there is: cosines with all documents."""

    def __init__(self, folder, embed):
        self.files, self.embed = sorted(folder.glob("*.md")), embed
        self.vectors = embed([file.read_text("utf-8") for file in self.files])

    def search(self, query, k):
        scores = self.vectors @ self.embed([query], "query")[0]
        best = sorted(zip(scores, self.files), reverse=True)[:k]
        return [type("Hit", (), {"text": file.read_text("utf-8"), "file": file.name, "score": float(score)}) for score, file in best]
'''
TO_DIAGNOSE = '''
def test_block():
    """Vectors cut to one dimension, which the diagnosis undoes."""
    from pytest_embedqa.core.slice import Ranking
    from pytest_embedqa.encoders.load import load_encoder
    from pytest_embedqa.encoders.spec import parse_spec

    words = [f"{a} {b} {c}" for a in ("red", "old", "tiny") for b in ("cat", "house") for c in ("sleeps", "burns", "waits")]
    rows = range(len(words))
    part = Ranking(words, words, {row: {row: 1.0} for row in rows}, {row: list(rows) for row in rows})
    context, load = None, lambda spec: load_encoder(spec, None)
    encoder = load(parse_spec("python:my_model:encode?dim=1"))
'''


def write_data(folder: Path) -> None:
    """The data that the pages speak of, in the formats that they describe."""
    for block in blocks():
        if block.page == TUTORIAL and block.file.startswith("faq/"):
            write(folder, block)
    pairs = [
        ("A man plays the guitar.", "Someone is playing a guitar.", 5),
        ("The train is late.", "The train arrives later than planned.", 4),
        ("A dog runs in the park.", "An animal is outside.", 3),
        ("She buys bread.", "She sells a car.", 1),
    ]
    graded = "".join(f'"{first}","{second}",{score}\n' for first, second, score in pairs)
    (folder / "graded.csv").write_text(f"sentence1,sentence2,score\n{graded}", encoding="utf-8")
    labelled = "".join(f"{first}\t{second}\t{int(score > 3)}\n" for first, second, score in pairs)
    (folder / "duplicates.tsv").write_text(f"sentence1\tsentence2\tlabel\n{labelled}", encoding="utf-8")
    # Names that both languages share: the embedded model knows no Chinese.
    names = ["Berlin 1989", "Tokyo 2021", "NASA Apollo 11", "iPhone 15 Pro"]
    translated = [json.dumps({"sentence1": f"{name} 的照片", "sentence2": f"a photo of {name}"}) for name in names]
    (folder / "zh_en.jsonl").write_text("\n".join(translated), encoding="utf-8")
    documents = ROOT / "docs" / "examples" / "documents"
    shutil.copytree(documents, folder / "documents")
    shutil.copytree(documents, folder / "pipeline" / "documents")
    probe = next(block for block in blocks() if block.language == "yaml" and "rank: 1" in block.text)
    (folder / "pipeline" / "shop.probe.yaml").write_text(probe.text, encoding="utf-8")


@pytest.mark.parametrize("block", of_sort("pycon"))
def test_interactive_python(block, interactive):
    """What is typed at the prompt answers what the page shows; a block goes on where the last one of its page ended."""
    names = interactive.setdefault(block.page, {})
    example = doctest.DocTestParser().get_doctest(block.text, names, str(block), str(block.page), block.line)
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=said.append, clear_globs=False)
    names.update(example.globs)
    assert not failed, "".join(said)


@pytest.fixture(scope="module")
def interactive():
    """Names that the blocks of a page have defined so far."""
    return {}


# ---------------------------------------------------------------- pages that are run as a whole


@pytest.fixture
def folder_of_engine(tmp_path):
    """The tutorial's data, and what ``pip install ./embedqa-hashing`` would leave: the package and its entry point."""
    for block in blocks():
        if block.page == ENGINE and block.language == "toml":
            project = tomllib.loads(block.text)["project"]
            facts = tmp_path / "embedqa-hashing" / "embedqa_hashing.dist-info"
            facts.mkdir(parents=True)
            (facts / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
            points = configparser.ConfigParser()
            points.read_dict(project["entry-points"])
            with (facts / "entry_points.txt").open("w") as file:
                points.write(file)
        elif block.page == TUTORIAL and block.file.startswith("faq/"):
            write(tmp_path, block)
    return tmp_path


@pytest.mark.slow
def test_tutorial(tmp_path, fork_server):
    """Who follows the tutorial sees what it shows."""
    run_page(TUTORIAL, tmp_path, fork_server)


@pytest.mark.slow
def test_in_your_project(tmp_path, fork_server):
    """Overriding, parametrising, marking in a hook and handing over a retriever work as the page shows."""
    run_page(PROJECT, tmp_path, fork_server)


@pytest.mark.slow
def test_probes_of_the_readme(tmp_path, fork_server):
    """The first probe file that a reader makes passes on the embedded model, and the run shows what the page shows."""
    shutil.copytree(ROOT / "docs" / "examples" / "documents", tmp_path / "documents")
    run_page(ROOT / "README.md", tmp_path, fork_server)


@pytest.mark.slow
def test_writing_an_engine(folder_of_engine, fork_server):
    """The complete example of an engine works, and answers as the page says."""
    run_page(ENGINE, folder_of_engine, fork_server)


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize("block", of_sort("shell", "console", "bash"))
def test_commands(block, pytestconfig):
    """Every command has options that exist, specs that parse, targets and extras that are there."""
    for line in [command for command, _ in commands_of(block)] if sort_of(block) == "console" else block.lines:
        check_command(line, pytestconfig)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_in_text(page, pytestconfig):
    """Commands and specs within sentences and tables are as right as those in blocks."""
    for span in code_spans(page):
        if re.match(r"(pytest|make|embedqa|pip|python) [\w\"./-]", span) and "…" not in span:
            check_command(span, pytestconfig)
        elif re.match(rf"({'|'.join(engines())}):[^\s:]", span) or re.match(r"builtin\?", span):
            read_all_options(parse_spec(span))


# ---------------------------------------------------------------- data and configuration


@pytest.mark.parametrize("block", of_sort("yaml"))
def test_yaml(block):
    """Probe files are as the schema of the plugin says, workflows as those of GitHub and GitLab say."""
    given = YAML(typ="safe").load(block.text)
    keys = set(given) if isinstance(given, dict) else set()
    if keys & {"probes", "retrieve", "robustness", "corpus"}:
        require_valid({"probes": [{"name": "a", "ask": "b", "expect": {"contains": "c"}}], **given}, block.page)
    elif "jobs" in keys:
        Draft7Validator(get_builtin_schema("vendor.github-workflows")).validate(given)
    elif isinstance(given, list):
        job = {"runs-on": "ubuntu-latest", "steps": given}
        Draft7Validator(get_builtin_schema("vendor.github-workflows")).validate({"on": "push", "jobs": {"a": job}})
    elif any(isinstance(value, dict) and "script" in value for value in given.values()):
        Draft7Validator(get_builtin_schema("vendor.gitlab-ci")).validate(given)
    else:
        pytest.fail(f"{block}: say here what this is, so that it can be checked")


@pytest.mark.parametrize("block", of_sort("ini", "toml"))
def test_settings(block, pytestconfig):
    """Settings parse, and those of pytest exist."""
    if block.language == "toml":
        found = tomllib.loads(block.text).get("tool", {}).get("pytest", {}).get("ini_options", {})
    else:
        reader = configparser.ConfigParser()
        reader.read_string(block.text)
        found = dict(reader["pytest"])
    for name in found:
        pytestconfig.getini(name)


@pytest.mark.parametrize("block", of_sort("json", "jsonl"))
def test_json(block):
    """What is shown as JSON is JSON."""
    for text in [block.text] if block.language == "json" else block.text.splitlines():
        json.loads(text)


@pytest.mark.parametrize("block", of_sort("shown", "text"))
def test_labels_of_what_is_shown(block):
    """The labels of a message that is shown are those of the code: a message that was reworded is noticed here."""
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "pytest_embedqa").rglob("*.py")]
    for label in re.findall(r"^ {2}([a-z]+(?: [a-z]+)?)  ", block.text, re.MULTILINE):
        assert any(re.search(rf"['\" ]{label}\b", text) for text in sources), f"no message has the line '{label}'"


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    """Every link within the repository leads to a file, and to a heading of it."""
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target}: there is no such file"
        assert not anchor or anchor in anchors(there), f"{target}: no heading; there are {sorted(anchors(there))}"
