"""Two snapshots, value by value: what changed, by how much, and what can't be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from seatrial.core.metrics import (
    Direction,
    FileRecord,
    Interval,
    Key,
    MetricId,
    MetricSet,
    Problem,
    Snapshot,
    StageRecord,
    StaleStage,
    State,
    Value,
    guess_direction,
    is_finite,
    is_number,
    spell_not_finite,
)
from seatrial.core.revision import RevisionRange
from seatrial.core.stale import explain_stale, list_above

if TYPE_CHECKING:
    from seatrial.core.data import TableDiff
    from seatrial.core.evidence import EvaluationResult


class Side(str, Enum):
    """One of the two revisions, as git calls them."""

    BASE = "base"
    HEAD = "head"


class Effect(str, Enum):
    """What a change means for the model, told apart from whether the number went up or down."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    SAME = "same"
    UNKNOWN = "unknown"


class Delta(Struct, frozen=True, kw_only=True):
    """Candidate − baseline, exact in decimal; `relative` is divided by |baseline|, None where that is 0."""

    absolute: Decimal
    relative: Decimal | None


class Change(Struct, frozen=True, kw_only=True):
    """One value on both sides. `side` says where the trouble is when the state is one of trouble.

    `moved_from` is the baseline's file where that has another name than the candidate's. `stale` says why the
    candidate's value was not made by its own code, data and parameters, and is empty where nothing is known against it.
    """

    id: MetricId
    state: State
    base: Value = None
    head: Value = None
    delta: Delta | None = None
    direction: Direction | None = None
    interval: Interval | None = None
    side: Side | None = None
    reason: str = ""
    hint: str = ""
    moved_from: str = ""
    stale: str = ""

    @property
    def effect(self) -> Effect:
        """Better or worse by direction; `changed` where no direction is known; `unknown` in trouble."""
        if self.state is State.UNCHANGED:
            return Effect.SAME
        if self.state is not State.CHANGED:
            return Effect.UNKNOWN
        if self.delta is None or self.direction is None:
            return Effect.CHANGED
        rose = self.delta.absolute > 0
        return Effect.BETTER if rose == (self.direction is Direction.HIGHER) else Effect.WORSE


