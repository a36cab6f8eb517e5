"""Permissions from the command line. No file can give these options: it could then permit what it does itself."""

from __future__ import annotations

import argparse
import os
import shlex

import pytest

from pytest_embedqa.core.errors import SpecError
from pytest_embedqa.encoders.spec import Spec
from pytest_embedqa.plugin.options import lines_of_ini
from pytest_embedqa.rag.allowed import Allowed, read_hosts, read_rules

_COMMAND_LINE = argparse.ArgumentParser(add_help=False, allow_abbrev=False, fromfile_prefix_chars="@")
_COMMAND_LINE.add_argument("--embedqa-allow-spec", action="append")
_COMMAND_LINE.add_argument("--embedqa-allow-host", action="append")
_COMMAND_LINE.add_argument("--embedqa-allow-outside", action="store_true")


def read_allowed(config: pytest.Config, specs: tuple[Spec, ...]) -> Allowed:
    """Return the permissions of probe files.

    Args:
        config: Configuration of the run.
        specs: Specs that the run may load: those that it tests, and those that an option allows.

    Raises:
        pytest.UsageError: If a value is wrong, or an ini file gives an option that only the command line may give.
    """
    option = config.option
    if not hasattr(config, "workerinput"):  # a worker has the options of the process that started it
        _require_command_line(config)
    try:
        variables = read_rules([*(option.embedqa_probe_env or ()), *lines_of_ini(config, "embedqa_probe_env")])
    except SpecError as error:
        raise pytest.UsageError(f"embedqa_probe_env: {error}") from None
    try:
        hosts = read_hosts(option.embedqa_allow_host or [])
    except SpecError as error:
        raise pytest.UsageError(f"--embedqa-allow-host: {error}") from None
    return Allowed(config.rootpath, option.embedqa_allow_outside, hosts, variables, specs)


def _require_command_line(config: pytest.Config) -> None:
    """Refuse these options in ``addopts``, through which an ini file can give any other option."""
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *map(str, config.invocation_params.args)]
    given, _ = _COMMAND_LINE.parse_known_args(words)
    for name, value in vars(given).items():
        if getattr(config.option, name) != value:
            raise pytest.UsageError(
                f"--{name.replace('_', '-')} can be given only on the command line (or in PYTEST_ADDOPTS in the environment), "
                f"but {config.inipath or 'a file'} gives it: a file can't give itself permissions. Remove it there."
            )
