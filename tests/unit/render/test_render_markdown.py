"""Markdown that a forge draws as it was meant, whatever the names in it are.

GitHub's own `cmark-gfm` turns the text into HTML, and what is compared is the page that a reader gets.
"""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from seatrial.charts.mermaid import line_chart
from seatrial.charts.sparkline import sparkline
from seatrial.core.document import (
    Align,
    Block,
    Code,
    Column,
    Diagram,
    Document,
    Folded,
    Footnote,
    Line,
    Link,
    Mark,
    Paragraph,
    Plot,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import readable, shorten_middle
from seatrial.render.markdown import Place, escape_line, escape_text, render, safe_address
from tests.golden.cases import CASES, HOSTILE_NAMES, Gate, gates_table, plain_table, report

EXTENSIONS = ("table", "strikethrough", "autolink", "tasklist", "tagfilter")
GITHUB = RenderOptions(flavour="github")
# Made of what Markdown, HTML and forges look for.
SIGNS = st.text(alphabet="`|\\*_[]()<>&!#@/~$%:;=+-.,{}\"'^ \n\tab1é\u200b", min_size=1, max_size=24)
NAMES = st.one_of(st.text(min_size=1, max_size=40), SIGNS, st.sampled_from(HOSTILE_NAMES))


def draw(markdown: str) -> BeautifulSoup:
    """The page that GitHub's parser makes of a text."""
    command = ["cmark-gfm", "--unsafe", *(part for name in EXTENSIONS for part in ("-e", name))]
    page = subprocess.run(command, input=markdown.encode(), capture_output=True, check=True).stdout
    return BeautifulSoup(page.decode(), "html.parser")


def skeleton(node: Tag) -> list[object]:
    """The elements of a page without their words, and without what keeps a dollar from being a formula."""
    return [
        [child.name, *skeleton(child)]
        for child in node.children
        if isinstance(child, Tag) and (child.name, child.text) != ("span", "$")
    ]


def page_about(name: str) -> Report:
    """A report in which a name stands in every place where text can stand."""
    cell: Line = (Code(name),)
    columns = tuple(Column(title=(Text(name),), align=align) for align in (*Align, *Align))
    row: tuple[Line, ...] = (
        cell, (Text(name),), (Strong(name),), (Text(name), Code(name)), (Sign(Mark.FAILED),), (Text("last"),),
    )  # fmt: skip
    blocks: tuple[Block, ...] = (
        Paragraph(line=(Text(name), Text(" "), Code(name), Text(" end"))),
        Paragraph(line=(Text("a"), Strong(name), Text("b"))),
        Paragraph(line=(Strong(name), Text(": "), Link(name, "https://forge.example/run/1"))),
        Table(columns=columns, rows=(row, row), keep=1),
        Folded(summary=(Text(name), Code(name), Strong(name)), blocks=(Paragraph(line=(Code(name),)),)),
        Footnote(line=(Text(name), Code(name))),
    )
    document = Document(mark=Mark.FAILED, title=(Text("Do not merge: "), Text(name), Code(name)), blocks=blocks)
    return Report(facts=CASES["failed"].facts, lay_out=lambda: document)


@settings(max_examples=200, deadline=None)
@given(name=NAMES)
@example(name="a|b")
@example(name="a\\|b")
@example(name="a\\")
@example(name="`|`")
@example(name="``")
@example(name="*")
@example(name="_x_")
@example(name="1. a")
@example(name="- a")
@example(name="===")
@example(name="| a | b |\n|--|--|")
@example(name="    code")
@example(name="a@b.co")
@example(name="xmpp:a@b.co/x ftp://x.org http://x.org")
@example(name="[x]: https://evil.example")
@example(name="[^1]: note")
@example(name="&lt;b&gt; &#64;all &commat;all")
@example(name="<!-- x")
@example(name="]]> <?php ?> <!DOCTYPE x>")
def test_a_name_keeps_the_page(name: str) -> None:
    """A metric's name, whatever it is, neither adds nor takes away an element: columns stay, nothing links or hides."""
    assume(readable(name).strip())
    page = draw(render(page_about(name), GITHUB))
    assert skeleton(page) == skeleton(draw(render(page_about("recall"), GITHUB)))
    shown = shorten_middle(readable(name).strip(), Place.CELL.value)
    cells = [re.sub("[\u200b\u200e]", "", cell.get_text()) for cell in page.select("tbody tr:first-child td")]
    assert re.sub(r"\s", "", cells[0]) == re.sub(r"\s", "", shown)
    assert cells[-1] == "last"


REFERENCES = re.compile(
    r"@\w|(?<!&)#\d|!\d|&\d|\$\d|~\w|%\w|\bGH-\d|://|www\.|:tada:|\[\[|\[vulnerability:|\*iteration:", re.IGNORECASE
)


@settings(max_examples=150, deadline=None)
@given(name=NAMES)
@example(name="@all #1 !1 &1 $1 ~l %m GH-1 https://x www.x.y :tada: [[w]] [vulnerability:1] *iteration:1")
def test_a_name_refers_to_nothing(name: str) -> None:
    """What forges look for in the finished text is in code only, where none of them looks."""
    page = draw(render(page_about(name), GITHUB))
    for code in page.find_all(["code", "pre"]):
        code.decompose()
    words = [str(text) for text in page.find_all(string=True) if isinstance(text, NavigableString)]
    assert not [word for word in words if REFERENCES.search(word)]


@settings(max_examples=150, deadline=None)
@given(name=NAMES)
@example(name="/merge")
@example(name="x\n/approve")
def test_a_name_commands_nothing(name: str) -> None:
    """No line starts with a slash, which GitLab would execute with the rights of whoever posts."""
    assert not re.search(r"^\s*/", render(page_about(name), GITHUB), re.MULTILINE)


@pytest.mark.parametrize("name", ["train.loss_2", "mAP50-95(B)", "carrier=F9", "scripts/a_b.py", "f1 ↑", "R&D", "100%"])
def test_ordinary_names_are_written_as_they_are(name: str) -> None:
    """Names that people really use can be read and copied from the source, too."""
    assert escape_line((Code(name),), Place.CELL) in (f"`{name}`", "<code>R&#38;D</code>")
    assert escape_text(name).replace("&amp;", "&") == name


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("costs $5 or $6", "costs <span>&#36;</span>\u200b5 or <span>&#36;</span>\u200b6"),
        ("%{project_name}", "%\u200b{project_name}"),
        ("{+ 0.9 +} [- 0.1 -]", "{\u200b+ 0.9 +} &#91;\u200b- 0.1 -&#93;"),
        ("acme/flights> a->b x > y", "acme/flights\u200b&gt; a-&gt;b x &gt; y"),
    ],
)
def test_what_forges_read_in_finished_text_is_parted(text: str, written: str) -> None:
    """A dollar has an element of its own; placeholders, coloured changes and projects are parted from their signs."""
    assert escape_text(text) == written


