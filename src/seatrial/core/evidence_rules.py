"""Gates by intent: what the evidence of an evaluation must show, and whether it does.

All of them are judged on *harm*: how much worse the candidate is, in the metric's own unit, whichever way is better.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

from msgspec import Struct

from seatrial.core.comparison import Side
from seatrial.core.evidence import Cohort, EvaluationResult, Evidence, Flips, Gap, Harm
from seatrial.core.metrics import Direction, MetricId
from seatrial.core.phrases import count
from seatrial.core.verdict import WORST_FIRST, Finding, Margin, Outcome, Severity, breach


class Bound(str, Enum):
    """What of the candidate's value a floor or ceiling is held against: the value, or its less favourable end."""

    POINT = "point"
    CONFIDENT = "confident"


class Correction(str, Enum):
    """How the number of slices is allowed for."""

    BENJAMINI_HOCHBERG = "benjamini-hochberg"
    HOLM = "holm"
    NONE = "none"


class EvidenceRule(Struct, frozen=True, kw_only=True):
    """What one evaluation demands of one metric; `sliced` rules speak of every slice.

    `q` is the rate of false alarms that slices are held to.
    """

    evaluation: str
    metric: str
    place: str
    direction: Direction
    no_worse_than: Margin | None = None
    not_harmed: Margin | None = None
    better_by: Margin | None = None
    at_most_better_by: Margin | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    bound: Bound = Bound.POINT
    sliced: bool = False
    q: float = 0.05
    severity: Severity = Severity.FAIL

    @property
    def margins(self) -> dict[str, Margin]:
        """Demands on the change."""
        named = {
            "no_worse_than": self.no_worse_than,
            "not_harmed": self.not_harmed,
            "better_by": self.better_by,
            "at_most_better_by": self.at_most_better_by,
        }
        return {name: margin for name, margin in named.items() if margin is not None}

    @property
    def bounds(self) -> dict[str, Decimal]:
        """Demands on the candidate's value alone."""
        named = {"at_least": self.at_least, "at_most": self.at_most}
        return {name: limit for name, limit in named.items() if limit is not None}


class FlipRule(Struct, frozen=True, kw_only=True):
    """How many samples the candidate may newly get wrong: a count, or a share of all."""

    evaluation: str
    place: str
    max_newly_wrong: Margin
    severity: Severity = Severity.FAIL


class GapRule(Struct, frozen=True, kw_only=True):
    """How far apart the groups of a column may lie, and by how much the candidate may widen that."""

    evaluation: str
    metric: str
    by: str
    place: str
    max_gap: Decimal | None = None
    max_gap_increase: Margin | None = None
    bound: Bound = Bound.POINT
    severity: Severity = Severity.FAIL


class BudgetRule(Struct, frozen=True, kw_only=True):
    """How many models of the main branch may be judged on one evaluation set, `data`, before it is worn out."""

    evaluation: str
    place: str
    data: str
    most: int
    severity: Severity = Severity.WARN


AnyEvidenceRule = EvidenceRule | FlipRule | GapRule | BudgetRule


def judge_evidence(rules: Iterable[AnyEvidenceRule], results: Iterable[EvaluationResult]) -> list[Finding]:
    """What every rule says of its evaluation, then what is wrong with the evaluations themselves."""
    by_name = {result.name: result for result in results}
    findings: list[Finding] = []
    unread: dict[str, AnyEvidenceRule] = {}
    for rule in rules:
        result = by_name.get(rule.evaluation)
        if result is None:
            unread.setdefault(rule.evaluation, rule)
        elif result.problem is None:
            findings += _judge(rule, result)
    findings += [_report_unread(rule) for rule in unread.values()]
    return findings + [finding for result in by_name.values() for finding in _check_evaluation(result)]


def _report_unread(rule: AnyEvidenceRule) -> Finding:
    """Gates on predictions that the run was told not to read are not passed."""
    return Finding(
        id=MetricId(file=rule.evaluation, key=()),
        check="readable",
        limit="measured",
        outcome=Outcome.INCONCLUSIVE,
        severity=rule.severity,
        reason="its predictions were not read",
        hint="run without --no-intervals",
        place=rule.place,
    )


