"""The answer to "may it merge?": findings, gathered into gates, and the verdict that they make."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

from msgspec import Struct

from seatrial.core.comparison import Change
from seatrial.core.metrics import MetricId
from seatrial.errors import ExitCode


class Severity(str, Enum):
    """What a breach does: block the merge, warn, or only be told."""

    FAIL = "fail"
    WARN = "warn"
    INFO = "info"


class Outcome(str, Enum):
    """One gate's answer.

    `not-judged` is for a change rule where there is nothing to compare with yet, `waived` for what would hinder the
    merge were it not excused for a while.
    """

    PASSED = "passed"
    NOTED = "noted"
    WARNED = "warned"
    WAIVED = "waived"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    NOT_JUDGED = "not-judged"


class Status(str, Enum):
    """The verdict in a word."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Margin(Struct, frozen=True, kw_only=True):
    """A tolerance: an amount in the metric's unit, or a share of the absolute baseline value."""

    amount: Decimal
    relative: bool

    def resolve(self, base: Decimal) -> Decimal:
        """The tolerance in the metric's unit."""
        return abs(base) * self.amount if self.relative else self.amount

    def __str__(self) -> str:
        return f"{(self.amount * 100).normalize():f}%" if self.relative else f"{self.amount:f}"


class Finding(Struct, frozen=True, kw_only=True):
    """What one rule, or the health check of the candidate's files, says of one metric."""

    id: MetricId
    check: str
    limit: str
    outcome: Outcome
    severity: Severity
    reason: str
    hint: str = ""
    place: str = ""
    change: Change | None = None


class Judged(Struct, frozen=True):
    """An answer by itself, before it is said which rule gave it of what."""

    outcome: Outcome
    reason: str = ""
    hint: str = ""

    def of(
        self,
        identity: MetricId,
        check: str,
        limit: str,
        *,
        severity: Severity,
        place: str = "",
        change: Change | None = None,
    ) -> Finding:
        """The finding that a rule's demand has this answer."""
        return Finding(
            id=identity,
            check=check,
            limit=limit,
            outcome=self.outcome,
            severity=severity,
            reason=self.reason,
            hint=self.hint,
            place=place,
            change=change,
        )


class Gate(Struct, frozen=True, kw_only=True):
    """All that one rule demands of one metric, the worst answer first."""

    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Finding:
        """The answer that decides."""
        return self.findings[0]


class Verdict(Struct, frozen=True, kw_only=True):
    """The answer to "may it merge?", with everything that it rests on, in the order of the policy."""

    status: Status
    findings: tuple[Finding, ...]
    exit_code: ExitCode

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The findings by metric and rule, the gates with the worst answers first."""
        grouped: dict[tuple[MetricId, str], list[Finding]] = {}
        for finding in self.findings:
            grouped.setdefault((finding.id, finding.place), []).append(finding)
        gates = [Gate(findings=tuple(sorted(group, key=_rank_within))) for group in grouped.values()]
        return tuple(sorted(gates, key=lambda gate: _rank(gate.worst)))


WORST_FIRST = (
    Outcome.FAILED,
    Outcome.INCONCLUSIVE,
    Outcome.WARNED,
    Outcome.WAIVED,
    Outcome.NOTED,
    Outcome.NOT_JUDGED,
    Outcome.PASSED,
)


# Of the answers of one rule, which all are of one severity, a breach comes first however mild that makes it; and that
# a change waits for a baseline does not hide that a floor is kept.
BREACH_FIRST = (
    Outcome.FAILED,
    Outcome.WARNED,
    Outcome.NOTED,
    Outcome.WAIVED,
    Outcome.INCONCLUSIVE,
    Outcome.PASSED,
    Outcome.NOT_JUDGED,
)


def _rank(finding: Finding) -> int:
    return WORST_FIRST.index(finding.outcome)


def _rank_within(finding: Finding) -> int:
    return BREACH_FIRST.index(finding.outcome)


_HARDEST_FIRST = (Severity.FAIL, Severity.WARN, Severity.INFO)


def pick_hardest(severities: Iterable[Severity]) -> Severity:
    """The severity of several that does most."""
    return min(severities, key=_HARDEST_FIRST.index)


def pick_mildest(severities: Iterable[Severity]) -> Severity:
    """The severity of several that does least."""
    return max(severities, key=_HARDEST_FIRST.index)


def breach(severity: Severity) -> Outcome:
    """What a breach of a rule comes to."""
    return {Severity.FAIL: Outcome.FAILED, Severity.WARN: Outcome.WARNED, Severity.INFO: Outcome.NOTED}[severity]
