"""What the report says: the verdict and the next step first, and never less than there is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from seatrial.core.comparison import Comparison, compare
from seatrial.core.document import Code, Folded, Footnote, Line, Link, Mark, Paragraph, Sign, Table
from seatrial.core.metrics import Interval, MetricId, Problem, State
from seatrial.core.policy import Policy, Rule, evaluate
from seatrial.core.report import Report, build_report
from seatrial.core.verdict import Margin
from seatrial.core.wording import Telling
from tests.unit.core.snapshots import compare_values, file, range_of, snapshot


def report_on(comparison: Comparison, *rules: Rule, **telling: Any) -> Report:
    policy = Policy(rules=rules)
    return build_report(comparison, evaluate(policy, comparison), policy, Telling(**telling))


def gate(pattern: str = "recall", **limits: Any) -> Rule:
    return Rule(pattern=pattern, place="seatrial.yaml:3", **limits)


def no_worse(amount: str) -> Rule:
    return gate(max_decrease=Margin(amount=Decimal(amount), relative=False))


def words(line: Line) -> str:
    """A line without its markup."""
    parts = (p.label if isinstance(p, Link) else p.mark.value if isinstance(p, Sign) else p.value for p in line)
    return "".join(parts)


def paragraphs(report: Report) -> list[str]:
    return [words(block.line) for block in report.document.blocks if isinstance(block, Paragraph)]


def tables(report: Report) -> list[Table]:
    return [block for block in report.document.blocks if isinstance(block, Table)]


@pytest.mark.parametrize(
    ("base", "head", "rules", "mark", "headline"),
    [
        ({"recall": 0.8}, {"recall": 0.7}, (no_worse("0.01"),), Mark.FAILED, "Do not merge: 1 of 1 gate failed"),
        ({"recall": 0.8}, {"recall": 0.9}, (no_worse("0.01"),), Mark.PASSED, "Ready to merge: 1 gate passed"),
        ({"recall": 0.8}, {"recall": 0.8}, (no_worse("0.01"),), Mark.PASSED, "No change: metrics are those of main"),
        (None, {"recall": 0.8}, (no_worse("0.01"),), Mark.NEUTRAL, "First measurement: no baseline to compare with"),
        ({"recall": 0.8}, {"recall": 0.9}, (), Mark.NEUTRAL, "Compared, not judged: no gates are set (1 better)"),
        ({"recall": 0.8}, {"recall": float("nan")}, (), Mark.FAILED, "Do not merge: 1 of 1 gate failed"),
        ({}, {}, (), Mark.NEUTRAL, "No metrics: neither side declares any"),
        (None, {}, (), Mark.NEUTRAL, "No metrics: neither side declares any"),
    ],
)  # fmt: skip
def test_the_headline_is_the_verdict(
    base: dict[str, Any] | None, head: dict[str, Any], rules: tuple[Rule, ...], mark: Mark, headline: str
) -> None:
    """Three seconds: the mark and one sentence."""
    report = report_on(compare_values(base, head), *rules)
    assert (report.document.mark, report.facts.headline[: len(headline)]) == (mark, headline)
    assert words(report.document.title) == report.facts.headline


def test_the_second_line_has_the_numbers_that_decided_and_the_next_step() -> None:
    """With the parameter that changed beside them."""
    base = snapshot(file("m.json", {"recall": 0.842}), params={"threshold": 0.4})
    head = snapshot(file("m.json", {"recall": 0.811}), params={"threshold": 0.6})
    interval = Interval(low=-0.049, high=-0.012, level=0.95, n=900, method="influence")
    comparison = compare(range_of(), base, head, intervals={MetricId(file="m.json", key=("recall",)): interval})
    assert paragraphs(report_on(comparison, no_worse("0.010"))) == [
        (
            "recall 0.842 → 0.811 (−0.031, 95 % CI −0.049…−0.012), limit Δ ≥ −0.010. "
            "Next: look at what changed with it, threshold 0.4 → 0.6."
        )
    ]


def test_a_broken_value_tells_what_mends_it() -> None:
    """The hint of the problem is the next step."""
    comparison = compare(
        range_of(), snapshot(file("m.json", {"a": 1})), snapshot(file("m.json", broken=State.MISSING_CACHE))
    )
    assert paragraphs(report_on(comparison)) == ["a: m.json is missing-cache. Next: mend it."]


def test_gates_that_failed_come_first_and_are_kept() -> None:
    """A renderer that runs out of room may drop only gates that passed."""
    comparison = compare_values({"recall": 0.8, "f1": 0.5}, {"recall": 0.7, "f1": 0.5})
    (table,) = tables(report_on(comparison, gate("f1", at_least=Decimal("0.1")), no_worse("0.01")))
    assert table.keep == 1
    assert [row[1][0] for row in table.rows] == [Code("recall"), Code("f1")]


def test_of_many_gates_those_that_passed_last_are_folded() -> None:
    """A reviewer sees a table that fits, and every gate that did not pass, however many these are."""
    base, head = ({f"m{i:02}": value for i in range(30)} for value in (0.8, 0.7))
    report = report_on(
        compare_values(base, head), *(gate(f"m{i:02}", at_least=Decimal("0.75" if i < 9 else "0.1")) for i in range(30))
    )
    (table,) = tables(report)
    (folded,) = (
        block for block in report.document.blocks if isinstance(block, Folded) and "gates" in words(block.summary)
    )
    assert (len(table.rows), table.keep, words(folded.summary)) == (9, 9, "21 more gates passed")
    few = report_on(compare_values(base, head), *(gate(f"m{i:02}", at_least=Decimal("0.1")) for i in range(10)))
    assert [len(one.rows) for one in tables(few)] == [10]


def test_a_change_within_noise_is_called_so() -> None:
    """Better or worse is not claimed of an interval that holds 0."""
    interval = Interval(low=-0.02, high=0.01, level=0.95, n=900, method="influence")
    comparison = compare_values(
        {"recall": 0.8}, {"recall": 0.79}, intervals={MetricId(file="metrics.json", key=("recall",)): interval}
    )
    (table,) = tables(report_on(comparison, no_worse("0.1")))
    assert words(table.rows[0][-1]) == "worse, within noise"


def test_a_first_measurement_has_no_columns_for_a_baseline() -> None:
    """They would hold nothing."""
    (table,) = tables(report_on(compare_values(None, {"recall": 0.8}), gate(at_least=Decimal("0.5"))))
    assert [words(column.title) for column in table.columns] == ["", "gate", "work tree", "limit", ""]


def test_a_file_that_could_not_be_read_is_listed_with_its_side() -> None:
    """Nothing is dropped silently."""
    problem = Problem(state=State.UNREADABLE, path="sub/dvc.yaml", message="sub/dvc.yaml:3 is not YAML", hint="mend it")
    comparison = compare(range_of(), snapshot(problems=(problem,)), snapshot(file("m.json", {"a": 1})))
    folded = [block for block in report_on(comparison).document.blocks if isinstance(block, Folded)]
    assert "Not read: 1 file" in [words(block.summary) for block in folded]


def test_the_small_print_names_baseline_and_policy() -> None:
    """Where the numbers come from."""
    report = report_on(compare_values({"a": 1}, {"a": 2}), policy_source="seatrial.yaml of main 5b174c2", notes=("x",))
    (small,) = [words(block.line) for block in report.document.blocks if isinstance(block, Footnote)]
    assert small == "baseline: merge base with main · policy: seatrial.yaml of main 5b174c2 · x"


def test_facts_hold_strict_json_values_only() -> None:
    """NaN and the infinities are spelled out."""
    facts = report_on(compare_values({"a": 1, "b": 1}, {"a": float("nan"), "b": float("-inf")})).facts
    assert [change.head for change in facts.metrics] == ["NaN", "-Infinity"]


def test_a_next_step_that_asks_ends_as_a_question() -> None:
    """A typing error in a policy is answered with the right name, and with one mark at the end."""
    (line,) = paragraphs(
        report_on(compare_values({"recall": 0.8}, {"recall": 0.9}), gate("recal", at_least=Decimal("0.5")))
    )
    assert line.endswith("Next: did you mean recall?")
