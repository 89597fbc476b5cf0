"""Evidence and tables that cross from a stranger's CI: honest ones are judged as at home, gaps in them never pass."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from seatrial.core.comparison import Comparison, Side
from seatrial.core.data import ColumnDrift, Drift, Leak, Rows, TableDiff
from seatrial.core.data_facts import TableFacts, state_table
from seatrial.core.data_rules import AnyTableRule, Count, DriftRule, LeakRule, RowRule, judge_tables
from seatrial.core.evidence import EvaluationResult
from seatrial.core.evidence_facts import EvaluationFacts, state_evaluation
from seatrial.core.evidence_judging import judge_evidence
from seatrial.core.evidence_rules import AnyEvidenceRule, Bound, BudgetRule, FlipRule, GapRule
from seatrial.core.handover import Names
from seatrial.core.handover_evidence import ExpectedEvaluation, ExpectedTable, take_evaluations, take_tables
from seatrial.core.metrics import Direction, Problem, State
from seatrial.core.verdict import Finding, Outcome
from seatrial.errors import CompareError
from tests.unit.core.evidence_cases import absolute, evidence, flips, gap, result, rule
from tests.unit.core.snapshots import compare_values

NOTHING = compare_values({"other": 1}, {"other": 1})
GAP = GapRule(evaluation="delays", metric="recall", by="origin", place="p", max_gap_increase=absolute(0.02))
WIDE = replace(GAP, max_gap=Decimal("0.2"), max_gap_increase=None)
FEW = FlipRule(evaluation="delays", place="p", max_newly_wrong=absolute(10))
BUDGET = BudgetRule(evaluation="delays", place="p", data="data", most=5)
SAFE = rule(no_worse_than=absolute(0.01))
BETTER = rule(better_by=absolute(0.01))
FLOOR = rule(at_least=Decimal("0.6"))
SURE = rule(at_least=Decimal("0.6"), bound=Bound.CONFIDENT)
SLICED = rule(not_harmed=absolute(0), sliced=True)
SLICES = tuple(
    evidence(0.8, head, ends, part=part, p_worse=p, p_adjusted=p)
    for part, head, ends, p in (
        ("origin=EWR", 0.81, (-0.01, 0.03), 0.8),
        ("origin=JFK", 0.6, (-0.3, -0.1), 0.001),
    )
)
HONEST: list[tuple[AnyEvidenceRule, EvaluationResult, Outcome]] = [
    (SAFE, result(evidence(0.8, 0.81, (0.0, 0.02))), Outcome.PASSED),
    (SAFE, result(evidence(0.8, 0.7, (-0.15, -0.05))), Outcome.FAILED),
    (SAFE, result(evidence(0.8, 0.795, (-0.02, 0.01))), Outcome.INCONCLUSIVE),
    (SAFE, result(evidence(0.8, 0.8, (0.0, 0.0))), Outcome.PASSED),
    (SAFE, result(evidence(None, 0.8), n_base=None, n_common=None), Outcome.NOT_JUDGED),
    (BETTER, result(evidence(0.8, 0.9, (0.05, 0.15))), Outcome.PASSED),
    (BETTER, result(evidence(0.8, 0.801, (-0.01, 0.012))), Outcome.INCONCLUSIVE),
    (FLOOR, result(evidence(0.8, 0.5, (-0.4, -0.2))), Outcome.FAILED),
    (SURE, result(evidence(0.8, 0.65, (-0.2, -0.1), own=(0.55, 0.7))), Outcome.INCONCLUSIVE),
    (SLICED, result(evidence(0.8, 0.8, (0.0, 0.0)), slices=SLICES), Outcome.FAILED),
    (SLICED, result(evidence(0.8, 0.8, (0.0, 0.0)), slices=SLICES[:1]), Outcome.PASSED),
    (GAP, result(gaps=(gap(0.1, 0.15, (0.03, 0.08)),)), Outcome.FAILED),
    (GAP, result(gaps=(gap(0.1, 0.11, (-0.03, 0.08)),)), Outcome.PASSED),
    (WIDE, result(gaps=(gap(0.1, 0.3, (0.1, 0.3)),)), Outcome.FAILED),
    (FEW, result(flips=flips(30)), Outcome.FAILED),
    (FEW, result(flips=flips(3)), Outcome.PASSED),
    (FEW, result(flips=None), Outcome.INCONCLUSIVE),
]


def expect(*rules: AnyEvidenceRule, in_baseline: bool = True, **more: Any) -> ExpectedEvaluation:
    """What our policy says of the evaluation `delays`."""
    return ExpectedEvaluation(name="delays", predictions="p.csv", in_baseline=in_baseline, rules=rules, **more)


def take(facts: EvaluationFacts | None, expected: ExpectedEvaluation, comparison: Comparison = NOTHING) -> Any:
    """The evaluation on our side."""
    told = () if facts is None else (facts,)
    return take_evaluations(told, (expected,), comparison, Names())


def judge(demand: AnyEvidenceRule, facts: EvaluationFacts | None, **more: Any) -> list[Finding]:
    """What our policy says of it."""
    return judge_evidence([demand], take(facts, expect(demand, **more)))


@pytest.mark.parametrize(("demand", "told", "outcome"), HONEST)
def test_honest_evidence_is_judged_as_at_home(demand: Any, told: EvaluationResult, outcome: Outcome) -> None:
    """The same rule comes to the same answer on both sides of the boundary."""
    (here,) = judge(demand, state_evaluation(told), in_baseline=told.n_base is not None)
    (home,) = judge_evidence([demand], [told])
    assert here.outcome is home.outcome is outcome
    assert here.limit == home.limit


def forget_all(facts: EvaluationFacts) -> EvaluationFacts:
    return replace(facts, overall=(), slices=(), gaps=(), flips=None)


def call_new(facts: EvaluationFacts) -> EvaluationFacts:
    return replace(drop_base(facts), n_base=None, n_common=None, flips=None)


def drop_base(facts: EvaluationFacts) -> EvaluationFacts:
    bare = {"base": None, "delta": None, "low": None, "high": None, "reason": ""}
    return replace(
        facts,
        overall=tuple(replace(each, **bare) for each in facts.overall),
        slices=tuple(replace(each, **bare) for each in facts.slices),
        gaps=tuple(replace(each, base=None, low=None, high=None, reason="") for each in facts.gaps),
        flips=None,
    )


def drop_intervals(facts: EvaluationFacts) -> EvaluationFacts:
    bare = {"low": None, "high": None, "reason": "", "own_low": None, "own_high": None}
    return replace(
        facts,
        overall=tuple(replace(each, **bare) for each in facts.overall),
        slices=tuple(replace(each, **bare) for each in facts.slices),
        gaps=tuple(replace(each, low=None, high=None, reason="") for each in facts.gaps),
        flips=None,
    )


def shift_intervals(facts: EvaluationFacts) -> EvaluationFacts:
    """Intervals that do not hold their own difference."""
    far = {"low": 0.5, "high": 0.6, "own_low": 2.0, "own_high": 3.0}
    shifted = replace(facts, overall=tuple(replace(each, **far) for each in facts.overall))
    return replace(shifted, slices=tuple(replace(each, **far) for each in facts.slices), gaps=(), flips=None)


def call_unread(facts: EvaluationFacts) -> EvaluationFacts:
    return replace(forget_all(facts), problem="x", side="base", n_base=None, n_head=None, n_common=None)


DEMANDS = (SAFE, BETTER, SURE, SLICED, GAP, WIDE, FEW)
BAD = result(
    evidence(0.8, 0.5, (-0.35, -0.25), own=(0.45, 0.55)),
    slices=SLICES,
    gaps=(gap(0.1, 0.5, (0.3, 0.5)),),
    flips=flips(99),
)


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("forgery", [forget_all, call_new, drop_base, drop_intervals, shift_intervals, call_unread])
def test_what_is_left_out_never_passes(
    demand: AnyEvidenceRule, forgery: Callable[[EvaluationFacts], EvaluationFacts]
) -> None:
    """A baseline that is called new, an interval that is not told or holds no water: no gate is passed or set aside."""
    findings = judge(demand, forgery(state_evaluation(BAD)))
    assert findings
    assert not {finding.outcome for finding in findings} & {Outcome.PASSED, Outcome.NOT_JUDGED}


@pytest.mark.parametrize("demand", [*DEMANDS, BUDGET])
def test_an_evaluation_that_is_not_told_leaves_its_gates_open(demand: AnyEvidenceRule) -> None:
    """Main got the evaluation after the run, or somebody took it out of the report."""
    (finding,) = judge(demand, None)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "nothing is told by the pull request's own CI" in finding.reason
    assert finding.hint


def test_a_required_slice_that_is_not_told_is_missed() -> None:
    """Taking it out of the report is as taking it out of the data."""
    (told,) = take(state_evaluation(BAD), expect(SAFE, required=("origin=LGA",), min_n=100))
    assert [(one.name, one.n, one.needed) for one in told.cohorts] == [("origin=LGA", 0, 100)]


def test_which_way_is_better_is_the_policys_to_say() -> None:
    """A report that calls a fall of recall a gain is not followed."""
    honest = state_evaluation(BAD)
    forged = replace(honest, overall=tuple(replace(each, direction="lower") for each in honest.overall))
    (finding,) = judge(SAFE, forged, directions={"recall": Direction.HIGHER})
    assert finding.outcome is Outcome.FAILED


def test_another_level_is_no_interval() -> None:
    """An interval at 50 % would be narrow enough for anything."""
    honest = state_evaluation(result(evidence(0.8, 0.8, (-0.001, 0.001))))
    forged = replace(honest, overall=tuple(replace(each, level=0.5) for each in honest.overall))
    (finding,) = judge(SAFE, forged)
    assert finding.outcome is Outcome.INCONCLUSIVE


def test_the_metrics_file_of_main_contradicts_another_baseline() -> None:
    """Where main's own file tells the metric, an estimate against another value rests on nothing."""
    comparison = compare_values({"recall": 0.8}, {"recall": 0.75})
    told = state_evaluation(result(evidence(0.74, 0.75, (0.0, 0.02))))
    demand = expect(SAFE, metrics_file="metrics.json")
    (finding,) = judge_evidence([SAFE], take(told, demand, comparison))
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "compares with 0.74, where metrics.json of the baseline has 0.8" in finding.reason


