"""Whether a test is expected to fail."""

from __future__ import annotations

from functools import partial

import pytest


def would_be_expected(item: pytest.Item) -> bool:
    """Whether pytest takes it for an ``xfail`` if a test fails now by a bound.

    pytest itself is asked, by the report that it makes of such a failure: conditions, ``raises=``, ``--runxfail`` and markers
    that a fixture has added are its affair. Hooks of others, which may keep what they see, are left out.
    """
    manager = item.config.pluginmanager
    judges = {manager.get_plugin("runner"), manager.get_plugin("skipping")}
    others = [plugin for plugin in manager.get_plugins() if plugin not in judges]
    call = pytest.CallInfo.from_call(partial(pytest.fail, pytrace=False), "call")
    report = manager.subset_hook_caller("pytest_runtest_makereport", others)(item=item, call=call)
    return hasattr(report, "wasxfail")
