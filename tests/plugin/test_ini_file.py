"""The ini file: numbers, booleans and lists of TOML as they are written, and texts everywhere."""

from __future__ import annotations

import pytest

PROBE = """
def test_it(request):
    from pytest_embedqa.plugin.state import settings_of

    settings = settings_of(request.config)
    print("\\nREAD", settings.max_regression, settings.min_speed_ratio, *map(str, settings.models), settings.store)
"""
TOML = pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest reads native TOML from 9 on")
ONE = "READ 0.02 0.9 python:bag:encode None"


@pytest.fixture
def read(pytester, monkeypatch):
    """What a run reads of a file with settings."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(PROBE)
    for old in pytester.path.glob("*.ini"):
        old.unlink()

    def run(name, text, *options):
        (pytester.path / name).write_text(text, encoding="utf-8")
        return pytester.runpytest_inprocess("-s", *options)

    return run


def body(head, model, store, drop, ratio):
    """A file with all of our settings that take more than a text."""
    return (
        f"[{head}]\nembedqa_model = {model}\nembedqa_store = {store}\n"
        f"embedqa_max_regression = {drop}\nembedqa_min_speed_ratio = {ratio}\n"
    )


TEXTS = ('"python:bag:encode"', '"off"', '"0.02"', '"0.9"')
NATIVE = ('["python:bag:encode"]', "false", "0.02", "0.9")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", body("pytest", "python:bag:encode", "off", "0.02", "0.9")),
        ("pytest.ini", body("pytest", "\n  python:bag:encode", "off", "2e-2", ".9")),
        ("pyproject.toml", body("tool.pytest.ini_options", *TEXTS)),
        ("pyproject.toml", body("tool.pytest.ini_options", '["python:bag:encode"]', '"off"', "0.02", "0.9")),
        pytest.param("pytest.toml", body("pytest", *TEXTS), marks=TOML),
        pytest.param("pytest.toml", body("pytest", *NATIVE), marks=TOML),
        pytest.param("pyproject.toml", body("tool.pytest", *NATIVE), marks=TOML),
    ],
)
def test_settings_of_every_kind_of_file(read, name, text):
    """A number, a text, a list and a boolean say the same wherever they can be written, and warn of nothing."""
    result = read(name, text, "-W", "error::pytest.PytestWarning")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([ONE])


@TOML
def test_several_models_and_whole_numbers(read):
    """A list makes a comparison; 0 is a number too; ``true`` is the default store; the command line goes before all."""
    text = body("pytest", '["python:bag:encode", "python:bag:other"]', "true", "0", "0.5")
    read("pytest.toml", text).stdout.fnmatch_lines(["READ 0.0 0.5 python:bag:encode python:bag:other /*"])
    one = read("pytest.toml", text, "-o", "embedqa_max_regression=0.03", "--embedqa-model=python:bag:coarse")
    one.stdout.fnmatch_lines(["READ 0.03 0.5 python:bag:coarse /*"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("embedqa_max_regression = true", "*embedqa_max_regression*bool*", marks=TOML),
        pytest.param("embedqa_max_regression = [0.1]", "*embedqa_max_regression*list*", marks=TOML),
        pytest.param('embedqa_max_regression = "much"', "*embedqa_max_regression = much in the ini file: a number from 0 up to 1*", marks=TOML),
        pytest.param("embedqa_max_regression = nan", "*embedqa_max_regression = nan in the ini file: a number from 0*", marks=TOML),
        pytest.param("embedqa_model = 5", "*embedqa_model*int*", marks=TOML),
        pytest.param('embedqa_datasets = ["a"]', "*embedqa_datasets*expects a string, got list*", marks=TOML),
    ],
)  # fmt: skip
def test_values_that_say_nothing(read, text, says):
    """One usage error that names the setting, and no traceback."""
    result = read("pytest.toml", f'[pytest]\nembedqa_store = "off"\n{text}\n')
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert "Traceback" not in result.stderr.str()
