"""Baselines whose digests fit and whose content does not, as somebody who knows the format could write: each is one error that says what."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tracemalloc

import pytest

from pytest_embedqa.commands import main
from pytest_embedqa.core.errors import BaselineError
from pytest_embedqa.upgrade import baseline as module
from pytest_embedqa.upgrade import stored
from pytest_embedqa.upgrade.baseline import evidence_file, read_baseline, write_baseline


@pytest.fixture
def path(tmp_path, baseline):
    """A sound baseline: Bare without units, Faq with rankings, Pairs with labels."""
    write_baseline(tmp_path / "b" / "prod.json", baseline)
    return tmp_path / "b" / "prod.json"


def seal(path, facts, packed=None):
    """Write both files with the digests that belong to them."""
    if packed is not None:
        evidence_file(path).write_bytes(packed)
        facts["evidence"]["sha256"] = hashlib.sha256(packed).hexdigest()
    facts.pop("checksum", None)
    facts["checksum"] = module._checksum(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")


def readable(change):
    """Change the readable file."""

    def damage(path):
        facts = json.loads(path.read_text(encoding="utf-8"))
        change(facts)
        seal(path, facts)

    return damage


def evidence(change):
    """Change the evidence; ``change`` may return what stands in its place."""

    def damage(path):
        found = json.loads(gzip.decompress(evidence_file(path).read_bytes()))
        found = change(found) or found
        packed = gzip.compress(found if isinstance(found, bytes) else json.dumps(found).encode())
        seal(path, json.loads(path.read_text(encoding="utf-8")), packed)

    return damage


def task(**changes):
    """Change the first task of the readable file."""
    return readable(lambda facts: facts["tasks"][0].update(changes))


def part(**changes):
    """Change the units of Pairs."""
    return evidence(lambda found: found["tasks"][2]["parts"][0].update(changes))


def bare(path, packed):
    """Other bytes for the evidence."""
    seal(path, json.loads(path.read_text(encoding="utf-8")), packed)


def link(path, target):
    """The evidence as a link."""
    evidence_file(path).rename(path.parent.parent / "elsewhere.gz")
    evidence_file(path).symlink_to(target)


E = "prod.evidence.json.gz: "
NUMBER = "9" * 30
DAMAGE = {
    "no evidence": (readable(lambda f: f.pop("evidence")), "it has no 'evidence'"),
    "evidence a text": (readable(lambda f: f.update(evidence="x")), 'evidence is "x", but must be an object'),
    "evidence without file": (readable(lambda f: f["evidence"].pop("file")), "evidence has no 'file'"),
    "evidence null": (readable(lambda f: f["evidence"].update(file=None)), "evidence.file is null, but must be a text"),
    "digest a number": (readable(lambda f: f["evidence"].update(sha256=1)), "evidence.sha256 is 1, but must be a text"),
    "no encoder": (readable(lambda f: f.pop("encoder")), "it has no 'encoder'"),
    "encoder a list": (readable(lambda f: f.update(encoder=[])), "encoder is [], but must be an object"),
    "encoder without spec": (readable(lambda f: f["encoder"].pop("spec")), "encoder has no 'spec'"),
    "spec a number": (readable(lambda f: f["encoder"].update(spec=5)), "encoder.spec is 5, but must be a text"),
    "model null": (readable(lambda f: f["encoder"].update(model=None)), "encoder.model is null, but must be a text"),
    "dim a text": (
        readable(lambda f: f["encoder"].update(dim="8")),
        'encoder.dim is "8", but must be a whole number or null',
    ),
    "dim below 1": (readable(lambda f: f["encoder"].update(dim=0)), "encoder.dim is 0, but must be 1 or more"),
    "normalize a text": (
        readable(lambda f: f["encoder"].update(normalize="yes")),
        'encoder.normalize is "yes", but must be a boolean or null',
    ),
    "libraries a list": (
        readable(lambda f: f["encoder"].update(libraries=["torch"])),
        'encoder.libraries is ["torch"], but must be an object',
    ),
    "a version as number": (
        readable(lambda f: f["encoder"].update(libraries={"torch": 2})),
        "encoder.libraries.torch is 2, but must be a text",
    ),
    "tasks an object": (readable(lambda f: f.update(tasks={})), "tasks is {}, but must be a list"),
    "task null": (readable(lambda f: f.update(tasks=[None])), "tasks[0] is null, but must be an object"),
    "task an object": (task(task={"a": 1}), 'tasks[0].task is {"a": 1}, but must be a text'),
    "splits a text": (task(splits="test"), 'tasks[0].splits is "test", but must be a list or null'),
    "limit a truth value": (task(limit=True), "tasks[0].limit is true, but must be a whole number or null"),
    "score a text": (task(score="1e999"), 'tasks[0].score is "1e999", but must be a number'),
    "score beyond float": (
        lambda path: path.write_text(path.read_text().replace('"score": 0.25', '"score": 1e999')),
        "it holds 1e999, which is not a finite number",
    ),
    "a number of thirty digits": (
        lambda path: path.write_text(path.read_text().replace('"score": 0.25', f'"score": {NUMBER}')),
        "it holds a whole number of 30 digits",
    ),
    "parts null": (task(parts=None), "tasks[0].parts is null, but must be an object"),
    "parts a list": (task(parts=[1]), "tasks[0].parts is [1], but must be an object"),
    "a part a number": (task(parts={"test": 1}), "tasks[0].parts.test is 1, but must be an object"),
    "a task twice": (
        lambda path: (
            readable(lambda f: f["tasks"].append(f["tasks"][0]))(path),
            evidence(lambda found: found["tasks"].append(found["tasks"][0]))(path),
        ),
        "it has a task twice",
    ),
    "a task less": (readable(lambda f: f["tasks"].pop()), E + "its evidence has 3 tasks, but the baseline has 2"),
    "nested": (lambda path: path.write_text("[" * 200_000), "it is nested too deeply"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "it is not a file"),
    "a version of its own": (
        readable(lambda f: f.update(version=["1"])),
        "it has format ['1'], and this version reads",
    ),
    "name absolute": (
        readable(lambda f: f["evidence"].update(file="/etc/hostname")),
        "its evidence must be the name of a file beside it, and is '/etc/hostname'",
    ),
    "name above": (
        readable(lambda f: f["evidence"].update(file="../elsewhere.gz")),
        "its evidence must be the name of a file beside it, and is '../elsewhere.gz'",
    ),
    "name of the folder": (readable(lambda f: f["evidence"].update(file="..")), "and is '..'"),
    "name with NUL": (readable(lambda f: f["evidence"].update(file="a\0b")), r"and is 'a\x00b'"),
    "name empty": (readable(lambda f: f["evidence"].update(file="")), "and is ''"),
    "name very long": (
        readable(lambda f: f["evidence"].update(file="a" * 9999)),
        "it can't be read (File name too long)",
    ),
    "link elsewhere": (
        lambda path: link(path, "../elsewhere.gz"),
        "its evidence prod.evidence.json.gz leads out of its folder; put the file itself there",
    ),
    "link to a device": (lambda path: link(path, "/dev/zero"), "leads out of its folder"),
    "evidence a folder": (
        lambda path: (evidence_file(path).unlink(), evidence_file(path).mkdir()),
        "prod.evidence.json.gz is missing. Both files belong together",
    ),
    "evidence no gzip": (
        lambda path: bare(path, b"{}"),
        E + "it is not a complete gzip file (Not a gzipped file (b'{}'))",
    ),
    "evidence empty": (lambda path: bare(path, b""), E + "it is not valid JSON"),
    "evidence cut": (lambda path: bare(path, gzip.compress(b"[" * 9999)[:-9]), E + "it is not a complete gzip file ("),
    "evidence binary": (evidence(lambda _: b"\xff\xfe\0"), E + "it is not UTF-8 text"),
    "evidence a list": (evidence(lambda _: [1]), E + "it is [1], but must be an object"),
    "fingerprint a number": (
        evidence(lambda found: found.update(fingerprint=1)),
        E + "fingerprint is 1, but must be a list",
    ),
    "fingerprint ragged": (
        evidence(lambda found: found.update(fingerprint=[[1], [1, 2]])),
        E + "its fingerprint has vectors of 1 and 2 dimensions",
    ),
    "no parts": (
        evidence(lambda found: found["tasks"][1].update(parts=[])),
        E + "tasks[1].parts is [], but must have something in it",
    ),
    "values texts": (part(values=["x"]), E + 'tasks[2].parts[0].values[0] is "x", but must be a number'),
    "values infinite": (
        evidence(lambda found: json.dumps(found).replace("0.9", "Infinity").encode()),
        E + "it holds Infinity, which is not a finite number",
    ),
    "values too few": (part(values=[0.1]), E + "its evidence of test/default has 3 units and 1 values"),
    "labels too few": (part(labels=[1.0]), E + "its evidence of test/default has 3 units and 1 labels"),
    "no labels": (part(labels=None), E + "its evidence of test/default has 3 units and 0 labels"),
    "texts too many": (part(texts=["a"] * 9), E + "its evidence of test/default has 3 units and 9 texts"),
    "ids a number": (part(ids=5), E + "tasks[2].parts[0].ids is 5, but must be a list"),
    "ids numbers": (part(ids=[1, 1, 1]), E + "tasks[2].parts[0].ids["),
    "an id twice": (part(ids=["a", "a", "b"]), E + "its evidence of test/default has a unit twice"),
    "nothing in it": (part(ids=[], values=[], labels=[], texts=[]), E + "its evidence of test/default has no units"),
    "rankings a list": (part(rankings=[1]), E + "tasks[2].parts[0].rankings is [1], but must be an object"),
    "a ranking of numbers": (part(rankings={"a": [1]}), E + "tasks[2].parts[0].rankings.a[0] is 1, but must be a text"),
    "documents a list": (part(documents=["d"]), E + 'tasks[2].parts[0].documents is ["d"], but must be an object'),
    "values beyond all": (part(values=[1e308, -1e308, 1e308]), "its score for Pairs"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", DAMAGE)
def test_what_no_run_has_written_is_refused(path, name):
    """One error that names the file, the place in it and what is wrong; never another exception, and nothing is half read."""
    damage, says = DAMAGE[name]
    damage(path)
    with pytest.raises(BaselineError) as caught:
        read_baseline(path)
    text = str(caught.value)
    assert text.startswith(f"the baseline {path} can't be used: ")
    assert says in text
    assert len(text) < 10 * len(str(path)) + 500


@pytest.mark.parametrize("name", DAMAGE)
def test_a_broken_baseline_is_no_verdict(path, name, baseline, capsys):
    """``embedqa compare`` exits with 2, not with 1, which says that a task is worse, and prints no table."""
    sound = path.with_name("sound.json")
    write_baseline(sound, baseline)
    DAMAGE[name][0](path)
    assert main(["compare", str(sound), str(path)]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.startswith(f"embedqa: the baseline {path} can't be used: ")
    assert "Traceback" not in out.err


def test_evidence_is_unpacked_within_a_limit(path, monkeypatch):
    """A file that would fill the memory is read no further than twenty times its size, or a fixed least."""
    monkeypatch.setattr(stored, "_ALWAYS", 2 << 20)
    bare(path, gzip.compress(b"[" + b" " * (64 << 20) + b"]"))
    tracemalloc.start()
    with pytest.raises(BaselineError, match="it has more than 2 MB once unpacked, as no evidence of its size has"):
        read_baseline(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    bare(path, gzip.compress(b"[" + b" " * (1 << 20) + b"]"))
    with pytest.raises(BaselineError, match=r"it is \[\], but must be an object"):
        read_baseline(path)


def test_links_that_lead_to_both_files_are_followed(path):
    """Both files may be links into one folder, as build systems lay them out."""
    other = path.parent.parent / "links"
    other.mkdir()
    for one in (path, evidence_file(path)):
        (other / one.name).symlink_to(one)
    assert len(read_baseline(other / path.name).evaluations) == 3


def test_what_could_not_be_read_again_is_not_written(path, baseline):
    """A fact of a wrong kind is an error when it is written, and the file stays as it was."""
    before = path.read_bytes()
    broken = type(baseline)({**baseline.encoder, "model": 5}, baseline.fingerprint, baseline.evaluations)
    with pytest.raises(BaselineError, match=r"can't be written: encoder\.model is 5, but must be a text"):
        write_baseline(path, broken)
    assert path.read_bytes() == before
