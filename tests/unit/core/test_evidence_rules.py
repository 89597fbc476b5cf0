"""Gates by intent: what they demand of evidence, and that nothing passes which was not shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.comparison import Side
from seatrial.core.evidence import Cohort, EvaluationResult, Evidence
from seatrial.core.evidence_judging import judge_evidence
from seatrial.core.evidence_rules import Bound, BudgetRule, EvidenceRule, FlipRule, GapRule
from seatrial.core.metrics import Direction, Problem, State
from seatrial.core.verdict import BREACH_FIRST, Margin, Outcome, Severity, Status, Verdict
from seatrial.errors import ExitCode
from tests.unit.core.evidence_cases import absolute, evidence, flips, gap, judge, result, rule, share

DEMANDS = ("no_worse_than", "not_harmed", "better_by", "at_most_better_by")
P, F, Q = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE


def mirror(ends: tuple[float, float]) -> tuple[float, float]:
    """The interval of a change with the other sign."""
    return -ends[1], -ends[0]


@pytest.mark.parametrize(
    ("demand", "margin", "delta", "ends", "outcome", "reason"),
    [
        ("no_worse_than", 0.02, 0.01, (0.005, 0.015), P, "improved"),
        ("no_worse_than", 0.02, 0.0, (-0.01, 0.01), P, "no worse"),
        ("no_worse_than", 0.02, -0.01, (-0.015, -0.005), P, "worse, within the limit"),
        ("no_worse_than", 0.02, -0.01, (-0.03, 0.01), Q, "inconclusive: about 8,200 samples would tell"),
        ("no_worse_than", 0.02, -0.04, (-0.05, -0.03), F, "worse"),
        ("no_worse_than", 0.02, 0.0, (0.0, 0.0), P, "identical"),
        ("no_worse_than", 0, 0.0, (0.0, 0.0), P, "identical"),
        ("no_worse_than", 0, 0.01, (0.005, 0.015), P, "improved"),
        ("not_harmed", 0.02, 0.01, (0.005, 0.015), P, "improved"),
        ("not_harmed", 0.02, 0.0, (-0.01, 0.01), P, "no worse"),
        ("not_harmed", 0.02, -0.01, (-0.04, 0.02), P, "not proven worse"),
        ("not_harmed", 0.02, -0.02, (-0.03, -0.01), P, "worse, perhaps beyond the limit"),
        ("not_harmed", 0.02, -0.01, (-0.015, -0.005), P, "worse, within the limit"),
        ("not_harmed", 0.02, -0.04, (-0.05, -0.03), F, "proven worse"),
        ("not_harmed", 0.02, 0.0, (0.0, 0.0), P, "identical"),
        ("better_by", 0.02, 0.04, (0.03, 0.05), P, "improved"),
        ("better_by", 0.02, 0.03, (0.01, 0.05), Q, "inconclusive: about 8,200 samples would tell"),
        ("better_by", 0.02, 0.01, (0.005, 0.015), F, "better, but by too little"),
        ("better_by", 0.02, 0.0, (-0.01, 0.01), F, "no better, or by too little"),
        ("better_by", 0.02, -0.01, (-0.015, -0.005), F, "worse"),
        ("better_by", 0, 0.0, (0.0, 0.0), F, "identical"),
        ("better_by", 0, 0.01, (0.005, 0.015), P, "improved"),
        ("at_most_better_by", 0.02, 0.03, (-0.05, 0.11), F, "too good to be true"),
        ("at_most_better_by", 0.02, 0.01, (0.005, 0.015), P, "improved"),
        ("at_most_better_by", 0.02, -0.5, (-0.6, -0.4), P, "worse, within the limit"),
    ],
)
@pytest.mark.parametrize("direction", Direction)
def test_a_demand_on_the_change(
    demand: str, margin: float, delta: float, ends: tuple[float, float], outcome: Outcome, reason: str, direction: Any
) -> None:
    """Every intent, whichever way is better: what is shown passes, what is disproven fails, the rest can't be told."""
    higher = direction is Direction.HIGHER
    ends = ends if higher else mirror(ends)
    told = result(evidence(0.5, 0.5 + (delta if higher else -delta), ends, direction=direction))
    found = judge(rule(direction=direction, **{demand: absolute(margin)}), told)
    assert (found.outcome, found.reason) == (outcome, reason)
    as_share = judge(rule(direction=direction, **{demand: share(margin * 2)}), told)
    assert as_share.outcome is outcome


