"""A real browser that reaches nothing but the page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The run that these tests show.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page from a file, without a network; at the end nothing may have been asked for, said or gone wrong.

    ``show(html, silent=False, **context)`` lets the browser say what the page's policy stopped.
    """
    contexts, problems = [], []

    def opened(html, *, silent=True, **context):
        file = tmp_path / f"report{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        contexts.append(browser.new_context(**context))
        contexts[-1].set_offline(True)
        page = contexts[-1].new_page()
        wanted = {file.as_uri(), "data:,"}
        page.on("request", lambda request: request.url.partition("#")[0] in wanted or problems.append(request.url))
        # One that the page's policy stopped never left; the browser says so.
        page.on("requestfailed", lambda request: problems.remove(request.url) if request.failure == "csp" else None)
        page.on("dialog", lambda dialog: (problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: problems.append(str(error)))
        if silent:
            page.on("console", lambda message: problems.append(message.text))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