class Contents(Struct, frozen=True, kw_only=True):
    """How two versions of a directory differ, by the paths of their files."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    modified: tuple[str, ...]


class FileChange(Struct, frozen=True, kw_only=True):
    """A dependency or output whose digest differs between the two lock files, or that has another path.

    `contents` is known of directories whose lists of files are on this machine on both sides.
    """

    path: str
    state: State
    base: FileRecord | None
    head: FileRecord | None
    contents: Contents | None = None


class StageChange(Struct, frozen=True, kw_only=True):
    """A stage whose record differs; `because` names what it depends on that differs."""

    address: str
    state: State
    because: tuple[str, ...]


class SidedProblem(Struct, frozen=True, kw_only=True):
    """A problem, and the side it is on."""

    side: Side
    problem: Problem


class Comparison(Struct, frozen=True, kw_only=True):
    """Everything that two revisions say of each other, in a stable order.

    `stale` are the candidate's stages; `evaluations` is what the predictions of both sides say, `tables` what became of
    the tables that the policy names.
    """

    range: RevisionRange
    metrics: tuple[Change, ...]
    params: tuple[Change, ...]
    files: tuple[FileChange, ...]
    stages: tuple[StageChange, ...]
    problems: tuple[SidedProblem, ...]
    stale: tuple[StaleStage, ...] = ()
    evaluations: tuple[EvaluationResult, ...] = ()
    tables: tuple[TableDiff, ...] = ()

    @property
    def is_first(self) -> bool:
        """Whether there is no baseline at all."""
        return self.range.base is None

    @property
    def is_unchanged(self) -> bool:
        """Whether every metric could be read on both sides and is the same, those of predictions included."""
        measured = [each.change for result in self.evaluations for each in result.overall]
        if self.problems or not self.metrics or any(result.problem for result in self.evaluations):
            return False
        if any(result.flips and result.flips.churn for result in self.evaluations):
            return False
        return all(change.state is State.UNCHANGED for change in (*self.metrics, *measured))


DirectionOf = Callable[[MetricId], Direction | None]


def compare(
    revisions: RevisionRange,
    base: Snapshot | None,
    head: Snapshot,
    *,
    direction_of: DirectionOf | None = None,
    intervals: Mapping[MetricId, Interval] | None = None,
) -> Comparison:
    """Compare two snapshots.

    `direction_of` overrides the guess by name where it answers; `intervals` adds the uncertainty of
    those metrics for which per-sample predictions exist. With `base` None every value is `added`.
    """
    chosen = direction_of or (lambda _: None)
    known = intervals or {}
    base_problems = base.problems if base else ()
    metrics = _compare_sets(
        base.metrics if base else (),
        head.metrics,
        base_blind=next(iter(base_problems), None),
        head_blind=next(iter(head.problems), None),
        direction_of=lambda identity: chosen(identity) or guess_direction(identity.key),
        intervals=known,
        moves=find_moves(base, head) if base else {},
    )
    params = _compare_sets(
        base.params if base else (), head.params, direction_of=lambda _: None, intervals={}, nullable=True
    )
    metric_paths = {file.path for file in head.metrics} | {file.path for file in (base.metrics if base else ())}
    return Comparison(
        range=revisions,
        metrics=_mark_stale(metrics, explain_stale(head)),
        params=params,
        files=_compare_files(base, head, metric_paths) if base else (),
        stages=_compare_stages(base, head, _list_changed(params)) if base else (),
        problems=tuple(
            SidedProblem(side=side, problem=problem)
            for side, problems in ((Side.BASE, base_problems), (Side.HEAD, head.problems))
            for problem in problems
        ),
        stale=head.stale,
    )


def _mark_stale(metrics: tuple[Change, ...], reasons: Mapping[str, str]) -> tuple[Change, ...]:
    """The changes, those of the candidate's values that lie in a stale output with the reason."""
    if not reasons:
        return metrics
    told = {
        path: next((reasons[above] for above in list_above(path) if above in reasons), "")
        for path in {change.id.file for change in metrics}
    }
    return tuple(
        replace(change, stale=told[change.id.file])
        if told[change.id.file] and change.state is not State.REMOVED
        else change
        for change in metrics
    )


def measure_delta(base: Value, head: Value) -> Delta | None:
    """The exact decimal difference of two finite numbers, else None.

    Floats are taken at their shortest decimal spelling, so 0.3 − 0.2 is 0.1 and not a hair below.
    """
    if not (is_finite(base) and is_finite(head)):
        return None
    if base == head:
        return _NO_CHANGE if base else _NO_CHANGE_OF_ZERO
    before, after = Decimal(str(base)), Decimal(str(head))
    absolute = after - before
    return Delta(absolute=absolute, relative=absolute / abs(before) if before else None)


_NO_CHANGE = Delta(absolute=Decimal(0), relative=Decimal(0))
_NO_CHANGE_OF_ZERO = Delta(absolute=Decimal(0), relative=None)


def _compare_sets(
    base: tuple[MetricSet, ...],
    head: tuple[MetricSet, ...],
    *,
    direction_of: DirectionOf,
    intervals: Mapping[MetricId, Interval],
    base_blind: Problem | None = None,
    head_blind: Problem | None = None,
    nullable: bool = False,
    moves: Mapping[str, str] = {},
) -> tuple[Change, ...]:
    """Compare file by file and key by key; `nullable` values may be null, as parameters are and metrics are not.

    `moves` maps a file of the candidate to the one of the baseline that it was.
    """
    before, after = {file.path: file for file in base}, {file.path: file for file in head}
    for new, old in moves.items():
        before[new] = before.pop(old)
    base_lost, head_lost = _list_lost(base), _list_lost(head)
    return tuple(
        _compare_value(
            MetricId(file=path, key=key),
            _Cell.of(before.get(path), key, blind=_find_lost(path, base_lost) or base_blind),
            _Cell.of(after.get(path), key, blind=_find_lost(path, head_lost) or head_blind),
            direction_of=direction_of,
            intervals=intervals,
            nullable=nullable,
            moved_from=moves.get(path, ""),
        )
        for path in sorted(before.keys() | after.keys())
        for key in _merge_keys(before.get(path), after.get(path))
    )


