"""The example workflows and the example stack: valid for their readers, and true to this plugin."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from pytest_embedqa import commands
from pytest_embedqa.encoders.spec import parse_spec
from pytest_embedqa.rag import openwebui

EXAMPLES = Path(__file__).parents[2] / "examples"
GITHUB, GITLAB = EXAMPLES / "ci" / "github-actions.yml", EXAMPLES / "ci" / "gitlab-ci.yml"
STACK = EXAMPLES / "knowledge-base"
COMPOSE = STACK / "compose.yaml"
REQUIREMENT = re.compile(r"pytest-embedqa\[([\w,]+)\]")


def load(path):
    """A YAML file."""
    return YAML(typ="safe").load(path)


def scripts():
    """Every script of the examples, with the file that it stands in."""
    for job in load(GITHUB)["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                yield GITHUB.name, step["run"]
    for job in load(GITLAB).values():
        for script in (*job.get("before_script", ()), *job.get("script", ())):
            yield GITLAB.name, script
    yield COMPOSE.name, load(COMPOSE)["services"]["tests"]["command"][-1].replace("exec pytest", "pytest")


def calls(program):
    """Arguments of each call of a program, with the file that it stands in."""
    for file, script in scripts():
        for line in script.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words[:1] == [program]:
                yield file, words[1:]


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        (GITHUB, "vendor.github-workflows"),
        (GITHUB, "custom.github-workflows-require-timeout"),
        (GITLAB, "vendor.gitlab-ci"),
        (COMPOSE, "vendor.compose-spec"),
    ],
)
def test_each_file_is_valid_for_its_reader(path, schema):
    """GitHub, GitLab and Compose would take it, by their published schemas."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_compose_takes_the_stack(tmp_path):
    """Compose itself reads the file, with the settings that the README asks for."""
    try:
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs Docker Compose: docker compose version")
    settings = tmp_path / "env"
    text = (STACK / ".env.example").read_text(encoding="utf-8")
    settings.write_text(re.sub("=$", "=secret", text, flags=re.MULTILINE), encoding="utf-8")
    command = ["docker", "compose", "--env-file", str(settings), "--file", str(COMPOSE), "--profile", "tests"]
    done = subprocess.run([*command, "config", "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_option_of_pytest_exists(pytestconfig):
    """No example names an option that pytest and this plugin do not have; each of the gate's is used in both systems."""
    used = [(file, word) for file, words in calls("pytest") for word in words if word.startswith("-")]
    _, unknown = pytestconfig._parser.parse_known_and_unknown_args([word for _, word in used if word[:2] == "--"])
    assert unknown == []
    gate = {f"--embedqa-{name}" for name in ("baseline", "save-baseline", "store", "datasets", "html", "json")}
    for name in (GITHUB.name, GITLAB.name):
        assert gate | {"--junitxml"} <= {word.partition("=")[0] for file, word in used if file == name}


def test_every_call_of_our_command_is_understood():
    """The arguments of ``embedqa`` in an example are those that its parser takes, and its tasks are the variable's."""
    modules = {name: importlib.import_module(f"pytest_embedqa.commands.{name}") for name in commands.COMMANDS}
    parser = commands._parser(modules)
    found = list(calls("embedqa"))
    assert {file for file, _ in found} == {GITHUB.name, GITLAB.name}
    tasks = {load(GITHUB)["env"]["TASKS"], load(GITLAB)["variables"]["TASKS"]}
    assert len(tasks) == 1
    for _, words in found:
        assert parser.parse_args(words).tasks == ["$TASKS"]


def test_what_the_examples_install_exists():
    """Extras in an example are extras of this package."""
    texts = [(EXAMPLES / "ci" / "requirements.txt").read_text(encoding="utf-8"), COMPOSE.read_text(encoding="utf-8")]
    extras = {extra for text in texts for found in REQUIREMENT.findall(text) for extra in found.split(",")}
    assert extras == {"quality", "report", "rag", "openai"}
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras <= set(project["optional-dependencies"])


def test_reports_and_the_store_outlive_a_run_that_fails():
    """What is written is what is kept: artifacts and the cache of vectors, also where the gate fails."""
    steps = load(GITHUB)["jobs"]["gate"]["steps"]
    last = steps[next(place for place, step in enumerate(steps) if "pytest" in step.get("run", "")) + 1 :]
    assert [step["if"] for step in last] == ["always()"] * 2
    kept = {step["with"]["path"].rstrip("/") for step in last}
    gate = load(GITLAB)["gate"]
    stores = [one for one in load(GITLAB)[".embeddings"]["cache"] if one["key"] == "embedqa-store"]
    assert gate["artifacts"]["when"] == stores[0]["when"] == "always"
    for words in (words for file, words in calls("pytest") if file != COMPOSE.name):
        values = dict(word[2:].split("=", 1) for word in words if "=" in word)
        written = {
            Path(values[name]).parts[0] for name in ("embedqa-store", "junitxml", "embedqa-html") & values.keys()
        }
        assert written <= kept
    assert gate["artifacts"]["reports"]["junit"] == "reports/junit.xml"
    assert {*gate["artifacts"]["paths"], *stores[0]["paths"]} == {"reports/", ".embedqa"}


def test_a_pull_request_can_change_nothing():
    """The gate may only read; only the job that a person starts may write."""
    workflow = load(GITHUB)
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["gate"]
    assert workflow["jobs"]["accept"]["if"] == "github.event_name == 'workflow_dispatch'"
    assert not [script for _, script in scripts() if "${{" in script]


def test_the_services_of_the_stack_find_each_other():
    """Addresses, the name of the model and the credentials are the same wherever they stand."""
    services = load(COMPOSE)["services"]
    environment, (_, words) = (
        services["openwebui"]["environment"],
        next(one for one in calls("pytest") if "suites" in one[1]),
    )
    values = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    model = parse_spec(values["embedqa-model"])
    assert f"--served-model-name={model.model}" in services["vllm"]["command"]
    assert environment["RAG_EMBEDDING_MODEL"] == model.model
    assert environment["RAG_OPENAI_API_BASE_URL"] == model.options["url"]
    live = openwebui.parse_openwebui(values["embedqa-retriever"])
    for url, service in ((model.options["url"], "vllm"), (live.url, "openwebui")):
        address = urlsplit(url)
        assert address.hostname == service
        assert f"127.0.0.1:{address.port}" in str(services[service]["healthcheck"]["test"])
        assert services["tests"]["depends_on"][service] == {"condition": "service_healthy"}
    tests = services["tests"]["environment"]
    assert tests[openwebui._EMAIL] == environment["WEBUI_ADMIN_EMAIL"]
    assert tests[openwebui._PASSWORD] == environment["WEBUI_ADMIN_PASSWORD"]


@pytest.mark.slow
def test_the_suite_of_the_stack_holds_with_the_built_in_chain(tmp_path):
    """Its probes are passed by the model that the stack serves, so that a failure is the stack's."""
    command = [sys.executable, "-m", "pytest", str(STACK / "suites"), "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", "not server", f"--embedqa-store={tmp_path}/v.sqlite", f"--rootdir={STACK}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "6 of 6 probes hold" in done.stdout
