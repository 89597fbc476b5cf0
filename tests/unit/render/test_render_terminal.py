"""Text for the terminal: aligned, whole at every width, and free of escape sequences unless colour is wanted."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from seatrial.core.document import Align, Code, Column, Diagram, Document, Folded, Link, Mark, Paragraph, Table, Text
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.signs import SIGNS
from seatrial.render.terminal import render
from tests.golden.cases import CASES

ESCAPE = "\x1b"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [None, 40, 80, 120])
def test_no_escape_without_colour(case: str, width: int | None) -> None:
    """Text that is piped has no control character, whatever the names in it and the environment are."""
    text = render(CASES[case], RenderOptions(width=width))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert not re.search(r" $", text, re.MULTILINE)


def test_the_environment_does_not_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour is the caller's decision alone."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE not in render(CASES["failed"], RenderOptions(width=80))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert ESCAPE in render(CASES["failed"], RenderOptions(width=80, colour=True))


def test_colour_adds_nothing_but_colour() -> None:
    """Without its escape sequences the coloured text is the plain one: nothing is told by colour alone."""
    coloured = render(CASES["warned"], RenderOptions(width=400, colour=True))
    stripped = re.sub(r"\x1b\[[\d;]*m|\x1b\]8;[^\x1b]*\x1b\\", "", coloured)
    plain = render(CASES["warned"], RenderOptions(width=400)).replace(
        " (https://github.com/acme/flights/actions/runs/1234)", ""
    )
    assert stripped.split() == plain.split()


@pytest.mark.parametrize("width", [40, 60, 72, 80, 100, 200])
@pytest.mark.parametrize("case", ["failed", "truncated", "hostile-names"])
def test_width_is_kept(case: str, width: int) -> None:
    """No line is wider than the terminal."""
    text = render(CASES[case], RenderOptions(width=width))
    assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [30, 40, 60, 72, 80, 100, 200, None])
def test_no_number_is_cropped(width: int | None) -> None:
    """Every number of the gates' table is whole at every width, an interval on one line."""
    text = render(CASES["failed"], RenderOptions(width=width)).replace("\u00a0", " ")
    for number in ("0.842", "0.811", "−0.031", "(−0.049…−0.012)", "≥ −0.01", "latency.p95_ms"):
        assert number in text


def test_columns_are_aligned() -> None:
    """Numbers of a column end in the same cell."""
    lines = render(CASES["failed"], RenderOptions()).splitlines()
    rows = [line for line in lines if re.match(r"[✗?!✓] (recall|f1|ece|latency)", line)]
    assert len(rows) == 4
    assert len({re.search(r"[≥≤]\s\S+", row).end() for row in rows}) == 1  # type: ignore[union-attr]


def test_an_empty_table_has_its_head() -> None:
    """No rows is a thing to say, not an error."""
    table = Table(columns=(Column(title=(Text("metric"),)), Column(title=(Text("main"),), align=Align.RIGHT)), rows=())
    assert "metric   main" in render(with_block(table), RenderOptions(width=80))


def test_folded_parts_are_sections() -> None:
    """A terminal folds nothing: what is closed elsewhere is a titled section here."""
    inner = Folded(summary=(Text("inner"),), blocks=(Paragraph(line=(Text("deep"),)),))
    text = render(with_block(Folded(summary=(Text("outer"),), blocks=(inner,))), RenderOptions(width=80))
    assert text.endswith("outer\n  inner\n    deep\n")


def test_diagrams_are_left_out() -> None:
    """Mermaid's source is no drawing."""
    assert "xychart" not in render(with_block(Diagram(title="t", source="xychart-beta")), RenderOptions(width=80))


def test_links_show_their_address() -> None:
    """Where a terminal gets no escape sequences, the address stands beside the label."""
    report = with_block(Paragraph(line=(Link("run", "https://forge.example/1"),)))
    assert "run (https://forge.example/1)" in render(report, RenderOptions(width=80))
    assert "\x1b]8;" in render(report, RenderOptions(width=80, colour=True))
    odd = with_block(Paragraph(line=(Link("run", "https://forge.example/a b [x] not bold"),)))
    assert "run" in render(odd, RenderOptions(width=80, colour=True))


@pytest.mark.parametrize("width", [None, 20])
def test_rows_beyond_what_anybody_reads_are_counted(width: int | None) -> None:
    """Ten thousand rows are shown, and how many more there are is said."""
    columns = (Column(title=(Text("gate"),)), Column(title=(Text("value"),)))
    for count, said in ((10_000, ""), (12_345, "… and 2,345 more rows")):
        table = Table(columns=columns, rows=tuple(((Text(f"m{at}."),), (Text("1"),)) for at in range(count)))
        text = " ".join(render(with_block(table), RenderOptions(width=width)).split())
        assert "m9999." in text
        assert "m10000." not in text
        assert ("more rows" in text) == bool(said)
        assert said in text


def test_markup_of_the_library_is_text() -> None:
    """Names in square brackets or colons are not read as the terminal library's own markup."""
    report = with_block(Paragraph(line=(Text("[red]x[/red] :tada: "), Code("[b]y[/b]"))))
    assert "[red]x[/red] :tada: [b]y[/b]" in render(report, RenderOptions(width=80, colour=False))


def test_every_mark_differs_in_its_sign() -> None:
    """Marks are told apart by character, emoji and word, so that no reader needs the colour."""
    assert set(SIGNS) == set(Mark)
    for attribute in ("character", "emoji", "word"):
        assert len({getattr(style, attribute) for style in SIGNS.values()}) == len(Mark)


def with_block(block: Paragraph | Table | Folded | Diagram) -> Report:
    """A report with one block."""
    document = Document(mark=Mark.PASSED, title=(Text("title"),), blocks=(block,))
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)
