"""Whether the evidence of an evaluation shows what the gates demand.

All demands are judged on *harm*: how much worse the candidate is, in the metric's own unit, whichever way is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

from seatrial.core.comparison import Change, Side
from seatrial.core.evidence import Cohort, EvaluationResult, Evidence, Flips, Gap, Harm
from seatrial.core.evidence_rules import (
    AnyEvidenceRule,
    Bound,
    BudgetRule,
    EvidenceRule,
    FlipRule,
    GapRule,
    spell_bound,
    spell_limit,
)
from seatrial.core.metrics import Direction, MetricId, State, is_finite
from seatrial.core.numbers import spell_value
from seatrial.core.phrases import count
from seatrial.core.verdict import BREACH_FIRST, Finding, Judged, Margin, Outcome, Severity, breach, pick_hardest


def judge_evidence(rules: Iterable[AnyEvidenceRule], results: Iterable[EvaluationResult]) -> list[Finding]:
    """What every rule says of its evaluation, then what is wrong with the evaluations themselves."""
    by_name = {result.name: result for result in results}
    findings: list[Finding] = []
    concerned: dict[str, list[AnyEvidenceRule]] = {}
    for rule in rules:
        concerned.setdefault(rule.evaluation, []).append(rule)
        result = by_name.get(rule.evaluation)
        if result is not None and result.problem is None:
            findings += _judge(rule, result)
    findings += [_report_unread(name, some) for name, some in concerned.items() if name not in by_name]
    return findings + [
        finding for name, result in by_name.items() for finding in _check_evaluation(result, concerned.get(name, []))
    ]


def _pick_severity(rules: Iterable[AnyEvidenceRule]) -> Severity:
    """What a fault of a whole evaluation does: the hardest that any of its rules does, and no less without rules."""
    return pick_hardest([rule.severity for rule in rules] or [Severity.FAIL])


def _report_unread(name: str, rules: list[AnyEvidenceRule]) -> Finding:
    """Gates on predictions that the run was told not to read are not passed."""
    return Finding(
        id=MetricId(file=name, key=()),
        check="readable",
        limit="measured",
        outcome=Outcome.INCONCLUSIVE,
        severity=_pick_severity(rules),
        reason="its predictions were not read",
        hint="run without --no-intervals",
        place=rules[0].place,
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
            gap = next((gap for gap in result.gaps if (gap.metric, gap.by) == (rule.metric, rule.by)), None)
            return _judge_gap(rule, gap) if gap else [_report_absent(rule, result)]
        case BudgetRule():
            return [_judge_reuse(rule, result)]


def _report_absent(rule: EvidenceRule | GapRule, result: EvaluationResult) -> Finding:
    return Finding(
        id=result.identify(rule.metric),
        check="present",
        limit="measured",
        outcome=breach(rule.severity),
        severity=rule.severity,
        reason="the predictions do not determine this metric",
        place=rule.place,
    )


def _check_evaluation(result: EvaluationResult, rules: list[AnyEvidenceRule]) -> list[Finding]:
    """An evaluation that can't be had at all, or not on the samples that the policy wants."""
    severity = _pick_severity(rules)
    if result.problem:
        problem, of_base = result.problem, result.side is Side.BASE
        return [
            Finding(
                id=MetricId(file=problem.path, key=()),
                check="readable",
                limit="readable",
                outcome=Outcome.INCONCLUSIVE if of_base else breach(severity),
                severity=severity,
                reason=f"of the baseline, {problem.message}" if of_base else _drop_name(problem.message, problem.path),
                hint=problem.hint,
            )
        ]
    findings = [_report_cohort(result, cohort, severity) for cohort in result.cohorts if cohort.n < cohort.needed]
    if result.mismatch:
        findings.append(
            Finding(
                id=MetricId(file=result.name, key=()),
                check="same_eval_set",
                limit="the same samples",
                outcome=breach(severity),
                severity=severity,
                reason=result.mismatch,
                hint="if that is meant, set same_eval_set: intersect in the policy, in a change of its own",
            )
        )
    return findings


def _drop_name(message: str, name: str) -> str:
    """The message without the file's name at its start, which stands before it in a table of findings."""
    return message.removeprefix(name).lstrip(": ")


def _report_cohort(result: EvaluationResult, cohort: Cohort, severity: Severity) -> Finding:
    return Finding(
        id=MetricId(file=result.name, key=("samples",), slice=cohort.name),
        check="required",
        limit=f"at least {cohort.needed:,} samples",
        outcome=breach(severity),
        severity=severity,
        reason=f"the policy requires this slice, and it has {count(cohort.n, 'sample')}",
        hint="restore these rows of the evaluation set",
    )


