"""What a stranger's CI says of predictions and tables, taken over for our own policy to judge.

Per-sample predictions do not cross, so estimates are believed as numbers; but nothing that the report leaves out, or
calls new although the baseline has it, may let a gate pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from seatrial.core.comparison import Change, Comparison, Side, measure_delta
from seatrial.core.data import ColumnChange, ColumnDrift, Drift, Leak, Role, Rows, SchemaChange, TableDiff, TypeChange
from seatrial.core.data_facts import ColumnDriftFacts, DriftFacts, LeakFacts, RowFacts, TableFacts
from seatrial.core.data_rules import AnyTableRule, DriftRule
from seatrial.core.evidence import Cohort, EvaluationResult, Evidence, Flips, Gap
from seatrial.core.evidence_facts import EstimateFacts, EvaluationFacts, FlipFacts, GapFacts
from seatrial.core.evidence_rules import AnyEvidenceRule, EvidenceRule, GapRule
from seatrial.core.facts import IntervalFacts
from seatrial.core.handover import CI, LEVEL, Names, make_interval, refuse, refuse_many
from seatrial.core.metrics import Direction, Interval, MetricId, Problem, State, guess_direction, is_finite

_DIGEST = re.compile(r"[0-9a-f]{8,128}")
_UNTOLD = f"not told by {CI}"
_AGAIN = "let the pull request be measured again, by the policy of today"
_NO_INTERVAL = f"{CI} gives no sound interval"
_NO_BASELINE = f"{CI} gives no value of the baseline, which has one"
# A metrics file is rounded when it is written.
_AGREEMENT = 1e-4
_MOST_ESTIMATES = 50_000
_MOST_METRICS = 200


class ExpectedEvaluation(Struct, frozen=True, kw_only=True):
    """What our policy says of an evaluation, and whether our baseline has predictions of it.

    `rules` are its own; `required` slices need `min_n` samples; with `same_set` both sides need the same samples.
    `own` is what the baseline's predictions say of it here, None where they can't be read here.
    """

    name: str
    predictions: str
    in_baseline: bool
    metrics_file: str | None = None
    rules: tuple[AnyEvidenceRule, ...] = ()
    directions: Mapping[str, Direction] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    min_n: int = 0
    q: float = 0.05
    same_set: bool = False
    reused: int | None = None
    own: EvaluationResult | None = None

    @property
    def demands(self) -> bool:
        """Whether any gate waits for it."""
        return bool(self.rules or self.required)

    def direction_of(self, metric: str) -> Direction | None:
        """Which way is better: the policy knows, whatever the report says."""
        return self.directions.get(metric) or guess_direction((metric,))


class ExpectedTable(Struct, frozen=True, kw_only=True):
    """A table of our policy, and whether our baseline has it."""

    name: str
    path: str
    in_baseline: bool
    role: Role | None = None
    rules: tuple[AnyTableRule, ...] = ()


# -- evaluations


def take_evaluations(
    told: Iterable[EvaluationFacts], expected: Iterable[ExpectedEvaluation], comparison: Comparison, names: Names
) -> tuple[EvaluationResult, ...]:
    """The evaluations of our policy as the report tells them; what it tells of others is left behind."""
    by_name = _index(told)
    return tuple(
        _take(by_name[one.name], one, comparison, names) if one.name in by_name else _miss(one)
        for one in expected
        if one.name in by_name or one.demands
    )


def _index(told: Iterable[EvaluationFacts]) -> dict[str, EvaluationFacts]:
    found: dict[str, EvaluationFacts] = {}
    for one in told:
        if one.name in found:
            raise refuse(f"it tells of the evaluation {one.name[:60]!a} twice")
        found[one.name] = one
    return found


def _miss(expected: ExpectedEvaluation) -> EvaluationResult:
    """An evaluation that the report says nothing of: no gate on it passes, and none is called failed."""
    # A trouble of the baseline, which alone leaves gates open; the finding says "of the baseline, " before it.
    message = f"and of the candidate, nothing is told by {CI}"
    problem = Problem(state=State.UNREADABLE, path=expected.predictions, message=message, hint=_AGAIN)
    return EvaluationResult(name=expected.name, problem=problem, side=Side.BASE)


def _take(
    told: EvaluationFacts, expected: ExpectedEvaluation, comparison: Comparison, names: Names
) -> EvaluationResult:
    if told.problem and not told.overall:
        problem = Problem(
            state=State.UNREADABLE, path=expected.predictions, message=f"could not be read by {CI}", hint=""
        )
        side = Side.BASE if told.side == Side.BASE.value else Side.HEAD
        return EvaluationResult(name=expected.name, problem=problem, side=side)
    _refuse_many(told)
    first = not expected.in_baseline
    if expected.own:
        _check_baseline(told, expected.own)
    of_file = {change.id.key[0]: change for change in comparison.metrics if _is_of_file(change, expected)}
    reader = _Reader(told=told, expected=expected, of_file=of_file, names=names)
    overall = tuple(reader.read(each) for each in told.overall)
    slices = tuple(reader.read(each) for each in told.slices)
    return EvaluationResult(
        name=expected.name,
        overall=(*overall, *_add_untold(overall, expected)),
        slices=slices,
        untested=max(told.untested_slices, 0),
        min_n=expected.min_n,
        q=expected.q,
        gaps=reader.read_gaps(),
        flips=_read_flips(told.flips, names) if told.flips and not first else None,
        cohorts=tuple(
            Cohort(
                name=name,
                n=max((each.n for each in slices if each.change.id.slice == name), default=0),
                needed=expected.min_n,
            )
            for name in expected.required
        ),
        n_base=None if first else told.n_base or 0,
        n_head=told.n_head,
        n_common=None if first else told.n_common or 0,
        labels_changed=told.labels_changed,
        digest=told.digest if _DIGEST.fullmatch(told.digest) else "",
        reused=expected.reused,
        mismatch=_describe_mismatch(told, expected),
    )


def _refuse_many(told: EvaluationFacts) -> None:
    refuse_many(len(told.overall) + len(told.slices), _MOST_ESTIMATES, "estimates")
    named = {each.metric for each in (*told.overall, *told.slices)} | {gap.metric for gap in told.gaps}
    refuse_many(len(named), _MOST_METRICS, "metrics of one evaluation")


def _is_of_file(change: Change, expected: ExpectedEvaluation) -> bool:
    return change.id.file == expected.metrics_file and len(change.id.key) == 1


def _check_baseline(told: EvaluationFacts, own: EvaluationResult) -> None:
    """CompareError where the baseline's predictions say something else here than there."""
    if told.n_base != own.n_base:
        raise refuse(f"it counts {told.n_base} samples of the baseline's {own.name}, and there are {own.n_base}")
    if told.n_common != told.n_base:
        return  # the baseline was measured on the samples that both sides have, and these are not here
    if told.n_common == told.n_head and not told.labels_changed and told.digest and told.digest != own.digest:
        raise refuse(f"its evaluation set of {own.name} is not the baseline's, and it says that it is")
    known = {(each.change.id.key[-1], each.change.id.slice): each.change.base for each in (*own.overall, *own.slices)}
    for each in (*told.overall, *told.slices):
        ours = known.get((each.metric, each.slice))
        if is_finite(ours) and not _agrees(ours, each.base):
            subject = f"{each.metric} of {own.name} {each.slice}".strip()
            raise refuse(f"it compares {subject[:120]!a} with {each.base}, where the baseline has {ours}")


