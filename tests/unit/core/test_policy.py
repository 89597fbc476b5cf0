"""Judging: gates fail closed, and tighter limits never help."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.comparison import compare
from seatrial.core.metrics import MetricId, StaleStage, State
from seatrial.core.policy import Policy, Rule, Waiver, evaluate
from seatrial.core.verdict import Margin, Outcome, Severity, Status, Verdict
from seatrial.errors import ExitCode
from tests.unit.core.snapshots import compare_values, file, range_of, snapshot


def rule(pattern: str = "recall", **limits: Any) -> Rule:
    return Rule(pattern=pattern, place="seatrial.yaml:3", **limits)


def absolute(amount: str) -> Margin:
    return Margin(amount=Decimal(amount), relative=False)


def share(amount: str) -> Margin:
    return Margin(amount=Decimal(amount), relative=True)


def judge(base: dict[str, Any] | None, head: dict[str, Any], *rules: Rule, **how: Any) -> Verdict:
    return evaluate(Policy(rules=rules, **how), compare_values(base, head))


@pytest.mark.parametrize(
    ("base", "head", "limits", "outcome"),
    [
        (0.84, 0.81, {"max_decrease": absolute("0.01")}, Outcome.FAILED),
        (0.84, 0.83, {"max_decrease": absolute("0.01")}, Outcome.PASSED),
        (0.3, 0.2, {"max_decrease": absolute("0.1")}, Outcome.PASSED),
        (0.84, 0.90, {"max_decrease": absolute("0")}, Outcome.PASSED),
        (100, 106, {"max_increase": share("0.05")}, Outcome.FAILED),
        (100, 105, {"max_increase": share("0.05")}, Outcome.PASSED),
        (-100, -94, {"max_increase": share("0.05")}, Outcome.FAILED),
        (0, 0, {"max_increase": share("0.05")}, Outcome.PASSED),
        (0, 1e-9, {"max_increase": share("0.05")}, Outcome.FAILED),
        (1, 1.2, {"max_change": absolute("0.1")}, Outcome.FAILED),
        (1, 0.8, {"max_change": absolute("0.1")}, Outcome.FAILED),
        (0.7, 0.6, {"at_least": Decimal("0.6")}, Outcome.PASSED),
        (0.7, 0.59, {"at_least": Decimal("0.6")}, Outcome.FAILED),
        (0.7, 0.61, {"at_most": Decimal("0.6")}, Outcome.FAILED),
        (0.7, 0.5, {"at_least": Decimal("0.6"), "severity": Severity.WARN}, Outcome.WARNED),
        (0.7, 0.5, {"at_least": Decimal("0.6"), "severity": Severity.INFO}, Outcome.NOTED),
    ],
)
def test_a_limit_is_met_or_not(base: float, head: float, limits: dict[str, Any], outcome: Outcome) -> None:
    """A value on the limit passes; arithmetic is decimal."""
    verdict = judge({"recall": base}, {"recall": head}, rule(**limits))
    assert [finding.outcome for finding in verdict.findings] == [outcome]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.9", True])
def test_what_is_not_a_finite_number_fails_its_gate(value: object) -> None:
    """No gate passes on a value that can't be judged."""
    verdict = judge({"recall": 0.8}, {"recall": value}, rule(at_least=Decimal(0)))
    assert verdict.status is Status.FAILED
    assert verdict.exit_code is ExitCode.FAILED


def test_a_gated_metric_that_is_gone_fails() -> None:
    """Deleting the metric is no way around its gate."""
    verdict = judge({"recall": 0.8, "f1": 1}, {"f1": 1}, rule(at_least=Decimal(0)))
    assert [finding.reason for finding in verdict.findings] == ["the candidate no longer has this metric"]
    assert verdict.status is Status.FAILED


def test_a_rule_that_matches_nothing_fails_with_the_nearest_name() -> None:
    """A typing error in the policy does not switch its gate off."""
    verdict = judge({"recall": 0.8}, {"recall": 0.8}, rule("recal", at_least=Decimal(0)))
    assert [(f.outcome, f.hint) for f in verdict.findings] == [(Outcome.FAILED, "did you mean recall?")]


def test_a_broken_candidate_fails_though_no_gate_names_it() -> None:
    """Never a silent pass: an unreadable metrics file fails under an empty policy."""
    broken = snapshot(file("m.json", broken=State.UNREADABLE))
    comparison = compare(range_of(), snapshot(file("m.json", {"a": 1})), broken)
    assert evaluate(Policy(), comparison).status is Status.FAILED
    assert evaluate(Policy(on_broken=Severity.WARN), comparison).status is Status.WARNED