def _judge_metric(rule: EvidenceRule, evidence: Evidence) -> list[Finding]:
    checks = [_check_margin(rule, evidence, name, margin) for name, margin in rule.margins.items()]
    return checks + [_check_bound(rule, evidence, name, limit) for name, limit in rule.bounds.items()]


def _find(rule: EvidenceRule | GapRule, evidence: Evidence | Gap, check: str, limit: str, judged: Judged) -> Finding:
    change = evidence.change
    return judged.of(change.id, check, limit, severity=rule.severity, place=rule.place, change=change)


def _check_margin(rule: EvidenceRule, evidence: Evidence, check: str, margin: Margin) -> Finding:
    limit = spell_limit(check, margin, rule.direction)
    return _find(rule, evidence, check, limit, _judge_margin(rule, evidence, check, margin))


def _judge_margin(rule: EvidenceRule, evidence: Evidence, check: str, margin: Margin) -> Judged:
    change = evidence.change
    if change.base is None and not evidence.reason:
        return Judged(Outcome.NOT_JUDGED, "new: there is no baseline value")
    fail = breach(rule.severity)
    if change.head is None and change.base is not None:
        return Judged(fail, evidence.reason or "undefined", "mend the candidate: the baseline has this metric")
    harm = evidence.harm
    if harm is None:
        reason = f"insufficient: {evidence.reason}" if evidence.reason else "insufficient"
        return Judged(Outcome.INCONCLUSIVE, reason, "evaluate on samples that tell, or drop this gate")
    amount = float(margin.resolve(Decimal(str(change.base))))
    match check:
        case "no_worse_than":
            return _judge_safety(evidence, harm, amount, fail)
        case "not_harmed":
            proven = harm.low > amount
            return Judged(fail, "proven worse") if proven else Judged(Outcome.PASSED, _word_harm(harm, amount))
        case "better_by":
            return _judge_benefit(evidence, harm, amount, fail)
        case _:
            return _judge_leak(harm, amount, fail)


def _judge_leak(harm: Harm, amount: float, fail: Outcome) -> Judged:
    """What is too good is seen from the value alone: doubt is no excuse."""
    if -harm.point > amount:
        return Judged(fail, "too good to be true", "look for a leak of the truth into the features or the training")
    return Judged(Outcome.PASSED, _word_harm(harm, math.inf))


def _judge_safety(evidence: Evidence, harm: Harm, amount: float, fail: Outcome) -> Judged:
    """Non-inferiority: the whole interval must lie on the safe side of the margin."""
    if evidence.identical or harm.high < amount:
        return Judged(Outcome.PASSED, _word_harm(harm, amount))
    return Judged(fail, "worse") if harm.low > amount else _doubt(evidence, amount - harm.point)


def _judge_benefit(evidence: Evidence, harm: Harm, amount: float, fail: Outcome) -> Judged:
    """Superiority: the whole interval must lie beyond the margin."""
    if -harm.high > amount:
        return Judged(Outcome.PASSED, "improved")
    if evidence.identical or -harm.low < amount:
        return Judged(fail, _word_missing_benefit(harm))
    return _doubt(evidence, -harm.point - amount)


def _word_missing_benefit(harm: Harm) -> str:
    """How far a candidate fell short that is for certain not as much better as it should be."""
    if harm.low == harm.high == 0:
        return "identical"
    if harm.low > 0:
        return "worse"
    return "better, but by too little" if harm.high < 0 else "no better, or by too little"


def _doubt(evidence: Evidence, distance: float) -> Judged:
    samples = evidence.samples_for(distance)
    tail = f": about {_round_up(samples):,} {evidence.unit}s would tell" if samples and samples > evidence.n else ""
    return Judged(
        Outcome.INCONCLUSIVE,
        f"inconclusive{tail}",
        f"measure more {evidence.unit or 'sample'}s, or widen the margin; `seatrial plan` says what these can tell",
    )


def _round_up(number: int) -> int:
    """To two significant digits: an estimate of a number of samples is no more precise than that."""
    step = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // step) * step


def _word_harm(harm: Harm, amount: float) -> str:
    """The verdict in a word, as the interval lies to 0 and to the margin: no more is claimed than is proven."""
    if harm.low == harm.high == 0:
        return "identical"
    if harm.high < 0:
        return "improved"
    if harm.low > 0:
        return "worse, within the limit" if harm.high < amount else "worse, perhaps beyond the limit"
    return "no worse" if harm.high < amount else "not proven worse"


def _check_bound(rule: EvidenceRule, evidence: Evidence, check: str, limit: Decimal) -> Finding:
    judged = _judge_bound(rule, evidence, check, limit)
    return _find(rule, evidence, check, spell_bound(check, limit, rule.bound), judged)


