"""Reports on evidence, from the evidence itself: judged, worded and laid out by the code that does it in a run."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from seatrial.core.comparison import Change, Comparison, measure_delta
from seatrial.core.evidence import EvaluationResult, Evidence, Flips, Gap
from seatrial.core.evidence_rules import AnyEvidenceRule, Bound, BudgetRule, EvidenceRule, FlipRule, GapRule
from seatrial.core.metrics import Direction, Interval, MetricId, State
from seatrial.core.policy import Policy, Waiver
from seatrial.core.report import Report
from tests.golden.judging import RANGE, judge, margin

NAME = "delays"
N = 4_812
SAME = 0.0, 0.0


def gate(metric: str, line: int, *, lower: bool = False, **demands: Any) -> EvidenceRule:
    """A gate of the one evaluation; margins are spelled as in a policy."""
    named: dict[str, Any] = {key: margin(each) if type(each) is str else each for key, each in demands.items()}
    direction = Direction.LOWER if lower else Direction.HIGHER
    return EvidenceRule(evaluation=NAME, metric=metric, place=f"seatrial.yaml:{line}", direction=direction, **named)


def told(
    metric: str,
    base: float,
    head: float,
    ends: tuple[float, float],
    *,
    lower: bool = False,
    n: int = N,
    part: str = "",
    **more: Any,
) -> Evidence:
    """One metric, with what follows from its interval."""
    change = Change(
        id=MetricId(file=NAME, key=(metric,), slice=part),
        state=State.UNCHANGED if base == head else State.CHANGED,
        base=base,
        head=head,
        delta=measure_delta(base, head),
        direction=Direction.LOWER if lower else Direction.HIGHER,
        interval=Interval(low=round(ends[0], 9), high=round(ends[1], 9), level=0.95, n=n, method="paired, t"),
    )
    reach = (ends[1] - ends[0]) / 2
    own = head - 0.02, head + 0.02
    return Evidence(change=change, n=n, own=own, se=reach / 1.96, detectable=reach / 1.96 * 2.8, **more)


RECALL = told("recall", 0.842, 0.851, (0.002, 0.016))
LOSS = told("log_loss", 0.4752, 0.4757, (-0.0004, 0.0014), lower=True)
AUC = told("roc_auc", 0.91, 0.91, SAME)
RULES: tuple[AnyEvidenceRule, ...] = (
    gate("recall", 9, no_worse_than="0.01", at_least=Decimal("0.6"), bound=Bound.CONFIDENT),
    gate("log_loss", 10, lower=True, no_worse_than="1%"),
    gate("roc_auc", 11, no_worse_than="0.002", at_most_better_by="0.05"),
    FlipRule(evaluation=NAME, place="seatrial.yaml:20", max_newly_wrong=margin("2%")),
    BudgetRule(evaluation=NAME, place="seatrial.yaml:22", data="data/test", most=50),
)
FLIPS = Flips(
    n=N,
    newly_wrong=61,
    newly_right=104,
    wrong_examples=("UA-1071", "UA-2201", "DL-88", "B6-4", "AA-9"),
    right_examples=("AA-15", "DL-2119"),
    p=0.001,
)


def result(*overall: Evidence, **more: Any) -> EvaluationResult:
    """The evaluation, on the same samples on both sides."""
    shared: dict[str, Any] = {"n_base": N, "n_head": N, "n_common": N, "digest": "9f31c2aa40", "reused": 7}
    return EvaluationResult(name=NAME, overall=overall, **{**shared, **more})


def report(rules: tuple[AnyEvidenceRule, ...], one: EvaluationResult, **how: Any) -> Report:
    """The report on one evaluation; `how` are waivers, and the words above everything."""
    policy = Policy(rules=(), evidence=rules, waivers=how.get("waivers", ()))
    between = how.get("between", RANGE)
    comparison = Comparison(range=between, metrics=(), params=(), files=(), stages=(), problems=(), evaluations=(one,))
    return judge(comparison, policy, notices=how.get("notices", ()))


def evidence_passed() -> Report:
    """Improved, no worse and identical; newly wrong samples and uses within their limits; one more metric."""
    return report(RULES, result(RECALL, LOSS, AUC, told("f1", 0.861, 0.866, (-0.002, 0.012)), flips=FLIPS))


def evidence_inconclusive() -> Report:
    """Nothing is proven either way, and the report says how many samples would do."""
    unsure = told("recall", 0.842, 0.838, (-0.017, 0.009))
    return report(RULES, result(unsure, LOSS, AUC, flips=FLIPS))


SLICES = tuple(
    told("recall", base, head, (head - base - reach, head - base + reach), part=part, n=n, p_worse=p, p_adjusted=q,
         shrunken=(head - base) * 0.8)
    for part, n, base, head, reach, p, q in (
        ("carrier=AA", 812, 0.85, 0.87, 0.02, 0.97, 0.99),
        ("carrier=DL, origin=JFK", 240, 0.81, 0.78, 0.028, 0.018, 0.09),
        ("carrier=F9", 301, 0.84, 0.759, 0.03, 0.0001, 0.0006),
        ("night", 222, 0.79, 0.74, 0.03, 0.0008, 0.002),
        ("origin=EWR", 1_604, 0.84, 0.84, 0.012, 0.5, 0.6),
    )
)  # fmt: skip


def slices_worse() -> Report:
    """The whole improved, and two slices are proven worse: the worst is named at the top."""
    rules = (*RULES, gate("recall", 27, not_harmed="0.03", sliced=True))
    return report(rules, result(RECALL, LOSS, AUC, flips=FLIPS, slices=SLICES, untested=13, min_n=200))


FALLEN = told("recall", 0.842, 0.811, (-0.049, -0.012))


def waived() -> Report:
    """A gate that fails is excused for a while, with the reason."""
    waiver = Waiver(gate="recall", reason="labels of October are being mended", until=date(2026, 12, 31), place="")
    return report(RULES, result(FALLEN, LOSS, AUC, flips=FLIPS), waivers=(waiver,))


def waiver_ended() -> Report:
    """It is no longer."""
    waiver = Waiver(gate="recall", reason="labels of October are being mended", until=date(2026, 11, 22), place="")
    return report(RULES, result(FALLEN, LOSS, AUC, flips=FLIPS), waivers=(waiver,))


def waiver_idle() -> Report:
    """One that names no gate is told, since it excuses nothing."""
    waiver = Waiver(gate="recal", reason="known", until=date(2026, 12, 31), place="seatrial.yaml:40")
    return report(RULES, result(RECALL, LOSS, AUC, flips=FLIPS), waivers=(waiver,))


def policy_changed() -> Report:
    """The change edits its own gates, and is judged by the old ones."""
    notice = "raise-learning-rate changes the policy; it is judged by that of main"
    return report(RULES, result(RECALL, LOSS, AUC, flips=FLIPS), notices=(notice,))


def gaps() -> Report:
    """Groups lie too far apart, and further than before."""
    apart = told("gap of recall", 0.121, 0.264, (0.081, 0.197), lower=True, n=3, part="by origin")
    gap = Gap(
        metric="recall",
        by="origin",
        change=apart.change,
        groups=3,
        left_out=2,
        own=(0.2, 0.32),
        best="EWR",
        worst="JFK",
    )
    rule = GapRule(
        evaluation=NAME,
        metric="recall",
        by="origin",
        place="seatrial.yaml:30",
        max_gap=Decimal("0.25"),
        max_gap_increase=margin("0.03"),
    )
    return report((*RULES, rule), result(RECALL, LOSS, AUC, flips=FLIPS, gaps=(gap,)))


def first_evidence() -> Report:
    """No baseline yet: floors are judged, changes wait."""
    alone = replace(RECALL, change=replace(RECALL.change, base=None, delta=None, interval=None, state=State.ADDED))
    return report(
        (*RULES[:1], *RULES[3:], gate("recall", 27, not_harmed="0.03", sliced=True)),
        result(
            alone,
            n_base=None,
            n_common=None,
            digest="",
            reused=None,
            slices=tuple(
                replace(
                    each,
                    change=replace(each.change, base=None, delta=None, interval=None, state=State.ADDED),
                    p_worse=None,
                    p_adjusted=None,
                )
                for each in SLICES
            ),
        ),
        between=replace(RANGE, base=None, reason="no commit of main holds metrics"),
    )


EVIDENCE_CASES = {
    "evidence-passed": evidence_passed(),
    "evidence-inconclusive": evidence_inconclusive(),
    "evidence-first": first_evidence(),
    "slices-worse": slices_worse(),
    "waived": waived(),
    "waiver-ended": waiver_ended(),
    "waiver-idle": waiver_idle(),
    "policy-changed": policy_changed(),
    "gaps": gaps(),
}