def test_a_right_to_left_name_leaves_the_order_of_numbers() -> None:
    """In a comment, too: marks around it hold the direction of what follows."""
    assert escape_line((Text("\u05d3 0.9 → 0.1"),), Place.RUNNING) == "\u200e\u05d3\u200e 0.9 → 0.1"
    assert escape_line((Code("\u05d3"), Text(" 0.9 → 0.1")), Place.CELL) == "`\u200e\u05d3\u200e` 0.9 → 0.1"


@pytest.mark.parametrize(
    "text", ["95 % CI −0.049…−0.012", "≥ −0.010 (was 3!)", "a-b_c, 2 of 4: done; 12:30:45", "5 > x"]
)
def test_ordinary_words_are_written_as_they_are(text: str) -> None:
    """Running text is not sprinkled with escapes."""
    assert escape_text(text).replace("&gt;", ">") == text


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://forge.example/a/b?x=1&y=2#z", "https://forge.example/a/b?x=1&y=2#z"),
        ("https://forge.example/a b)(<x>|\"'`\\", "https://forge.example/a%20b%29%28%3Cx%3E%7C%22%27%60%5C"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("//forge.example/x", None),
        ("https:///x", None),
        ("https://[bad", None),
        ("", None),
    ],
)
def test_addresses_are_web_addresses(url: str, safe: str | None) -> None:
    """A link leads to the web or is no link, and nothing in an address ends it early."""
    assert safe_address(url) == safe