def _judge_bound(rule: EvidenceRule, evidence: Evidence, check: str, limit: Decimal) -> Judged:
    value = evidence.change.head
    if value is None or not is_finite(value):
        return Judged(breach(rule.severity), evidence.reason or "undefined")
    floor, word = check == "at_least", "below" if check == "at_least" else "above"
    if rule.bound is Bound.CONFIDENT:
        if evidence.own is None:
            return Judged(Outcome.INCONCLUSIVE, f"insufficient: {evidence.reason}")
        safe, hopeful = evidence.own if floor else (-evidence.own[1], -evidence.own[0])
        edge = float(limit) if floor else -float(limit)
        if safe >= edge:
            return Judged(Outcome.PASSED)
        if hopeful >= edge:
            told = spell_value(evidence.own[0] if floor else evidence.own[1])
            hint = "measure more samples, or hold the value itself against the limit (bound: point)"
            return Judged(Outcome.INCONCLUSIVE, f"inconclusive: its interval reaches {told}", hint)
        return Judged(breach(rule.severity), f"{word} the limit")
    exact = Decimal(str(value))
    kept = exact >= limit if floor else exact <= limit
    return Judged(Outcome.PASSED) if kept else Judged(breach(rule.severity), f"{word} the limit")


def _judge_slices(rule: EvidenceRule, result: EvaluationResult) -> list[Finding]:
    """One gate for all slices: its answer is the worst slice's, and says how many others share it."""
    slices = [each for each in result.slices if each.change.id.key[-1] == rule.metric]
    if not slices:
        reason, hint = f"no slice has {result.min_n:,} samples", "lower min_n, or evaluate on more samples"
        return [_summarise(rule, result, Judged(Outcome.INCONCLUSIVE, reason, hint), None)]
    judged = [(evidence, finding) for evidence in slices for finding in _judge_slice(rule, evidence)]
    outcomes = {finding.outcome for _, finding in judged}
    unjudged = {evidence.change.id.slice for evidence, finding in judged if finding.outcome is Outcome.NOT_JUDGED}
    if outcomes <= {Outcome.PASSED, Outcome.NOT_JUDGED}:
        return [_summarise(rule, result, _sum_up(rule, slices, unjudged), None)]
    worst = next(outcome for outcome in BREACH_FIRST if outcome in outcomes)
    shared = [pair for pair in judged if pair[1].outcome is worst]
    shown, finding = max(shared, key=lambda pair: pair[0].harm.point if pair[0].harm else -math.inf)
    named = len({evidence.change.id.slice for evidence, _ in shared})
    reason = (
        f"{named:,} of {count(len(slices), 'slice')} {finding.reason or worst.value}; shown: {shown.change.id.slice}"
    )
    return [_summarise(rule, result, Judged(worst, reason, f"look at slice {shown.change.id.slice}"), shown)]


def _sum_up(rule: EvidenceRule, slices: list[Evidence], unjudged: set[str]) -> Judged:
    """The answer where no slice breaks the demand: how many were judged, and that none is no pass."""
    if rule.margins and all(each.change.base is None and not each.reason for each in slices):
        return Judged(Outcome.NOT_JUDGED, "new: there is no baseline value")
    told = len(slices) - len(unjudged)
    if not told:
        reason = f"insufficient: none of {count(len(slices), 'slice')} can be judged"
        return Judged(Outcome.INCONCLUSIVE, reason, "evaluate on samples that tell, or drop this gate")
    tail = f", {len(unjudged):,} can't be judged" if unjudged else ""
    if rule.not_harmed is not None:
        return Judged(Outcome.PASSED, f"none of {count(told, 'slice')} proven worse{tail}")
    return Judged(Outcome.PASSED, f"{'all of ' if told > 1 else ''}{count(told, 'slice')} within the limit{tail}")


def _judge_slice(rule: EvidenceRule, evidence: Evidence) -> list[Finding]:
    """A slice's answers; proven harm is held against the correction for the number of slices."""
    if rule.not_harmed is None:
        return _judge_metric(rule, evidence)
    limit = spell_limit("not_harmed", rule.not_harmed, rule.direction)
    others = [each for each in _judge_metric(rule, evidence) if each.check != "not_harmed"]
    return [_find(rule, evidence, "not_harmed", limit, _judge_slice_harm(rule, evidence, rule.not_harmed)), *others]


def _judge_slice_harm(rule: EvidenceRule, evidence: Evidence, margin: Margin) -> Judged:
    """Harm of a slice blocks where it is proven after the correction, and is larger than the margin."""
    harm, change = evidence.harm, evidence.change
    if change.head is None and change.base is not None:
        return Judged(breach(rule.severity), "undefined in the candidate")
    if harm is None or evidence.p_adjusted is None:
        return Judged(Outcome.NOT_JUDGED, evidence.reason)
    amount = float(margin.resolve(Decimal(str(change.base))))
    if evidence.is_worse(rule.q) and harm.point > amount:
        return Judged(breach(rule.severity), "worse")
    return Judged(Outcome.PASSED, _word_harm(harm, amount))


