"""Gates on tables: rows, labels, columns, leaks, drift."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.comparison import Side
from seatrial.core.data import ColumnDrift, Drift, Leak, Rows, SchemaChange, TableDiff, TypeChange
from seatrial.core.data_facts import state_table
from seatrial.core.data_rules import AnyTableRule, Count, DriftRule, LeakRule, RowRule, SchemaRule, judge_tables
from seatrial.core.data_wording import fold_tables
from seatrial.core.document import Folded
from seatrial.core.metrics import Problem, State
from seatrial.core.verdict import Finding, Margin, Outcome, Severity

PLACE = "seatrial.yaml:4"
DIFF = TableDiff(
    name="train",
    path="train.parquet",
    n_base=1_000,
    n_head=990,
    added=Rows(count=10, examples=("1001",)),
    removed=Rows(count=20, examples=("7",)),
    changed=Rows(count=49, examples=("5",)),
    flips=Rows(count=4, examples=("5 (0 → 1)",)),
    relabelled=(("0 → 1", 3), ("1 → 0", 1)),
    schema=SchemaChange(added=("x",), removed=("z",), retyped=(TypeChange(column="y", base="Int8", head="String"),)),
    leaks=(Leak(other="test", shared=Rows(count=3, examples=("8", "9")), before=0),),
    drifts=(
        Drift(columns=(ColumnDrift(column="a", psi=0.3, limit=0.1), ColumnDrift(column="b", psi=0.05, limit=0.2))),
    ),
)
TEST = TableDiff(name="test", path="test.parquet", identical=True)


def rows(count: Count, most: str, *, share: bool = False, severity: Severity = Severity.FAIL) -> RowRule:
    margin = Margin(amount=Decimal(most), relative=share)
    return RowRule(table="train", place=PLACE, count=count, most=margin, severity=severity)


def leak(most: str = "0", *, share: bool = False) -> LeakRule:
    return LeakRule(table="train", place=PLACE, other="test", most=Margin(amount=Decimal(most), relative=share))


def judge(rule: AnyTableRule, diff: TableDiff = DIFF) -> Finding:
    (finding,) = judge_tables([rule], [diff, TEST])
    return finding


@pytest.mark.parametrize(
    ("count", "most", "share", "outcome"),
    [
        (Count.ADDED, "10", False, Outcome.PASSED),
        (Count.ADDED, "0.009", True, Outcome.FAILED),
        (Count.REMOVED, "19", False, Outcome.FAILED),
        (Count.REMOVED, "0.02", True, Outcome.PASSED),
        (Count.CHANGED, "0.05", True, Outcome.PASSED),
        (Count.CHANGED, "48", False, Outcome.FAILED),
        (Count.FLIPPED, "0", False, Outcome.FAILED),
        (Count.FLIPPED, "4", False, Outcome.PASSED),
    ],
)
def test_rows_are_held_against_a_count_or_a_share(count: Count, most: str, share: bool, outcome: Outcome) -> None:
    """A share is of the baseline's rows where rows come or go, else of those that both sides hold (980 here)."""
    assert judge(rows(count, most, share=share)).outcome is outcome


def test_a_breach_names_rows_to_look_at() -> None:
    """With the label that most of them went to."""
    finding = judge(rows(Count.FLIPPED, "0"))
    assert finding.reason == "4 of 980, most of them 0 → 1"
    assert (finding.hint, finding.place, str(finding.id)) == (
        "look at the rows 5 (0 → 1)",
        PLACE,
        "train:labels flipped in train",
    )


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(Count))
def test_a_tighter_limit_never_turns_failed_into_passed(one: int, other: int, count: Count) -> None:
    """The order of limits is the order of their answers."""
    tight, loose = (judge(rows(count, str(most))).outcome for most in sorted((one, other)))
    assert (tight, loose) in {
        (Outcome.PASSED, Outcome.PASSED),
        (Outcome.FAILED, Outcome.FAILED),
        (Outcome.FAILED, Outcome.PASSED),
    }


@pytest.mark.parametrize(
    "rule", [rows(Count.FLIPPED, "0"), SchemaRule(table="train", place=PLACE, severity=Severity.FAIL)]
)
def test_equal_bytes_pass_and_a_new_table_is_not_judged(rule: AnyTableRule) -> None:
    """Neither is a failure, and each says why."""
    same = judge(rule, TableDiff(name="train", path="t", identical=True))
    new = judge(rule, TableDiff(name="train", path="t", new=True))
    assert (same.outcome, same.reason) == (Outcome.PASSED, "the same on both sides")
    assert (new.outcome, new.reason) == (Outcome.NOT_JUDGED, "new: the baseline has no such table")


def test_columns_that_came_went_or_changed_their_type_are_named() -> None:
    """By one gate, with the severity that the policy gives it."""
    finding = judge(SchemaRule(table="train", place=PLACE, severity=Severity.WARN))
    assert finding.outcome is Outcome.WARNED
    assert finding.reason == "x is new; z is gone; y was Int8, is String"