def test_a_metric_of_a_file_keeps_its_address() -> None:
    """So that it is not told twice."""
    comparison = compare_values({"recall": 0.8}, {"recall": 0.81})
    told = state_evaluation(result(evidence(0.8, 0.81, (0.0, 0.02))))
    (taken,) = take(told, expect(SAFE, metrics_file="metrics.json"), comparison)
    assert [str(each.change.id) for each in taken.overall] == ["metrics.json:recall"]


@pytest.mark.parametrize(
    ("changes", "same"),
    [({}, True), ({"n_common": 900}, False), ({"labels_changed": 3}, False), ({"problem": "they differ"}, False)],
)
def test_the_samples_have_to_be_the_same_where_the_policy_wants_it(changes: dict[str, Any], same: bool) -> None:
    """Seen from the counts, which have to fit one another."""
    facts = replace(state_evaluation(result(evidence(0.8, 0.81, (0.0, 0.02)))), **changes)
    findings = judge(SAFE, facts, same_set=True)
    assert [finding.check for finding in findings if finding.outcome is not Outcome.PASSED] == (
        [] if same else ["same_eval_set"]
    )


def test_uses_of_the_set_are_counted_in_git() -> None:
    """Not in the report."""
    facts = replace(state_evaluation(result(evidence(0.8, 0.81, (0.0, 0.02)))), reused=0)
    (finding,) = judge(BUDGET, facts, reused=9)
    assert finding.outcome is Outcome.WARNED


