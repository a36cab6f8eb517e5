"""Files that nobody should write: each ends in one error that names it, and takes nothing else with it."""

from __future__ import annotations

import json
import os

import pytest

from pytest_embedqa.rag import regexes, yaml_file, yaml_values

PROBES = "probes:\n  - {name: a, ask: b, expect: {contains: c}}\n"
GOOD = "corpus: documents\nretrieve: {by: bm25}\nprobes:\n  - {name: good, ask: how long to bake, expect: {contains: 40 minutes}}\n"


def one(keys):
    """A file of one probe with these keys beside its name and question."""
    return f"probes:\n  - {{name: a, ask: b, {keys}}}\n"


# Content, line, and what is said of it.
BAD = {
    "nan": ("pass_rate: .nan\n" + PROBES, 1, "pass_rate is nan, but must be a finite number."),
    "infinity": ("mrr: -.inf\n" + PROBES, 1, "mrr is -inf, but must be a finite number."),
    "too large": ("recall_at_k: 1e400\n" + PROBES, 1, "recall_at_k is inf, but must be a finite number."),
    "nan by model": ("pass_rate: {m: .NaN}\n" + PROBES, 1, "pass_rate.m is nan, but must be a finite number."),
    "margin": (one("expect: {contains: c}, reject: {contains: d, margin: .nan}"), 2, "margin is nan, but must be a"),
    "number as text": ("retrieve: {k: '3'}\n" + PROBES, 1, 'retrieve.k is "3", but must be a whole number.'),
    "truth as number": ("retrieve: {k: true}\n" + PROBES, 1, "retrieve.k is true, but must be a whole number."),
    "truth with an anchor": ("retrieve: {k: &a true}\n" + PROBES, 1, "retrieve.k is true, but must be a whole number."),
    "not whole": ("retrieve: {k: 5.0}\n" + PROBES, 1, "retrieve.k is 5.0, but must be a whole number."),
    "not whole page": (one("expect: {contains: c, page: 1e3}"), 2, "page is 1000.0, but must be a whole number or a list."),
    "not whole span": (one("expect: {contains: c, page_span: 5.0}"), 2, "page_span is 5.0, but must be a text (in quotes)"),
    "more than anything": ("retrieve: {k: 99999999}\n" + PROBES, 1, "99999999 is greater than the maximum of 1000000"),
    "53 bits": ("chunk: {size: 9007199254740993}\n" + PROBES, 1, "is a whole number of more than 53 bits, which not all programs read alike."),
    "thousands of digits": (f"retrieve: {{k: {'9' * 5000}}}\n" + PROBES, 1, "a number of 5,000 digits. A text needs quotes."),
    "octal": ("retrieve: {k: 010}\n" + PROBES, 1, "010 begins with 0: to some it is octal. Write it without, or a text in quotes."),
    "sexagesimal": ("retrieve: {k: 1:30}\n" + PROBES, 1, 'retrieve.k is "1:30", but must be a whole number.'),
    "digits of a span": (one(f"expect: {{contains: c, page_span: '>{'9' * 5000}'}}"), 2, "must be like '>15', '<=3' or a number."),
    "no time": ("retrieve: {http: {url: 'http://h', body: '{query}', hits: h, text: t, timeout: .inf}}\n" + PROBES, 1, "timeout is inf, but must be a finite number."),
    "too much time": ("retrieve: {http: {url: 'http://h', body: '{query}', hits: h, text: t, timeout: 1e300}}\n" + PROBES, 1, "1e+300 is greater than the maximum of 86400"),
    "too much noise": ("robustness: {noise: {levels: [1000000000000]}}\n" + PROBES, 1, "is greater than the maximum of 1000000"),
    "bell": ("corpus: a\x07\n" + PROBES, 1, "the control character U+0007, which YAML does not allow. Delete it."),
    "nul": ("corpus: a\0\n" + PROBES, 1, "the control character U+0000, which YAML does not allow. Is the file UTF-16? Save it as UTF-8."),
    "escaped nul": ('corpus: "a\\0"\n' + PROBES, 1, "corpus holds \\x00, which is not a character of text."),
    "half a character": ('corpus: "\\ud83d"\n' + PROBES, 1, "corpus holds \\ud83d, which is not a character of text."),
    "half a key": ('"a\\ud83d": 1\n' + PROBES, 1, "a\\ud83d holds \\ud83d, which is not a character of text."),
    "no character": ('corpus: "\\U00110000"\n' + PROBES, 1, "not valid YAML: an escape that is not a character: "),
    "key that speaks to the terminal": ('"a\\e[31m": 1\n' + PROBES, 1, "unknown key 'a\\x1b[31m' in the file."),
    "mark in the middle": (PROBES + "\ufeffcorpus: d\n", 3, "Did you mean 'corpus'?"),
    "utf-16": ((PROBES.encode("utf-16")), 1, "not UTF-8"),
    "latin-1": ("corpus: ä\n".encode("latin-1") + PROBES.encode(), 1, "not UTF-8"),
    "nothing": ("", 1, "the file is empty, but must be a mapping."),
    "list": ("- a\n", 1, 'the file is ["a"], but must be a mapping.'),
    "two documents": (PROBES + "---\n" + PROBES, 3, "a second YAML document begins here"),
    "other version": ("%YAML 1.1\n---\nretrieve: {k: 010}\n" + PROBES, 2, "this is read as YAML 1.2, and it says %YAML 1.1. Delete that line."),
    "key twice": ("corpus: a\ncorpus: b\n" + PROBES, 2, 'found duplicate key "corpus"'),
    "anchor twice": ("corpus: &a x\nencoding: &a y\n" + PROBES, 2, "the anchor 'a' appears here for the second time."),
    "no anchor": ("corpus: *x\n" + PROBES, 1, "found undefined alias 'x'."),
    "merge of a text": ("<<: x\n" + PROBES, 1, "expected a mapping or list of mappings for merging"),
    "in itself": ("retrieve: &x {http: *x}\n" + PROBES, 1, "the value of '*x' contains itself."),
    "merged with itself": ("retrieve: &x\n  <<: *x\n" + PROBES, 2, "the value of '*x' contains itself."),
    "multiplied": ("encoding: &a {b: ccccccccccccc}\nchunk: &d {e: *a, f: *a, g: *a}\nretrieve: {h: *d, i: *d, j: *d}\n" + PROBES, 3, "with its aliases expanded, it has more than 100 characters."),
    "deep": ("corpus: " + "[" * 60 + "]" * 60 + "\n" + PROBES, 1, "not valid YAML: it is nested too deeply."),
    "deep by aliases": ("a: &a0 [b]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 60)), 49, "it is nested too deeply, by its aliases."),
    "tag of Python": ("corpus: !!python/object/apply:os.getcwd []\n" + PROBES, 1, "corpus is tagged tag:yaml.org,2002:python/object/apply:os.getcwd, which is nothing here."),
    "tag of a mapping": ("!!python/object:os.x\n" + PROBES, 1, "the file is tagged tag:yaml.org,2002:python/object:os.x, which is nothing here."),
    "set in a body": ("retrieve: {http: {url: 'http://h', body: {q: '{query}', s: !!set {a}}, hits: h, text: t}}\n" + PROBES, 1, "is a CommentedSet, but must be a text, a number, a list or a mapping."),
    "bytes": ("corpus: !!binary aGk=\n" + PROBES, 1, "corpus is a bytes, but must be a text, a number, a list or a mapping."),
    "no number by its tag": ("retrieve: {k: !!int abc}\n" + PROBES, 1, "'abc' does not fit its form or tag"),
    "key that is a number": ("5: x\n" + PROBES, 1, "the key 5 in the file must be a text (in quotes)."),
    "key that is a list": ("? [a, b]\n: c\n" + PROBES, 1, "the key ('a', 'b') in the file must be a text (in quotes)."),
    "no pattern": (one("expect: {regex: '('}"), 2, "'(' is not a regular expression: missing ), unterminated subpattern at position 0."),
    "long pattern": (one(f"expect: {{regex: {'a' * 10001}}}"), 2, "is a regular expression of 10,001 characters; 10,000 are the most."),
    "charset of no text": ("encoding: undefined\n" + PROBES, 1, "encoding 'undefined' is not a charset that Python knows."),
    "large": ("# " + "x" * 3000 + "\n" + PROBES, 1, "larger than 0.002 MB. Split it into several files."),
}  # fmt: skip


def test_each_bad_probe_file_is_one_error(pytester, run, monkeypatch):
    """It names file and line at collection, without a traceback; the tests beside it run."""
    monkeypatch.setattr(yaml_values, "_MOST_CHARACTERS", 100)
    documents = pytester.mkdir("documents")
    (documents / "bread.md").write_text("Bake the loaf for 40 minutes.")
    names = {name: f"{name.replace(' ', '_')}.probe.yaml" for name in BAD}
    for name, (content, _, _) in BAD.items():
        path = pytester.path / names[name]
        monkeypatch.setattr(yaml_file, "MOST_BYTES", 20_000)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (pytester.path / "good.probe.yaml").write_text(GOOD)
    monkeypatch.setattr(yaml_values, "_MOST_CHARACTERS", 15_000)
    large, multiplied = names["large"], names["multiplied"]
    others = [name for name in names.values() if name not in {large, multiplied}]
    result = run(*others, "good.probe.yaml", "--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=len(others))
    said = result.stdout.str()
    monkeypatch.setattr(yaml_file, "MOST_BYTES", 2_000)
    monkeypatch.setattr(yaml_values, "_MOST_CHARACTERS", 100)
    result = run(large, multiplied)
    result.assert_outcomes(errors=2)
    said += result.stdout.str()
    for name, (_, line, message) in BAD.items():
        (found,) = [one for one in said.splitlines() if one.startswith(f"{names[name]}:")]
        assert found.startswith(f"{names[name]}:{line}: "), found
        assert message in found
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said
    assert "\x1b" not in said


def test_probe_file_that_can_not_be_opened_is_passed_over_by_nobody(pytester, run):
    """A link to nowhere or in a circle, and a pipe, at which a reader would wait for ever, are errors as well."""
    pytester.mkdir("documents").joinpath("bread.md").write_text("Bake the loaf for 40 minutes.")
    (pytester.path / "good.probe.yaml").write_text(GOOD)
    (pytester.path / "dangling.probe.yaml").symlink_to("nowhere")
    (pytester.path / "circle.probe.yml").symlink_to("circle.probe.yml")
    (pytester.path / "device.probe.yaml").symlink_to(os.devnull)
    os.mkfifo(pytester.path / "pipe.probe.yaml")
    pytester.mkdir("folder.probe.yaml")
    result = run("--continue-on-collection-errors")
    result.assert_outcomes(passed=1, errors=4)
    result.stdout.fnmatch_lines_random(
        [
            "dangling.probe.yaml:1: can't be read: No such file or directory. It is a link to nowhere.",
            "circle.probe.yml:1: can't be read: Too many levels of symbolic links. It is a link to circle.probe.yml.",
            "device.probe.yaml:1: can't be read: it is a folder, a pipe or a device, and no file.",
            "pipe.probe.yaml:1: can't be read: it is a folder, a pipe or a device, and no file.",
        ]
    )
    run("--ignore=pipe.probe.yaml", "--ignore-glob=*c*e.probe.y*", "--collect-only").assert_outcomes(errors=1)


def test_expression_that_takes_too_long_is_an_error_of_its_probe(pytester, run, monkeypatch):
    """File, line and expression within the bound; the probe beside it holds. One that is late for a word fails at collection."""
    monkeypatch.setattr(regexes, "SECONDS", 0.1)
    # About a second of work for re, which then ends by itself.
    pytester.mkdir("documents").joinpath("bread.md").write_text(f"Bake the loaf for 40 minutes. {'o' * 160}")
    bad = '  - name: bad\n    ask: loaf\n    expect:\n      regex: "o.*o.*o.*o.*z"\n'
    (pytester.path / "slow.probe.yaml").write_text(GOOD + bad)
    result = run("slow.probe.yaml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "bad: slow.probe.yaml:8: the regular expression 'o.*o.*o.*o.*z' took more than 0.1 seconds, or all memory, for a text of 190 characters. Repeat nothing that repeats itself; say what comes between."
        ]
    )
    monkeypatch.setattr(regexes, "SECONDS", 1e-4)
    (pytester.path / "slow.probe.yaml").write_text(one(f'reject: {{regex: "{"ab|" * 3000}c"}}'))
    result = run("slow.probe.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["slow.probe.yaml:2: *'ab|ab|* can't be used: the regular expression *"])


ROWS = {
    "nan": '{"sentence1": "a", "sentence2": "b", "score": NaN}',
    "infinity": '{"sentence1": "a", "sentence2": "b", "score": Infinity}',
    "truth": '{"sentence1": "a", "sentence2": "b", "score": true}',
    "beyond_a_float": '{"sentence1": "a", "sentence2": "b", "score": 1e400}',
    "underscore": '{"sentence1": "a", "sentence2": "b", "score": "1_0"}',
    "other_digits": '{"sentence1": "a", "sentence2": "b", "score": "٣"}',
    "hundreds_of_digits": f'{{"sentence1": "a", "sentence2": "b", "score": {10**400}}}',
    "thousands_of_digits": f'{{"sentence1": "a", "sentence2": "b", "score": {"9" * 5000}}}',
    "list": '{"sentence1": "a", "sentence2": "b", "score": [1]}',
    "half_a_character": '{"sentence1": "\\ud83d", "sentence2": "b", "score": 1}',
    "no_object": "[1]",
    "key_twice": '{"sentence1": "a", "sentence1": "b", "sentence2": "b", "score": 1}',
    "deep": f'{{"sentence1": {"[" * 100_000}',
}


def test_each_bad_row_of_own_data_is_one_error(pytester, run):
    """It names file and line, before anything is encoded."""
    good = json.dumps({"sentence1": "a", "sentence2": "b", "score": 1})
    lines = ["from pytest_embedqa import mteb_task, sts_task"]
    for name, row in ROWS.items():
        (pytester.path / f"{name}.jsonl").write_text(f"{good}\n{row}\n{good}\n")
        lines.append(f'@mteb_task(sts_task("{name}.jsonl"), min_spearman=0.1)\ndef test_{name}(): ...')
    for name, cell in {"nan_cell": "nan", "infinite_cell": "-inf", "comma_cell": "4;5"}.items():
        (pytester.path / f"{name}.csv").write_text(f"sentence1,sentence2,score\na,b,{cell}\n")
        lines.append(f'@mteb_task(sts_task("{name}.csv"), min_spearman=0.1)\ndef test_{name}(): ...')
    pytester.makepyfile("\n".join(lines))
    result = run(data=False)
    outcomes = result.parseoutcomes()
    assert sum(outcomes.get(kind, 0) for kind in ("failed", "errors")) == len(ROWS) + 3
    assert "passed" not in outcomes
    said = result.stdout.str()
    for name in ROWS:
        assert f"{name}.jsonl:2: " in said
    for name in ("nan", "infinity", "truth", "beyond_a_float", "other_digits", "list"):
        (found, *_) = [line for line in said.splitlines() if f"/{name}.jsonl:2: " in line]
        assert "'score' must be a number, but it is " in found
    for name in ("nan_cell", "infinite_cell", "comma_cell"):
        assert f"{name}.csv:2: 'score' must be a number, but it is " in said
    assert "INTERNALERROR" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "True", "'3'", "10**400", "5.0"])
def test_number_of_a_marker_is_one(pytester, run, value):
    """What ``@rag_probe`` says is checked as a file is, and named with its module."""
    pytester.makepyfile(f"""
        from pytest_embedqa import rag_probe
        @rag_probe(ask="b", expect={{"contains": "c"}}, retrieve={{"k": {value}}})
        def test_a(): ...
    """)
    result = run()
    assert result.ret != 0
    result.stderr.fnmatch_lines(["ERROR: test_number_of_a_marker_is_one.py:2: test_a: *: retrieve.k is *"])
    result.stderr.no_fnmatch_line("*Traceback*")