def _judge(rule: AnyEvidenceRule, result: EvaluationResult) -> list[Finding]:
    match rule:
        case EvidenceRule(sliced=True):
            return _judge_slices(rule, result)
        case EvidenceRule():
            evidence = next((each for each in result.overall if each.change.id.key[-1] == rule.metric), None)
            return _judge_metric(rule, evidence) if evidence else [_report_absent(rule, result)]
        case FlipRule():
            return [_judge_flips(rule, result, result.flips) if result.flips else _report_no_flips(rule, result)]
        case GapRule():
            gaps = [gap for gap in result.gaps if (gap.metric, gap.by) == (rule.metric, rule.by)]
            return [finding for gap in gaps for finding in _judge_gap(rule, gap)]
        case BudgetRule():
            return [_judge_reuse(rule, result)]


def _report_absent(rule: EvidenceRule, result: EvaluationResult) -> Finding:
    return Finding(
        id=result.identify(rule.metric),
        check="present",
        limit="measured",
        outcome=breach(rule.severity),
        severity=rule.severity,
        reason="the predictions do not determine this metric",
        place=rule.place,
    )


def _check_evaluation(result: EvaluationResult) -> list[Finding]:
    """An evaluation that can't be had at all, or not on the samples that the policy wants."""
    if result.problem:
        problem, of_base = result.problem, result.side is Side.BASE
        return [
            Finding(
                id=MetricId(file=problem.path, key=()),
                check="readable",
                limit="readable",
                outcome=Outcome.INCONCLUSIVE if of_base else Outcome.FAILED,
                severity=Severity.FAIL,
                reason=f"of the baseline, {problem.message}" if of_base else _drop_name(problem.message, problem.path),
                hint=problem.hint,
            )
        ]
    findings = [_report_cohort(result, cohort) for cohort in result.cohorts if cohort.n < cohort.needed]
    if result.mismatch:
        findings.append(
            Finding(
                id=MetricId(file=result.name, key=()),
                check="same_eval_set",
                limit="the same samples",
                outcome=Outcome.FAILED,
                severity=Severity.FAIL,
                reason=result.mismatch,
                hint="if that is meant, set same_eval_set: intersect in the policy, in a change of its own",
            )
        )
    return findings


def _drop_name(message: str, name: str) -> str:
    """The message without the file's name at its start, which stands before it in a table of findings."""
    return message.removeprefix(name).lstrip(": ")


def _report_cohort(result: EvaluationResult, cohort: Cohort) -> Finding:
    return Finding(
        id=MetricId(file=result.name, key=("samples",), slice=cohort.name),
        check="required",
        limit=f"at least {cohort.needed:,} samples",
        outcome=Outcome.FAILED,
        severity=Severity.FAIL,
        reason=f"the policy requires this slice, and it has {cohort.n:,} samples",
        hint="restore these rows of the evaluation set",
    )


def _judge_metric(rule: EvidenceRule, evidence: Evidence) -> list[Finding]:
    checks = [_check_margin(rule, evidence, name, margin) for name, margin in rule.margins.items()]
    return checks + [_check_bound(rule, evidence, name, limit) for name, limit in rule.bounds.items()]


def _find(rule: EvidenceRule | GapRule, evidence: Evidence | Gap, check: str, limit: str, judged: _Judged) -> Finding:
    return Finding(
        id=evidence.change.id,
        check=check,
        limit=limit,
        outcome=judged.outcome,
        severity=rule.severity,
        reason=judged.reason,
        hint=judged.hint,
        place=rule.place,
        change=evidence.change,
    )


class _Judged(Struct, frozen=True):
    outcome: Outcome
    reason: str = ""
    hint: str = ""


def _check_margin(rule: EvidenceRule, evidence: Evidence, check: str, margin: Margin) -> Finding:
    limit = spell_limit(check, margin, rule.direction)
    return _find(rule, evidence, check, limit, _judge_margin(rule, evidence, check, margin))


def spell_limit(check: str, margin: Margin, direction: Direction) -> str:
    """The demand on Δ = candidate − baseline: `Δ ≥ −0.002` where higher is better, else `Δ ≤ +0.002`."""
    higher = direction is Direction.HIGHER
    match check:
        case "no_worse_than" | "not_harmed":
            return f"Δ ≥ −{margin}" if higher else f"Δ ≤ +{margin}"
        case "better_by":
            return f"Δ ≥ +{margin}" if higher else f"Δ ≤ −{margin}"
        case _:
            return f"Δ ≤ +{margin}" if higher else f"Δ ≥ −{margin}"