def _describe_mismatch(told: EvaluationFacts, expected: ExpectedEvaluation) -> str:
    if not (expected.in_baseline and expected.same_set and expected.demands):
        return ""
    same = told.n_base == told.n_common == told.n_head and not told.labels_changed and bool(told.n_common)
    if same and not told.problem:
        return ""
    return (
        f"the two sides were not evaluated on the same samples: baseline {told.n_base or 0:,}, candidate "
        f"{told.n_head or 0:,}, {told.n_common or 0:,} in common, {told.labels_changed:,} labels differ"
    )


class _Reader(Struct, frozen=True, kw_only=True):
    """Reads the estimates of one evaluation; `of_file` are the values of its metrics file by name."""

    told: EvaluationFacts
    expected: ExpectedEvaluation
    of_file: Mapping[str, Change]
    names: Names

    def read(self, estimate: EstimateFacts) -> Evidence:
        """One metric on all samples or on one slice."""
        base = estimate.base if self.expected.in_baseline else None
        change = self._state(estimate, base)
        reason = self._doubt(estimate, change)
        if reason:
            change = replace(change, interval=None)
        return Evidence(
            change=change,
            n=max(estimate.n, 0),
            own=_read_own(estimate),
            detectable=_positive(estimate.detectable),
            p_worse=_probability(estimate.p_worse) if not reason else None,
            p_adjusted=_probability(estimate.p_adjusted) if not reason else None,
            shrunken=estimate.shrunken if not reason else None,
            reason=reason,
        )

    def _state(self, estimate: EstimateFacts, base: float | None) -> Change:
        metric = self.names.clean(estimate.metric)
        delta = measure_delta(base, estimate.head)
        state = State.ADDED if base is None else State.REMOVED if estimate.head is None else State.CHANGED
        return Change(
            id=self._identify(metric, estimate),
            state=State.UNCHANGED if delta and not delta.absolute else state,
            base=base,
            head=estimate.head,
            delta=delta,
            direction=self.expected.direction_of(metric),
            interval=_read_interval(estimate, float(delta.absolute)) if delta else None,
        )

    def _identify(self, metric: str, estimate: EstimateFacts) -> MetricId:
        """The metric's address in its metrics file where that tells the same value, else within the evaluation."""
        if not estimate.slice and (told := self.of_file.get(metric)) and _agrees(told.head, estimate.head):
            return told.id
        return MetricId(file=self.expected.name, key=(metric,), slice=self.names.clean(estimate.slice))

    def _doubt(self, estimate: EstimateFacts, change: Change) -> str:
        """Why there is no interval to rest a gate on; empty where there is one, or nothing to compare with."""
        if not self.expected.in_baseline:
            return ""
        if change.base is None:
            return _NO_BASELINE
        if change.head is None or change.interval is None:
            return _NO_INTERVAL
        told = self.of_file.get(change.id.key[-1]) if not estimate.slice else None
        whole = self.told.n_base == self.told.n_common
        if told and whole and is_finite(told.base) and not _agrees(told.base, change.base):
            return f"{CI} compares with {change.base:g}, where {told.id.file} of the baseline has {told.base}"
        return ""

    def read_gaps(self) -> tuple[Gap, ...]:
        """The gaps between groups, and those that the policy asks for and the report leaves out."""
        gaps = tuple(self._read_gap(gap) for gap in self.told.gaps)
        return (*gaps, *_add_untold_gaps(gaps, self.expected))

    def _read_gap(self, gap: GapFacts) -> Gap:
        metric, by = self.names.clean(gap.metric), self.names.clean(gap.by)
        base = gap.base if self.expected.in_baseline else None
        sound = gap.low is not None and gap.high is not None and gap.low <= gap.high
        missed = base is None and self.expected.in_baseline
        delta = measure_delta(base, gap.head)
        change = Change(
            id=_identify_gap(self.expected, metric, by),
            state=State.ADDED if base is None else State.CHANGED,
            base=base,
            head=None if missed else gap.head,
            delta=delta,
            direction=Direction.LOWER,
            interval=Interval(low=gap.low or 0.0, high=gap.high or 0.0, level=LEVEL, n=gap.groups, method="as told")
            if sound and delta
            else None,
        )
        return Gap(
            metric=metric,
            by=by,
            change=change,
            groups=max(gap.groups, 0),
            left_out=max(gap.left_out, 0),
            worst=self.names.clean(gap.lowest),
            best=self.names.clean(gap.highest),
            reason=_NO_BASELINE if missed else "" if change.interval else _NO_INTERVAL,
        )