@pytest.mark.parametrize("value", ["0.9", True])
def test_a_number_that_became_something_else_fails_though_no_gate_names_it(value: object) -> None:
    """What can't be compared is not passed over; that a text became a number is fine."""
    assert judge({"recall": 0.8}, {"recall": value}).status is Status.FAILED
    assert judge({"recall": value}, {"recall": 0.8}).status is Status.PASSED


def test_a_rule_that_warns_does_not_soften_what_is_broken() -> None:
    """`on_broken` holds for gated metrics too."""
    limits: dict[str, Any] = {"at_least": Decimal(0), "severity": Severity.WARN}
    assert judge({"recall": 0.8}, {"recall": float("nan")}, rule(**limits)).status is Status.FAILED
    softened = judge({"recall": 0.8}, {"recall": float("nan")}, rule(**limits), on_broken=Severity.WARN)
    assert softened.status is Status.WARNED


def test_metrics_that_are_gone_are_warned_of_though_no_gate_names_them() -> None:
    """One finding a file; taking a metric out may be meant."""
    verdict = judge({"recall": 0.8, "b": 1, "c": 1, "d": 1, "e": 1}, {"recall": 0.8}, rule(at_least=Decimal(0)))
    assert verdict.status is Status.WARNED
    assert verdict.findings[-1].reason == "no longer has b, c, d and 1 more"
    assert judge({"recall": 0.8, "b": 1}, {"recall": 0.8}, on_broken=Severity.INFO).status is Status.PASSED


def test_a_candidate_that_measures_nothing_any_more_fails() -> None:
    """Deleting dvc.yaml is no way to a verdict that passes, with or without gates."""
    comparison = compare(range_of(), snapshot(file("metrics.json", {"recall": 0.8})), snapshot())
    verdict = evaluate(Policy(), comparison)
    assert verdict.status is Status.FAILED
    assert [finding.hint for finding in verdict.findings] == ["restore dvc.yaml and the metrics that it declares"]


def test_a_broken_baseline_is_inconclusive() -> None:
    """The candidate is not blamed, and does not pass either."""
    base = snapshot(file("metrics.json", broken=State.UNREADABLE))
    comparison = compare(range_of(), base, snapshot(file("metrics.json", {"recall": 0.8})))
    rules = (rule(max_decrease=absolute("1")),)
    verdict = evaluate(Policy(rules=rules), comparison)
    assert (verdict.status, verdict.exit_code) == (Status.INCONCLUSIVE, ExitCode.NOT_COMPARED)
    assert evaluate(Policy(rules=rules, on_inconclusive=Severity.WARN), comparison).status is Status.WARNED


def test_a_first_measurement_is_judged_by_absolute_gates_only() -> None:
    """Nothing to compare with is said, and does not fail."""
    verdict = judge(None, {"recall": 0.8}, rule(at_least=Decimal("0.9"), max_decrease=absolute("0.1")))
    assert [finding.outcome for finding in verdict.findings] == [Outcome.FAILED, Outcome.NOT_JUDGED]


@pytest.mark.parametrize("pattern", ["recall", "metrics.json:recall", "*:recall", "met*:rec*", "*.json:recall"])
def test_a_pattern_names_file_and_key(pattern: str) -> None:
    """A key alone stands for any file; wildcards match."""
    assert judge({"recall": 1}, {"recall": 1}, rule(pattern, at_least=Decimal(0))).status is Status.PASSED


numbers = st.decimals(min_value=-100, max_value=100, places=3).map(float)
tolerances = st.decimals(min_value=0, max_value=50, places=3)


@given(numbers, numbers, tolerances, tolerances, st.booleans())
def test_a_tighter_limit_never_turns_failed_into_passed(
    base: float, head: float, first: Decimal, second: Decimal, relative: bool
) -> None:
    """Monotony of every margin."""
    tight, loose = sorted((first, second))
    for name in ("max_decrease", "max_increase", "max_change"):
        verdicts = [
            judge({"a": base}, {"a": head}, rule("a", **{name: Margin(amount=amount, relative=relative)})).status
            for amount in (tight, loose)
        ]
        assert verdicts != [Status.PASSED, Status.FAILED]


@pytest.mark.parametrize(
    ("severity", "status"),
    [(Severity.FAIL, Status.FAILED), (Severity.WARN, Status.WARNED), (Severity.INFO, Status.PASSED)],
)
def test_stale_metrics_do_what_the_policy_says(severity: Severity, status: Status) -> None:
    """Numbers that other code made are told, whatever they are; a policy can refuse them."""
    stale = (StaleStage(address="train", because=("train.py",)),)
    head = replace(snapshot(file("m.json", {"a": 2})), stale=stale)
    verdict = evaluate(Policy(stale=severity), compare(range_of(), snapshot(file("m.json", {"a": 1})), head))
    assert (verdict.status, verdict.findings[0].reason) == (status, "stage train is stale")