def _judge_margin(rule: EvidenceRule, evidence: Evidence, check: str, margin: Margin) -> _Judged:
    change = evidence.change
    if change.base is None and not evidence.reason:
        return _Judged(Outcome.NOT_JUDGED, "new: there is no baseline value")
    harm = evidence.harm
    if harm is None:
        reason = f"insufficient: {evidence.reason}" if evidence.reason else "insufficient"
        return _Judged(Outcome.INCONCLUSIVE, reason, "evaluate on samples that tell, or drop this gate")
    amount = float(margin.resolve(Decimal(str(change.base))))
    fail = breach(rule.severity)
    match check:
        case "no_worse_than":
            return _judge_safety(evidence, harm, amount, fail)
        case "not_harmed":
            word = _word_harm(evidence, harm)
            return _Judged(fail, "proven worse") if harm.low > amount else _Judged(Outcome.PASSED, word)
        case "better_by":
            return _judge_benefit(evidence, harm, amount, fail)
        case _:
            too_good = -harm.point > amount
            return _Judged(fail, "too good to be true: look for a leak") if too_good else _Judged(Outcome.PASSED)


def _judge_safety(evidence: Evidence, harm: Harm, amount: float, fail: Outcome) -> _Judged:
    """Non-inferiority: the whole interval must lie on the safe side of the margin."""
    if evidence.identical or harm.high < amount:
        return _Judged(Outcome.PASSED, _word_harm(evidence, harm))
    return _Judged(fail, "worse") if harm.low > amount else _doubt(evidence, amount - harm.point)


def _judge_benefit(evidence: Evidence, harm: Harm, amount: float, fail: Outcome) -> _Judged:
    """Superiority: the whole interval must lie beyond the margin."""
    if -harm.high > amount:
        return _Judged(Outcome.PASSED, "improved")
    if evidence.identical or -harm.low < amount:
        return _Judged(fail, "no better" if evidence.identical or harm.low >= 0 else "better, but by too little")
    return _doubt(evidence, -harm.point - amount)


def _doubt(evidence: Evidence, distance: float) -> _Judged:
    samples = evidence.samples_for(distance)
    tail = f": about {_round_up(samples):,} samples would tell" if samples and samples > evidence.n else ""
    return _Judged(
        Outcome.INCONCLUSIVE,
        f"inconclusive{tail}",
        "evaluate on more samples, or widen the margin; `seatrial plan` says what this set can tell",
    )


def _round_up(number: int) -> int:
    """To two significant digits: an estimate of a number of samples is no more precise than that."""
    step = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // step) * step


def _word_harm(evidence: Evidence, harm: Harm) -> str:
    """The verdict in a word, as the interval lies to 0."""
    if evidence.identical:
        return "identical"
    if harm.high < 0:
        return "improved"
    return "worse, within the limit" if harm.low > 0 else "no worse"


def _check_bound(rule: EvidenceRule, evidence: Evidence, check: str, limit: Decimal) -> Finding:
    sign = "≥" if check == "at_least" else "≤"
    tail = "" if rule.bound is Bound.POINT else " (CI)"
    judged = _judge_bound(rule, evidence, check, limit)
    return _find(rule, evidence, check, f"{sign} {limit:f}{tail}", judged)


def _judge_bound(rule: EvidenceRule, evidence: Evidence, check: str, limit: Decimal) -> _Judged:
    value = evidence.change.head
    if value is None:
        return _Judged(breach(rule.severity), evidence.reason or "undefined")
    floor, word = check == "at_least", "below" if check == "at_least" else "above"
    if rule.bound is Bound.CONFIDENT:
        if evidence.own is None:
            return _Judged(Outcome.INCONCLUSIVE, f"insufficient: {evidence.reason}")
        safe, hopeful = evidence.own if floor else (-evidence.own[1], -evidence.own[0])
        edge = float(limit) if floor else -float(limit)
        if safe >= edge:
            return _Judged(Outcome.PASSED)
        if hopeful >= edge:
            told = evidence.own[0] if floor else evidence.own[1]
            return _Judged(Outcome.INCONCLUSIVE, f"inconclusive: its interval reaches {told:.3g}")
        return _Judged(breach(rule.severity), f"{word} the limit")
    exact = Decimal(str(value))
    kept = exact >= limit if floor else exact <= limit
    return _Judged(Outcome.PASSED) if kept else _Judged(breach(rule.severity), f"{word} the limit")