def test_a_leak_fails_and_says_whether_it_is_new() -> None:
    """Keys of both sides stand in the gates' table as numbers."""
    finding = judge(leak())
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, "a leak")
    assert finding.change is not None
    assert (finding.change.base, finding.change.head) == (0, 3)
    older = judge(leak(), replace(DIFF, leaks=(replace(DIFF.leaks[0], before=3),)))
    assert (older.outcome, older.reason) == (Outcome.FAILED, "a leak, which the baseline has too")
    assert judge(leak("3")).outcome is Outcome.PASSED
    assert judge(leak("0.01", share=True)).outcome is Outcome.PASSED


def test_a_leak_that_nobody_could_look_for_is_no_pass() -> None:
    """Here the other table could not be read: that is a failure of its own."""
    broken = replace(TEST, identical=False, problem=problem(), side=Side.HEAD)
    findings = judge_tables([leak()], [replace(DIFF, leaks=()), broken])
    assert [finding.outcome for finding in findings] == [Outcome.INCONCLUSIVE, Outcome.FAILED]


def problem() -> Problem:
    return Problem(state=State.UNREADABLE, path="train.parquet", message="it is damaged", hint="write it again")


@pytest.mark.parametrize(("side", "outcome"), [(Side.HEAD, Outcome.FAILED), (Side.BASE, Outcome.INCONCLUSIVE)])
def test_a_table_that_can_not_be_read_is_one_finding(side: Side, outcome: Outcome) -> None:
    """However many gates it has; the candidate is not blamed for the baseline."""
    broken = TableDiff(name="train", path="train.parquet", problem=problem(), side=side)
    rules: list[AnyTableRule] = [
        rows(Count.ADDED, "0"),
        rows(Count.FLIPPED, "0"),
        DriftRule(table="train", place=PLACE),
    ]
    (finding,) = judge_tables(rules, [broken])
    assert (finding.outcome, finding.reason, finding.hint) == (outcome, "it is damaged", "write it again")


@pytest.mark.parametrize(
    ("most", "outcome", "reason"),
    [
        (None, Outcome.WARNED, "1 of 2 columns: a most, 0.300"),
        (Decimal("0.3"), Outcome.PASSED, "a most, 0.300"),
        (Decimal("0.01"), Outcome.WARNED, "2 of 2 columns: a most, 0.300"),
    ],
)
def test_drift_is_held_against_its_own_noise_or_a_number(most: Decimal | None, outcome: Outcome, reason: str) -> None:
    """Drift warns unless the policy says otherwise."""
    finding = judge(DriftRule(table="train", place=PLACE, most=most))
    assert (finding.outcome, finding.reason) == (outcome, reason)


def test_drift_that_can_not_be_told_is_no_pass() -> None:
    """No column to compare, or another table that is not there."""
    untold = replace(DIFF, drifts=(Drift(columns=(ColumnDrift(column="a", reason="holds List"),)),))
    assert judge(DriftRule(table="train", place=PLACE), untold).outcome is Outcome.INCONCLUSIVE
    assert judge(DriftRule(table="train", place=PLACE, against="test")).outcome is Outcome.INCONCLUSIVE


def summarise(*tables: TableDiff) -> str:
    (block,) = fold_tables(tables)
    assert isinstance(block, Folded)
    return "".join(getattr(inline, "value", "") for inline in block.summary)


def test_the_report_sums_all_tables_up_in_a_line() -> None:
    """What changed first, then leaks and drift; nothing at all where the policy names no table."""
    assert summarise(DIFF, TEST) == (
        "Data: train +10 −20 rows, 49 rows changed, 4 labels flipped, 3 columns new, gone or retyped; test unchanged; "
        "3 keys of train also in test; drift of train: a PSI 0.30"
    )
    assert summarise(TableDiff(name="t", path="t", new=True)) == "Data: t is new"
    assert summarise(TableDiff(name="t", path="t", n_base=1, n_head=1)) == "Data: t has the same rows"
    assert fold_tables(()) == []


def test_the_facts_tell_the_state_of_a_table() -> None:
    """Identical bytes are not called a comparison."""
    named: dict[str, dict[str, Any]] = {
        "identical": {"identical": True},
        "new": {"new": True},
        "unreadable": {"problem": problem(), "side": Side.HEAD},
        "compared": {"n_base": 1, "n_head": 1},
    }
    for state, known in named.items():
        assert state_table(TableDiff(name="t", path="t", **known)).state == state


def test_ten_thousand_columns_do_not_make_a_report_of_megabytes() -> None:
    """The first are listed, all are counted."""
    drift = Drift(columns=tuple(ColumnDrift(column=f"c{index}", psi=0.0, limit=0.1) for index in range(10_000)))
    facts = state_table(replace(DIFF, drifts=(drift,)))
    assert (len(facts.drifts[0].columns), facts.drifts[0].columns_compared) == (200, 10_000)
