"""The HTML report in a real browser, used as people use it: by mouse, by keyboard, in the dark, on paper, on a phone.

It asks nobody for anything, its console is silent, and axe-core finds nothing that shuts anybody out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from seatrial.core.document import Align, Code, Column, Document, Folded, Mark, Sign, Table, Text
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.html import render
from tests.e2e.browser import Tab, open_tab
from tests.golden.cases import CASES

pytestmark = pytest.mark.slow

PROBE = '<img src="http://probe.invalid/x.png"><script>document.title = "taken over"</script>'
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
OPEN_ALL = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"


@pytest.fixture
def failed(tab: Tab, tmp_path: Path) -> Page:
    """The page of a report with four gates, of which one failed."""
    tab.open(render(CASES["failed"], RenderOptions()), tmp_path)
    return tab.page


@pytest.fixture
def long(tab: Tab, tmp_path: Path) -> Page:
    """The page of a report with one closed part, a table of thirty rows."""
    tab.open(render(lay_out_rows(30), RenderOptions()), tmp_path)
    return tab.page


def lay_out_rows(number: int) -> Report:
    """A report whose table has a row for every slice, each third of them worse."""
    columns = (
        Column(title=(), align=Align.CENTRE),
        Column(title=(Text("slice"),)),
        Column(title=(Text("change"),), align=Align.RIGHT),
        Column(title=()),
    )
    rows = tuple(
        (
            (Sign(Mark.PASSED if at % 3 else Mark.FAILED),),
            (Code(f"carrier=C{at:02}"),),
            (Text(f"{'−' if at % 2 else '+'}{at / 1000:.3f}"),),
            (Text("" if at % 3 else "worse"),),
        )
        for at in range(number)
    )
    part = Folded(summary=(Text("Slices"),), blocks=(Table(columns=columns, rows=rows),))
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(part,))
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)


def list_names(page: Page, *, table: int = 0) -> list[str]:
    """The first words of the rows that a reader sees."""
    heads = page.locator("table").nth(table).locator("tbody tr:visible th")
    return [text.replace("\u00a0", " ") for text in heads.all_inner_texts()]


# --- Asking and running -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_a_report_asks_nobody(case: str, tab: Tab, tmp_path: Path) -> None:
    """Opening a report makes no request and leaves the console empty, with all its parts open, too."""
    tab.open(render(CASES[case], RenderOptions()), tmp_path)
    tab.page.evaluate(OPEN_ALL)
    assert tab.page.title()
    assert (tab.asked, tab.console) == ([], [])


def test_the_browser_would_have_told(tab: Tab, tmp_path: Path) -> None:
    """The check above can fail: without our policy and escaping the same names do ask and do run."""
    tab.open(f"<!doctype html><title>x</title>{PROBE}", tmp_path)
    assert tab.page.title() == "taken over"
    assert tab.asked == ["http://probe.invalid/x.png"]


def test_the_policy_holds_where_escaping_would_not(tab: Tab, tmp_path: Path) -> None:
    """Markup put into a finished report by hand neither loads nor runs: escaping is not the only wall."""
    tab.open(render(CASES["failed"], RenderOptions()).replace("</main>", f"{PROBE}</main>"), tmp_path)
    assert tab.page.title() != "taken over"
    assert tab.asked == []
    assert all("Content Security Policy" in line for line in tab.console)


# --- Sorting and filtering --------------------------------------------------------------------------------------------


def test_numbers_are_sorted_as_numbers(failed: Page) -> None:
    """A click sorts by value (U+2212 is a minus), a second turns the order, a third brings the policy's order back."""
    as_judged = list_names(failed)
    cells = failed.locator("table").first.locator("tbody tr td:nth-child(5)")
    head = failed.locator("table").first.locator("thead th").nth(4)

    def list_values() -> list[float]:
        return [float(text.split()[0].replace("−", "-")) for text in cells.all_inner_texts() if text]

    values = list_values()
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert list_values() == sorted(values) != values
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert list_values() == sorted(values, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert list_names(failed) == as_judged


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("C07", ["carrier=C07"]),
        ("c0 failed", ["carrier=C00", "carrier=C03", "carrier=C06", "carrier=C09"]),
        ("c0  -worse −0", ["carrier=C01", "carrier=C05", "carrier=C07"]),
        ("no such row", []),
    ],
)
def test_rows_are_filtered_by_words(typed: str, left: list[str], long: Page) -> None:
    """Every word must stand in a row, in any case, signs by their names; one behind a minus must not."""
    long.get_by_text("Slices").click()
    long.get_by_label("Filter rows").fill(typed)
    assert list_names(long) == left
    expect(long.locator("output")).to_have_text(f"{len(left)} of 30 rows")
    long.get_by_label("Filter rows").fill("")
    assert len(list_names(long)) == 30
    expect(long.locator("output")).to_have_text("")


def test_a_filter_survives_sorting(long: Page) -> None:
    """What was left out stays out in another order."""
    long.get_by_text("Slices").click()
    long.get_by_label("Filter rows").fill("worse C0")
    long.get_by_role("button", name="change").click()
    assert list_names(long) == ["carrier=C09", "carrier=C03", "carrier=C00", "carrier=C06"]