def _judge_slices(rule: EvidenceRule, result: EvaluationResult) -> list[Finding]:
    """One gate for all slices: its answer is the worst slice's, and says how many others share it."""
    slices = [each for each in result.slices if each.change.id.key[-1] == rule.metric]
    identity = MetricId(file=result.name, key=(rule.metric,), slice="slices")
    if not slices:
        reason = f"no slice has {result.min_n:,} samples"
        return [_summarise(rule, identity, Outcome.NOT_JUDGED, reason, result, ())]
    judged = [(evidence, finding) for evidence in slices for finding in _judge_slice(rule, evidence)]
    worst = min(WORST_FIRST.index(finding.outcome) for _, finding in judged)
    shared = [(evidence, finding) for evidence, finding in judged if WORST_FIRST.index(finding.outcome) == worst]
    outcome = WORST_FIRST[worst]
    ranked = sorted(shared, key=lambda pair: -pair[0].harm.point if pair[0].harm else 0.0)
    if outcome in {Outcome.PASSED, Outcome.NOT_JUDGED}:
        reason = "none proven worse" if rule.not_harmed else "all within the limit"
        told = sum(each.harm is not None for each in slices)
        tail = f", {len(slices) - told:,} can't be judged" if told < len(slices) else ""
        words = f"{reason}, of {told:,}{tail}" if told else f"none of {len(slices):,} slices can be judged"
        return [_summarise(rule, identity, outcome, words, result, ())]
    return [_summarise(rule, identity, outcome, _tell_worst(ranked, len(slices)), result, ranked)]


def _judge_slice(rule: EvidenceRule, evidence: Evidence) -> list[Finding]:
    """A slice's answers; proven harm is held against the correction for the number of slices."""
    if rule.not_harmed is None:
        return _judge_metric(rule, evidence)
    harm = evidence.harm
    others = [each for each in _judge_metric(rule, evidence) if each.check != "not_harmed"]
    if harm is None or evidence.p_adjusted is None:
        judged = _Judged(Outcome.NOT_JUDGED, evidence.reason)
    else:
        amount = float(rule.not_harmed.resolve(Decimal(str(evidence.change.base))))
        proven = evidence.is_worse(rule.q) and harm.point > amount
        word = _word_harm(evidence, harm)
        judged = _Judged(breach(rule.severity), "worse") if proven else _Judged(Outcome.PASSED, word)
    limit = spell_limit("not_harmed", rule.not_harmed, rule.direction)
    return [_find(rule, evidence, "not_harmed", limit, judged), *others]


def _tell_worst(ranked: list[tuple[Evidence, Finding]], total: int) -> str:
    evidence, finding = ranked[0]
    named = len({each.change.id.slice for each, _ in ranked})
    word = finding.reason or finding.outcome.value
    return f"{word} in {named:,} of {total:,}; this is {evidence.change.id.slice}"


def _summarise(
    rule: EvidenceRule,
    identity: MetricId,
    outcome: Outcome,
    reason: str,
    result: EvaluationResult,
    ranked: Iterable[tuple[Evidence, Finding]],
) -> Finding:
    worst = next(iter(ranked), None)
    limits = [spell_limit(check, margin, rule.direction) for check, margin in rule.margins.items()]
    limits += [f"{'≥' if check == 'at_least' else '≤'} {limit:f}" for check, limit in rule.bounds.items()]
    return Finding(
        id=identity,
        check="slices",
        limit=", ".join(limits),
        outcome=outcome,
        severity=rule.severity,
        reason=reason,
        hint=f"look at slice {worst[0].change.id.slice}" if worst else "",
        place=rule.place,
        change=worst[0].change if worst else None,
    )


