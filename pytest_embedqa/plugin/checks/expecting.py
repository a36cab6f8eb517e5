"""Tests that are expected to fail."""

from __future__ import annotations

from functools import partial

import pytest


def would_be_expected(item: pytest.Item) -> bool:
    """Return whether pytest would report a failed bound of this test as an ``xfail``.

    pytest itself is asked, through the report that it makes of such a failure: conditions, ``raises=``, ``--runxfail``
    and markers added by a fixture are its affair. Hooks of other plugins, which may keep what they see, are left out.
    """
    manager = item.config.pluginmanager
    judges = {manager.get_plugin("runner"), manager.get_plugin("skipping")}
    others = [plugin for plugin in manager.get_plugins() if plugin not in judges]
    call = pytest.CallInfo.from_call(partial(pytest.fail, pytrace=False), "call")
    report = manager.subset_hook_caller("pytest_runtest_makereport", others)(item=item, call=call)
    return hasattr(report, "wasxfail")
