"""Plots of the HTML report in a real browser: they come alive under the page's own policy, and ask nobody.

The browser prints every message of its console, and every violation of the policy is one.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from seatrial.charts.vega import draw
from seatrial.core.comparison import Side
from seatrial.core.document import Document, Folded, Mark, Plot, Text
from seatrial.core.plots import PlotData, Series, Shape
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.html import render
from tests.golden.cases import CASES

pytestmark = pytest.mark.slow

LABELS = {Side.BASE: "main 5b174c2", Side.HEAD: "this PR 5601846"}
EVIL = "</script><img src=http://probe.invalid/x.png><script>document.title='taken over'</script>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A page's tree after its scripts ran, and what the browser's console said."""

    page: BeautifulSoup
    console: list[str]


def visit(html: str, tmp_path: Path) -> Visit:
    """Open a page in headless Chromium, where no name is resolved."""
    page = tmp_path / "report.html"
    page.write_text(html, encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=True, timeout=240, encoding="utf-8", errors="replace")
    console = [line for line in done.stderr.splitlines() if ":CONSOLE:" in line]
    return Visit(page=BeautifulSoup(done.stdout, "html.parser"), console=console)


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


def make_report(*blocks: Plot) -> Report:
    """A report whose part on plots is closed, as every part is."""
    part = Folded(summary=(Text("Plots"),), blocks=blocks)
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(part,))
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)


def open_all(html: str) -> str:
    """The page with every part open, as a reader opens it."""
    return html.replace("<details>", "<details open>")


def test_every_shape_comes_alive(tmp_path: Path) -> None:
    """Each is drawn by Vega's interpreter under a policy without eval; the console stays empty."""
    named = {Shape.BAR_HORIZONTAL, Shape.BAR_HORIZONTAL_SORTED, Shape.CONFUSION, Shape.SCATTER_JITTER}
    plots = [make_plot(shape, named=shape in named) for shape in Shape]
    seen = visit(open_all(render(make_report(*plots), RenderOptions())), tmp_path)
    assert seen.console == []
    assert [figure["data-plot"] for figure in seen.page.select("figure.plot")] == ["live"] * len(plots)
    assert len(seen.page.select(".live svg[role=graphics-document], .live svg")) >= len(plots)
    assert all(still.has_attr("hidden") for still in seen.page.select(".still"))


def test_a_closed_part_costs_nothing(tmp_path: Path) -> None:
    """Until it is opened a plot is its still drawing, with words for those who can't see it."""
    seen = visit(render(make_report(make_plot(Shape.LINEAR)), RenderOptions()), tmp_path)
    (figure,) = seen.page.select("figure.plot")
    assert not figure.select(".live")
    still = figure.select_one(".still[role=img]")
    assert still
    assert still["aria-label"] == "a plot of loss"
    assert seen.console == []


def test_a_side_can_be_hidden_by_keyboard(tmp_path: Path) -> None:
    """A switch is a button that says whether it is pressed; what it hides is no longer drawn."""
    html = open_all(render(make_report(make_plot(Shape.LINEAR)), RenderOptions()))
    # The page's own policy would refuse a script that is not ours, so it is taken out for this test.
    press = (
        'new MutationObserver((_, watch) => { const found = document.querySelectorAll(".sides-shown button");'
        " if (found.length === 2) { watch.disconnect(); found[0].click(); } })"
        ".observe(document.body, { childList: true, subtree: true });"
    )
    html = html.replace('http-equiv="Content-Security-Policy"', 'name="off"')
    seen = visit(html.replace("</main>", f"</main><script>{press}</script>"), tmp_path)
    buttons = seen.page.select(".sides-shown button")
    assert [(button.get_text(), button["aria-pressed"]) for button in buttons] == [
        ("main 5b174c2", "false"), ("this PR 5601846", "true"),
    ]  # fmt: skip
    lines = seen.page.select(".live g.mark-line path")
    assert {line.get("opacity") for line in lines} == {"0", "1"}


@pytest.mark.parametrize("shape", [Shape.LINEAR, Shape.CONFUSION])
def test_a_strangers_text_stays_text(shape: Shape, tmp_path: Path) -> None:
    """In the still drawing, in the data, and in what Vega draws of them: nothing loads and nothing runs."""
    seen = visit(open_all(render(make_report(make_plot(shape, text=EVIL, named=True)), RenderOptions())), tmp_path)
    assert seen.console == []
    assert seen.page.title
    assert "taken over" not in seen.page.title.text
    assert not seen.page.select("img")
    assert seen.page.select("figure.plot")[0]["data-plot"] == "live"


def test_the_console_would_have_told(tmp_path: Path) -> None:
    """The checks above can fail: markup that the policy refuses is a message."""
    html = render(make_report(make_plot(Shape.LINEAR)), RenderOptions())
    seen = visit(html.replace("</main>", '<p style="color: red"></p></main>'), tmp_path)
    assert any("Content Security Policy" in line for line in seen.console)