def test_trouble_of_the_candidates_predictions_fails() -> None:
    """It can't be told from a word of the report that the trouble is the baseline's, unless it says so."""
    honest = EvaluationResult(
        name="delays", problem=Problem(state=State.UNREADABLE, path="p.csv", message="<b>"), side=Side.HEAD
    )
    (finding,) = judge(SAFE, state_evaluation(honest))
    assert finding.outcome is Outcome.FAILED
    assert "<b>" not in finding.reason


@pytest.mark.parametrize(
    "counts", [{"newly_wrong": -5}, {"newly_right": 2_000}, {"newly_wrong": 999, "newly_right": 2}]
)
def test_counts_that_can_not_be_are_refused(counts: dict[str, int]) -> None:
    """More flips than samples, or fewer than none."""
    facts = state_evaluation(result(flips=flips(30)))
    assert facts.flips
    with pytest.raises(CompareError, match="newly wrong"):
        judge(FEW, replace(facts, flips=replace(facts.flips, **counts)))


def test_an_evaluation_that_is_told_twice_is_refused() -> None:
    """Nobody knows which of the two would count."""
    facts = state_evaluation(BAD)
    with pytest.raises(CompareError, match="twice"):
        take_evaluations((facts, facts), (expect(SAFE),), NOTHING, Names())