def _list_lost(files: tuple[MetricSet, ...]) -> dict[str, Problem]:
    """What could not be read at all: a file, or a directory that may hold several."""
    return {file.path: file.problem for file in files if file.problem}


def _find_lost(path: str, lost: Mapping[str, Problem]) -> Problem | None:
    """Why a file is unknown that lies in a directory which could not be read."""
    if not lost:
        return None
    ends = (end for end, letter in enumerate(path) if letter == "/")
    return next((lost[path[:end]] for end in ends if path[:end] in lost), None)


def find_moves(base: Snapshot, head: Snapshot) -> dict[str, str]:
    """The candidate's metrics files that have another name in the baseline, with that name.

    Only what is beyond doubt: the same keys and values under one name on each side, or the only file that is gone and
    the only new one having the same keys. Where a side could not be read whole, nothing is.
    """
    if base.problems or head.problems:
        return {}
    before, after = {file.path: file for file in base.metrics}, {file.path: file for file in head.metrics}
    gone = [file for path, file in before.items() if path not in after]
    new = [file for path, file in after.items() if path not in before]
    if not gone or not new or any(file.problem or not file.values for file in (*gone, *new)):
        return {}
    moves = {}
    for file in new:
        same = [other for other in gone if other.values == file.values]
        if len(same) == 1 and sum(other.values == file.values for other in new) == 1:
            moves[file.path] = same[0].path
    if not moves and len(gone) == len(new) == 1 and gone[0].values.keys() == new[0].values.keys() != {()}:
        moves[new[0].path] = gone[0].path
    return moves


def _merge_keys(base: MetricSet | None, head: MetricSet | None) -> tuple[Key, ...]:
    """The candidate's keys in its own order, then those that only the baseline has.

    A file that holds no keys on either side still gets a row of its own where something is wrong with it.
    """
    keys = dict.fromkeys([*(head.values if head else ()), *(base.values if base else ())])
    if not keys and any(file is not None and file.problem for file in (base, head)):
        return ((),)
    return tuple(keys)


class _Cell(Struct, frozen=True, kw_only=True):
    """A value on one side, or why there is none; `blind` where something else hides whether there is one."""

    present: bool
    value: Value = None
    problem: Problem | None = None
    blind: bool = False

    @classmethod
    def of(cls, file: MetricSet | None, key: Key, *, blind: Problem | None) -> _Cell:
        if file is None:
            # A project file that can't be read may have declared it: that is not the same as "not there".
            return cls(present=False, problem=blind, blind=blind is not None)
        if file.problem:
            return cls(present=False, problem=file.problem)
        return cls(present=key in file.values, value=file.values.get(key))


def _compare_value(
    identity: MetricId,
    base: _Cell,
    head: _Cell,
    *,
    direction_of: DirectionOf,
    intervals: Mapping[MetricId, Interval],
    nullable: bool,
    moved_from: str,
) -> Change:
    state, side, reason, hint = _judge_state(base, head, nullable=nullable)
    return Change(
        id=identity,
        state=state,
        base=base.value,
        head=head.value,
        delta=measure_delta(base.value, head.value),
        direction=direction_of(identity),
        interval=intervals.get(identity),
        side=side,
        reason=reason,
        hint=hint,
        moved_from=moved_from,
    )


_HINTS: Mapping[State, str] = {
    State.NOT_FINITE: "look for a division by zero or an empty evaluation set, then run the stage that writes it again",
    State.MISSING: "write a number, or leave the key out, then run the stage that writes it again",
    State.TYPE_CHANGED: "write it as before; if the new kind is meant, it is compared once it is on the base branch",
}


