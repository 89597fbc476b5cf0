"""What the report says of evidence beside the gates: slices, groups, changed decisions, the evaluation set."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from seatrial.core.comparison import Comparison
from seatrial.core.document import Block, Code, Folded, Footnote, Line, Link, Paragraph, Sign, Strong, Table
from seatrial.core.evidence import EvaluationResult, Evidence
from seatrial.core.evidence_facts import state_evaluation
from seatrial.core.evidence_rules import EvidenceRule
from seatrial.core.evidence_wording import fold_evidence, tell_evaluation_sets
from seatrial.core.metrics import Direction, MetricId, Problem, State
from seatrial.core.policy import Policy, Waiver, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.verdict import Severity
from seatrial.core.wording import Telling
from tests.unit.core.evidence_cases import absolute, evidence, flips, gap, result, rule
from tests.unit.core.snapshots import range_of
from tests.unit.core.test_policy import TODAY


def words(line: Line) -> str:
    """A line without its markup."""
    parts = (p.label if isinstance(p, Link) else p.mark.value if isinstance(p, Sign) else p.value for p in line)
    return "".join(parts)


def only(blocks: list[Block]) -> tuple[str, list[list[str]], str]:
    """The one folded part: its summary, the rows of its table, what stands below."""
    (folded,) = blocks
    assert isinstance(folded, Folded)
    table, *below = folded.blocks
    assert isinstance(table, Table)
    rows = [[words(cell) for cell in row] for row in table.rows]
    return words(folded.summary), rows, " ".join(words(each.line) for each in below if isinstance(each, Paragraph))


def fold(told: EvaluationResult, gated: set[MetricId] | None = None) -> list[Block]:
    return fold_evidence([told], gated or set(), None)


def slice_of(name: str, delta: float, *, reach: float = 0.01, p: float = 0.5, **more: Any) -> Evidence:
    ends = (round(delta - reach, 6), round(delta + reach, 6))
    settings: dict[str, Any] = {"p_worse": p / 2, "p_adjusted": p, "shrunken": delta / 2, **more}
    return evidence(0.5, round(0.5 + delta, 6), ends, part=name, n=300, **settings)


def test_slices_proven_worse_come_first_then_the_largest_effects() -> None:
    """The worst stands in the summary; what is worse alone is told apart."""
    told = result(
        slices=(
            slice_of("calm", 0.0),
            slice_of("bad", -0.04, p=0.01),
            slice_of("good", 0.06, p=0.99),
            slice_of("worst", -0.08, p=0.001),
            slice_of("alone", -0.03, p=0.08),
            slice_of("unsure", -0.02, reach=0.03, p=0.3),
        ),
        untested=7,
        min_n=200,
    )
    summary, rows, below = only(fold(told))
    assert summary == "Slices of recall: 2 of 6 worse (worst worst −0.080)"
    assert [(row[0], row[-1]) for row in rows] == [
        ("worst", "worse"),
        ("bad", "worse"),
        ("good", "better"),
        ("alone", "worse alone, not after correction"),
        ("unsure", "worse, within noise"),
        ("calm", ""),
    ]
    assert rows[0][1:5] == ["300", "0.500", "0.420", "−0.080 (−0.090…−0.070)"]
    assert below == "And 7 slices with fewer than 200 samples, not tested."


def test_no_more_than_twenty_slices_are_shown() -> None:
    """The rest is counted."""
    told = result(slices=tuple(slice_of(f"s{at}", at / 1000) for at in range(23)), untested=1, min_n=50)
    summary, rows, below = only(fold(told))
    assert (summary, len(rows)) == ("Slices of recall: none of 23 proven worse", 20)
    assert below == "And 3 more slices with smaller effects; 1 slice with fewer than 50 samples, not tested."
    assert rows[0][0] == "s22"


def test_a_slice_is_worse_where_that_is_proven_whatever_its_interval() -> None:
    """The test is one-sided, the interval has two sides: the word follows the test."""
    _, rows, _ = only(fold(result(slices=(slice_of("one", -0.01, reach=0.0105, p=0.04),))))
    assert rows[0][-1] == "worse"


def test_slices_without_a_baseline_claim_nothing() -> None:
    """The lowest value comes first, or the highest loss."""
    for direction, order in ((Direction.HIGHER, ["low", "high"]), (Direction.LOWER, ["high", "low"])):
        told = [evidence(None, value, part=name, direction=direction) for name, value in (("high", 0.9), ("low", 0.2))]
        summary, rows, _ = only(fold(result(slices=tuple(told), n_base=None)))
        assert summary == "Slices of recall: 2 slices, nothing to compare with yet"
        assert [row[0] for row in rows] == order
        assert rows[0][1:] == ["1,000", {"low": "0.200", "high": "0.900"}[order[0]], ""]


def test_a_slice_that_can_t_be_judged_says_why() -> None:
    """It is not counted among those that were."""
    few = evidence(0.5, 0.4, part="few", reason="there are 3 positives, and 10 are needed")
    summary, rows, _ = only(fold(result(slices=(few, slice_of("fine", 0.01)))))
    assert summary == "Slices of recall: none of 1 proven worse"
    assert rows[-1][-1] == "there are 3 positives, and 10 are needed"
    summary, _, _ = only(fold(result(slices=(few,))))
    assert summary == "Slices of recall: 1 slice, none can be judged"


def test_each_metric_has_its_own_slices() -> None:
    """In the order in which they are measured."""
    told = result(slices=(slice_of("a", 0.1), replace(slice_of("a", 0.1), change=evidence(1, 1, metric="f1").change)))
    titles = [words(block.summary) for block in fold(told) if isinstance(block, Folded)]
    assert titles == ["Slices of recall: none of 1 proven worse", "Slices of f1: 1 slice, none can be judged"]


def test_metrics_beside_the_gates_are_folded() -> None:
    """Those that a gate or a metrics file tells are not told twice."""
    told = result(evidence(0.5, 0.6, (0.05, 0.15)), evidence(0.5, 0.6, (-0.1, 0.3), metric="f1"))
    summary, rows, _ = only(fold(told, {told.overall[0].change.id}))
    assert summary == "Measured on delays: 1 more metric"
    assert rows == [["f1\u00a0↑", "1,000", "0.500", "0.600", "+0.100 (−0.100…+0.300)", "better, within noise"]]
    assert fold(told, {each.change.id for each in told.overall}) == []


def test_gaps_name_their_groups() -> None:
    """And count those that are too small."""
    told = result(gaps=(gap(0.1, 0.2, (0.05, 0.15), left_out=2),))
    summary, rows, _ = only(fold(told))
    assert summary == "Gaps between groups: recall by origin"
    assert rows == [
        ["recall", "3 groups of origin, 2 too small", "0.100", "0.200", "+0.100 (+0.050…+0.150)", "JFK, EWR"]
    ]


def test_changed_decisions_are_counted_with_examples() -> None:
    """Keys are set as code; where nothing changed, nothing is told."""
    told = result(flips=flips(2, 1))
    summary, rows, _ = only(fold(told))
    assert summary == "Behaviour: 2 samples newly wrong, 1 newly right (0.3 % of 1,000)"
    assert rows == [["newly wrong", "2", "k0, k1"], ["newly right", "1", "–"]]
    (folded,) = fold(told)
    assert isinstance(folded, Folded)
    assert isinstance(folded.blocks[0], Table)
    assert folded.blocks[0].rows[0][2][0] == Code("k0")
    assert fold(result(flips=flips(0, 0))) == []


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, "the same on both sides"),
        ({"n_common": 900}, "not the same on both sides"),
        ({"labels_changed": 1}, "not the same on both sides"),
    ],
)
def test_the_evaluation_set_is_named(how: dict[str, int], told: str) -> None:
    """With its digest, and whether both sides have it."""
    assert tell_evaluation_sets([result(digest="9f31c2aa4455", **how)]) == [
        f"evaluation set of delays: sha256:9f31c2aa…, {told}"
    ]
    assert tell_evaluation_sets([result()]) == []


def test_facts_hold_numbers_that_json_can_hold() -> None:
    """An interval without an end has none."""
    own = (float("-inf"), 0.9)
    facts = state_evaluation(result(evidence(0.5, 0.6, (0.05, 0.15), own=own), gaps=(gap(0.1, 0.2, (0.0, 0.1)),)))
    assert (facts.overall[0].own_low, facts.overall[0].own_high, facts.overall[0].delta) == (None, 0.9, 0.1)
    assert (facts.gaps[0].lowest, facts.gaps[0].highest, facts.gaps[0].high) == ("JFK", "EWR", 0.1)


SAFE = rule(no_worse_than=absolute("0.02"))
WORSE = evidence(0.5, 0.4, (-0.12, -0.08))


def report(*rules: EvidenceRule, told: EvaluationResult, **how: Any) -> Report:
    """A whole report on one evaluation, of a project without metrics files."""
    policy = Policy(evidence=rules, **how)
    comparison = Comparison(
        range=range_of(), metrics=(), params=(), files=(), stages=(), problems=(), evaluations=(told,)
    )
    return build_report(comparison, evaluate(policy, comparison, today=TODAY), policy, Telling())


def first_lines(one: Report) -> tuple[str, str]:
    """The title, and the paragraph below it."""
    told = [block for block in one.document.blocks if isinstance(block, Paragraph)]
    return words(one.document.title), words(told[0].line) if told else ""


def test_gates_on_predictions_alone_are_told_in_the_headline() -> None:
    """A project need not declare metrics files."""
    title, below = first_lines(report(SAFE, told=result(evidence(0.5, 0.5, (-0.01, 0.01)))))
    assert (title, below) == ("Ready to merge: 1 gate passed", "")


def test_a_waived_gate_is_told_at_the_top() -> None:
    """With the numbers that it excuses, and no advice to mend them."""
    waiver = Waiver(gate="recall", reason="being mended", until=TODAY, place="seatrial.yaml:9")
    title, below = first_lines(report(SAFE, told=result(WORSE), waivers=(waiver,)))
    assert title == "Ready to merge: 0 gates passed, 1 waived"
    assert below == (
        "recall 0.500 → 0.400 (−0.100, 95 % CI −0.120…−0.080), limit Δ ≥ −0.02. "
        "Worse, waived until 2026-11-23: being mended."
    )


def test_a_waiver_that_names_no_gate_is_told_where_all_gates_are_known() -> None:
    """Not where predictions could not be read."""
    waiver = Waiver(gate="recal", reason="being mended", until=TODAY, place="seatrial.yaml:9")
    unread = EvaluationResult(name="delays", problem=Problem(state=State.UNREADABLE, path="p.csv", message="broken"))
    for told, idle in ((result(WORSE), True), (unread, False)):
        *_, small = report(SAFE, told=told, waivers=(waiver,)).document.blocks
        assert isinstance(small, Footnote)
        assert ("no gate is called recal, which seatrial.yaml:9 waives" in words(small.line)) is idle


def test_a_gate_that_is_only_noted_is_not_called_passed() -> None:
    """Severity `info` tells."""
    title, _ = first_lines(report(replace(SAFE, severity=Severity.INFO), told=result(WORSE)))
    assert title == "Ready to merge: 0 gates passed, 1 noted"
    unsure = evidence(0.5, 0.49, (-0.04, 0.02))
    title, _ = first_lines(report(replace(SAFE, severity=Severity.INFO), told=result(unsure)))
    assert title == "Ready to merge: 0 gates passed, 1 not judged"


def test_the_worst_slice_is_what_decided() -> None:
    """Its own numbers stand in the first line though the whole improved."""
    told = result(evidence(0.5, 0.52, (0.01, 0.03)), slices=(slice_of("carrier=F9", -0.08, p=0.001),))
    title, below = first_lines(report(SAFE, rule(not_harmed=absolute("0.03"), sliced=True), told=told))
    assert title == "Do not merge: 1 of 2 gates failed"
    assert below.startswith(
        "recall [carrier=F9] 0.500 → 0.420 (−0.080, 95 % CI −0.090…−0.070), limit Δ ≥ −0.03. Next: "
    )
    (table,) = [block for block in report(SAFE, told=told).document.blocks if isinstance(block, Table)]
    assert all(not isinstance(part, Strong) for row in table.rows for cell in row for part in cell)
