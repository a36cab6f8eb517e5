"""The report as one page that works offline: nothing is loaded, and no text of a run can run as code."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_embedqa.reports.html import words
from pytest_embedqa.reports.html.bars import WIDTH
from pytest_embedqa.reports.html.view import view
from pytest_embedqa.reports.run import Run

if TYPE_CHECKING:
    from jinja2 import Template

_HERE = Path(__file__).parent


def render(run: Run) -> str:
    """Return the report as an HTML page.

    Args:
        run: The run to report.
    """
    return words.visible(_template().render(view(run)))


@lru_cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # of the extra "report"
    from markupsafe import Markup  # comes with jinja2

    # Autoescape keeps texts from acting as markup; the page's policy stops what would get past it.
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": words.number,
        "cut": words.cut,
        "share": words.share,
        "duration": words.duration,
    }
    style, script = (_HERE.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment.globals |= {
        "style": Markup(style),  # noqa: S704  our own file
        "script": Markup(script),  # noqa: S704  our own file
        "policy": f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data:; base-uri 'none'; form-action 'none'",
        "picture": Markup,  # an SVG made by the plotting library
        "most_passage": words.MOST_PASSAGE,
        "width": WIDTH,
    }
    return environment.get_template("page.html.jinja")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