@pytest.mark.parametrize(
    ("demand", "margin", "higher", "lower"),
    [
        ("no_worse_than", absolute("0.002"), "Δ ≥ −0.002", "Δ ≤ +0.002"),
        ("not_harmed", share("0.01"), "Δ ≥ −1%", "Δ ≤ +1%"),
        ("better_by", absolute("0.01"), "Δ ≥ +0.01", "Δ ≤ −0.01"),
        ("at_most_better_by", absolute("0.05"), "Δ ≤ +0.05", "Δ ≥ −0.05"),
        ("no_worse_than", absolute("0"), "Δ ≥ 0", "Δ ≤ 0"),
        ("better_by", absolute("0"), "Δ > 0", "Δ < 0"),
        ("at_most_better_by", absolute("0"), "Δ ≤ 0", "Δ ≥ 0"),
    ],
)
def test_a_demand_is_spelled_as_a_limit_on_the_change(demand: str, margin: Margin, higher: str, lower: str) -> None:
    """With the sign of the metric's own direction."""
    told = result(evidence(0.5, 0.5, (-0.01, 0.01)))
    spelled = [judge(rule(direction=way, **{demand: margin}), told).limit for way in Direction]
    assert spelled == [higher, lower]


@pytest.mark.parametrize("demand", DEMANDS)
def test_without_a_baseline_no_change_is_judged(demand: str) -> None:
    """A first measurement neither passes nor fails a demand on the change."""
    told = result(evidence(None, 0.5, own=(0.4, 0.6)), n_base=None)
    found = judge(rule(**{demand: absolute("0.1")}), told)
    assert (found.outcome, found.reason) == (Outcome.NOT_JUDGED, "new: there is no baseline value")


@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("base", [0.5, None])
def test_too_little_to_judge_is_no_pass(demand: str, base: float | None) -> None:
    """Metrics that so few rows don't determine are inconclusive, and say why."""
    told = result(evidence(base, base and 0.5, reason="there are 3 positives, and 10 are needed"))
    found = judge(rule(**{demand: absolute("0.1")}), told)
    assert (found.outcome, found.reason) == (Q, "insufficient: there are 3 positives, and 10 are needed")
    assert found.hint


@pytest.mark.parametrize("demand", DEMANDS)
def test_a_metric_that_only_the_candidate_has_not_fails(demand: str) -> None:
    """A model that predicts no positive at all has no precision: its own fault, not a lack of samples."""
    told = result(evidence(0.5, None, reason="candidate: nothing is predicted positive"))
    assert judge(rule(**{demand: absolute("0.1")}), told).outcome is F
    assert judge(rule(**{demand: absolute("0.1")}, severity=Severity.WARN), told).outcome is Outcome.WARNED


@pytest.mark.parametrize(
    ("limits", "value", "own", "outcome", "reason"),
    [
        ({"at_least": "0.6"}, 0.6, (0.5, 0.7), P, ""),
        ({"at_least": "0.6"}, 0.59, (0.5, 0.7), F, "below the limit"),
        ({"at_most": "0.6"}, 0.6, (0.5, 0.7), P, ""),
        ({"at_most": "0.6"}, 0.61, (0.5, 0.7), F, "above the limit"),
        ({"at_least": "0.6", "bound": Bound.CONFIDENT}, 0.65, (0.6, 0.7), P, ""),
        (
            {"at_least": "0.6", "bound": Bound.CONFIDENT},
            0.65,
            (0.58, 0.7),
            Q,
            "inconclusive: its interval reaches 0.5800",
        ),
        ({"at_least": "0.6", "bound": Bound.CONFIDENT}, 0.5, (0.4, 0.59), F, "below the limit"),
        ({"at_most": "0.6", "bound": Bound.CONFIDENT}, 0.5, (0.4, 0.6), P, ""),
        ({"at_most": "0.6", "bound": Bound.CONFIDENT}, 0.5, (0.4, 0.7), Q, "inconclusive: its interval reaches 0.7000"),
        ({"at_most": "0.6", "bound": Bound.CONFIDENT}, 0.7, (0.61, 0.8), F, "above the limit"),
        ({"at_least": "0.6", "bound": Bound.CONFIDENT}, 0.65, None, Q, "insufficient: few"),
        ({"at_least": "0.6"}, None, None, F, "few"),
        ({"at_most": "0.6", "bound": Bound.CONFIDENT}, None, None, F, "few"),
        ({"at_least": "0.6"}, float("inf"), None, F, "few"),
    ],
)
def test_a_floor_or_ceiling(
    limits: dict[str, Any], value: float | None, own: tuple[float, float] | None, outcome: Outcome, reason: str
) -> None:
    """The value itself, or its less favourable end; it is judged with or without a baseline."""
    demands = {name: limit if name == "bound" else Decimal(limit) for name, limit in limits.items()}
    for base in (0.5, None):
        found = judge(rule(**demands), result(evidence(base, value, own=own, reason="" if own else "few")))
        assert (found.outcome, found.reason) == (outcome, reason)
    assert found.limit.endswith("(CI)") == ("bound" in limits)


