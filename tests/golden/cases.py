"""All golden reports; made by hand is the one of names that do harm, which stand where no judging would put them."""

from __future__ import annotations

from seatrial.core.annotations import Annotation, Kind, Level
from seatrial.core.document import (
    Align,
    Block,
    Code,
    Column,
    Document,
    Folded,
    Footnote,
    Line,
    Link,
    Mark,
    Paragraph,
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.facts import (
    ChangeFacts,
    FindingFacts,
    IntervalFacts,
    ReportFacts,
    RevisionFacts,
)
from seatrial.core.report import Report
from tests.golden.evidence import EVIDENCE_CASES
from tests.golden.judged import JUDGED_CASES

BASE = RevisionFacts(name="main", sha="5b174c2d9e0f4a6b8c7d1e2f3a4b5c6d7e8f9a0b")
HEAD = RevisionFacts(name="raise-learning-rate", sha="56018463aa5c0a8f1b7de3c94b2a61d07f3e9c11")
RUN = Link("run 1234", "https://github.com/acme/flights/actions/runs/1234")

Gate = tuple[Mark, str, str, str, str, str, str]


def gates_table(*gates: Gate, keep: int | None = None, baseline: bool = True) -> Table:
    """The main table: sign, gate, both values, change, limit, remark."""
    columns = (
        Column(title=(), align=Align.CENTRE),
        Column(title=(Text("gate"),)),
        Column(title=(Code("main"), Text(" 5b174c2")) if baseline else (Text("baseline"),), align=Align.RIGHT),
        Column(title=(Text("this PR 5601846"),), align=Align.RIGHT),
        Column(title=(Text("change (95 % CI)"),), align=Align.RIGHT),
        Column(title=(Text("limit"),), align=Align.RIGHT),
        Column(title=()),
    )
    rows = tuple(gate_row(gate) for gate in gates)
    failing = sum(gate[0] is Mark.FAILED for gate in gates)
    return Table(columns=columns, rows=rows, keep=failing if keep is None else keep)


def gate_row(gate: Gate) -> tuple[Line, ...]:
    """A row of the main table; the failing value is the one that the eye should find."""
    mark, name, base, head, change, limit, remark = gate
    value = Strong(head) if mark is Mark.FAILED else Text(head)
    arrow = name[-1] if name[-2:] in (" ↑", " ↓") else ""
    title = (Code(name[:-2]), Text(f"\u00a0{arrow}")) if arrow else (Code(name),)
    return ((Sign(mark),), title, (Text(base),), (value,), (Text(change),), (Text(limit),), (Text(remark),))


def plain_table(titles: tuple[str, ...], *rows: tuple[str, ...], keep: int = 0) -> Table:
    """A table of names (the first column) and numbers."""
    columns = tuple(
        Column(title=(Text(title),), align=Align.RIGHT if at else Align.LEFT) for at, title in enumerate(titles)
    )
    lines = tuple(tuple((Text(cell),) if at else (Code(cell),) for at, cell in enumerate(row)) for row in rows)
    return Table(columns=columns, rows=lines, keep=keep)


def change(key: str, base: float, head: float, effect: str, interval: IntervalFacts | None = None) -> ChangeFacts:
    """A metric's change, with the differences worked out."""
    absolute = round(head - base, 9)
    return ChangeFacts(
        file="metrics/evaluation.json",
        key=tuple(key.split(".")),
        state="changed" if absolute else "unchanged",
        base=base,
        head=head,
        absolute=absolute,
        relative=round(absolute / abs(base), 9) if base else None,
        direction="higher",
        effect=effect,
        interval=interval,
        reason="",
    )


def finding(key: str, check: str, limit: str, outcome: str, severity: str = "fail", reason: str = "") -> FindingFacts:
    """What one rule of the policy says of one metric."""
    return FindingFacts(
        file="metrics/evaluation.json",
        key=tuple(key.split(".")),
        check=check,
        limit=limit,
        outcome=outcome,
        severity=severity,
        reason=reason,
        rule="seatrial.yaml:4",
    )


def facts(verdict: str, headline: str, **given: object) -> ReportFacts:
    """Facts of a comparison with main; `given` replaces what a case is about."""
    values: dict[str, object] = {
        "schema_version": 1,
        "seatrial_version": "0.1.0",
        "verdict": verdict,
        "headline": headline,
        "base": BASE,
        "head": HEAD,
        "baseline_reason": "first parent of the tested merge",
        "baseline_moved": 0,
        "baseline_older": 0,
        "policy": "seatrial.yaml of main",
        "findings": (),
        "metrics": (),
        "params": (),
        "files": (),
        "stages": (),
        "stale": (),
        "problems": (),
        "evaluations": (),
    }
    return ReportFacts(**{**values, **given})  # type: ignore[arg-type]


def report(mark: Mark, title: str, *blocks: Block, **given: object) -> Report:
    """A report whose facts say the same as its document."""
    document = Document(mark=mark, title=(Text(title),), blocks=blocks)
    verdict = "passed" if mark is Mark.NEUTRAL else mark.value
    return Report(facts=facts(verdict, title, **given), lay_out=lambda: document)


HOSTILE_NAMES = (
    "a|b <img src=x onerror=alert(1)> @all",
    "</details><!-- hidden -->",
    "`code` ``two`` \\| end\\",
    "/merge",
    "Fixes #3, !1 ~label %milestone &5 $7 GH-9 @team/core",
    "![track](https://evil.example/p.png) [x](javascript:alert(1))",
    "safe\u202egnp.exe\u200b\x00\x1b[31mred\nnew line\r| next |",
    '<!-- seatrial {"v":1} -->',
    "www.evil.example a@evil.example https://evil.example :tada: [[wiki]]",
    "# heading **bold** _under_ ~~gone~~ a_b_c 1. list - item",
    "n" * 400,
)


def remark(at: int, name: str) -> Annotation:
    """A remark in which a name stands everywhere."""
    return Annotation(path=name, line=at, kind=Kind.GATE, level=[*Level][at % 3], title=name, message=f"a\n{name}")


def hostile_names() -> Report:
    """Every text is one that somebody wrote to do harm, in every place where text can stand."""
    gates: list[Gate] = [(Mark.FAILED, name, name, name, name, name, f"worse {name}") for name in HOSTILE_NAMES]
    name = HOSTILE_NAMES[0]
    lines = tuple(Paragraph(line=(Text(text),)) for text in HOSTILE_NAMES)
    return Report(
        facts=facts("failed", HOSTILE_NAMES[5], findings=tuple(
            finding("x", "max_decrease", text, "failed", reason=text) for text in HOSTILE_NAMES
        )),
        annotate=lambda: tuple(remark(at, name) for at, name in enumerate(HOSTILE_NAMES, start=1)),
        lay_out=lambda: Document(
            mark=Mark.FAILED,
            title=(Text(f"Do not merge: {HOSTILE_NAMES[4]} "), Code(name)),
            blocks=(
                *lines,
                Paragraph(line=(Strong(HOSTILE_NAMES[9]), Code(HOSTILE_NAMES[2]), Link(name, "javascript:x"))),
                gates_table(*gates),
                *(
                    Folded(summary=(Text(text), Code(text)), blocks=(Paragraph(line=(Code(text),)),))
                    for text in HOSTILE_NAMES
                ),
                Footnote(line=(Text(HOSTILE_NAMES[1]), Link("label ]( x", "https://forge.example/a b)c|d?x=1&y=<2>"))),
            ),
        ),
    )  # fmt: skip


CASES = {
    **JUDGED_CASES,
    "hostile-names": hostile_names(),
    **EVIDENCE_CASES,
}
