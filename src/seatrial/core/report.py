"""The report: facts for machines, a document for people."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec import Struct

from seatrial import __version__
from seatrial.core.comparison import Change, Comparison, FileChange, SidedProblem, StageChange
from seatrial.core.data_facts import state_table
from seatrial.core.document import Document
from seatrial.core.evidence_facts import state_evaluation
from seatrial.core.facts import (
    SCHEMA_VERSION,
    ChangeFacts,
    FileFacts,
    FindingFacts,
    IntervalFacts,
    PlotFacts,
    ProblemFacts,
    ReportFacts,
    RevisionFacts,
    StageFacts,
    StaleFacts,
)
from seatrial.core.metrics import Interval, StaleStage, Value, is_finite, spell_not_finite
from seatrial.core.policy import Policy
from seatrial.core.revision import Revision
from seatrial.core.verdict import Finding, Verdict
from seatrial.core.wording import Telling, headline, write_document

if TYPE_CHECKING:
    from seatrial.core.annotations import Annotation
    from seatrial.core.plots import PlotChange

_JSON_INTEGERS = 2**63


class Report(Struct, frozen=True, kw_only=True, dict=True):
    """What a run found. Left of it nothing is printed; right of it nothing is computed.

    Its document is laid out when a renderer for people asks for it, and once: machines read facts alone. So are its
    annotations, for which files are read again; a report that was built without its files has none.
    """

    facts: ReportFacts
    lay_out: Callable[[], Document]
    annotate: Callable[[], tuple[Annotation, ...]] = tuple

    @cached_property
    def document(self) -> Document:
        """The report as a reader meets it."""
        return self.lay_out()

    @cached_property
    def annotations(self) -> tuple[Annotation, ...]:
        """What is to be said at lines of the candidate's files, the worst first."""
        return self.annotate()


def build_report(comparison: Comparison, verdict: Verdict, policy: Policy, telling: Telling) -> Report:
    """Lay out a judged comparison as facts and as a document."""
    return Report(
        facts=_collect_facts(comparison, verdict, policy, telling),
        lay_out=partial(write_document, comparison, verdict, policy, telling),
        annotate=partial(_annotate, comparison, verdict, telling),
    )


def _annotate(comparison: Comparison, verdict: Verdict, telling: Telling) -> tuple[Annotation, ...]:
    if telling.find_lines is None:
        return ()
    from seatrial.core.annotations import annotate

    return annotate(comparison, verdict, telling.find_lines(), precision=telling.precision)


def _collect_facts(comparison: Comparison, verdict: Verdict, policy: Policy, telling: Telling) -> ReportFacts:
    revisions = comparison.range
    return ReportFacts(
        schema_version=SCHEMA_VERSION,
        seatrial_version=__version__,
        verdict=verdict.status.value,
        headline=headline(comparison, verdict, policy),
        base=_state_revision(revisions.base) if revisions.base else None,
        head=_state_revision(revisions.head),
        baseline_reason=revisions.reason,
        baseline_moved=revisions.moved,
        baseline_older=revisions.older,
        policy=telling.policy_source,
        findings=tuple(_state_finding(finding) for finding in verdict.findings),
        metrics=tuple(_state_change(change) for change in comparison.metrics),
        params=tuple(_state_change(change) for change in comparison.params),
        files=tuple(_state_file(change) for change in comparison.files),
        stages=tuple(_state_stage(change) for change in comparison.stages),
        stale=tuple(_state_stale(stage) for stage in comparison.stale),
        problems=tuple(_state_problem(sided) for sided in comparison.problems),
        evaluations=tuple(state_evaluation(result) for result in comparison.evaluations),
        tables=tuple(state_table(table) for table in comparison.tables),
        plots=tuple(_state_plot(change) for change in telling.plots.changes) if telling.plots else (),
    )


def _state_revision(revision: Revision) -> RevisionFacts:
    return RevisionFacts(name=revision.name, sha=revision.commit)


def _state_value(value: Value) -> Value:
    """A value that strict JSON can hold: what is not finite becomes its name, what has over 64 bits a float."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return value
    if not is_finite(value):
        return spell_not_finite(value)
    return value if isinstance(value, float) or abs(value) < _JSON_INTEGERS else float(value)


def _state_amount(amount: Decimal | None) -> float | None:
    """A difference or share; None where a float can't hold it, as 1e308 − −1e308."""
    value = None if amount is None else float(amount)
    return value if is_finite(value) else None


def _state_change(change: Change) -> ChangeFacts:
    delta = change.delta
    return ChangeFacts(
        file=change.id.file,
        key=change.id.key,
        state=change.state.value,
        base=_state_value(change.base),
        head=_state_value(change.head),
        absolute=_state_amount(delta.absolute if delta else None),
        relative=_state_amount(delta.relative if delta else None),
        direction=change.direction.value if change.direction else None,
        effect=change.effect.value,
        interval=_state_interval(change.interval) if change.interval else None,
        reason=change.reason,
        hint=change.hint,
        moved_from=change.moved_from or None,
        stale=change.stale,
        side=change.side.value if change.side else None,
    )


def _state_interval(interval: Interval) -> IntervalFacts:
    return IntervalFacts(
        low=interval.low, high=interval.high, level=interval.level, n=interval.n, method=interval.method
    )


def _state_finding(finding: Finding) -> FindingFacts:
    return FindingFacts(
        file=finding.id.file,
        key=finding.id.key,
        check=finding.check,
        limit=finding.limit,
        outcome=finding.outcome.value,
        severity=finding.severity.value,
        reason=finding.reason,
        rule=finding.place,
        hint=finding.hint,
        slice=finding.id.slice,
    )


def _state_file(change: FileChange) -> FileFacts:
    base, head, inside = change.base, change.head, change.contents
    return FileFacts(
        path=change.path,
        state=change.state.value,
        base_size=base.size if base else None,
        head_size=head.size if head else None,
        base_files=base.files if base else None,
        head_files=head.files if head else None,
        added=len(inside.added) if inside else None,
        removed=len(inside.removed) if inside else None,
        modified=len(inside.modified) if inside else None,
    )


def _state_stage(change: StageChange) -> StageFacts:
    return StageFacts(stage=change.address, state=change.state.value, because=change.because)


def _state_stale(stage: StaleStage) -> StaleFacts:
    return StaleFacts(stage=stage.address, because=stage.because, edited=stage.edited)


def _state_plot(change: PlotChange) -> PlotFacts:
    reason = "; ".join(problem.message for _, problem in change.problems)
    return PlotFacts(name=change.name, title=change.title, state=change.state.value, reason=reason)


def _state_problem(sided: SidedProblem) -> ProblemFacts:
    problem = sided.problem
    return ProblemFacts(
        side=sided.side.value,
        state=problem.state.value,
        path=problem.path,
        message=problem.message,
        hint=problem.hint,
    )
