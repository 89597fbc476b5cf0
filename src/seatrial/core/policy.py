"""The policy: what a candidate must meet, judged rule by rule into a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.comparison import Change, Comparison, Side
from seatrial.core.metrics import Direction, MetricId, State, is_finite, is_number
from seatrial.core.naming import matches_name
from seatrial.core.verdict import (
    Finding,
    Margin,
    Outcome,
    Severity,
    Status,
    Verdict,
    breach,
    pick_hardest,
    pick_mildest,
)
from seatrial.errors import ExitCode

if TYPE_CHECKING:
    from seatrial.core.data_rules import AnyTableRule
    from seatrial.core.evidence_rules import AnyEvidenceRule


class Rule(Struct, frozen=True, kw_only=True):
    """The gates of the metrics that `pattern` names: `file:key`, or a key in any file; `*` and `?` match.

    `place` is where the rule stands (`seatrial.yaml:7`).
    """

    pattern: str
    place: str
    direction: Direction | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    max_decrease: Margin | None = None
    max_increase: Margin | None = None
    max_change: Margin | None = None
    severity: Severity = Severity.FAIL

    def matches(self, identity: MetricId) -> bool:
        """Whether this rule speaks of a metric."""
        file, separator, key = self.pattern.rpartition(":")
        spelled = (identity.dotted, ".".join(identity.key))
        return (not separator or matches_name(identity.file, file)) and any(matches_name(name, key) for name in spelled)

    @property
    def gates(self) -> bool:
        """Whether the rule demands anything, rather than only naming a direction."""
        return any(limit is not None for limit in (*self.bounds.values(), *self.margins.values()))

    @property
    def bounds(self) -> dict[str, Decimal | None]:
        """Limits on the candidate's value alone."""
        return {"at_least": self.at_least, "at_most": self.at_most}

    @property
    def margins(self) -> dict[str, Margin | None]:
        """Limits on the change against the baseline."""
        return {
            "max_decrease": self.max_decrease,
            "max_increase": self.max_increase,
            "max_change": self.max_change,
        }


class Waiver(Struct, frozen=True, kw_only=True):
    """A gate that may fail up to and including a day; `gate` is its metric's name, in which `*` and `?` match.

    A limit is waived, or that the baseline leaves it open; never that the candidate has no number to judge.
    """

    gate: str
    reason: str
    until: date
    place: str

    def names(self, identity: MetricId) -> bool:
        """Whether this waiver speaks of a gate: by its file or evaluation and its key, or by the key alone."""
        return any(matches_name(name, self.gate) for name in (str(identity), identity.dotted))

    def covers(self, finding: Finding) -> bool:
        """Whether this waiver speaks of a finding that would hinder the merge and may be excused."""
        numberless = finding.check in _NUMBERLESS or (finding.change is not None and finding.change.head is None)
        absent = numberless and finding.outcome is not Outcome.INCONCLUSIVE
        return finding.outcome in _HINDRANCES and not absent and self.names(finding.id)


_HINDRANCES = frozenset({Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.WARNED})
_NUMBERLESS = frozenset({"present", "readable"})