def test_a_metric_that_is_not_measured_fails() -> None:
    """A gate on nothing is no pass."""
    found = judge(rule("f1", no_worse_than=absolute("0.1")), result(evidence(0.5, 0.5, (0, 0))))
    assert (found.outcome, found.check) == (F, "present")
    found = judge(GapRule(evaluation="delays", metric="f1", by="origin", place="", max_gap=Decimal(1)), result())
    assert (found.outcome, found.check) == (F, "present")


def slices(*told: tuple[str, float, float, float | None]) -> EvaluationResult:
    """Slices by name, baseline, candidate and corrected p-value, each ±0.01."""
    found = tuple(
        evidence(base, head, (head - base - 0.01, head - base + 0.01), part=name, p_worse=p, p_adjusted=p)
        for name, base, head, p in told
    )
    return result(slices=found, min_n=200)


class TestSlices:
    """One gate for all slices."""

    def test_proven_harm_beyond_the_margin_blocks(self) -> None:
        """The worst is shown with its numbers, the others are counted."""
        told = slices(("a", 0.5, 0.4, 0.001), ("b", 0.5, 0.3, 0.001), ("c", 0.5, 0.5, 0.7))
        found = judge(rule(not_harmed=absolute("0.05"), sliced=True), told)
        assert (found.outcome, found.reason) == (F, "2 of 3 slices worse; shown: b")
        assert found.change is not None
        assert (found.id.slice, found.change.id.slice, found.hint) == ("slices", "b", "look at slice b")

    def test_only_the_corrected_p_value_proves(self) -> None:
        """What is worse alone is not so among many; what is proven but small is within the margin."""
        told = slices(("a", 0.5, 0.3, 0.06), ("b", 0.5, 0.49, 0.001))
        found = judge(rule(not_harmed=absolute("0.05"), sliced=True), told)
        assert (found.outcome, found.reason) == (P, "none of 2 slices proven worse")
        assert judge(rule(not_harmed=absolute("0.05"), sliced=True, q=0.1), told).outcome is F

    def test_every_slice_must_be_shown_safe(self) -> None:
        """Non-inferiority needs no correction: all of them have to pass."""
        told = slices(("a", 0.5, 0.5, 0.5), ("b", 0.5, 0.47, 0.5))
        assert (
            judge(rule(no_worse_than=absolute("0.05"), sliced=True), told).reason == "all of 2 slices within the limit"
        )
        found = judge(rule(no_worse_than=absolute("0.03"), sliced=True), told)
        assert (found.outcome, found.reason) == (Q, "1 of 2 slices inconclusive; shown: b")
        assert judge(rule(no_worse_than=absolute("0.01"), sliced=True), told).outcome is F

    def test_a_floor_for_every_slice(self) -> None:
        """The lowest is shown."""
        told = slices(("a", 0.5, 0.5, 0.5), ("b", 0.5, 0.45, 0.5))
        found = judge(rule(at_least=Decimal("0.48"), sliced=True), told)
        assert (found.outcome, found.reason, found.limit) == (F, "1 of 2 slices below the limit; shown: b", "≥ 0.48")

    def test_a_slice_that_can_t_be_judged_is_counted(self) -> None:
        """The others still pass; where none is left, nothing does."""
        few = evidence(0.5, 0.4, part="few", reason="few")
        some = slices(("a", 0.5, 0.5, 0.5))
        demand = rule(not_harmed=absolute("0.05"), sliced=True)
        found = judge(demand, replace(some, slices=(few, *some.slices)))
        assert (found.outcome, found.reason) == (P, "none of 1 slice proven worse, 1 can't be judged")
        found = judge(demand, result(slices=(few,)))
        assert (found.outcome, found.reason) == (Q, "insufficient: none of 1 slice can be judged")
        assert judge(demand, result(min_n=200)).outcome is Q

    def test_a_slice_that_the_candidate_can_t_answer_is_a_breach(self) -> None:
        """The baseline has a value there."""
        gone = evidence(0.5, None, part="gone", reason="candidate: nothing is predicted positive")
        found = judge(rule(not_harmed=absolute("0.05"), sliced=True), result(slices=(gone,)))
        assert (found.outcome, found.reason) == (F, "1 of 1 slice undefined in the candidate; shown: gone")

    def test_a_first_measurement_waits(self) -> None:
        """There is nothing to compare with, which is not the same as nothing harmed."""
        told = result(slices=(evidence(None, 0.5, part="a", own=(0.4, 0.6)),), n_base=None)
        found = judge(rule(not_harmed=absolute("0.05"), sliced=True), told)
        assert (found.outcome, found.reason) == (Outcome.NOT_JUDGED, "new: there is no baseline value")