def _summarise(rule: EvidenceRule, result: EvaluationResult, judged: Judged, shown: Evidence | None) -> Finding:
    """The one finding of all slices; `shown` is the one whose numbers stand for them."""
    limits = [spell_limit(check, margin, rule.direction) for check, margin in rule.margins.items()]
    limits += [spell_bound(check, limit, rule.bound) for check, limit in rule.bounds.items()]
    identity, change = MetricId(file=result.name, key=(rule.metric,), slice="slices"), shown.change if shown else None
    return judged.of(identity, "slices", ", ".join(limits), severity=rule.severity, place=rule.place, change=change)


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
    share = f"{flips.newly_wrong / flips.n * 100:.1f} %" if flips.n else "none"
    identity = MetricId(file=result.name, key=("newly wrong",))
    return Finding(
        id=identity,
        check="max_newly_wrong",
        limit=f"≤ {rule.max_newly_wrong}",
        outcome=Outcome.PASSED if kept else breach(rule.severity),
        severity=rule.severity,
        reason=f"{share}, against {flips.newly_right:,} newly right",
        hint="" if kept or not examples else f"look at {examples}",
        place=rule.place,
        change=_state_count(identity, flips.newly_wrong),
    )


def _judge_reuse(rule: BudgetRule, result: EvaluationResult) -> Finding:
    """Who looks at one set often enough will find a model that suits it by chance."""
    used = result.reused
    identity = MetricId(file=result.name, key=("uses of the set",))
    if result.n_base is None:
        judged = Judged(Outcome.NOT_JUDGED, "new: there is no baseline")
    elif used is None:
        reason = f"no dvc.lock of the baseline records {rule.data} and the predictions"
        judged = Judged(Outcome.INCONCLUSIVE, reason, "name the output that holds the set")
    elif used <= rule.most:
        judged = Judged(Outcome.PASSED)
    else:
        judged = Judged(breach(rule.severity), "worn out", "draw a new evaluation set")
    change = _state_count(identity, used)
    return judged.of(identity, "budget", f"≤ {rule.most:,}", severity=rule.severity, place=rule.place, change=change)


def _state_count(identity: MetricId, number: int | None) -> Change | None:
    """A count that only the candidate's side has, in the candidate's column."""
    return None if number is None else Change(id=identity, state=State.CHANGED, head=number)


def _judge_gap(rule: GapRule, gap: Gap) -> list[Finding]:
    findings = []
    if rule.max_gap is not None:
        limit = spell_bound("at_most", rule.max_gap, rule.bound)
        findings.append(_find(rule, gap, "max_gap", limit, _judge_gap_now(rule, gap, rule.max_gap)))
    if rule.max_gap_increase is not None:
        margin = rule.max_gap_increase
        limit = spell_limit("no_worse_than", margin, Direction.LOWER)
        findings.append(_find(rule, gap, "max_gap_increase", limit, _judge_gap_change(rule, gap, margin)))
    return findings


def _judge_gap_now(rule: GapRule, gap: Gap, limit: Decimal) -> Judged:
    if gap.change.head is None:
        return _judge_no_gap(gap)
    point = Decimal(str(gap.change.head))
    fine = Judged(Outcome.PASSED, f"{gap.worst} lowest, {gap.best} highest")
    wide = Judged(breach(rule.severity), f"too wide: {fine.reason}", f"look at {gap.by}={gap.worst}")
    if rule.bound is Bound.POINT:
        return fine if point <= limit else wide
    low, high = gap.own or (0.0, math.inf)
    if high <= limit:
        return fine
    hint = "measure more samples of these groups, or hold the gap itself against the limit (bound: point)"
    return wide if low > limit else Judged(Outcome.INCONCLUSIVE, f"inconclusive: {fine.reason}", hint)


def _judge_no_gap(gap: Gap) -> Judged:
    return Judged(Outcome.INCONCLUSIVE, f"insufficient: {gap.reason}", "lower min_n, or evaluate on more samples")


def _judge_gap_change(rule: GapRule, gap: Gap, margin: Margin) -> Judged:
    """Only a widening beyond the margin that is proven blocks: a gap of maxima is too noisy for the point alone."""
    if gap.change.head is None:
        return _judge_no_gap(gap)
    if gap.change.base is None:
        return Judged(Outcome.NOT_JUDGED, "new: there is no baseline value")
    if gap.change.interval is None:
        return _judge_no_gap(gap)
    widened = gap.change.interval.low > float(margin.resolve(Decimal(str(gap.change.base))))
    wider = Judged(breach(rule.severity), "wider", f"look at {gap.by}={gap.worst}")
    return wider if widened else Judged(Outcome.PASSED)
