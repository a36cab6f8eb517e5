"""The texts of a suite's files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from urllib.parse import quote

from pytest_embedqa.commands.init.measuring import (
    DOCUMENTS,
    OWN_DATA,
    PROBES,
    TEMPLATE,
    Measured,
    Plan,
    Proposal,
)
from pytest_embedqa.encoders.spec import Spec

README, INI = "README.md", "pytest.ini"
# The text that marks files which may be rewritten.
WRITTEN = "Written by `embedqa init`"
# The files that pytest may read settings from, in its order, and the line that makes each count.
_INI_FILES = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": r"^\[tool\.pytest(\.ini_options)?\]",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}


def quality_test(measured: Measured, plan: Plan) -> str:
    """Return the text of ``test_quality.py``.

    Args:
        measured: The measurements.
        plan: The order for the suite.
    """
    own = measured.own
    text = f'''"""How well the model finds and compares texts. Each bound is a measured score less what may be lost.

Model    {_in_docstring(measured.model)}
Prompts  {_in_docstring(measured.prompts)}
Anew     {_in_docstring(plan.command)}
"""

from pytest_embedqa import mteb_task, retrieval_task


# {_measured(own)}
@mteb_task(retrieval_task("{OWN_DATA}"), min_{own.metric}={own.bound:g})
def test_own_data():
    """Replace the passages, questions and judgements in {OWN_DATA} by your own, then measure anew."""
'''
    for task in measured.tasks:
        name = re.sub(r"\W+", "_", task.task).lower()
        text += f"""

# {_measured(task)}
@mteb_task("{task.task}", min_{task.metric}={task.bound:g})
def test_{name}(): ...
"""
    return text


def _measured(one: Proposal) -> str:
    text = f"{one.metric} {one.score:.4f} measured"
    if one.interval:
        low, high = one.interval
        text += f" over {one.units:,} {one.unit}; on others of the kind between {low:.3f} and {high:.3f} (95 %)"
    return f"{text}."


def invariants_test(expected: dict[str, str]) -> str:
    """Return the text of ``test_invariants.py``.

    Args:
        expected: Invariants that fail by design, with the counterexample.
    """
    listed = "".join(
        f'        "{name}": {json.dumps(reason, ensure_ascii=False)},\n' for name, reason in expected.items()
    )
    given = f"\n    expected_failures={{\n{listed}    }}\n" if expected else ""
    return f'''"""What must hold for any encoder: finite, unit norm, the same vector in any batch, nothing cut too early.

An expected failure is what tokenizer and training of this model decide. Take out what yours must be able to do.
"""

from pytest_embedqa import parametrize_with_invariants


@parametrize_with_invariants({given})
def test_invariant(encoder, invariant): ...
'''


def speed_test() -> str:
    """Return the text of ``test_speed.py``."""
    return '''"""How fast the model is: shown, and compared where there is something to compare with.