def test_a_diagram_cannot_leave_its_fence() -> None:
    """Back-ticks in a drawing's source make the fence longer."""
    report = with_blocks(Diagram(title="x", source="xychart-beta\n```\n# out\n````"))
    page = draw(render(report, GITHUB))
    assert [element.name for element in page.find_all(True)] == ["h3", "pre", "code"]


@given(sizes=st.lists(st.integers(min_value=15, max_value=1_500), max_size=12))
def test_all_diagrams_of_a_page_share_gitlabs_room(sizes: list[int]) -> None:
    """Whatever they are, and wherever they stand, 2,000 characters are never exceeded; the others become links."""
    diagrams = [Diagram(title="x", source="xychart-beta\n" + "x" * (size - 13)) for size in sizes]
    plots = [Plot(words="w", live="{}", still="{}", diagram=diagram) for diagram in diagrams[::2]]
    blocks: tuple[Block, ...] = (*plots, Folded(summary=(Text("x"),), blocks=tuple(diagrams[1::2])))
    text = render(with_blocks(*blocks), RenderOptions(flavour="gitlab", full_report_url="https://forge.example/r"))
    drawn = re.findall(r"(?s)```mermaid\n(.*?)\n```", text)
    assert sum(map(len, drawn)) <= 2_000
    assert len(drawn) + text.count("Drawn in the [full report]") == len(sizes)


def test_gitlab_gets_as_many_diagrams_as_it_draws() -> None:
    """GitLab stops at 2,000 characters of Mermaid a page, so the rest is left out rather than shown as source."""
    diagram = Diagram(title="x", source="xychart-beta\n" + "x" * 900)
    report = with_blocks(*(diagram,) * 3)
    assert render(report, RenderOptions(flavour="gitlab")).count("```mermaid") == 2
    assert render(report, GITHUB).count("```mermaid") == 3


def with_blocks(*blocks: Block) -> Report:
    """A report with nothing but these blocks."""
    document = Document(mark=Mark.PASSED, title=(Text("x"),), blocks=blocks)
    return Report(facts=CASES["passed"].facts, lay_out=lambda: document)


# --- Fitting ----------------------------------------------------------------------------------------------------------

TREND_VALUES = (0.84, 0.84, 0.843, 0.843, 0.846, 0.843, 0.846, 0.846, 0.846, 0.832)
TREND_CHART = line_chart(
    title="recall on main", unit="recall", points=[(f"c{at}", value) for at, value in enumerate(TREND_VALUES)]
) or ""  # fmt: skip
TREND = Folded(
    summary=(Text("Trend of "), Code("recall"), Text(" on "), Code("main"), Text(f" {sparkline(TREND_VALUES)}")),
    blocks=(Diagram(title="recall on main", source=TREND_CHART),),
)
FAILED_GATES: tuple[Gate, ...] = (
    (Mark.FAILED, "recall ↑", "0.842", "0.811", "−0.031 (−0.049…−0.012)", "≥ −0.010", "worse"),
    (
        Mark.INCONCLUSIVE,
        "f1 ↑",
        "0.861",
        "0.857",
        "−0.004 (−0.017…+0.009)",
        "≥ −0.010",
        "about 9,000 samples would tell",
    ),
    (Mark.WARNED, "ece ↓", "0.021", "0.034", "+0.013", "≤ +0.010", "worse"),
    (Mark.PASSED, "latency.p95_ms ↓", "41", "38", "−7 %", "≤ +5 %", "better"),
)


