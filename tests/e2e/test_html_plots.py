"""Plots of the HTML report in a real browser: they come alive under the page's own policy, and ask nobody.

Every message of the console counts, and every violation of the policy is one.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from seatrial.charts.vega import draw
from seatrial.core.comparison import Side
from seatrial.core.document import Block, Document, Folded, Mark, Picture, Pictures, Plot, Text
from seatrial.core.plots import PlotData, Series, Shape
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.html import render
from tests.e2e.browser import Tab, open_tab
from tests.golden.cases import CASES

pytestmark = pytest.mark.slow

LABELS = {Side.BASE: "main 5b174c2", Side.HEAD: "this PR 5601846"}
EVIL = "</script><img src=http://probe.invalid/x.png><script>document.title='taken over'</script>"


def make_plot(shape: Shape, *, text: str = "loss", named: bool = False) -> Plot:
    """A plot of two series of two sides."""
    series = tuple(
        Series(
            side=side,
            name=name,
            points=tuple((f"{text} {at % 3}" if named else at, at * at % 5 + shift, 1.0) for at in range(8)),
            total=8,
        )
        for shift, side in enumerate(Side)
        for name in ("training", text)
    )
    data = PlotData(name="p", title=text, shape=shape, x_label=text, y_label="y", series=series)
    still, live = (draw(data, labels=LABELS, words=f"a plot of {text}", live=live) for live in (False, True))
    return Plot(words=f"a plot of {text}", live=live, still=still)


def make_report(*blocks: Block) -> Report:
    """A report whose part on plots is closed, as every part is."""
    part = Folded(summary=(Text("Plots"),), blocks=blocks)
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(part,))
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)


def make_picture(shade: int) -> Picture:
    """A PNG of two by two grey pixels."""
    rows = (b"\0" + bytes([shade, shade])) * 2
    parts = ((b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return Picture(content=b"\x89PNG\r\n\x1a\n" + b"".join(chunks), media_type="image/png", width=2, height=2)


NAMED = {
    Shape.BAR_HORIZONTAL,
    Shape.BAR_HORIZONTAL_SORTED,
    Shape.CONFUSION,
    Shape.CONFUSION_NORMALIZED,
    Shape.SCATTER_JITTER,
}
EVERY_SHAPE = [make_plot(shape, named=shape in NAMED) for shape in Shape]


def open_plots(tab: Tab, directory: Path, *blocks: Block) -> Page:
    """Open a page, and its part on plots as a reader does; wait until all are alive."""
    tab.open(render(make_report(*blocks), RenderOptions()), directory)
    tab.page.get_by_text("Plots", exact=True).click()
    tab.page.wait_for_function("document.querySelectorAll('[data-plot]:not([data-plot=live])').length === 0")
    return tab.page


def test_every_shape_comes_alive(tab: Tab, tmp_path: Path) -> None:
    """Each is drawn by Vega's interpreter under a policy without eval; the console stays empty."""
    page = open_plots(tab, tmp_path, *EVERY_SHAPE)
    assert page.locator(".live svg").count() >= len(EVERY_SHAPE)
    assert page.locator(".still:visible").count() == 0
    assert (tab.asked, tab.console) == ([], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(scheme: Literal["light", "dark"], browser: Browser, tmp_path: Path) -> None:
    """Alive or still, every shape and every picture has a name and enough contrast."""
    pictures = Pictures(words="two greys", labelled=tuple(((Text(one),), make_picture(9)) for one in ("main", "PR")))
    with open_tab(browser, color_scheme=scheme) as tab:
        open_plots(tab, tmp_path, *EVERY_SHAPE, pictures)
        assert tab.audit() == []
    with open_tab(browser, color_scheme=scheme) as tab:
        still = render(make_report(*EVERY_SHAPE), RenderOptions()).replace("<details>", "<details open>")
        tab.open(still.replace("<script>", "<script type=off>"), tmp_path)
        assert tab.page.locator(".still:visible").count() == len(EVERY_SHAPE)
        assert tab.audit() == []


def test_a_closed_part_costs_nothing(tab: Tab, tmp_path: Path) -> None:
    """Until it is opened a plot is its still drawing, with words for those who can't see it."""
    tab.open(render(make_report(make_plot(Shape.LINEAR)), RenderOptions()), tmp_path)
    assert tab.page.locator(".live").count() == 0
    expect(tab.page.locator(".still[role=img]")).to_have_attribute("aria-label", "a plot of loss")
    assert tab.console == []


def test_a_side_can_be_hidden_by_keyboard(tab: Tab, tmp_path: Path) -> None:
    """A switch is a button that says whether it is pressed; what it hides is no longer drawn."""
    page = open_plots(tab, tmp_path, make_plot(Shape.LINEAR))
    button = page.get_by_role("button", name="main 5b174c2")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.focus()
    page.keyboard.press("Space")
    expect(button).to_have_attribute("aria-pressed", "false")
    lines = page.locator(".live g.mark-line path")
    assert {lines.nth(at).get_attribute("opacity") for at in range(lines.count())} == {"0", "1"}
    expect(page.get_by_role("button", name="this PR 5601846")).to_have_attribute("aria-pressed", "true")


def test_it_answers_to_a_pointer(tab: Tab, tmp_path: Path) -> None:
    """Pointing at a value tells it, with its side and its series, and nothing is left when the pointer goes."""
    page = open_plots(tab, tmp_path, make_plot(Shape.LINEAR))
    page.locator(".live g.mark-symbol path").nth(3).hover()
    expect(page.locator(".tip")).to_contain_text("side")
    assert {"side", "loss", "y", "series"} <= set(page.locator(".tip span:first-child").all_inner_texts())
    page.mouse.move(0, 0)
    expect(page.locator(".tip")).to_be_hidden()


def test_pictures_stand_side_by_side(tab: Tab, tmp_path: Path) -> None:
    """Each with the name of its side, in one row where there is room."""
    labelled = tuple(((Text(name),), make_picture(shade)) for name, shade in (("main", 9), ("this PR", 200)))
    page = open_plots(tab, tmp_path, Pictures(words="two greys", labelled=labelled))
    tops = [box["y"] for at in range(2) if (box := page.locator(".pictures img").nth(at).bounding_box())]
    assert len(tops) == 2
    assert tops[0] == tops[1]
    assert page.locator(".pictures figcaption").all_inner_texts() == ["main", "this PR"]
    assert page.evaluate("[...document.images].every((one) => one.naturalWidth === 2)")


def test_paper_gets_the_still_drawings(tab: Tab, tmp_path: Path) -> None:
    """What moves on a screen is the still picture on paper."""
    page = open_plots(tab, tmp_path, make_plot(Shape.LINEAR))
    page.emulate_media(media="print")
    expect(page.locator(".still")).to_be_visible()
    expect(page.locator(".live")).to_be_hidden()
    expect(page.locator(".sides-shown")).to_be_hidden()


@pytest.mark.parametrize("shape", [Shape.LINEAR, Shape.CONFUSION])
def test_a_strangers_text_stays_text(shape: Shape, tab: Tab, tmp_path: Path) -> None:
    """In the still drawing, in the data, and in what Vega draws of them: nothing loads and nothing runs."""
    page = open_plots(tab, tmp_path, make_plot(shape, text=EVIL, named=True))
    assert (tab.asked, tab.console) == ([], [])
    assert "taken over" not in page.title()
    assert page.locator("img").count() == 0


def test_the_console_would_have_told(tab: Tab, tmp_path: Path) -> None:
    """The checks above can fail: markup that the policy refuses is a message."""
    html = render(make_report(make_plot(Shape.LINEAR)), RenderOptions())
    tab.open(html.replace("</main>", '<p style="color: red"></p></main>'), tmp_path)
    assert any("Content Security Policy" in line for line in tab.console)