def _add_untold(there: Iterable[Evidence], expected: ExpectedEvaluation) -> list[Evidence]:
    """Evidence with nothing in it, for metrics that a rule of ours is about and the report does not tell."""
    known = {each.change.id.key[-1] for each in there}
    wanted = {rule.metric for rule in expected.rules if isinstance(rule, EvidenceRule) and not rule.sliced}
    return [
        Evidence(
            change=Change(id=MetricId(file=expected.name, key=(metric,)), state=State.NOT_COMPARABLE, reason=_UNTOLD),
            n=0,
            reason=_UNTOLD,
        )
        for metric in sorted(wanted - known)
    ]


def _add_untold_gaps(there: Iterable[Gap], expected: ExpectedEvaluation) -> list[Gap]:
    known = {(gap.metric, gap.by) for gap in there}
    wanted = {(rule.metric, rule.by) for rule in expected.rules if isinstance(rule, GapRule)}
    return [
        Gap(
            metric=metric,
            by=by,
            change=Change(id=_identify_gap(expected, metric, by), state=State.NOT_COMPARABLE, reason=_UNTOLD),
            groups=0,
            reason=_UNTOLD,
        )
        for metric, by in sorted(wanted - known)
    ]


def _identify_gap(expected: ExpectedEvaluation, metric: str, by: str) -> MetricId:
    return MetricId(file=expected.name, key=(f"gap of {metric}",), slice=f"by {by}")