def make_crowded() -> Report:
    """More than a small budget can hold: many slices, parameters, gates and drawings."""
    passing: list[Gate] = [
        (Mark.PASSED, f"slice.carrier=C{at:03} ↑", "0.842", "0.843", "+0.001", "≥ −0.010", "better") for at in range(40)
    ]
    slices = plain_table(
        ("slice", "main", "this PR", "change"),
        *((f"carrier=C{at:03}", "0.842", "0.811", "−0.031") for at in range(200)),
    )
    params = plain_table(
        ("parameter", "main", "this PR"), *((f"train.layer_{at}.units", "64", "128") for at in range(60))
    )
    return report(
        Mark.FAILED,
        "Do not merge: 1 of 44 gates failed",
        Paragraph(line=(Strong("recall 0.842 → 0.811"), Text(" (−0.031), limit −0.010."))),
        gates_table(*FAILED_GATES, *passing),
        Folded(summary=(Text("Slices: 200 of 200 worse"),), blocks=(slices,)),
        Folded(summary=(Text("Parameters: 60 changed"),), blocks=(params,)),
        TREND,
        Footnote(line=(Text("baseline: first parent of the tested merge · policy: seatrial.yaml of main"),)),
    )


CROWDED = make_crowded()
FULL = render(CROWDED, GITHUB)
LEAST = 1_500


def test_a_budget_that_is_enough_changes_nothing() -> None:
    """A report that fits is written whole, to the last byte."""
    size = len(FULL.encode())
    assert render(CROWDED, RenderOptions(budget=size)) == FULL
    assert render(CROWDED, RenderOptions(budget=size - 1)) != FULL


@settings(max_examples=60, deadline=None)
@given(budget=st.integers(min_value=LEAST, max_value=len(FULL.encode())))
def test_a_report_fits_its_budget(budget: int) -> None:
    """A report shrinks by whole parts, says what is missing, keeps the verdict, its reason and the failing gates."""
    text = render(CROWDED, RenderOptions(budget=budget))
    assert len(text.encode()) <= budget
    lines = text.splitlines()
    full = FULL.splitlines()
    assert lines[:7] == full[:7]
    notes = [line for line in lines if line not in full]
    assert all(re.fullmatch(r"<sub>(… and [\d,]+ rows? more|Left out for room: ).*</sub>", line) for line in notes)
    assert bool(notes) == (text != FULL)
    assert text.count("<details>") == text.count("</details>")


def test_parts_go_in_their_order() -> None:
    """Rows of folded tables go first, then folded parts from the last, then rows of the gates' table."""
    sizes = (len(FULL.encode()), 9_000, 4_700, 4_400, 2_500, LEAST)
    texts = [render(CROWDED, RenderOptions(budget=size)) for size in sizes]
    gates = [text.count("slice.carrier=") for text in texts]
    folds = [text.count("<details>") for text in texts]
    assert all(more >= fewer for counts in (gates, folds) for more, fewer in pairwise(counts))
    assert folds[0] == folds[1] == 3
    assert gates[0] == gates[1] == 40
    assert folds[-1] == 0
    assert gates[-1] < 40


def test_more_failing_gates_than_room() -> None:
    """Even rows that should be kept give way before a comment is refused, and the words and the count remain."""
    row: tuple[Line, ...] = ((Sign(Mark.FAILED),), (Code("m" * 150),))
    table = Table(columns=(Column(title=()), Column(title=(Text("gate"),))), rows=(row,) * 1000, keep=1000)
    text = render(with_blocks(Paragraph(line=(Text("first"),)), table), RenderOptions(budget=10_000))
    assert len(text.encode()) <= 10_000
    shown = text.count("❌")
    assert shown > 40
    assert f"… and {1000 - shown} rows more" in text
    assert "first" in text


