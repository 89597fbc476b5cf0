"""Plots as files of their own: complete, harmless, and called the same in every run."""

from __future__ import annotations

import struct
from xml.etree import ElementTree as ET

import pytest

from seatrial.charts.vega import draw
from seatrial.core.comparison import Side
from seatrial.core.document import Block, Document, Folded, Mark, Plot, Text
from seatrial.core.plots import PlotData, Series, Shape
from seatrial.core.report import Report
from seatrial.render.plot_files import render_plots
from tests.golden.cases import CASES

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '</text><image href="http://probe.invalid/x.png"/><script>alert(1)</script>'


def plot(name: str, *, title: str = "Loss", text: str = "loss") -> Plot:
    """A line of each side."""
    series = tuple(
        Series(side=side, name=text, points=tuple((at, at * shift, 1.0) for at in range(5)), total=5)
        for shift, side in enumerate(Side, start=1)
    )
    data = PlotData(name=name, title=title, shape=Shape.LINEAR, x_label=text, y_label=text, series=series)
    still = draw(data, labels={Side.BASE: "main", Side.HEAD: text}, words="w", live=False)
    return Plot(words="w", live="{}", still=still, name=name, title=title)


def report(*blocks: Block) -> Report:
    """A report with these blocks in a closed part."""
    part = Folded(summary=(Text("Plots"),), blocks=blocks)
    document = Document(mark=Mark.PASSED, title=(Text("t"),), blocks=(part,))
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)


def test_a_plot_is_an_svg_and_a_png_of_the_same_picture() -> None:
    """On white, with its title in it; the PNG has two pixels for each of the SVG's."""
    files, refused = render_plots(report(plot("plots/loss.csv", title="Loss over steps")))
    assert (list(files), refused) == (["plots-loss-csv.svg", "plots-loss-csv.png"], ())
    root = ET.fromstring(files["plots-loss-csv.svg"])
    assert "Loss over steps" in [element.text for element in root.iter(f"{SVG}text")]
    assert "main" in [element.text for element in root.iter(f"{SVG}text")]
    png = files["plots-loss-csv.png"]
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    wide, high = struct.unpack(">II", png[16:24])
    assert (wide, high) == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
    assert root.find(f".//{SVG}rect[@fill='white']") is not None


@pytest.mark.parametrize("text", [EVIL, "\ud800\x00\x1b[31m", "n" * 100_000])
def test_a_strangers_text_stays_text(text: str) -> None:
    """Shapes and words are all that is in the file, in time and within reason."""
    files, refused = render_plots(report(plot("p", title=text, text=text)))
    assert refused == ()
    root = ET.fromstring(files["p.svg"])
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds <= {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    assert len(files["p.svg"]) < 100_000


def test_names_are_of_letters_that_every_system_has_and_never_fall_together() -> None:
    """No directory is left, no name is empty, and of two that look alike the second has a number."""
    names = ("../../etc/passwd", "Größe/漢字.csv", "漢字", "..", "a b", "a-b", "A/B", "x" * 300)
    files, _ = render_plots(report(*(plot(name) for name in names)))
    stems = [name.removesuffix(".svg") for name in files if name.endswith(".svg")]
    assert stems == ["etc-passwd", "gr-e-csv", "plot", "plot-2", "a-b", "a-b-2", "a-b-3", "x" * 60]


def test_what_can_not_be_drawn_is_told() -> None:
    """One that fails does not keep the others from being written."""
    broken = Plot(words="w", live="{}", still='{"mark": "nothing"}', name="broken", title="t")
    files, (reason,) = render_plots(report(broken, plot("good")))
    assert list(files) == ["good.svg", "good.png"]
    assert reason.startswith("broken is not drawn: ")