def _read_interval(estimate: EstimateFacts, point: float) -> Interval | None:
    low, high, level = estimate.low, estimate.high, estimate.level
    if low is None or high is None or level is None:
        return None
    told = IntervalFacts(low=low, high=high, level=level, n=estimate.n, method=estimate.method or "")
    return make_interval(told, point)


def _read_own(estimate: EstimateFacts) -> tuple[float, float] | None:
    """The candidate's own interval, around its own value; an end that is not told is endless."""
    low, high = estimate.own_low, estimate.own_high
    if estimate.head is None or (low is None and high is None):
        return None
    ends = (-math.inf if low is None else low, math.inf if high is None else high)
    return ends if ends[0] <= estimate.head <= ends[1] else None


def _positive(number: float | None) -> float | None:
    return number if number is not None and number > 0 else None


def _probability(number: float | None) -> float | None:
    return number if number is not None and 0 <= number <= 1 else None


def _agrees(one: object, other: object) -> bool:
    """Whether two numbers are the same but for rounding."""
    if not isinstance(one, (int, float)) or not isinstance(other, (int, float)):
        return False
    return math.isclose(one, other, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT)


def _read_flips(told: FlipFacts, names: Names) -> Flips:
    counts = (told.newly_wrong, told.newly_right)
    if min(counts) < 0 or sum(counts) > told.n:
        raise refuse(f"{told.newly_wrong:,} newly wrong and {told.newly_right:,} newly right of {told.n:,} samples")
    return Flips(
        n=told.n,
        newly_wrong=told.newly_wrong,
        newly_right=told.newly_right,
        wrong_examples=tuple(map(names.clean, told.wrong_examples)),
        right_examples=tuple(map(names.clean, told.right_examples)),
        p=_probability(told.p),
    )


# -- tables


def take_tables(told: Iterable[TableFacts], expected: Iterable[ExpectedTable], names: Names) -> tuple[TableDiff, ...]:
    """The tables of our policy as the report tells them; one that it does not tell can't be judged."""
    by_name: dict[str, TableFacts] = {}
    for one in told:
        if one.name in by_name:
            raise refuse(f"it tells of the table {one.name[:60]!a} twice")
        by_name[one.name] = one
    return tuple(
        _take_table(by_name[one.name], one, names) if one.name in by_name else _miss_table(one, Side.BASE, _UNTOLD)
        for one in expected
    )