def test_an_edited_metric_is_named() -> None:
    """What matters more than a stale stage."""
    stale = (StaleStage(address="train", edited=("m.json",)), StaleStage(address="b", because=("x",)))
    head = replace(snapshot(file("m.json", {"a": 2})), stale=stale)
    (finding,) = evaluate(Policy(), compare(range_of(), snapshot(file("m.json", {"a": 1})), head)).findings
    assert finding.reason == "m.json is not what its stage made"


TODAY = date(2026, 11, 23)


def waiver(gate: str, until: date = TODAY) -> Waiver:
    return Waiver(gate=gate, reason="being mended", until=until, place="seatrial.yaml:30")


def waived(*waivers: Waiver, values: dict[str, Any] | None = None, today: date | None = TODAY) -> Verdict:
    """Recall fell by 0.2 where 0.1 is allowed; f1 is below its floor."""
    rules = (rule(max_decrease=absolute("0.1")), rule("f1", at_least=Decimal("0.5")))
    comparison = compare_values({"recall": 0.8, "f1": 0.6}, {"recall": 0.6, "f1": 0.4} if values is None else values)
    return evaluate(Policy(rules=rules, waivers=waivers), comparison, today=today)


def outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {finding.id.dotted: finding.outcome for finding in verdict.findings}


def test_a_waiver_excuses_the_gate_that_it_names_and_no_other() -> None:
    """By the key, or by file and key."""
    for name in ("recall", "metrics.json:recall", "rec*", "*:recall"):
        assert outcomes(waived(waiver(name))) == {"recall": Outcome.WAIVED, "f1": Outcome.FAILED}
    assert outcomes(waived(waiver("Recall"), waiver("recal"), waiver("other.json:recall"), waiver("call"))) == {
        "recall": Outcome.FAILED,
        "f1": Outcome.FAILED,
    }
    verdict = waived(waiver("recall"), waiver("f1"))
    assert (verdict.status, verdict.exit_code) == (Status.PASSED, ExitCode.PASSED)
    assert verdict.findings[0].reason == "fell too far, waived until 2026-11-23: being mended"


def test_brackets_in_a_waiver_stand_for_themselves() -> None:
    """`recall [slices]` is no pattern that would excuse a metric called `recall s`."""
    assert not waiver("recall [slices]").names(MetricId(file="m.json", key=("recall s",)))
    assert waiver("recall [slices]").names(MetricId(file="delays", key=("recall",), slice="slices"))
    assert waiver("delays:* [slices]").names(MetricId(file="delays", key=("recall",), slice="slices"))
    assert not waiver("recall").names(MetricId(file="delays", key=("recall",), slice="slices"))


@pytest.mark.parametrize(
    ("today", "outcome"), [(date(2026, 11, 23), Outcome.WAIVED), (date(2026, 11, 24), Outcome.FAILED)]
)
def test_a_waiver_holds_on_its_last_day(today: date, outcome: Outcome) -> None:
    """The day after, the gate counts again and says why."""
    (found, _) = waived(waiver("recall"), today=today).findings
    assert found.outcome is outcome
    assert found.hint == (
        "" if outcome is Outcome.WAIVED else "its waiver ended on 2026-11-23; mend what it excused, or renew it"
    )


def test_a_renewed_waiver_holds_though_the_old_one_stands_above_it() -> None:
    """The one that ends last counts."""
    old, new = waiver("recall", date(2026, 1, 1)), waiver("rec*", date(2026, 12, 31))
    for order in ((old, new), (new, old)):
        assert outcomes(waived(*order))["recall"] is Outcome.WAIVED


def test_nothing_is_waived_where_nobody_knows_the_day() -> None:
    """A waiver without a clock holds for ever."""
    assert outcomes(waived(waiver("*"), today=None))["recall"] is Outcome.FAILED


@pytest.mark.parametrize("value", [float("nan"), None, "0.9"])
def test_a_missing_number_is_not_waived(value: object) -> None:
    """What is excused is a limit that is broken, not a metric that is."""
    verdict = waived(waiver("*"), values={"recall": value, "f1": 0.6})
    assert outcomes(verdict)["recall"] is Outcome.FAILED
    assert outcomes(waived(waiver("*"), values={"f1": 0.6}))["recall"] is Outcome.FAILED


def test_what_passes_needs_no_waiver() -> None:
    """It is told as passed."""
    assert outcomes(waived(waiver("*"), values={"recall": 0.8, "f1": 0.6})) == {
        "recall": Outcome.PASSED,
        "f1": Outcome.PASSED,
    }