class TestGroups:
    """Gaps between groups."""

    @staticmethod
    def demand(**limits: Any) -> GapRule:
        return GapRule(evaluation="delays", metric="recall", by="origin", place="seatrial.yaml:20", **limits)

    @pytest.mark.parametrize(
        ("head", "own", "bound", "outcome"),
        [
            (0.1, (0.0, 0.3), Bound.POINT, P),
            (0.21, (0.0, 0.3), Bound.POINT, F),
            (0.1, (0.0, 0.19), Bound.CONFIDENT, P),
            (0.1, (0.0, 0.3), Bound.CONFIDENT, Q),
            (0.4, (0.3, 0.5), Bound.CONFIDENT, F),
            (0.1, None, Bound.CONFIDENT, Q),
        ],
    )
    def test_the_gap_itself(self, head: float, own: tuple[float, float] | None, bound: Bound, outcome: Outcome) -> None:
        """The groups that make it are named."""
        found = judge(self.demand(max_gap=Decimal("0.2"), bound=bound), result(gaps=(gap(0.1, head, own=own),)))
        assert (found.outcome, found.limit) == (outcome, "≤ 0.2" if bound is Bound.POINT else "≤ 0.2 (CI)")
        assert "JFK lowest, EWR highest" in found.reason

    @pytest.mark.parametrize(
        ("ends", "outcome"), [((0.06, 0.2), F), ((0.04, 0.2), P), ((-0.2, -0.1), P), ((0.0, 0.0), P)]
    )
    def test_its_widening_blocks_where_proven(self, ends: tuple[float, float], outcome: Outcome) -> None:
        """The whole interval must lie beyond the margin, absolute or a share of the baseline's gap."""
        told = result(gaps=(gap(0.1, 0.2, ends),))
        assert judge(self.demand(max_gap_increase=absolute("0.05")), told).outcome is outcome
        assert judge(self.demand(max_gap_increase=share("0.5")), told).outcome is outcome

    def test_what_can_t_be_had_is_no_pass(self) -> None:
        """One group has no gap; no baseline has no widening."""
        alone = result(gaps=(gap(None, None, reason="1 of 3 groups have a value"),))
        for demand in (self.demand(max_gap=Decimal("0.2")), self.demand(max_gap_increase=absolute("0.05"))):
            assert judge(demand, alone).outcome is Q
        first = result(gaps=(gap(None, 0.1, own=(0, 1)),), n_base=None)
        assert judge(self.demand(max_gap_increase=absolute("0.05")), first).outcome is Outcome.NOT_JUDGED
        assert judge(self.demand(max_gap=Decimal("0.2")), first).outcome is P