@pytest.mark.parametrize(("slices", "said"), [(60_000, "60,001 estimates"), (300, "301 metrics of one evaluation")])
def test_more_than_anybody_looks_at_is_refused(slices: int, said: str) -> None:
    """Else a report of a few megabytes would keep the job busy for hours."""
    facts = state_evaluation(result(evidence(0.8, 0.81, (0.0, 0.02))))
    (one,) = facts.overall
    many = tuple(replace(one, metric=f"m{number}", slice="s") for number in range(slices))
    with pytest.raises(CompareError, match=said):
        judge(SAFE, replace(facts, slices=many))


def test_evaluations_of_no_policy_stay_outside() -> None:
    """A report may tell of what main does not know."""
    assert take_evaluations((state_evaluation(BAD),), (), NOTHING, Names()) == ()


# -- tables

ADDED = RowRule(table="train", place="p", count=Count.ADDED, most=absolute(10))
LEAK = LeakRule(table="train", place="p", other="test", most=absolute(0))
DRIFT = DriftRule(table="train", place="p")
TABLE = TableDiff(
    name="train",
    path="train.csv",
    n_base=1_000,
    n_head=1_100,
    added=Rows(count=100, examples=("k1",)),
    drifts=(Drift(columns=(ColumnDrift(column="x", psi=0.5, limit=0.1),), n_before=1_000, n_now=1_100),),
    leaks=(Leak(other="test", shared=Rows(count=3), before=0),),
)
CALM = Drift(columns=(ColumnDrift(column="x", psi=0.01, limit=0.1),))
SMALL = replace(TABLE, added=Rows(count=1), drifts=(CALM,), leaks=(Leak(other="test", shared=Rows()),))
SAME = replace(TABLE, identical=True, drifts=())
NEW = replace(TABLE, new=True, drifts=())


def judge_table(demand: AnyTableRule, facts: TableFacts | None, *, in_baseline: bool = True) -> list[Finding]:
    """What our policy says of the table `train`."""
    expected = ExpectedTable(name="train", path="train.csv", in_baseline=in_baseline, rules=(demand,))
    return judge_tables([demand], take_tables(() if facts is None else (facts,), (expected,), Names()))


@pytest.mark.parametrize("demand", [ADDED, LEAK, DRIFT])
@pytest.mark.parametrize("told", [TABLE, SMALL, SAME, NEW])
def test_honest_tables_are_judged_as_at_home(demand: AnyTableRule, told: TableDiff) -> None:
    """Rows, keys that leak, drift."""
    here = judge_table(demand, state_table(told), in_baseline=not told.new)
    home = judge_tables([demand], [told])
    assert [(one.outcome, one.reason) for one in here] == [(one.outcome, one.reason) for one in home]


HALVES: tuple[dict[str, Any], ...] = (
    {"state": "new"},
    {"state": "unreadable", "side": "base"},
    {"drifts": (), "leaks": ()},
)


@pytest.mark.parametrize("demand", [ADDED, LEAK, DRIFT])
@pytest.mark.parametrize("changes", [None, *HALVES])
def test_what_is_left_out_of_a_table_never_passes(demand: AnyTableRule, changes: dict[str, Any] | None) -> None:
    """Not told, called new, called unreadable, or told by halves."""
    facts = None if changes is None else replace(state_table(TABLE), **changes)
    findings = judge_table(demand, facts)
    assert findings
    assert not {finding.outcome for finding in findings} & {Outcome.PASSED, Outcome.NOT_JUDGED}


@pytest.mark.parametrize("changes", [{"state": "fine"}, {"n_head": -1}])
def test_a_table_that_can_not_be_is_refused(changes: dict[str, Any]) -> None:
    """Unknown states, and fewer rows than none."""
    with pytest.raises(CompareError, match="refused"):
        judge_table(ADDED, replace(state_table(TABLE), **changes))


def test_a_table_that_is_told_twice_is_refused() -> None:
    """Nobody knows which of the two would count."""
    expected = ExpectedTable(name="train", path="train.csv", in_baseline=True)
    with pytest.raises(CompareError, match="twice"):
        take_tables((state_table(TABLE), state_table(TABLE)), (expected,), Names())
