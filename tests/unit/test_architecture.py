"""The imports of the package point one way, and heavy packages stay out of start-up: read from the sources."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import pytest_embedqa

PACKAGE = "pytest_embedqa"
ROOT = Path(pytest_embedqa.__file__).parent
MOST_LINES = 320

# A module may import from its own room and from lower layers. Rooms of one layer do not know each other.
LAYERS = {
    "core": 0,
    "markers": 0,
    "encoders": 1,
    "marking": 1,
    "settings": 3,
    "decorators": 3,
    "session": 4,
    "reports": 4,
    "plugin": 5,
    "commands": 6,
    "": 7,  # the package itself: public names
}
# Every other folder is the room of a capability. A module at the top of the package is none, and needs its line above.
CAPABILITIES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - set(LAYERS)
LAYERS |= dict.fromkeys(CAPABILITIES, 2)
MOST_AT_THE_TOP = 6
# Beside the room of the plugin.
MAY_IMPORT_PYTEST = {"marking", "decorators", "reports.terminal"}
# Seconds to import: only inside the function that needs them.
HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "datasets",
    "huggingface_hub",
    "mteb",
    "hypothesis",
    "pyarrow",
    "ray",
}
HEAVY |= {"vllm", "openai", "xllamacpp", "gguf", "onnxruntime", "tokenizers"}
HEAVY |= {
    "bm25s",
    "lancedb",
    "pypdfium2",
    "spellchecker",
    "lxml",
    "mammoth",
    "bs4",
    "httpx",
    "jmespath",
    "jsonschema",
    "ruamel",
}
HEAVY |= {"chromadb", "faiss", "milvus_lite", "pymilvus", "qdrant_client"}
HEAVY |= {"rjieba", "Stemmer", "semantic_text_splitter", "jinja2", "vl_convert"}
# Loaded as a whole only when a task is to be checked or evaluated.
HEAVY_ROOM = "quality.mteb"
# A pure module computes; it opens nothing. Of urllib, only the parser of URLs does that.
IMPURE = {"os", "io", "pathlib", "sqlite3", "subprocess", "socket", "tempfile", "shutil", "urllib", "http", "asyncio"}


@dataclass(frozen=True)
class Import:
    """One imported module and where it is imported."""

    line: int
    name: str
    late: bool = False  # inside a function
    for_types: bool = False  # under ``if TYPE_CHECKING``


def name_of(path):
    """Dotted name of a module inside the package; empty for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {name_of(path): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def imports_of(source):
    """All imports of a source; ``from pytest_embedqa import markers`` counts as that of the module markers."""
    return list(_walk(ast.parse(source), late=False, for_types=False))


def _walk(node, *, late, for_types):
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(node.lineno, alias.name, late, for_types)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute in this package"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            is_module = submodule.removeprefix(f"{PACKAGE}.") in SOURCES
            yield Import(node.lineno, submodule if is_module else node.module, late, for_types)
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from _walk(child, late=late, for_types=True)
        for child in node.orelse:
            yield from _walk(child, late=late, for_types=for_types)
    else:
        inside = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from _walk(child, late=inside, for_types=for_types)


IMPORTS = {module: imports_of(source) for module, source in SOURCES.items()}


def room_of(module):
    """The first part of a module's name inside the package: what has a layer."""
    return module.partition(".")[0]


def top_of(name):
    """The distribution that an import comes from."""
    return name.partition(".")[0]


def own(imports):
    """Imports of this package's own modules, as names inside the package."""
    return [(entry, entry.name.removeprefix(PACKAGE).lstrip(".")) for entry in imports if top_of(entry.name) == PACKAGE]


def upward(module, imports):
    """Imports against the direction. Imports for types alone count too: they tie the modules together as much."""
    room = room_of(module)
    wrong = []
    for entry, target in own(imports):
        to = room_of(target)
        if to != room and LAYERS[to] >= LAYERS[room]:
            wrong.append(f"line {entry.line}: {module or PACKAGE} must not import {target or PACKAGE}")
    return wrong


def with_pytest(module, imports):
    """Imports of pytest where none may be, except for types."""
    if module in MAY_IMPORT_PYTEST or room_of(module) == "plugin":
        return []
    return [
        f"line {entry.line}: {module} must not import {entry.name}"
        for entry in imports
        if top_of(entry.name) in {"pytest", "_pytest"} and not entry.for_types
    ]


def private_pytest(module, imports):
    """Imports of pytest's private modules, anywhere."""
    return [f"line {entry.line}: {entry.name} is private" for entry in imports if top_of(entry.name) == "_pytest"]


def mteb_outside(module, imports):
    """Imports of mteb, early or late, outside its room."""
    if (module + ".").startswith(HEAVY_ROOM + "."):
        return []
    return [f"line {entry.line}: only {HEAVY_ROOM} imports mteb" for entry in imports if top_of(entry.name) == "mteb"]


def heavy_at_once(module, imports):
    """Imports of heavy packages, or of the heavy room, that are done when the module is loaded."""
    if (module + ".").startswith(HEAVY_ROOM + "."):
        return []
    return [
        f"line {entry.line}: import {entry.name} inside the function that needs it"
        for entry in imports
        if not (entry.late or entry.for_types)
        and (top_of(entry.name) in HEAVY or entry.name.startswith(f"{PACKAGE}.{HEAVY_ROOM}"))
    ]


def impure(module, imports):
    """In core: anything but the standard library without its I/O, numpy and core."""
    if room_of(module) != "core":
        return []
    return [
        f"line {entry.line}: core must not import {entry.name}"
        for entry in imports
        if not (
            entry.name.startswith(f"{PACKAGE}.core")
            or top_of(entry.name) == "numpy"
            or (top_of(entry.name) in sys.stdlib_module_names and top_of(entry.name) not in IMPURE)
            or entry.name == "urllib.parse"
        )
    ]


def eager_names(module, imports):
    """In the package itself: own modules that are imported when it is."""
    if module:
        return []
    return [
        f"line {entry.line}: load {entry.name} lazily"
        for entry, _ in own(imports)
        if not (entry.for_types or entry.late)
    ]


RULES = [upward, with_pytest, private_pytest, mteb_outside, heavy_at_once, impure, eager_names]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_imports_keep_to_the_rules(rule):
    """Every module keeps to every rule about what it may import, and when."""
    found = {module: rule(module, imports) for module, imports in IMPORTS.items()}
    assert {module: wrong for module, wrong in found.items() if wrong} == {}


def circles(graph):
    """The sets of modules that import each other, by whatever way."""

    def reached(start):
        found, rest = set(), [start]
        while rest:
            new = set(graph.get(rest.pop(), ())) - found
            found |= new
            rest += new
        return found

    beyond = {module: reached(module) for module in graph}
    return {frozenset(other for other in beyond[module] if module in beyond[other]) for module in graph} - {frozenset()}


def test_no_modules_import_each_other():
    """There is no circle, with imports that are late or for types alone counted."""
    graph = {module: {target for _, target in own(imports)} - {module} for module, imports in IMPORTS.items()}
    assert circles(graph) == set()


def test_circles_are_found():
    """A circle of three is found, and what only leads to it is no part of it."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == {frozenset("abc")}


def test_few_modules_stand_at_the_top():
    """A reader sees the design from the folders; a new module belongs into a room."""
    assert len(list(ROOT.glob("*.py"))) <= MOST_AT_THE_TOP


def test_modules_stay_short():
    """No module grows into one that does everything."""
    lengths = {module: len(source.splitlines()) for module, source in SOURCES.items()}
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_every_room_has_a_layer():
    """Every module belongs to a layer, and the rooms that the rules are about were read."""
    assert {room_of(module) for module in SOURCES} <= set(LAYERS)
    assert {"quality", "engine_parity", "invariants", "speed", "rag", "upgrade", "diagnosis"} <= CAPABILITIES
    assert {"core.verdict", "encoders.encoder", "quality.mteb.tasks", "reports.terminal", "plugin", ""} <= set(SOURCES)


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (upward, "core.verdict", "from pytest_embedqa.encoders.spec import nearest"),
        (upward, "core.verdict", "def f():\n    import pytest_embedqa.plugin"),
        (upward, "encoders.store", "if TYPE_CHECKING:\n    from pytest_embedqa.quality.task import TaskQuery"),
        (upward, "encoders.engines.vllm", "from pytest_embedqa import options"),
        (upward, "quality.task", "from pytest_embedqa.engine_parity.strata import strata"),
        (upward, "quality.evaluator", "from pytest_embedqa.session import Session"),
        (upward, "reports.terminal", "from pytest_embedqa.plugin import pytest_addoption"),
        (upward, "quality.task", "from pytest_embedqa import mteb_task"),
        (upward, "quality.facts", "from pytest_embedqa.upgrade.gate import is_gate"),
        (upward, "reports.terminal", "def f():\n    from pytest_embedqa.session import Session"),
        (upward, "plugin.checks", "from pytest_embedqa.commands import compare"),
        (with_pytest, "session", "import pytest"),
        (with_pytest, "reports.failure", "def f():\n    from pytest import fail"),
        (with_pytest, "quality.task", "import _pytest.config"),
        (private_pytest, "plugin", "from _pytest.config import Config"),
        (mteb_outside, "quality.evaluator", "def f():\n    import mteb"),
        (mteb_outside, "quality.mtebish", "from mteb.abstasks import AbsTask"),
        (heavy_at_once, "quality.evaluator", "from pytest_embedqa.quality.mteb import tasks"),
        (heavy_at_once, "encoders.engines.sentence_transformers", "import torch.nn"),
        (
            heavy_at_once,
            "quality.datasets",
            "class A:\n    try:\n        import datasets\n    except ImportError: pass",
        ),
        (heavy_at_once, "options", "if TYPE_CHECKING:\n    pass\nelse:\n    import torch"),
        (impure, "core.measures", "import scipy.stats"),
        (impure, "core.measures", "from pathlib import Path"),
        (impure, "core.measures", "def f():\n    import pytest"),
        (eager_names, "", "from pytest_embedqa.decorators import mteb_task"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_rules_find_what_they_forbid(rule, module, source):
    """Each rule notices its violation, wherever the import stands."""
    (found,) = rule(module, imports_of(source))
    assert found.startswith("line ")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "session",
            "if TYPE_CHECKING:\n    import pytest\n    import torch\n    from pytest_embedqa.settings import Settings",
        ),
        ("quality.evaluator", "def f():\n    import torch\n    from pytest_embedqa.quality.mteb import tasks"),
        ("quality.mteb.tasks", "import mteb\nfrom datasets import Dataset"),
        ("reports.terminal", "import pytest\nfrom pytest_embedqa.settings import Settings"),
        ("plugin", "from pytest_embedqa import markers\nfrom pytest_embedqa.core.errors import EmbedQAError"),
        ("", "if TYPE_CHECKING:\n    from pytest_embedqa.decorators import mteb_task"),
        ("core.measures", "import numpy.typing\nfrom math import sqrt\nfrom pytest_embedqa.core import errors"),
    ],
)
def test_rules_allow_what_is_right(module, source):
    """No rule forbids what the design allows."""
    imports = imports_of(source)
    assert imports
    assert [found for rule in RULES for found in rule(module, imports)] == []