@pytest.mark.parametrize(
    ("most", "wrong", "outcome"),
    [(absolute(20), 20, P), (absolute(20), 21, F), (share("0.02"), 20, P), (share("0.02"), 21, F), (absolute(0), 0, P)],
)
def test_newly_wrong_samples_are_counted(most: Margin, wrong: int, outcome: Outcome) -> None:
    """A count, or a share of all; a breach names samples to look at, and the table shows the number."""
    demand = FlipRule(evaluation="delays", place="seatrial.yaml:12", max_newly_wrong=most)
    found = judge(demand, result(flips=flips(wrong)))
    assert (found.outcome, found.hint) == (outcome, "look at k0, k1, k2" if outcome is F else "")
    assert found.change is not None
    assert found.change.head == wrong
    assert f"{wrong / 10:.1f} %, against 5 newly right" == found.reason


def test_decisions_that_can_t_be_compared_are_no_pass() -> None:
    """Different samples, or no baseline."""
    demand = FlipRule(evaluation="delays", place="seatrial.yaml:12", max_newly_wrong=absolute(20))
    assert judge(demand, result()).outcome is Q
    assert judge(demand, result(n_base=None)).outcome is Outcome.NOT_JUDGED


@pytest.mark.parametrize(
    ("used", "n_base", "outcome"),
    [(5, 9, P), (6, 9, Outcome.WARNED), (0, 9, P), (None, 9, Q), (None, None, Outcome.NOT_JUDGED)],
)
def test_a_worn_out_evaluation_set_is_warned_of(used: int | None, n_base: int | None, outcome: Outcome) -> None:
    """So many models of the main branch were judged on it; where nobody knows, that is said."""
    demand = BudgetRule(evaluation="delays", place="seatrial.yaml:14", data="data/test", most=5)
    assert judge(demand, result(reused=used, n_base=n_base)).outcome is outcome


class TestEvaluations:
    """What is wrong with an evaluation as a whole."""

    SAFE = rule(no_worse_than=absolute("0.1"))

    @pytest.mark.parametrize(("side", "outcome"), [(Side.HEAD, F), (Side.BASE, Q)])
    def test_predictions_that_can_t_be_read(self, side: Side, outcome: Outcome) -> None:
        """The candidate's fail, the baseline's can't be held against it; one finding, whatever the number of gates."""
        problem = Problem(state=State.UNREADABLE, path="p.csv", message="p.csv: no column 'y'", hint="add it")
        told = EvaluationResult(name="delays", problem=problem, side=side)
        (found,) = judge_evidence([self.SAFE, rule("f1", no_worse_than=absolute("0.1"))], [told])
        assert (found.outcome, found.id.file, found.hint) == (outcome, "p.csv", "add it")
        assert "no column 'y'" in found.reason

    def test_other_samples_fail(self) -> None:
        """Where the policy wants the same."""
        told = result(evidence(0.5, 0.5, (0, 0)), mismatch="not the same samples")
        findings = judge_evidence([self.SAFE], [told])
        assert [each.outcome for each in findings] == [P, F]

    def test_a_required_slice_that_is_too_small_fails(self) -> None:
        """It is named."""
        told = result(
            cohorts=(Cohort(name="carrier=UA", n=1, needed=200), Cohort(name="carrier=DL", n=200, needed=200))
        )
        (found,) = judge_evidence([], [told])
        assert (found.outcome, found.id.slice) == (F, "carrier=UA")
        assert found.reason == "the policy requires this slice, and it has 1 sample"

    @pytest.mark.parametrize(("severity", "outcome"), [(Severity.FAIL, F), (Severity.WARN, Outcome.WARNED)])
    def test_a_fault_does_what_the_hardest_rule_does(self, severity: Severity, outcome: Outcome) -> None:
        """An evaluation whose rules all warn does not block."""
        told = result(evidence(0.5, 0.5, (0, 0)), mismatch="not the same samples")
        rules = [replace(self.SAFE, severity=Severity.INFO), replace(self.SAFE, severity=severity)]
        assert judge_evidence(rules, [told])[-1].outcome is outcome

    def test_gates_on_predictions_that_were_not_read_do_not_pass(self) -> None:
        """One finding, which says how to read them."""
        (found,) = judge_evidence([self.SAFE, self.SAFE], [])
        assert (found.outcome, found.hint) == (Q, "run without --no-intervals")