def test_a_short_table_has_no_filter(failed: Page) -> None:
    """Four rows are seen at a glance."""
    assert failed.get_by_label("Filter rows").count() == 0


def test_ten_thousand_rows_are_filtered(tab: Tab, tmp_path: Path) -> None:
    """A report of that size still answers."""
    tab.open(render(lay_out_rows(10_000), RenderOptions()), tmp_path)
    tab.page.get_by_text("Slices").click()
    tab.page.get_by_label("Filter rows").fill("C9999")
    expect(tab.page.locator("output")).to_have_text("1 of 10,000 rows")


# --- Who has no mouse, no light, no screen ----------------------------------------------------------------------------


def test_everything_is_reached_by_keyboard(long: Page) -> None:
    """Tab leads to parts, filter and heads in the order of reading; Enter opens and sorts; the focus can be seen."""
    reached = []
    for key in ("Enter", None, None, "Enter"):
        long.keyboard.press("Tab")
        reached.append(long.evaluate("[document.activeElement.localName, document.activeElement.textContent.trim()]"))
        assert long.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if key:
            long.keyboard.press(key)
    assert reached == [["summary", "Slices"], ["input", ""], ["button", "slice"], ["button", "change"]]
    assert list_names(long)[0] == "carrier=C29"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_is_shut_out(scheme: Scheme, browser: Browser, tmp_path: Path) -> None:
    """Names, roles, order and contrast of every kind of report, with everything open, are what axe-core asks for."""
    with open_tab(browser, color_scheme=scheme) as tab:
        for case, report in CASES.items():
            tab.open(render(report, RenderOptions()), tmp_path)
            tab.page.evaluate(OPEN_ALL)
            assert (case, tab.audit()) == (case, [])


def test_axe_would_have_told(tab: Tab, tmp_path: Path) -> None:
    """The check above can fail: pale words, a picture and a field without names."""
    body = '<p style="color: #ccc">pale words</p><img src="data:,"><input>'
    page = f'<!doctype html><html lang="en"><title>x</title><main><h1>words</h1>{body}</main>'
    tab.open(page, tmp_path)
    assert {line.partition(":")[0] for line in tab.audit()} == {"color-contrast", "image-alt", "label"}


def test_it_is_dark_where_the_system_is(browser: Browser, tmp_path: Path) -> None:
    """The reader's own setting decides, with no switch and nothing to store."""
    shades = {}
    for scheme in SCHEMES:
        with open_tab(browser, color_scheme=scheme) as tab:
            tab.open(render(CASES["failed"], RenderOptions()), tmp_path)
            shades[scheme] = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shades == {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 20, 26)"}


def test_paper_shows_what_is_folded(failed: Page) -> None:
    """Printing opens every part, on white, without the arrows of a screen; afterwards all is as it was."""
    failed.get_by_text("Parameters:").click()
    before = failed.evaluate("[...document.querySelectorAll('details')].map((part) => part.open)")
    assert {True, False} == set(before)
    failed.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert failed.evaluate("[...document.querySelectorAll('details')].every((part) => part.open)")
    failed.emulate_media(media="print", color_scheme="dark")
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    assert failed.evaluate(colours) == ["rgb(255, 255, 255)", "rgb(27, 36, 48)"]
    assert failed.pdf().startswith(b"%PDF")
    failed.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert failed.evaluate("[...document.querySelectorAll('details')].map((part) => part.open)") == before


def test_nothing_is_wider_than_paper(browser: Browser, tmp_path: Path) -> None:
    """No column of any report is cut off on A4, with the margins that browsers leave."""
    with open_tab(browser, viewport={"width": 718, "height": 1046}) as tab:
        for case, report in CASES.items():
            tab.open(render(report, RenderOptions()), tmp_path)
            tab.page.emulate_media(media="print")
            tab.page.evaluate(OPEN_ALL)
            boxes = tab.page.locator(".scroll").evaluate_all(
                "(all) => all.map((one) => one.scrollWidth - one.clientWidth)"
            )
            assert (case, [excess for excess in boxes if excess > 0]) == (case, [])


@pytest.mark.parametrize("case", ["failed", "hostile-names", "truncated"])
def test_nothing_is_wider_than_a_telephone(case: str, browser: Browser, tmp_path: Path) -> None:
    """Rows become cards, and nothing has to be scrolled to the side."""
    with open_tab(browser, viewport={"width": 360, "height": 740}) as tab:
        tab.open(render(CASES[case], RenderOptions()), tmp_path)
        tab.page.evaluate(OPEN_ALL)
        wide, room = tab.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= room


def test_it_says_the_same_without_its_script(browser: Browser, tmp_path: Path) -> None:
    """Where scripts are off, nothing is missing but what answers."""
    texts = []
    for enabled in (True, False):
        with open_tab(browser, java_script_enabled=enabled) as tab:
            tab.open(render(CASES["failed"], RenderOptions()), tmp_path)
            texts.append(tab.page.locator("main").inner_text())
    assert json.dumps(texts[0]) == json.dumps(texts[1])