With --embedqa-baseline the old and the new model are timed in turns, in one run, and the new one must reach 0.8 of the
old one's speed. A bound such as min_texts_per_s= is for one machine that does nothing else, so none is proposed here.
"""

from pytest_embedqa import throughput


@throughput(length=128)
def test_documents_in_batches(): ...


@throughput(length=16, batch_size=1)
def test_single_texts(): ...
'''


def probe_file(hold: int, of: int) -> str:
    """Return the template's probe file with a bound that allows one more miss than was measured.

    Args:
        hold: Number of probes that hold.
        of: Number of all probes.
    """
    text = (TEMPLATE / PROBES).read_text(encoding="utf-8")
    rate = int(100 * (hold - 1) / of) / 100
    if rate <= 0:
        return text
    return text.replace("\nprobes:\n", f"\npass_rate: {rate:g}  # {hold} of {of} hold; one fewer may\nprobes:\n")


def ini_value(spec: Spec) -> str:
    """Return a spec as an ini file takes it, independent of the folder that pytest is started in.

    A model's folder is made absolute. White space in options, which ini files strip, is written as in URLs.
    """
    head, mark, options = spec.text.strip().partition("?") if "?" not in spec.text else spec.text.partition("?")
    if spec.engine in {"st", "vllm", "onnx", "llamacpp"} and (path := Path(spec.model).expanduser()).exists():
        head = head.replace(spec.model, str(path.resolve()), 1)
    return head.strip() + mark + re.sub(r"[\s#;]", lambda found: quote(found[0]), options)


def ini_file(spec: Spec, datasets: str | None, python_path: str | None) -> str:
    """Return the text of ``pytest.ini``.

    Args:
        spec: The model.
        datasets: Folder of task data, absolute or relative to this file's folder.
        python_path: Folder, relative to this file's, from which the model's module is imported.
    """
    lines = [
        "[pytest]",
        f"# {WRITTEN}. pytest reads it when it is started in this folder, or on it.",
        "# The model under test; --embedqa-model SPEC tests another.",
        f"embedqa_model = {ini_value(spec)}",
    ]
    lines += [f"embedqa_datasets = {datasets}"] if datasets else []
    lines += [f"pythonpath = {python_path}"] if python_path else []
    return "\n".join([*lines, ""])


def project_ini(folder: Path) -> Path | None:
    """Return the settings file that pytest reads in a folder, or in the nearest folder above it."""
    for place in [folder, *folder.parents]:
        for name, section in _INI_FILES.items():
            path = place / name
            if path.is_file() and re.search(section, path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
                return path
    return None


def ini_line(path: Path, spec: Spec) -> str:
    """Return the line that names the model in a project's own settings file."""
    value = ini_value(spec)
    return f"embedqa_model = {json.dumps(value, ensure_ascii=False) if path.suffix == '.toml' else value}"


def readme(measured: Measured, plan: Plan, *, speed: bool) -> str:
    """Return the text of ``README.md``.

    Args:
        measured: The measurements.
        plan: The order for the suite.
        speed: Whether the suite has tests of speed.
    """
    here = shlex.quote(str(plan.folder))
    rule = (
        f"Each bound is the measured score less {plan.margin:g}"
        if plan.margin is not None
        else "Each bound is the measured score less 0.01, or less what a single query decides where there are fewer than 100"
    )
    files = {
        "test_quality.py": f"scores on `{OWN_DATA}`" + (" and on tasks of mteb" if measured.tasks else ""),
        "test_invariants.py": "what must hold for any encoder" if measured.expected is not None else "",
        "test_speed.py": "speed: shown, and compared under `--embedqa-baseline`" if speed else "",
        PROBES: f"questions to `{DOCUMENTS}/`" if measured.probes or (plan.place / PROBES).exists() else "",
        INI: "the model under test",
    }
    rows = "\n".join(f"| `{name}` | {what} |" for name, what in files.items() if what)
    return f"""# Tests of an embedding model

{WRITTEN} from one measurement of `{plan.spec}`. They are yours: change what you like.

| file | what it holds |
|---|---|
{rows}

{rule}, rounded down to three decimals.
The same model reproduces its score, so it passes; one that loses more fails. The interval in the comments says how the model may do on
other questions of the kind. It is no room for a worse model on the same ones.

## Next

Run them, or plain `pytest` in this folder:

    pytest {here}

Put your own passages and questions into `{OWN_DATA}`, and measure anew; data, documents and probes that are there are kept:

    {plan.command}

Try another model:

    pytest {here} --embedqa-model st:ORG/OTHER

Keep what this model scores, query by query, and hold the next one to it:

    pytest {here} --embedqa-save-baseline={here}/baseline.json
    pytest {here} --embedqa-model st:ORG/NEW --embedqa-baseline={here}/baseline.json

In CI (GitHub Actions); there, missing data fails:

    - uses: actions/setup-python@v5
      with: {{python-version: "3.12"}}
    - run: pip install "pytest-embedqa[quality,invariants,rag]"
    - run: pytest {here} -m "not speed" --embedqa-strict
"""


def _in_docstring(text: str) -> str:
    return text.replace("\\", r"\\").replace('"""', r"\"\"\"")
