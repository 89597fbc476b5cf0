"""Texts that somebody wrote to do harm, and a report with one of them in every place that a pull request fills.

The report comes out of the pipeline itself: snapshots are compared, judged, worded and drawn as in a run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

from seatrial.charts.mermaid import line_chart, overlay_chart
from seatrial.charts.pipeline import draw_pipeline
from seatrial.charts.sparkline import sparkline
from seatrial.charts.vega import draw
from seatrial.core.annotations import Lines
from seatrial.core.comparison import Change, Comparison, Side, compare, measure_delta
from seatrial.core.data import (
    ColumnChange,
    ColumnDrift,
    Drift,
    Leak,
    Rows,
    SchemaChange,
    TableDiff,
    TypeChange,
)
from seatrial.core.document import Diagram
from seatrial.core.evidence import EvaluationResult, Evidence, Flips, Gap
from seatrial.core.evidence_rules import EvidenceRule, FlipRule, GapRule
from seatrial.core.metrics import (
    Direction,
    FileRecord,
    Interval,
    Key,
    MetricId,
    MetricSet,
    Problem,
    Snapshot,
    StageRecord,
    StaleStage,
    State,
    Value,
)
from seatrial.core.plots import Drawing, PlotChange, PlotData, Plots, Series, Shape
from seatrial.core.plots_wording import describe_plot
from seatrial.core.policy import Policy, Rule, Waiver, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.trend import Trend
from seatrial.core.verdict import Margin
from seatrial.core.wording import Telling

Word = Callable[[str], str]

PROBE = "http://probe.invalid/x.png"
ATTACKS: dict[str, str] = {
    # What forges look for in text.
    "ping": "@team/core @ada",
    "reference": "Fixes #3, closes !1 ~label ~\"a b\" %milestone &5 $7 GH-9 acme/flights#4 ada@5b174c2 ^alert#1",
    "gitlab reference": "[vulnerability:1] [feature_flag:2] [epic:3] *iteration:1 [cadence:4] [contact:a@b.c] acme/x>",
    "gitlab placeholder": "%{project_name} %{gitlab_server}",
    "gitlab inline diff": "{+ passed +} [- failed -] {- 0.811 -} [+ 0.999 +]",
    "quick action": "/merge",
    "quick action after a break": "x\n/approve\r/close\u2028/assign @a\u2029/label ~b\x0b/merge\x0c/merge\x85/merge",
    "emoji": ":x: :+1: :white_check_mark:",
    "table of contents": "[[_TOC_]] [TOC] [[wiki|page]]",
    "include": "::include{file=https://probe.invalid/x.md}",
    "math": r"$\color{green}{\textsf{passed}}$ $$x$$ $`a`$ costs $5 and $6",
    # Markdown.
    "picture": f"![track]({PROBE}) ![x][1] [1]: {PROBE}",
    "link": "[x](javascript:alert(1)) [y](//probe.invalid) <https://probe.invalid> [z]: https://probe.invalid",
    "address": f"{PROBE} https://probe.invalid www.probe.invalid ftp://probe.invalid a@probe.invalid mailto:a@b.c",
    "reference link": "[a][b]\n\n[b]: http://probe.invalid/\n",
    "footnote": "[^1]\n\n[^1]: hidden",
    "heading": "# gone\n## gone\nx\n===\ny\n---",
    "emphasis": "**bold** __bold__ *it* _it_ ~~gone~~ ~gone~",
    "code span": "`a` ``b`` ```c``` ` `` ```",
    "fence": "```mermaid\ngraph TD\n```\n~~~\nx\n~~~",
    "indented": "    code\n\tcode",
    "list": "- a\n* b\n+ c\n1. d\n2) e\n- [ ] task\n- [x] done",
    "task": "[ ] [x]",
    "alert": "> [!NOTE]\n> passed",
    "quote": "> quote\n>>> quote",
    "rule": "***\n___\n---\n- - -",
    "table": "a | b\n--|--\n1 | 2\n",
    "pipe": "a|b|c \\| d `e|f` ||",
    "backslash": "ends in \\",
    "line break": "a  \nb\\\nc<br>d",
    "front matter": "---\ntitle: x\n---\n+++\nx\n+++\n;;;\n{}\n;;;",
    # HTML.
    "element": f"<img src={PROBE} onerror=alert(1)><b>x</b><h1>y</h1>",
    "script": f"</script><script src='{PROBE}'></script></style><style>*{{display:none}}</style>",
    "closing": "</details></summary></td></tr></table></code></sub></p></div></main></title></textarea>",
    "comment": "<!-- hidden --> --> <!-- open",
    "cdata": "]]> <![CDATA[x]]> <?php x ?> <!DOCTYPE x>",
    "attribute": "\" onmouseover=\"alert(1)\" ' onfocus='alert(1)' autofocus=` x",
    "entity": "&lt;img&gt; &#60;b&#62; &amp; &#64;team &#x40;team &commat;team &#35;12 &nbsp;&#0;&#xD800;&#x1F600",
    "marker": '<!-- seatrial {"v":1,"key":"default","head":"","run":"9"} -->',
    "template": "{{ 7*7 }} {% raw %} ${{ github.token }} #{x} <%= x %>",
    # Characters.
    "bidi": "safe\u202egpj.exe\u202c \u2066x\u2069 \u200e\u200f\u061c",
    "right to left": "\u05d3\u05d9\u05d5\u05e7 0.9",
    "arabic": "\u062f\u0642\u0629 \u0661\u0662",
    "zero width": "pass\u200bed\u200c\u200d\ufeff\u00ad\u2060\U000e0041\ufe0f",
    "control": "\x00\x01\x07\x08\x1b[31mred\x1b[0m\x1b]8;;http://probe.invalid\x07link\x1b]8;;\x07\x9b31m\x7f",
    "surrogate": "a\ud800b\udfffc\ufffe\uffff",
    "towers": "Z\u0351\u036b\u0343\u036a\u0302\u0356\u0313\u0314\u0315\u0344\u0346" * 8,
    "homoglyph": "r\u0435call re\u0441all \uff20team \uff0312 \uff1cb\uff1e",
    "long": "n" * 5_000,
    "long and wide": "\u6f22" * 2_000,
    "pipes": "|" * 300,
    "back-ticks": "`" * 300,
    # What starts processes and logs.
    "workflow command": "::error file=a::b\n::add-mask::x\n::stop-commands::y",
    "old workflow command": "##[group]x\n##[error]y\n##vso[task.setvariable variable=x]y",
    "gitlab section": "section_start:1:x[collapsed=true]\r\x1b[0Kx",
    "escaped line ends": "a%0A::error::b%0Dc%25",
    "formula": "=HYPERLINK(\"http://probe.invalid\") +1 -1 @SUM(1)",
    # Charts.
    "mermaid": 'end"] --> x[click s0 "javascript:alert(1)"] %%{init: {"securityLevel":"loose"}}%% ;subgraph',
    "mermaid string": '"`**x**`" #quot; #35; @{ shape: x }',
    "vega": "datum.x + '' ; {\"url\": \"http://probe.invalid/x.json\"} %s ${x}",
}  # fmt: skip


def harmless(slot: str) -> str:
    """What an honest pull request has there."""
    return slot


def begin_with(text: str) -> Word:
    """The text, and behind it what the place is called, so that no two places hold the same."""
    return lambda slot: f"{text} {slot}"


def end_with(text: str) -> Word:
    """The same the other way round."""
    return lambda slot: f"{slot} {text}"


_TODAY = date(2026, 11, 23)
_RULES = {"direction": Direction.HIGHER, "max_decrease": Margin(amount=Decimal("0.01"), relative=False)}


def build(word: Word, *, plots: bool = True) -> Report:
    """A report that says something of everything, with all its texts made by `word`."""
    between = RevisionRange(
        base=Revision(name=word("base"), sha="5b174c2d9e0f4a6b8c7d1e2f3a4b5c6d7e8f9a0b"),
        head=Revision(name=word("head"), sha="56018463aa5c0a8f1b7de3c94b2a61d07f3e9c11"),
        reason=f"merge base with {word('base')}",
        moved=3,
    )
    stages = _list_stages(word, "a"), _list_stages(word, "b")
    comparison = compare(between, _snap(between, 0, word, stages[0]), _snap(between, 1, word, stages[1]))
    comparison = Comparison(
        **{name: getattr(comparison, name) for name in comparison.__struct_fields__ if name not in _BESIDE},
        evaluations=(_evaluate(word), EvaluationResult(name=word("broken"), problem=_fail(word), side=Side.HEAD)),
        tables=_list_tables(word),
    )
    policy = _set_policy(word)
    return build_report(
        comparison, evaluate(policy, comparison, today=_TODAY), policy, _tell(word, comparison, stages[1], plots=plots)
    )


_BESIDE = {"evaluations", "tables"}


def _fail(word: Word) -> Problem:
    return Problem(
        state=State.UNREADABLE, path=word("path"), message=f"{word('path')}:3: {word('why')}", hint=word("hint")
    )


def _list_stages(word: Word, digest: str) -> tuple[StageRecord, ...]:
    def record(name: str) -> FileRecord:
        return FileRecord(path=word(name), digest=digest, size=10)

    # What is behind the first `@` is the loop's item, so the attack stands behind a name of ours.
    names = [f"stage {at} {word('stage').replace('@', '')}@{word('item')}" for at in range(2)]
    return (
        StageRecord(address=names[0], command=word("cmd"), deps=(record("dep"),), outs=(record("out"),)),
        StageRecord(address=names[1], command=word("cmd"), deps=(record("out"),), params={word("param"): digest}),
    )


def _snap(between: RevisionRange, side: int, word: Word, stages: tuple[StageRecord, ...]) -> Snapshot:
    revision = between.head if side else between.base
    assert revision
    path = word("metrics")
    values: dict[Key, Value] = {
        (word("recall"),): (0.842, 0.811)[side],
        (word("group"), word("f1")): (0.861, 0.857)[side],
        (word("text"),): (0.5, word("value"))[side],
        (word("gone"),) if side else (word("old"),): 1.0,
        (word("nan"),): (0.5, float("nan"))[side],
    }
    params: dict[Key, Value] = {(word("rate"),): (word("slow"), word("fast"))[side], (word("depth"),): (3, 4)[side]}
    stale = StaleStage(address=word("stale"), because=(word("because"),), edited=(word("edited"),))
    return Snapshot(
        revision=revision,
        metrics=(
            MetricSet(path=path, values=values),
            MetricSet(path=word("unread"), values={}, problem=_fail(word) if side else None),
        ),
        params=(MetricSet(path=word("params"), values=params),),
        stages=stages,
        problems=(_fail(word),) if side else (),
        stale=(stale,) if side else (),
    )


def _evaluate(word: Word) -> EvaluationResult:
    name = word("evaluation")

    def told(metric: str, part: str = "", **more: object) -> Evidence:
        change = Change(
            id=MetricId(file=name, key=(word(metric),), slice=word(part) if part else ""),
            state=State.CHANGED,
            base=0.84,
            head=0.81,
            delta=measure_delta(0.84, 0.81),
            direction=Direction.HIGHER,
            interval=Interval(low=-0.05, high=-0.01, level=0.95, n=900, method="paired, t"),
        )
        return Evidence(change=change, n=900, se=0.01, detectable=0.03, **more)  # type: ignore[arg-type]

    gap = told("gap").change
    return EvaluationResult(
        name=name,
        overall=(told("precision"), told("more"), told("odd", reason=word("no reason"))),
        slices=(
            told("precision", "slice 1", p_worse=0.001, p_adjusted=0.002),
            told("precision", "slice 2", p_worse=0.5, p_adjusted=0.6),
        ),
        gaps=(Gap(metric=word("gap"), by=word("by"), change=gap, groups=3, best=word("best"), worst=word("worst")),),
        flips=Flips(n=900, newly_wrong=9, newly_right=3, wrong_examples=(word("id 1"), word("id 2"))),
        n_base=900,
        n_head=900,
        n_common=900,
        digest="9f31c2aa40",
        mismatch=word("mismatch"),
    )


def _list_tables(word: Word) -> tuple[TableDiff, ...]:
    rows = Rows(count=7, examples=(word("key 1"), word("key 2")))
    changed = TableDiff(
        name=word("table"),
        path=word("table.csv"),
        n_base=900,
        n_head=900,
        added=rows,
        removed=rows,
        changed=rows,
        flips=rows,
        relabelled=((word("yes to no"), 4), (word("no to yes"), 3)),
        schema=SchemaChange(
            added=(word("new column"),),
            removed=(word("old column"),),
            retyped=(TypeChange(column=word("column"), base=word("int"), head=word("str")),),
        ),
        columns=(ColumnChange(column=word("column"), rows=7),),
        drifts=(
            Drift(
                against=word("training"),
                n_before=9,
                n_now=9,
                columns=(
                    ColumnDrift(column=word("column"), psi=0.4, limit=0.1),
                    ColumnDrift(column=word("other"), reason=word("no reason")),
                ),
            ),
        ),
        leaks=(Leak(other=word("training"), shared=rows),),
    )
    return changed, TableDiff(name=word("lost"), path=word("lost.csv"), problem=_fail(word), side=Side.HEAD)


def _set_policy(word: Word) -> Policy:
    evaluation, metric = word("evaluation"), word("precision")
    place = f"{word('seatrial.yaml')}:4"
    margin = Margin(amount=Decimal("0.01"), relative=False)
    gate = EvidenceRule(
        evaluation=evaluation, metric=metric, place=place, direction=Direction.HIGHER, no_worse_than=margin
    )
    return Policy(
        rules=(
            Rule(pattern="*", place=place, direction=Direction.HIGHER, max_decrease=margin),
            Rule(pattern=word("nowhere"), place=place, at_least=Decimal("0.5")),
        ),
        evidence=(
            gate,
            FlipRule(evaluation=evaluation, place=place, max_newly_wrong=margin),
            GapRule(evaluation=evaluation, metric=word("gap"), by=word("by"), place=place, max_gap=Decimal("0.1")),
            EvidenceRule(
                evaluation=word("broken"), metric=metric, place=place, direction=Direction.HIGHER, no_worse_than=margin
            ),
        ),
        waivers=(
            Waiver(gate="*precision*", reason=word("because of labels"), until=_TODAY, place=place),
            Waiver(gate=f"idle {word('gate')}", reason=word("because"), until=_TODAY, place=place),
        ),
    )


def _tell(word: Word, comparison: Comparison, stages: tuple[StageRecord, ...], *, plots: bool) -> Telling:
    source = draw_pipeline(stages, {stages[0].address})
    assert source
    # Every file is there, with its keys in their order.
    places: dict[str, dict[Key, int]] = {"dvc.yaml": {("stages", word("stage")): 3}}
    for change in (*comparison.params, *comparison.metrics):
        places.setdefault(change.id.file, {})[change.id.key] = len(places) + 1
    return Telling(
        find_lines=lambda: Lines(keys=places),
        policy_source=f"{word('seatrial.yaml')} of {word('base')}",
        run_url="https://github.com/acme/flights/actions/runs/1234",
        notices=(word("notice"),),
        notes=(word("note"),),
        pipeline=Diagram(title="Pipeline", source=source),
        trends=(_draw_trend(word, comparison),),
        plots=_list_plots(word) if plots else None,
    )


def _draw_trend(word: Word, comparison: Comparison) -> Trend:
    values = (0.84, 0.85, None, 0.84, 0.81)
    change = next(change for change in comparison.metrics if change.head == 0.811)
    title = f"{change.id.dotted} on {word('base')}, then this change"
    points = [(word(str(at)), one) for at, one in enumerate(values)]
    chart = line_chart(title=title, unit=change.id.dotted, points=points)
    assert chart
    return Trend(change=change, values=values, bars=sparkline(values), chart=Diagram(title=title, source=chart))


def _list_plots(word: Word) -> Plots:
    sides = {Side.BASE: word("base"), Side.HEAD: word("head")}

    def series(name: str, *, named: bool) -> tuple[Series, ...]:
        points = tuple((word(f"class {at % 2}") if named else float(at), float(at * at % 5), 1.0) for at in range(6))
        confused = tuple((x, word(f"class {at % 2}"), 1.0) for at, (x, _, _) in enumerate(points))
        rows = confused if named else points
        return tuple(Series(side=side, name=word(name), points=rows, total=6) for side in Side)

    def drawing(shape: Shape) -> Drawing:
        named = shape.is_confusion
        data = PlotData(
            name=word(shape.value), title=word("title"), shape=shape, x_label=word("x"), y_label=word("y"),
            series=(*series("one", named=named), *(() if named else series("two", named=False))),
        )  # fmt: skip
        words = describe_plot(data)
        still, live = (draw(data, labels=sides, words=words, live=each) for each in (False, True))
        chart = overlay_chart(title=data.title, x=data.x_label, y=data.y_label, base=_LINE, head=_LINE)
        return Drawing(name=data.name, title=data.title, notes=(word("remark"),), words=words, live=live, still=still,
                       mermaid=chart or "")  # fmt: skip

    changes = (
        *(PlotChange(name=word(shape.value), title=word("title"), state=State.CHANGED) for shape in _DRAWN),
        PlotChange(name=word("same"), title=word("title"), state=State.UNCHANGED),
        PlotChange(
            name=word("lost"), title=word("title"), state=State.UNREADABLE, problems=((Side.HEAD, _fail(word)),)
        ),
    )
    return Plots(changes=changes, draw=lambda: tuple(drawing(shape) for shape in _DRAWN))


_LINE = [(0.0, 1.0), (1.0, 2.0), (2.0, 1.5)]
_DRAWN = (Shape.LINEAR, Shape.CONFUSION)
