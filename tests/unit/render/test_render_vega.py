"""What of a drawing enters a page: shapes and words."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from seatrial.charts.vega import draw
from seatrial.core.comparison import Side
from seatrial.core.document import Document, Folded, Mark, Picture, Pictures, Plot, Text
from seatrial.core.plots import PlotData, Series, Shape
from seatrial.core.report import Report
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render import vega as drawing
from seatrial.render.vega import DrawingError, bundle_script, draw_svg, spell_json
from tests.golden.cases import CASES

EVIL = "</script><img src=x onerror=alert(1)>\u202e"


def spec(text: str = "loss") -> str:
    """A plot of two lines."""
    series = tuple(Series(side=side, name="", points=((0.0, 1.0, 1.0), (1.0, 2.0, 1.0)), total=2) for side in Side)
    data = PlotData(name="p", title=text, shape=Shape.LINEAR, x_label=text, y_label=text, series=series)
    return draw(data, labels={Side.BASE: "main", Side.HEAD: text}, words=text, live=True)


def report(*blocks: Plot | Pictures) -> Report:
    """A report whose only part is folded."""
    part = Folded(summary=(Text("Plots"),), blocks=blocks)
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(part,))
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)


def test_a_drawing_holds_shapes_and_words_alone() -> None:
    """No script, style, address or handler; what a stranger wrote is text."""
    svg = draw_svg(spec(EVIL), prefix="p1-")
    root = ET.fromstring(svg)
    assert {element.tag.split("}")[1] for element in root.iter()} <= {
        "svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath",
    }  # fmt: skip
    names = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in names if name.startswith(("on", "{", "style", "href"))}
    assert "\u202e" not in svg
    assert any("onerror" in (element.text or "") for element in root.iter())


def test_names_of_two_drawings_do_not_meet() -> None:
    """Every id and every reference to one has the drawing's own prefix."""
    root = ET.fromstring(draw_svg(spec(), prefix="p1-"))
    ids = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    used = {value for element in root.iter() for value in element.attrib.values() if value.startswith("url(")}
    assert ids
    assert all(name.startswith("p1-") for name in ids)
    assert used <= {f"url(#{name})" for name in ids}


def test_data_stay_within_their_element() -> None:
    """The JSON of a plot has no sign that HTML reads, and says the same."""
    text = spell_json(spec(EVIL))
    assert not set("<>&") & set(text)
    assert text.isascii()
    assert json.loads(text)["usermeta"]["sides"][1] == EVIL.removesuffix("\u202e")


def test_the_script_is_one_element() -> None:
    """Nothing in it ends the element that holds it, and it names its licences."""
    script = bundle_script()
    assert "</script" not in script
    assert "<!--" not in script
    assert "BSD-3-Clause" in script[:400]
    assert len(script) < 1_200_000


def test_what_is_no_specification_is_told() -> None:
    """Vega's own reason in one line."""
    with pytest.raises(DrawingError, match=r"\w"):
        draw_svg('{"mark": 7}', prefix="p-")


def test_without_the_extra_the_page_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing and no script, but one line."""
    monkeypatch.setattr(drawing, "can_draw", lambda: False)
    html = RENDERERS["html"](report(Plot(words="w", live=spec(), still=spec())), RenderOptions())
    assert "pip install &#39;seatrial[charts]&#39;" in html
    assert html.count("<script>") == 1


def test_only_pages_with_plots_carry_the_script() -> None:
    """Vega is large, and pictures do not need it."""
    picture = Picture(content=b"abc", media_type="image/png", width=2, height=1)
    plain = RENDERERS["html"](CASES["passed"], RenderOptions())
    shown = RENDERERS["html"](report(Pictures(words="w", labelled=(((Text("main"),), picture),))), RenderOptions())
    drawn = RENDERERS["html"](report(Plot(words="w", live=spec(), still=spec())), RenderOptions())
    assert [page.count("<script>") for page in (plain, shown, drawn)] == [1, 1, 3]
    assert "data:image/png;base64,YWJj" in shown
    assert "unsafe" not in drawn.partition("<style>")[0]


@pytest.mark.parametrize("name", ["terminal", "markdown"])
def test_text_formats_leave_drawings_out(name: str) -> None:
    """Neither data nor pictures are written where nothing draws them."""
    picture = Picture(content=b"abc", media_type="image/png", width=2, height=1)
    blocks = (Plot(words="w", live=spec(), still=spec()), Pictures(words="w", labelled=(((Text("m"),), picture),)))
    text = RENDERERS[name](report(*blocks), RenderOptions())
    assert "Plots" in text
    assert "data" not in text