def _miss_table(expected: ExpectedTable, side: Side, message: str) -> TableDiff:
    problem = Problem(state=State.UNREADABLE, path=expected.path, message=message, hint=_AGAIN)
    return TableDiff(name=expected.name, path=expected.path, role=expected.role, problem=problem, side=side)


def _take_table(told: TableFacts, expected: ExpectedTable, names: Names) -> TableDiff:
    if told.state not in {"identical", "compared", "new", "unreadable"}:
        raise refuse(f"{told.state[:40]!a} is no state of a table")
    if told.state == "unreadable":
        side = Side.BASE if told.side == Side.BASE.value else Side.HEAD
        return _miss_table(expected, side, f"could not be read by {CI}")
    if (told.state == "new") == expected.in_baseline:
        words = (
            "calls it new, and the baseline has it" if told.state == "new" else "compares it, and the baseline has none"
        )
        return _miss_table(expected, Side.BASE, f"{CI} {words}")
    return TableDiff(
        name=expected.name,
        path=expected.path,
        role=expected.role,
        identical=told.state == "identical",
        new=told.state == "new",
        n_base=_count(told.n_base),
        n_head=_count(told.n_head),
        added=_read_rows(told.added, names),
        removed=_read_rows(told.removed, names),
        changed=_read_rows(told.changed, names),
        flips=_read_rows(told.label_flips, names),
        schema=_read_schema(told, names),
        columns=tuple(ColumnChange(column=names.clean(one.column), rows=_whole(one.rows)) for one in told.columns),
        drifts=_read_drifts(told, expected, names),
        leaks=tuple(_read_leak(leak, names) for leak in told.leaks),
    )


def _count(number: int | None) -> int | None:
    return None if number is None else _whole(number)


def _whole(number: int) -> int:
    if number < 0:
        raise refuse(f"it counts {number} rows")
    return number


def _read_rows(rows: RowFacts, names: Names) -> Rows:
    return Rows(count=_whole(rows.count), examples=tuple(map(names.clean, rows.examples)))


def _read_schema(told: TableFacts, names: Names) -> SchemaChange:
    return SchemaChange(
        added=tuple(map(names.clean, told.columns_added)),
        removed=tuple(map(names.clean, told.columns_removed)),
        retyped=tuple(
            TypeChange(column=names.clean(one.column), base=names.clean(one.base), head=names.clean(one.head))
            for one in told.columns_retyped
        ),
    )


def _read_drifts(told: TableFacts, expected: ExpectedTable, names: Names) -> tuple[Drift, ...]:
    """The drifts, with an empty one where a rule waits for a drift that is not told: that is no "the same"."""
    drifts = tuple(_read_drift(drift, names) for drift in told.drifts)
    waits = any(isinstance(rule, DriftRule) and not rule.against for rule in expected.rules)
    if told.state == "compared" and waits and not any(not drift.against for drift in drifts):
        return (*drifts, Drift())
    return drifts


def _read_drift(drift: DriftFacts, names: Names) -> Drift:
    return Drift(
        against=names.clean(drift.against or ""),
        columns=tuple(_read_column(column, names) for column in drift.columns),
        n_before=_whole(drift.n_before),
        n_now=_whole(drift.n_now),
    )


def _read_column(column: ColumnDriftFacts, names: Names) -> ColumnDrift:
    return ColumnDrift(
        column=names.clean(column.column),
        psi=column.psi,
        limit=column.limit,
        jensen_shannon=column.jensen_shannon,
        wasserstein=column.wasserstein,
        missing_before=column.missing_before,
        missing_now=column.missing_now,
        novel=column.novel,
        reason="" if column.psi is not None else f"{CI} could not tell",
    )


def _read_leak(leak: LeakFacts, names: Names) -> Leak:
    shared = Rows(count=_whole(leak.shared), examples=tuple(map(names.clean, leak.examples)))
    return Leak(other=names.clean(leak.other), shared=shared, before=_count(leak.before))
