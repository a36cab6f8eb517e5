"""Files of probes with a name that is not collected: said, and nothing said of other people's files."""

from __future__ import annotations

import pytest

PROBES = "corpus: documents\nprobes:\n  - {name: a, ask: how long, expect: {contains: 30 days}}\n"
AS_JSON = '{"corpus": "documents", "probes": [{"name": "a", "ask": "b", "expect": {"contains": "c"}}]}'
NAMES = {
    "faq.probes.yaml": "faq.probe.yaml.",
    "faq.probes.yml": "faq.probe.yaml.",
    "faq.probe.json": "faq.probe.yaml (JSON is YAML, too).",
    "probe.yaml": "faq.probe.yaml.",
    "probes.yaml": "faq.probe.yaml.",
    "shop_probe.yaml": "shop.probe.yaml.",
    "shop-probes.yaml": "shop.probe.yaml.",
}
# Of Kubernetes, of a monitor, a schema, and what is not even text.
OTHERS = {
    "probe.yaml": "livenessProbe:\n  httpGet: {path: /ask}\nprobes:\n  - tcp\ntask: x\n",
    "http_probe.yml": "modules:\n  ask: {prober: http}\n",
    "probe.schema.json": AS_JSON,
    "space.probes.json": "\x00\xff probes",
    "notes.yaml": PROBES,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_collected(pytester, run, name):
    """Named on the command line it is an error, in a folder a warning: both say what to call it."""
    (pytester.path / name).write_text(AS_JSON if name.endswith("json") else PROBES)
    said = f"{name} holds probes and is not collected, as it is not called [*].probe.yaml: rename it to {NAMES[name]}"
    result = run(name)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])
    pytester.makepyfile("def test_other(): pass")
    result = run()
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines([f"*{name}:1: PytestCollectionWarning: {said}"])


def test_other_peoples_files(pytester, run):
    """A file that is only called so is nobody's probe file: nothing is said of it, whatever is an error."""
    for name, text in OTHERS.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    (pytester.path / "gone_probe.yaml").symlink_to("nowhere")
    pytester.makepyfile("def test_other(): pass")
    result = pytester.runpytest_inprocess("-W", "error")
    result.assert_outcomes(passed=1)
    assert "probe" not in result.stdout.str()
    result = run("probe.yaml")
    result.stdout.no_fnmatch_line("*holds probes*")
