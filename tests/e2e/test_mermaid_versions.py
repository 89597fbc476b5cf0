"""Charts of comments in the Mermaid of forges: GitLab has long been at 10.7, GitHub takes the newest.

A chart that Mermaid can't parse is a red box in a comment. Five hundred are made of numbers and names of every kind,
written into a comment as a report is, taken out of it again, and given to each version.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from seatrial.charts.mermaid import line_chart, overlay_chart
from seatrial.charts.pipeline import draw_pipeline
from seatrial.core.document import Diagram, Document, Mark, Text
from seatrial.core.metrics import FileRecord, StageRecord
from seatrial.render import RenderOptions
from seatrial.render.markdown import render_document
from tests.e2e.browser import Tab, open_tab
from tests.e2e.hostile import ATTACKS

pytestmark = pytest.mark.slow

VERSIONS = ("10", "11", "12")
BUNDLES = Path(__file__).with_name("node_modules")
CHARTS = 500
# Words that mean something to Mermaid, in names where they should not.
KEYWORDS = (
    "end", "subgraph", "graph TD", "flowchart LR", "click s0", "style s0 fill:#f00", "classDef x", "class", "default",
    "xychart-beta", "title", "x-axis", "y-axis", "line [1]", "bar [1, 2]", "%% comment", "%%{init: {}}%%", "---",
    "o--o", "accTitle: x", "---\ntitle: x\n---", "&quot;", "#quot;", '"', "`", "[[", "]]", "((", "-->", "|x|", ";",
    "1", "-1", "NaN", "", "\u3164", "\u115f",
)  # fmt: skip
NUMBERS: tuple[float | None, ...] = (
    0.0, -0.0, 1.0, -1.0, 0.1, 1e-5, 3e-5, 1e-11, 1e-300, 5e-324, 1e6, 123456789.123, 1e14, 1e15, 1e16, 1e300, -1e9,
    None, float("nan"), float("inf"), float("-inf"),
)  # fmt: skip


def make_name(draw: random.Random) -> str:
    """A name as nobody would give it, or as everybody would."""
    kinds: tuple[Callable[[], str], ...] = (
        lambda: draw.choice(KEYWORDS),
        lambda: draw.choice(list(ATTACKS.values())),
        lambda: "".join(draw.choices(string.printable, k=draw.randint(0, 30))),
        lambda: "".join(chr(draw.randint(1, 0x2FFF)) for _ in range(draw.randint(1, 12))),
        lambda: draw.choice(("recall", "train.loss", "mAP50-95(B)", "5b174c2", "Größe", "漢字", "carrier=F9")),
    )
    return " ".join(draw.choice(kinds)() for _ in range(draw.randint(1, 2)))


def make_number(draw: random.Random) -> float | None:
    """A value as an evaluation may end with it."""
    return draw.choice((draw.choice(NUMBERS), draw.random(), draw.gauss(0, 10 ** draw.randint(-12, 12))))


def make_line(draw: random.Random) -> str | None:
    """The trend of a metric."""
    points = [(make_name(draw), make_number(draw)) for _ in range(draw.randint(0, 60))]
    return line_chart(title=make_name(draw), unit=make_name(draw), points=points)


def make_overlay(draw: random.Random) -> str | None:
    """A plot of both sides."""
    base, head = (
        [(make_number(draw) or 0.0, make_number(draw) or 0.0) for _ in range(draw.randint(2, 40))] for _ in range(2)
    )
    return overlay_chart(title=make_name(draw), x=make_name(draw), y=make_name(draw), base=base, head=head)


def make_pipeline(draw: random.Random) -> str | None:
    """Stages that read what those before them wrote, some of them loops."""
    names = [make_name(draw) + draw.choice(("", "@item", "@a@b")) for _ in range(draw.randint(2, 12))]

    def stage(at: int) -> StageRecord:
        deps = {f"f{draw.randrange(at)}" for _ in range(draw.randint(1, 3))} if at else set()
        records = tuple(FileRecord(path=path, digest="a") for path in sorted(deps))
        return StageRecord(
            address=names[at], command="run", deps=records, outs=(FileRecord(path=f"f{at}", digest="a"),)
        )

    stages = [stage(at) for at in range(len(names))]
    return draw_pipeline(stages, {name for name in names if draw.random() < 0.3})


@cache
def list_charts() -> list[str]:
    """The sources, as they stand in a comment."""
    diagrams = [Diagram(title="chart", source=source) for source in make_charts()]
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=tuple(diagrams))
    return re.findall(r"^```mermaid\n(.*?)\n```$", render_document(document, RenderOptions()), re.DOTALL | re.MULTILINE)


def make_charts() -> Iterator[str]:
    """As many of each kind, the same in every run."""
    draw = random.Random(20261123)
    made = 0
    while made < CHARTS:
        source = (make_line, make_overlay, make_pipeline)[made % 3](draw)
        if source is not None:
            made += 1
            yield source


@pytest.fixture(scope="module", params=VERSIONS)
def mermaid(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Tab]:
    """An empty page with one version of Mermaid, set up as forges set it up."""
    bundle = BUNDLES / f"mermaid-{request.param}" / "dist" / "mermaid.min.js"
    assert bundle.exists(), "npm ci --prefix tests/e2e"
    with open_tab(browser) as tab:
        tab.page.goto("about:blank")
        tab.page.add_script_tag(path=bundle)
        tab.page.evaluate("mermaid.initialize({startOnLoad: false, securityLevel: 'strict'})")
        yield tab


PARSE = """async (sources) => {
  const refused = [];
  for (const source of sources) {
    try { await mermaid.parse(source); } catch (error) { refused.push([source, String(error)]); }
  }
  return refused;
}"""


def test_every_chart_parses(mermaid: Tab) -> None:
    """Whatever numbers and names are in it."""
    charts = list_charts()
    assert len(charts) == CHARTS
    assert mermaid.page.evaluate(PARSE, charts) == []


def test_charts_are_drawn_with_their_names_alone(mermaid: Tab) -> None:
    """A drawing of each kind holds no link, no picture and no script, and asks nobody."""
    draw = """async (sources) => {
      const found = [];
      for (const [at, source] of sources.entries()) {
        const {svg} = await mermaid.render(`drawing${at}`, source);
        const place = document.createElement("div");
        place.innerHTML = svg;
        document.body.append(place);
        found.push([...place.querySelectorAll("*")].map((one) => one.localName));
      }
      return found;
    }"""
    drawn = mermaid.page.evaluate(draw, list_charts()[::25])
    assert len(drawn) == CHARTS // 25
    for names in drawn:
        assert "svg" in names
        assert not {"a", "img", "image", "script", "iframe", "object"} & set(names)
    assert mermaid.asked == []


def test_the_parser_would_have_told(mermaid: Tab) -> None:
    """The check above can fail: what is known to be refused is refused here, too."""
    bad = ["xychart-beta\n line [1e-05, 2]", 'xychart-beta\n title "a "b" c"\n line [1, 2]', 'flowchart LR\n s0["a"b"]']
    assert [source for source, _ in mermaid.page.evaluate(PARSE, bad)] == bad