def test_more_folds_are_no_advice() -> None:
    """Only where more of them make the difference surer is their number told."""
    unsure = evidence(0.5, 0.49, (-0.03, 0.01), n=10)
    words = {unit: judge(rule(no_worse_than=absolute("0.02")), result(replace(unsure, unit=unit))).reason for unit in
             ("sample", "training", "")}  # fmt: skip
    assert words == {
        "sample": "inconclusive: about 82 samples would tell",
        "training": "inconclusive: about 82 trainings would tell",
        "": "inconclusive",
    }


# Laws.
widths = st.floats(min_value=0, max_value=0.2)
deltas = st.floats(min_value=-0.3, max_value=0.3)
margins = st.decimals(min_value=0, max_value=Decimal("0.3"), places=3)
ends = st.tuples(deltas, widths, widths).map(lambda one: (one[0], (one[0] - one[1], one[0] + one[2])))
SOFTEST_FIRST = (P, Q, F)


def outcome_of(demand: EvidenceRule, one: Evidence) -> Outcome:
    return judge(demand, result(one)).outcome


@given(ends, margins, margins, st.booleans())
def test_a_tighter_margin_never_helps(
    change: tuple[float, tuple[float, float]], first: Decimal, second: Decimal, relative: bool
) -> None:
    """Tightening moves an answer from passed to inconclusive to failed, and never back."""
    narrow, wide = sorted((first, second))
    one = evidence(0.5, 0.5 + change[0], change[1])
    for demand in DEMANDS:
        tight, loose = (wide, narrow) if demand == "better_by" else (narrow, wide)
        outcomes = [
            outcome_of(rule(**{demand: Margin(amount=amount, relative=relative)}), one) for amount in (tight, loose)
        ]
        ranks = [SOFTEST_FIRST.index(outcome) for outcome in outcomes]
        assert ranks[0] >= ranks[1], demand


@given(ends, margins, st.sampled_from(DEMANDS))
def test_both_directions_are_judged_alike(
    change: tuple[float, tuple[float, float]], margin: Decimal, demand: str
) -> None:
    """A loss that grows is as bad as a score that falls."""
    amount = Margin(amount=margin, relative=False)
    base = Decimal("0.5")
    moved = Decimal(str(change[0]))
    higher = evidence(float(base), float(base + moved), change[1])
    lower = evidence(float(base), float(base - moved), mirror(change[1]), direction=Direction.LOWER)
    if float(base + moved) - 0.5 != -(float(base - moved) - 0.5):
        return  # the two sides are not the same number of floating point
    told = [judge(rule(direction=way, **{demand: amount}), result(one)) for way, one in
            ((Direction.HIGHER, higher), (Direction.LOWER, lower))]  # fmt: skip
    assert (told[0].outcome, told[0].reason) == (told[1].outcome, told[1].reason)


@given(st.lists(st.tuples(deltas, widths), min_size=1, max_size=6), margins, st.sampled_from(list(Severity)))
def test_severity_does_not_choose_the_worst(
    changes: list[tuple[float, float]], margin: Decimal, severity: Severity
) -> None:
    """Of slices, and of the answers of one gate: what is a breach comes before what can't be told."""
    amount = Margin(amount=margin, relative=False)
    told = result(
        evidence(
            0.5, 0.5 + changes[0][0], (changes[0][0] - changes[0][1], changes[0][0] + changes[0][1]), own=(0.4, 0.6)
        ),
        slices=tuple(
            evidence(0.5, 0.5 + delta, (delta - width, delta + width), part=f"s{at}", p_adjusted=0.5)
            for at, (delta, width) in enumerate(changes)
        ),
    )
    sliced = {
        level: judge(rule(no_worse_than=amount, sliced=True, severity=level), told)
        for level in (Severity.FAIL, severity)
    }
    assert sliced[severity].reason == sliced[Severity.FAIL].reason
    assert sliced[severity].change == sliced[Severity.FAIL].change
    worst = []
    for level in (Severity.FAIL, severity):
        demand = rule(no_worse_than=amount, at_least=Decimal("0.5"), bound=Bound.CONFIDENT, severity=level)
        findings = tuple(judge_evidence([demand], [told]))
        (gate,) = Verdict(status=Status.PASSED, findings=findings, exit_code=ExitCode.PASSED).gates
        worst.append(gate.worst.check)
    assert worst[0] == worst[1]


def test_every_outcome_has_its_rank() -> None:
    """None can be met that the order of a gate's answers does not know."""
    assert set(BREACH_FIRST) == set(Outcome)