def _report_no_flips(rule: FlipRule, result: EvaluationResult) -> Finding:
    """No decision of one side can be held against one of the other: said, since it is not the same as no flips."""
    first = result.n_base is None
    return Finding(
        id=MetricId(file=result.name, key=("newly wrong",)),
        check="max_newly_wrong",
        limit=f"≤ {rule.max_newly_wrong}",
        outcome=Outcome.NOT_JUDGED if first else Outcome.INCONCLUSIVE,
        severity=rule.severity,
        reason="new: there is no baseline" if first else "the two sides decided about different samples",
        hint="" if first else "evaluate both on the same samples, or drop `flips` where they never are",
        place=rule.place,
    )


def _judge_flips(rule: FlipRule, result: EvaluationResult, flips: Flips) -> Finding:
    allowed = rule.max_newly_wrong.resolve(Decimal(flips.n))
    kept = flips.newly_wrong <= allowed
    examples = ", ".join(flips.wrong_examples[:3])
    return Finding(
        id=MetricId(file=result.name, key=("newly wrong",)),
        check="max_newly_wrong",
        limit=f"≤ {rule.max_newly_wrong}",
        outcome=Outcome.PASSED if kept else breach(rule.severity),
        severity=rule.severity,
        reason=f"{flips.newly_wrong:,} of {flips.n:,} samples, against {flips.newly_right:,} newly right",
        hint="" if kept else f"look at {examples}",
        place=rule.place,
    )


def _judge_reuse(rule: BudgetRule, result: EvaluationResult) -> Finding:
    """Who looks at one set often enough will find a model that suits it by chance."""
    used = result.reused
    if used is None:
        judged = _Judged(Outcome.INCONCLUSIVE, f"{rule.data} is in no dvc.lock", "name the output that holds the set")
    elif used <= rule.most:
        judged = _Judged(Outcome.PASSED, f"used by {count(used, 'model')}")
    else:
        judged = _Judged(breach(rule.severity), f"used by {count(used, 'model')}", "draw a new evaluation set")
    return Finding(
        id=MetricId(file=result.name, key=("uses of the evaluation set",)),
        check="budget",
        limit=f"≤ {rule.most:,}",
        outcome=judged.outcome,
        severity=rule.severity,
        reason=judged.reason,
        hint=judged.hint,
        place=rule.place,
    )


def _judge_gap(rule: GapRule, gap: Gap) -> list[Finding]:
    findings = []
    if rule.max_gap is not None:
        findings.append(_find(rule, gap, "max_gap", f"≤ {rule.max_gap:f}", _judge_gap_now(rule, gap, rule.max_gap)))
    if rule.max_gap_increase is not None:
        margin = rule.max_gap_increase
        findings.append(_find(rule, gap, "max_gap_increase", f"Δ ≤ +{margin}", _judge_gap_change(rule, gap, margin)))
    return findings


def _judge_gap_now(rule: GapRule, gap: Gap, limit: Decimal) -> _Judged:
    if gap.change.head is None:
        return _Judged(Outcome.INCONCLUSIVE, f"insufficient: {gap.reason}")
    point = Decimal(str(gap.change.head))
    fine = _Judged(Outcome.PASSED, f"{gap.worst} lowest, {gap.best} highest")
    wide = _Judged(breach(rule.severity), f"too wide: {fine.reason}")
    if rule.bound is Bound.POINT:
        return fine if point <= limit else wide
    low, high = gap.own or (0.0, float("inf"))
    if high <= limit:
        return fine
    return wide if low > limit else _Judged(Outcome.INCONCLUSIVE, fine.reason)


def _judge_gap_change(rule: GapRule, gap: Gap, margin: Margin) -> _Judged:
    """Only a widening beyond the margin that is proven blocks: a gap of maxima is too noisy for the point alone."""
    if gap.change.base is None:
        return _Judged(Outcome.NOT_JUDGED, "new: there is no baseline value")
    if gap.change.interval is None:
        return _Judged(Outcome.INCONCLUSIVE, f"insufficient: {gap.reason}")
    widened = gap.change.interval.low > float(margin.resolve(Decimal(str(gap.change.base))))
    return _Judged(breach(rule.severity), "wider") if widened else _Judged(Outcome.PASSED)