def test_rows_to_keep_outlive_other_rows() -> None:
    """What must stay in one table stays while another still has rows that may go."""
    columns = (Column(title=(Text("gate"),)),)
    kept = Table(columns=columns, rows=(((Code("kept" + "x" * 90),),),) * 20, keep=20)
    loose = Table(columns=columns, rows=(((Code("loose" + "x" * 90),),),) * 20)
    text = render(with_blocks(loose, kept), RenderOptions(budget=3_000))
    assert len(text.encode()) <= 3_000
    assert text.count("kept") == 20
    assert 0 < text.count("loose") < 20


def test_missing_parts_name_where_they_are() -> None:
    """A shortened report leads to the full one."""
    options = RenderOptions(budget=LEAST, full_report_url="https://forge.example/report(1)")
    text = render(CROWDED, options)
    assert "[full report](https://forge.example/report%281%29)" in text


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Report, int, int]:
    """A report of any size with `failed` gates first, and their number with that of all gates."""
    failed, others = draw(st.integers(0, 12)), draw(st.integers(0, 40))
    marks = [Mark.FAILED] * failed + [Mark.PASSED] * others
    gates = gates_table(*((mark, f"gate{at}", "0.8", "0.7", "−0.1", "≥ −0.01", "x") for at, mark in enumerate(marks)))
    rows = draw(st.lists(st.integers(0, 80), max_size=4))
    name = draw(st.sampled_from(["x", "a_long_name" * 12, "<|>" * 20]))
    folds = [
        Folded(
            summary=(Text(f"part {at} "), Code(name)),
            blocks=(
                Diagram(title="d", source=f"xychart-beta\n{'y' * draw(st.integers(0, 1_400))}"),
                plain_table(("a", "b"), *((name, str(row)) for row in range(count))),
            ),
        )
        for at, count in enumerate(rows)
    ]
    chart = [Diagram(title="d", source="xychart-beta\nopen")] * draw(st.integers(0, 2))
    lead, small = Paragraph(line=(Strong("the reason"),)), Footnote(line=(Text("origin " * draw(st.integers(1, 200))),))
    blocks: tuple[Block, ...] = (lead, *([gates] if marks else []), *chart, *folds, small)
    document = Document(mark=Mark.FAILED, title=(Text("the verdict"),), blocks=blocks)
    return Report(facts=CASES["failed"].facts, lay_out=lambda: document), failed, len(marks)


@settings(max_examples=120, deadline=None)
@given(crowd=crowds(), budget=st.integers(min_value=160, max_value=20_000), linked=st.booleans())
def test_any_report_fits_any_budget(crowd: tuple[Report, int, int], budget: int, linked: bool) -> None:
    """It never exceeds it; verdict, reason and failed gates stay; what is missing is counted; no part is cut."""
    report, failed, gates = crowd
    options = RenderOptions(budget=budget, full_report_url="https://forge.example/r" if linked else None)
    text = render(report, options)
    assert len(text.encode()) <= budget
    assert text.startswith("### ❌ the verdict\n")
    shown = len(re.findall(r"`gate\d+`", text))
    if budget > 700 + 60 * failed:
        assert "**the reason**" in text
        assert text.count("❌") == 1 + failed
    # An open chart goes before the first row of the gates does.
    assert shown == gates or "open" not in text
    heads = text.count("| | gate |")
    left = [int(count.replace(",", "")) for count in re.findall(r"… and ([\d,]+) rows? more", text)]
    assert not gates or not heads or shown == gates or left[0] == gates - shown
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```mermaid\n") * 2 == text.count("```")
    whole = render(report, RenderOptions(full_report_url=options.full_report_url))
    assert text == whole or "full report" in text
    drawings = re.findall(r"(?s)```mermaid\n.*?\n```", text)
    assert all(drawing in whole for drawing in drawings)
