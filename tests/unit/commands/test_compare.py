"""The command ``embedqa``: two saved runs compared, with an exit code that a pipeline can read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_embedqa.commands import main
from pytest_embedqa.core.evaluation import Evaluation, Subject
from pytest_embedqa.core.evidence import Evidence, Exhibit, Units
from pytest_embedqa.upgrade.baseline import Baseline, write_baseline

OLD = np.random.default_rng(5).random(200)
ENCODER = {
    "spec": "st:models/old",
    "digest": "1",
    "prompts_from": "none",
    "model": "old",
    "libraries": {},
    "device": "cpu",
    "dtype": "float32",
    "dim": None,
    "full_dim": 4,
    "max_length": 256,
    "pooling": "mean",
    "normalize": True,
    "weights": "aaaaaaaaaa",
    "prompts": {},
}


def evaluation(values, task="Faq", revision="r1"):
    """Scores of queries in two languages."""
    parts = [("test", "de"), ("test", "en")]
    ids = tuple(f"q{number}" for number in range(len(values) // 2))
    units = [Units(*part, ids, half) for part, half in zip(parts, np.split(np.asarray(values), 2), strict=True)]
    evidence = Evidence("mean", "queries", tuple(units))
    ranked = dict.fromkeys(ids, ("d1", "d0"))
    shown = Exhibit(
        dict.fromkeys(ids, "wo ist mein Paket"), ranked, dict.fromkeys(ids, ("d0",)), {"d0": "im Depot", "d1": "a\tb"}
    )
    scores = {part: float(one.values.mean()) for part, one in zip(parts, units, strict=True)}
    return Evaluation(
        Subject(task),
        "Retrieval",
        "ndcg_at_10",
        evidence.value,
        scores,
        revision,
        {},
        evidence,
        dict.fromkeys(parts, shown),
    )


@pytest.fixture
def save(tmp_path):
    """Writes a baseline; returns its path as the command line has it."""

    def write(name, *evaluations, **encoder):
        path = tmp_path / f"{name}.json"
        write_baseline(path, Baseline({**ENCODER, **encoder}, np.eye(2, dtype=np.float32), evaluations))
        return str(path)

    return write


def test_worse_model_exits_with_1(save, capsys):
    """With what differs, the table, the parts that moved, and whole rankings of the queries that got worse."""
    worse = OLD - np.r_[np.full(100, 0.2), np.zeros(100)]
    new = save("new", evaluation(worse), spec="st:models/new", dtype="int8", weights="bbbbbbbbbb")
    assert main(["compare", save("old", evaluation(OLD)), new, "--worst", "1"]) == 1
    out = capsys.readouterr().out
    assert "dtype: float32 to int8" in out
    assert "weights: aaaaaaaaaa to bbbbbbbbbb" in out
    (row,) = [line for line in out.splitlines() if line.startswith("Faq ")]
    assert row.endswith("WORSE")
    assert "-0.1000" in row
    assert "test/de: " in out
    assert "100 queries worse, 0 better, of 200" in out
    assert "before 1   d1  a\tb" in out
    assert "2 * d0  im Depot" in out
    assert out.count("wo ist mein Paket") == 1


def test_table_fits_the_terminal(save, capsys):
    """80 columns, however long the name of a task is."""
    name = "AVeryLongNameOfATaskThatNobodyWouldType"
    old, new = save("old", evaluation(OLD, name)), save("new", evaluation(OLD - 0.1, name))
    main(["compare", old, new])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("AVery", "against b"))]
    assert len(rows) == 3
    assert all(len(line) <= 80 for line in rows)


def test_same_run_exits_with_0(save, capsys):
    """Nothing differs, nothing is worse."""
    assert main(["compare", save("old", evaluation(OLD)), save("new", evaluation(OLD))]) == 0
    out = capsys.readouterr().out
    assert "nothing differs" in out
    assert "gate: 1 task, 0 worse, 0 unsure" in out


def test_room_is_an_option(save):
    """A drop of 0.05 within a room of 0.1 passes."""
    old, new = save("old", evaluation(OLD)), save("new", evaluation(OLD - 0.05))
    assert main(["compare", old, new]) == 1
    assert main(["compare", old, new, "--max-regression", "0.1"]) == 0


def test_what_can_not_be_compared_is_no_pass(save, capsys):
    """A task that is missing, or on other data, exits with 2 and is named."""
    old = save("old", evaluation(OLD), evaluation(OLD, "Gone"), evaluation(OLD, "Changed"))
    new = save("new", evaluation(OLD), evaluation(OLD, "Changed", revision="r2"))
    assert main(["compare", old, new]) == 2
    out = capsys.readouterr().out
    assert "Gone: only in" in out
    assert "Changed: the baseline was measured on the data r1, this run on r2" in out


def test_one_task_can_be_chosen(save, capsys):
    """And a name that neither file has is told."""
    old = save("old", evaluation(OLD), evaluation(OLD, "Other"))
    new = save("new", evaluation(OLD), evaluation(OLD - 0.3, "Other"))
    assert main(["compare", old, new, "--task", "Faq"]) == 0
    assert main(["compare", old, new, "--task", "Faqs"]) == 2
    assert "Faqs: neither file has it; they have Faq, Other" in capsys.readouterr().out


def test_unreadable_file_exits_with_2(save, tmp_path, capsys):
    """The error names the file and the way out, on standard error."""
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    assert main(["compare", save("old", evaluation(OLD)), str(tmp_path / "x.json")]) == 2
    assert "x.json can't be used: it is not a baseline of pytest-embedqa" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["compare"], ["compare", "a", "b", "--max-regression", "7"]])
def test_wrong_arguments_show_the_usage(arguments, capsys):
    """As every command does, with exit code 2."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: embedqa" in capsys.readouterr().err


def test_schema_of_probe_files_is_printed(capsys):
    """``embedqa schema > probe.schema.json`` gives editors what they check probe files with."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["probes"]


def test_names_of_others_stay_in_their_lines(save, capsys):
    """What a terminal would obey in names and texts is shown and not obeyed; no name can forge a line of the table."""
    evil = "Faq\n::error::forged\x1b[2J"
    before, after = save("before", evaluation(OLD, evil)), save("after", evaluation(OLD - 0.5, evil), spec="a\rb")
    assert main(["compare", before, after]) == 1
    printed = capsys.readouterr().out
    assert r"Faq\n::error::forg" in printed
    assert r"a\rb" in printed
    assert not any(line.startswith("::") for line in printed.splitlines())
    assert not set(printed) & set("\r\x1b")
