"""The HTML report in a real browser: what a reader sees, clicks, types and prints, and what must not run."""

from __future__ import annotations

import io

import pytest
from example_run import example, hostile, large

from pytest_embedqa.reports.html import render

PHONE = {"viewport": {"width": 360, "height": 740}}


@pytest.fixture(scope="module")
def pages():
    """Each page once: of all that can be shown, of texts that attack it, of many tests."""
    return {"all": render(example()), "hostile": render(example(hostile())), "large": render(large())}


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    """Colours that the reader's system asks for."""
    return request.param


def rows(page):
    """Tasks of the table of thresholds, as far as they are shown, in order."""
    return page.locator("#rows > tr:visible th").all_inner_texts()


def test_page_asks_for_nothing_and_says_nothing(show, pages):
    """A page from a file, without a network, shows its verdict; no request, no message, no error."""
    page = show(pages["all"])
    assert page.locator("h1").inner_text() == "✗ FAILED"


@pytest.mark.parametrize("context", [{}, PHONE], ids=["desktop", "phone"])
def test_hostile_texts_stay_texts(show, pages, context):
    """Texts that try to be scripts, tags or templates are shown; no dialog opens, and no column pushes the page wide."""
    page = show(pages["hostile"], **context)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert page.locator("img, [onclick], [onerror]").count() == 0
    assert "<script>alert(1)</script>" in page.locator("main").inner_text()
    assert "{{7*7}} ${7*7} {% raw %}" in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_policy_stops_what_is_not_escaped(show, pages):
    """Were a text ever written as it is, the page's own policy would keep it from running and from asking."""
    attack = (
        "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'><style>h1 { color: rgb(1, 2, 3) }</style>"
    )
    assert "a question" in pages["all"]
    page = show(pages["all"].replace("a question", attack), silent=False)
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None
    assert page.locator("h1").evaluate("(one) => getComputedStyle(one).color") != "rgb(1, 2, 3)"


def test_filters_count_what_they_show(show, pages):
    """Text, verdict, kind and model narrow the table down together; the count says how far; one button shows all."""
    page = show(pages["all"])
    total = len(rows(page))
    assert page.locator("#shown").inner_text() == f"{total} of {total} shown"
    page.get_by_label("Find").fill("FAQ ndcg")
    assert rows(page) == ["faq", "faq", "faq"]
    assert page.locator("#shown").inner_text() == f"3 of {total} shown"
    page.get_by_label("Verdict").select_option("FAIL")
    assert rows(page) == ["faq"]
    page.get_by_role("button", name="Show all").click()
    assert len(rows(page)) == total
    page.get_by_label("Kind").select_option("parity")
    assert rows(page) == ["parity"]
    page.get_by_role("button", name="Show all").click()
    page.locator("select[name=model]").select_option("1")
    assert rows(page) == ["faq"]
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Find").fill("test_parity")
    assert rows(page) == ["parity"]


def test_columns_sort_both_ways(show, pages):
    """A click on a head sorts by it, the next the other way round; numbers as numbers, and what is none comes last."""
    page = show(pages["all"])
    table = page.locator("#thresholds table")

    def values():
        return [text.split()[0] for text in table.locator("tbody td:nth-child(4)").all_inner_texts()]

    table.get_by_role("button", name="value").click()
    ascending = values()
    assert ascending[-1] == "NaN"
    assert [float(one) for one in ascending[:-1]] == sorted(float(one) for one in ascending[:-1])
    assert table.locator("[aria-sort]").get_attribute("aria-sort") == "ascending"
    table.get_by_role("button", name="value").click()
    descending = [float(one) for one in values()[:-1]]
    assert descending == sorted(descending, reverse=True)
    assert table.locator("[aria-sort]").get_attribute("aria-sort") == "descending"
    table.get_by_role("button", name="verdict").click()
    assert table.locator("tbody td:first-child").first.inner_text() == "✗ FAIL"
    assert table.locator("[aria-sort]").count() == 1


def test_keyboard_is_enough(show, pages):
    """The first key leads past the contents; what is closed opens by a key; a head sorts by one; focus can be seen."""
    page = show(pages["all"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.locator("#test-0 pre").is_visible()
    page.get_by_label("Find").focus()
    page.keyboard.type("speed")
    assert rows(page) == ["speed"]
    page.locator("#thresholds thead button").first.focus()
    page.keyboard.press("Space")
    assert page.locator("#thresholds [aria-sort]").count() == 1


def test_links_open_what_they_point_at(show, pages):
    """The link of a task leads to its test, also where that is folded away."""
    page = show(pages["all"])
    assert not page.locator("#test-4").is_visible()
    page.locator("#rows").get_by_role("link", name="parity", exact=True).click()
    assert page.locator("#test-4").is_visible()
    assert "test_parity" in page.locator("#test-4").inner_text()


def test_page_fits_a_phone(show, pages):
    """At 360 pixels nothing pushes the page wide, not even with all opened: wide tables scroll in their own boxes."""
    page = show(pages["all"], **PHONE)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#rows tr").first.locator("td").nth(2).bounding_box()["x"] < 360


def test_accessible_in_both_schemes(show, pages, scheme):
    """axe-core finds nothing with all opened, contrast included, in light and in dark colours."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    page = show(pages["all"], color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 19, 24)"
    assert dark == (scheme == "dark")


def test_prints_what_is_folded_away(show, pages):
    """Printed, the failure's whole text and the passages are there, and the filters are not."""
    pypdf = pytest.importorskip("pypdf", reason="needs the package pypdf")
    page = show(pages["all"])
    assert not page.locator("#test-0").is_visible()
    text = "\n".join(one.extract_text() for one in pypdf.PdfReader(io.BytesIO(page.pdf())).pages)
    assert "not among the 2 passages" in text
    assert "encoder" in text.partition("Thresholds")[0]
    assert "Show all" not in text


def test_readable_without_javascript(show, pages):
    """Without scripts every row is there, the links work, and no control that would do nothing is shown."""
    page = show(pages["all"], java_script_enabled=False)
    assert page.locator("#rows > tr").count() == 8
    assert not page.locator("#filters").is_visible()
    assert page.locator("thead button").count() == 0
    page.locator("summary").first.click()
    assert page.locator("#test-0 pre").is_visible()


def test_many_tests_can_be_searched(show, pages):
    """A page of 500 tests and 3,000 verdicts answers what is typed."""
    page = show(pages["large"])
    page.get_by_label("Find").fill("task123")
    assert page.locator("#shown").inner_text() == "6 of 3000 shown"
    page.get_by_label("Find").fill("")
    page.get_by_label("Verdict").select_option("FAIL")
    assert page.locator("#shown").inner_text() == "300 of 3000 shown"
