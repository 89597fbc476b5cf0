"""Reports made by hand, one for each thing that a report may have to say."""

from __future__ import annotations

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
    Sign,
    Strong,
    Table,
    Text,
)
from seatrial.core.facts import (
    ChangeFacts,
    FileFacts,
    FindingFacts,
    IntervalFacts,
    ProblemFacts,
    ReportFacts,
    RevisionFacts,
    StageFacts,
)
from seatrial.core.report import Report
from tests.golden.evidence import EVIDENCE_CASES

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


PARAMS = Folded(
    summary=(Text("Parameters: 2 changed"),),
    blocks=(
        plain_table(
            ("parameter", "main", "this PR"),
            ("train.learning_rate", "0.05", "0.2"),
            ("train.l2", "0.001", "0.0001"),
        ),
    ),
)
DATA = Folded(
    summary=(Text("Data and pipeline: "), Code("flights.parquet"), Text(" +1,204 rows; 3 stages ran again")),
    blocks=(
        plain_table(("file", "main", "this PR"), ("data/flights.parquet", "8.1 MB", "8.2 MB")),
        Paragraph(line=(Code("train"), Text(" ran again because its code and a parameter changed."))),
    ),
)
METRICS = Folded(
    summary=(Text("All metrics: 2 worse, 1 better, 3 the same"),),
    blocks=(
        plain_table(
            ("metric", "main", "this PR", "change"),
            ("accuracy", "0.912", "0.912", "0"),
            ("recall", "0.842", "0.811", "−0.031"),
            ("f1", "0.861", "0.857", "−0.004"),
            ("latency.p95_ms", "41", "38", "−3"),
        ),
    ),
)
TREND_VALUES = (0.84, 0.84, 0.843, 0.843, 0.846, 0.843, 0.846, 0.846, 0.846, 0.832)
TREND_CHART = line_chart(
    title="recall on main", unit="recall", points=[(f"c{at}", value) for at, value in enumerate(TREND_VALUES)]
) or ""  # fmt: skip
TREND = Folded(
    summary=(Text("Trend of "), Code("recall"), Text(" on "), Code("main"), Text(f" {sparkline(TREND_VALUES)}")),
    blocks=(Diagram(title="recall on main", source=TREND_CHART),),
)
NOTE = Footnote(
    line=(
        Text("baseline: first parent of the tested merge · test set "),
        Code("sha256:9f31c2"),
        Text(", n = 4,812, the same on both sides · policy: "),
        Code("seatrial.yaml"),
        Text(" of main · "),
        RUN,
    )
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
INTERVAL = IntervalFacts(low=-0.049, high=-0.012, level=0.95, n=4812, method="paired percentile bootstrap")
FAILED_FACTS: dict[str, object] = {
    "findings": (
        finding("recall", "max_decrease", "≥ −0.010", "failed", reason="changed by more than the limit"),
        finding("f1", "max_decrease", "≥ −0.010", "inconclusive", reason="about 9,000 samples would tell"),
        finding("ece", "max_increase", "≤ +0.010", "warned", "warn", "changed by more than the limit"),
        finding("latency.p95_ms", "max_increase", "≤ +5%", "passed"),
    ),
    "metrics": (change("recall", 0.842, 0.811, "worse", INTERVAL), change("f1", 0.861, 0.857, "worse")),
    "params": (change("train.learning_rate", 0.05, 0.2, "changed"),),
    "files": (
        FileFacts(
            path="data/flights.parquet",
            state="changed",
            base_size=8_100_000,
            head_size=8_200_000,
            base_files=None,
            head_files=None,
            added=None,
            removed=None,
            modified=None,
        ),
    ),
    "stages": (StageFacts(stage="train", state="changed", because=("code", "parameters")),),
}


def failed() -> Report:
    """The report of the design: one gate failed, one undecided, one warning, one passed."""
    return report(
        Mark.FAILED,
        "Do not merge: 1 of 4 gates failed",
        Paragraph(
            line=(
                Strong("recall 0.842 → 0.811"),
                Text(" (−0.031, 95 % CI −0.049…−0.012), limit −0.010. Next: look at slice "),
                Code("carrier=F9"),
                Text(", or raise the limit in "),
                Code("seatrial.yaml:4"),
                Text("."),
            )
        ),
        gates_table(*FAILED_GATES),
        METRICS,
        PARAMS,
        DATA,
        TREND,
        NOTE,
        **FAILED_FACTS,
    )


def passed() -> Report:
    """All gates passed."""
    return report(
        Mark.PASSED,
        "Good to merge: all 2 gates passed",
        Paragraph(line=(Strong("recall 0.842 → 0.851"), Text(" (+0.009, 95 % CI +0.002…+0.016)."))),
        gates_table(
            (Mark.PASSED, "recall ↑", "0.842", "0.851", "+0.009 (+0.002…+0.016)", "≥ −0.010", "better"),
            (Mark.PASSED, "latency.p95_ms ↓", "41", "41", "0", "≤ +5 %", ""),
        ),
        PARAMS,
        NOTE,
        findings=(finding("recall", "max_decrease", "≥ −0.010", "passed"),),
        metrics=(change("recall", 0.842, 0.851, "better"),),
    )


def warned() -> Report:
    """A rule that only warns is broken."""
    return report(
        Mark.WARNED,
        "May merge, with 1 warning",
        Paragraph(line=(Strong("ece 0.021 → 0.034"), Text(" (+0.013), limit +0.010; the rule only warns."))),
        gates_table(
            (Mark.WARNED, "ece ↓", "0.021", "0.034", "+0.013", "≤ +0.010", "worse"),
            (Mark.PASSED, "recall ↑", "0.842", "0.842", "0", "≥ −0.010", ""),
        ),
        NOTE,
        findings=(finding("ece", "max_increase", "≤ +0.010", "warned", "warn", "changed by more than the limit"),),
    )


def inconclusive() -> Report:
    """The test set is too small to tell."""
    return report(
        Mark.INCONCLUSIVE,
        "Can't tell: 1 of 2 gates is undecided",
        Paragraph(line=(Strong("f1 0.861 → 0.857"), Text(": the test set is too small. Next: about 9,000 samples."))),
        gates_table(
            (Mark.INCONCLUSIVE, "f1 ↑", "0.861", "0.857", "−0.004 (−0.017…+0.009)", "≥ −0.010", "too few samples"),
            (Mark.PASSED, "recall ↑", "0.842", "0.842", "0", "≥ −0.010", ""),
        ),
        NOTE,
        findings=(finding("f1", "max_decrease", "≥ −0.010", "inconclusive", reason="too few samples"),),
    )


def no_change() -> Report:
    """Both sides have the same values."""
    return report(
        Mark.PASSED,
        "No change: metrics are those of main 5b174c2",
        NOTE,
        metrics=(change("recall", 0.842, 0.842, "same"),),
    )


def first_measurement() -> Report:
    """There is no baseline yet."""
    return report(
        Mark.NEUTRAL,
        "First measurement: nothing on main to compare with",
        Paragraph(line=(Text("Only limits on the values themselves were judged: 1 of 1 passed."),)),
        gates_table(
            (Mark.PASSED, "recall ↑", "–", "0.811", "", "≥ 0.800", ""),
            (Mark.NEUTRAL, "f1 ↑", "–", "0.857", "", "≥ −0.010", "not judged: there is no baseline value"),
            baseline=False,
        ),
        NOTE,
        base=None,
        baseline_reason="no commit of main holds metrics",
        baseline_moved=None,
        findings=(
            finding("recall", "at_least", "≥ 0.800", "passed"),
            finding("f1", "max_decrease", "≥ −0.010", "not-judged", reason="new: there is no baseline value"),
        ),
    )


def unreadable() -> Report:
    """The candidate's metrics can't be read."""
    message = "metrics/evaluation.json:3: Expecting ',' delimiter"
    problem = ProblemFacts(
        side="head",
        state="unreadable",
        path="metrics/evaluation.json",
        message=message,
        hint="run `dvc repro evaluate` and commit the result",
    )
    return report(
        Mark.FAILED,
        "Do not merge: the candidate's metrics can't be read",
        Paragraph(
            line=(
                Strong(message),
                Text(". Next: run "),
                Code("dvc repro evaluate"),
                Text(" and commit the result."),
            )
        ),
        NOTE,
        problems=(problem,),
    )


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


def hostile_names() -> Report:
    """Every text is one that somebody wrote to do harm, in every place where text can stand."""
    gates: list[Gate] = [(Mark.FAILED, name, name, name, name, name, f"worse {name}") for name in HOSTILE_NAMES]
    name = HOSTILE_NAMES[0]
    lines = tuple(Paragraph(line=(Text(text),)) for text in HOSTILE_NAMES)
    return Report(
        facts=facts("failed", HOSTILE_NAMES[5], findings=tuple(
            finding("x", "max_decrease", text, "failed", reason=text) for text in HOSTILE_NAMES
        )),
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


def truncated() -> Report:
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
        NOTE,
    )


CASES = {
    "passed": passed(),
    "failed": failed(),
    "warned": warned(),
    "inconclusive": inconclusive(),
    "no-change": no_change(),
    "first-measurement": first_measurement(),
    "unreadable": unreadable(),
    "hostile-names": hostile_names(),
    "truncated": truncated(),
    **EVIDENCE_CASES,
}