class Policy(Struct, frozen=True, kw_only=True):
    """All rules, on numbers as they stand, on evidence and on tables, and what is done where no rule can answer.

    `stale` is what it does that the candidate's metrics were not made by its own code, data and parameters;
    `on_broken` what a metrics file or value of the candidate does that is missing, unreadable or not
    finite even where no rule names it; `on_inconclusive` what a gate does that can't be judged.
    """

    rules: tuple[Rule, ...] = ()
    evidence: tuple[AnyEvidenceRule, ...] = ()
    tables: tuple[AnyTableRule, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    stale: Severity = Severity.WARN
    on_broken: Severity = Severity.FAIL
    on_inconclusive: Severity = Severity.FAIL

    @property
    def gates(self) -> bool:
        """Whether anything is demanded at all."""
        return bool(self.evidence or self.tables) or any(rule.gates for rule in self.rules)

    def direction_of(self, identity: MetricId) -> Direction | None:
        """The direction that the first matching rule names."""
        return next((r.direction for r in self.rules if r.direction and r.matches(identity)), None)


BROKEN = frozenset({State.MISSING, State.UNREADABLE, State.MISSING_CACHE, State.NOT_FINITE})


def evaluate(
    policy: Policy, comparison: Comparison, *, beside: tuple[Finding, ...] = (), today: date | None = None
) -> Verdict:
    """Judge a comparison; `beside` are findings from elsewhere that count as well.

    Without `today` no waiver holds. A tighter limit never turns failed into passed.
    """
    by_rule = [finding for rule in policy.rules if rule.gates for finding in _apply(rule, policy, comparison.metrics)]
    # A rule that only warns does not soften what the policy says of broken values.
    named = {
        finding.id for finding in by_rule if pick_hardest((finding.severity, policy.on_broken)) is finding.severity
    }
    health = [*_check_health(policy, comparison, named=named), *_check_lost(policy, comparison, by_rule)]
    shown = _judge_evidence(policy, comparison) if policy.evidence or comparison.evaluations else ()
    of_data = _judge_tables(policy, comparison) if policy.tables else ()
    found = (*by_rule, *shown, *of_data, *health, *_check_stale(policy, comparison), *beside)
    findings = tuple(_waive(finding, policy.waivers, today) for finding in found)
    status = _conclude(findings, policy)
    return Verdict(status=status, findings=findings, exit_code=_EXIT_CODES[status])


def _judge_evidence(policy: Policy, comparison: Comparison) -> list[Finding]:
    from seatrial.core.evidence_judging import judge_evidence

    return judge_evidence(policy.evidence, comparison.evaluations)


def _judge_tables(policy: Policy, comparison: Comparison) -> list[Finding]:
    from seatrial.core.data_rules import judge_tables

    return judge_tables(policy.tables, comparison.tables)


_EXIT_CODES = {
    Status.PASSED: ExitCode.PASSED,
    Status.WARNED: ExitCode.PASSED,
    Status.FAILED: ExitCode.FAILED,
    Status.INCONCLUSIVE: ExitCode.NOT_COMPARED,
}


def _conclude(findings: Iterable[Finding], policy: Policy) -> Status:
    outcomes = {finding.outcome for finding in findings}
    if Outcome.FAILED in outcomes:
        return Status.FAILED
    # A rule that only warns does so as well where it can't be judged.
    undecided = {
        pick_mildest((finding.severity, policy.on_inconclusive))
        for finding in findings
        if finding.outcome is Outcome.INCONCLUSIVE
    }
    if Severity.FAIL in undecided:
        return Status.INCONCLUSIVE
    return Status.WARNED if Severity.WARN in undecided or Outcome.WARNED in outcomes else Status.PASSED


def _waive(finding: Finding, waivers: tuple[Waiver, ...], today: date | None) -> Finding:
    """A finding as its waiver leaves it; one whose waiver has ended says so."""
    waiver = max((waiver for waiver in waivers if waiver.covers(finding)), key=lambda one: one.until, default=None)
    if waiver is None or today is None:
        return finding
    if today > waiver.until:
        ended = f"its waiver ended on {waiver.until}"
        return replace(finding, hint=f"{ended}; {finding.hint or 'mend what it excused, or renew it'}")
    told = f"{finding.reason}, " if finding.reason else ""
    reason = f"{told}waived until {waiver.until}: {waiver.reason}"
    return replace(finding, outcome=Outcome.WAIVED, reason=reason, hint="")


def _apply(rule: Rule, policy: Policy, changes: tuple[Change, ...]) -> list[Finding]:
    matched = [change for change in changes if rule.matches(change.id)]
    if not matched:
        return [_report_absent(rule, changes)]
    findings: list[Finding] = []
    for change in matched:
        if (trouble := _refuse(rule, change)) is not None:
            findings.append(trouble)
            continue
        findings += [
            _check_bound(rule, change, name, limit) for name, limit in rule.bounds.items() if limit is not None
        ]
        findings += [
            _check_margin(rule, change, name, margin) for name, margin in rule.margins.items() if margin is not None
        ]
    return findings


_MOST_GUESSED = 2_000  # comparing a name with a million others would take minutes


def _report_absent(rule: Rule, changes: tuple[Change, ...]) -> Finding:
    file, _, key = rule.pattern.rpartition(":")
    return Finding(
        id=MetricId(file=file, key=(key,)),
        check="present",
        limit="present",
        outcome=breach(rule.severity),
        severity=rule.severity,
        reason="no metric of either side has this name",
        hint=suggest_name(rule.pattern, (change.id for change in changes)),
        place=rule.place,
    )


def suggest_name(pattern: str, known: Iterable[MetricId]) -> str:
    """What to do about a rule that names none of the metrics: the nearest name, or where the names are."""
    from difflib import get_close_matches

    names = [str(one) if ":" in pattern else one.dotted for one in islice(known, _MOST_GUESSED)]
    near = get_close_matches(pattern, names, n=1)
    return f"did you mean {near[0]}?" if near else "`seatrial compare --all` lists the names"


def _refuse(rule: Rule, change: Change) -> Finding | None:
    """The finding for a candidate's value that can't be judged at all, else None."""
    if is_finite(change.head):
        return None
    if change.state is State.REMOVED:
        reason, hint = (
            "the candidate no longer has this metric",
            "restore it, or take its rule out of the policy",
        )
    elif change.side is Side.HEAD:
        reason, hint = change.reason, change.hint
    else:
        reason, hint = "the value is not a number", "gate a metric that is a number"
    return Finding(
        id=change.id,
        check="present",
        limit="a finite number",
        outcome=breach(rule.severity),
        severity=rule.severity,
        reason=reason,
        hint=hint,
        place=rule.place,
        change=change,
    )


def _check_bound(rule: Rule, change: Change, check: str, limit: Decimal) -> Finding:
    value = Decimal(str(change.head))
    kept = value >= limit if check == "at_least" else value <= limit
    sign = "≥" if check == "at_least" else "≤"
    word = "below" if check == "at_least" else "above"
    return Finding(
        id=change.id,
        check=check,
        limit=f"{sign} {limit:f}",
        outcome=Outcome.PASSED if kept else breach(rule.severity),
        severity=rule.severity,
        reason="" if kept else f"{word} the limit",
        place=rule.place,
        change=change,
    )


def _check_margin(rule: Rule, change: Change, check: str, margin: Margin) -> Finding:
    sign = {"max_decrease": "Δ ≥ −", "max_increase": "Δ ≤ +", "max_change": "Δ within ±"}[check]
    outcome, reason = _judge_margin(rule, change, check, margin)
    return Finding(
        id=change.id,
        check=check,
        limit=f"{sign}{margin}",
        outcome=outcome,
        severity=rule.severity,
        reason=reason,
        hint=change.hint if outcome is Outcome.INCONCLUSIVE else "",
        place=rule.place,
        change=change,
    )


def _judge_margin(rule: Rule, change: Change, check: str, margin: Margin) -> tuple[Outcome, str]:
    if change.delta is None:
        if change.state is State.ADDED:
            return Outcome.NOT_JUDGED, "new: there is no baseline value"
        return (
            Outcome.INCONCLUSIVE,
            f"baseline: {change.reason}" if change.reason else "the baseline is not a number",
        )
    moved = change.delta.absolute
    harm = {"max_decrease": -moved, "max_increase": moved, "max_change": abs(moved)}[check]
    if harm <= max(margin.resolve(Decimal(str(change.base))), Decimal(0)):
        return Outcome.PASSED, ""
    word = {"max_decrease": "fell too far", "max_increase": "rose too far", "max_change": "changed too much"}[check]
    return breach(rule.severity), word


def _check_stale(policy: Policy, comparison: Comparison) -> list[Finding]:
    """One finding for all stages whose record is not of what is there."""
    if not comparison.stale:
        return []
    edited = [path for stage in comparison.stale for path in stage.edited]
    count = len(comparison.stale)
    stages = f"{count} stages are stale" if count > 1 else f"stage {comparison.stale[0].address} is stale"
    return [
        Finding(
            id=MetricId(file="dvc.lock", key=()),
            check="fresh",
            limit="made by this revision",
            outcome=breach(policy.stale),
            severity=policy.stale,
            reason=f"{edited[0]} is not what its stage made" if edited else stages,
            hint="run `dvc repro`, and commit dvc.lock with the metrics that it makes",
        )
    ]


def _check_health(policy: Policy, comparison: Comparison, *, named: set[MetricId]) -> list[Finding]:
    """Findings for what is broken on the candidate's side although no rule names it: never a silent pass."""
    broken = [
        Finding(
            id=change.id,
            check="readable",
            limit="readable and finite",
            outcome=breach(policy.on_broken),
            severity=policy.on_broken,
            reason=change.reason,
            hint=change.hint,
            change=change,
        )
        for change in comparison.metrics
        if _is_broken(change) and change.id not in named
    ]
    unread = [
        Finding(
            id=MetricId(file=sided.problem.path, key=()),
            check="readable",
            limit="readable",
            outcome=breach(policy.on_broken),
            severity=policy.on_broken,
            reason=sided.problem.message,
            hint=sided.problem.hint,
        )
        for sided in comparison.problems
        if sided.side is Side.HEAD
    ]
    return broken + unread


def _is_broken(change: Change) -> bool:
    """Whether a candidate's value can't be taken for what the baseline has: absent, unreadable, no number any more."""
    if change.state is State.TYPE_CHANGED:
        return is_number(change.base)
    return change.state in BROKEN and change.side is Side.HEAD


def _check_lost(policy: Policy, comparison: Comparison, by_rule: list[Finding]) -> list[Finding]:
    """One finding for each file whose values the candidate has given up although no rule names them.

    Taking a metric out can be meant, so that is a warning; a candidate that measures nothing at all any more is broken.
    """
    named = {finding.id for finding in by_rule}
    lost: dict[str, list[str]] = {}
    for change in comparison.metrics:
        if change.state is State.REMOVED and change.id not in named:
            lost.setdefault(change.id.file, []).append(change.id.dotted or "its value")
    measures = any(change.head is not None for change in comparison.metrics)
    severity = Severity.WARN if measures and policy.on_broken is Severity.FAIL else policy.on_broken
    return [
        Finding(
            id=MetricId(file=file, key=()),
            check="kept",
            limit="kept",
            outcome=breach(severity),
            severity=severity,
            reason=f"no longer has {', '.join(keys[:3])}{f' and {len(keys) - 3:,} more' if len(keys) > 3 else ''}",
            hint="declare and write them again" if measures else "restore dvc.yaml and the metrics that it declares",
        )
        for file, keys in lost.items()
    ]