def _judge_state(base: _Cell, head: _Cell, *, nullable: bool) -> tuple[State, Side | None, str, str]:
    if is_finite(base.value) and is_finite(head.value):  # as most are
        return (State.UNCHANGED if base.value == head.value else State.CHANGED), None, "", ""
    for side, cell in ((Side.HEAD, head), (Side.BASE, base)):
        if cell.problem:
            # A baseline's file that could not be read has a state of its own; here nobody knows whether there is one.
            unknown = side is Side.BASE and cell.blind
            state = State.NOT_COMPARABLE if unknown else cell.problem.state
            return state, side, cell.problem.message, cell.problem.hint
        if cell.present and is_number(cell.value) and not is_finite(cell.value):
            assert isinstance(cell.value, (int, float))
            reason = f"the value is {spell_not_finite(cell.value)}, not a finite number"
            return State.NOT_FINITE, side, reason, _HINTS[State.NOT_FINITE]
        if cell.present and cell.value is None and not nullable:
            return State.MISSING, side, "the value is null", _HINTS[State.MISSING]
    if not base.present:
        return State.ADDED, None, "", ""
    if not head.present:
        return State.REMOVED, None, "", ""
    if _kind(base.value) != _kind(head.value):
        reason = f"was a {_kind(base.value)}, is a {_kind(head.value)}"
        return State.TYPE_CHANGED, None, reason, _HINTS[State.TYPE_CHANGED]
    return (State.UNCHANGED if base.value == head.value else State.CHANGED), None, "", ""


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "flag"
    return "number" if is_number(value) else "text" if isinstance(value, str) else "null"


def compare_listings(base: Mapping[str, str], head: Mapping[str, str]) -> Contents:
    """Compare two directories, each a mapping of path to digest."""
    return Contents(
        added=tuple(sorted(head.keys() - base.keys())),
        removed=tuple(sorted(base.keys() - head.keys())),
        modified=tuple(sorted(path for path in base.keys() & head.keys() if base[path] != head[path])),
    )


def add_contents(comparison: Comparison, listings: Mapping[str, Mapping[str, str]]) -> Comparison:
    """A comparison whose directories tell what is in them; `listings` maps a digest to paths and digests."""
    return replace(
        comparison,
        files=tuple(
            replace(file, contents=compare_listings(listings[file.base.digest], listings[file.head.digest]))
            if file.base and file.head and file.base.digest in listings and file.head.digest in listings
            else file
            for file in comparison.files
        ),
    )


def _compare_files(base: Snapshot, head: Snapshot, metric_paths: set[str]) -> tuple[FileChange, ...]:
    before, after = _index_files(base), _index_files(head)
    return tuple(
        FileChange(path=path, state=_presence(old, new), base=old, head=new)
        for path in sorted((before.keys() | after.keys()) - metric_paths)
        for old, new in [(before.get(path), after.get(path))]
        if (old and old.digest) != (new and new.digest)
    )


def _index_files(snapshot: Snapshot) -> dict[str, FileRecord]:
    return {record.path: record for stage in snapshot.stages for record in (*stage.deps, *stage.outs)}


def _presence(base: object, head: object) -> State:
    return State.ADDED if base is None else State.REMOVED if head is None else State.CHANGED


def _list_changed(params: tuple[Change, ...]) -> tuple[str, ...]:
    """The parameters that differ, spelled as dvc.lock names them."""
    return tuple(f"{c.id.file}:{'.'.join(c.id.key)}" for c in params if c.state is not State.UNCHANGED)


def _compare_stages(base: Snapshot, head: Snapshot, params: tuple[str, ...]) -> tuple[StageChange, ...]:
    before = {stage.address: stage for stage in base.stages}
    after = {stage.address: stage for stage in head.stages}
    return tuple(
        StageChange(address=address, state=_presence(old, new), because=_explain_stage(old, new, params))
        for address in sorted(before.keys() | after.keys())
        for old, new in [(before.get(address), after.get(address))]
        if old != new
    )


def _explain_stage(base: StageRecord | None, head: StageRecord | None, changed: tuple[str, ...]) -> tuple[str, ...]:
    if base is None or head is None:
        return ()
    causes = ["command"] if base.command != head.command else []
    old_params, new_params = dict(base.params or {}), dict(head.params or {})
    causes += [
        f"parameter {inner}"
        for name in sorted(old_params.keys() | new_params.keys())
        if old_params.get(name) != new_params.get(name)
        # A stage may depend on a whole group; what changed in it says more than its name.
        for inner in [one for one in changed if one.startswith(f"{name}.")] or [name]
    ]
    old_deps = {record.path: record.digest for record in base.deps}
    new_deps = {record.path: record.digest for record in head.deps}
    causes += [path for path in sorted(old_deps.keys() | new_deps.keys()) if old_deps.get(path) != new_deps.get(path)]
    return tuple(causes) or ("its outputs differ though nothing that it declares changed",)
