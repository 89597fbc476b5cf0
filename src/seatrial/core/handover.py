"""A report that a stranger's CI made, taken over as a comparison of ours: numbers and names cross, sentences don't.

The baseline is our own; what the report says of it is only checked. Whatever it says of a verdict is not read at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from seatrial.core.comparison import Change, Comparison, FileChange, Side, StageChange, compare
from seatrial.core.facts import ChangeFacts, FileFacts, IntervalFacts, ReportFacts, StageFacts, StaleFacts
from seatrial.core.metrics import (
    Direction,
    FileRecord,
    Interval,
    Key,
    MetricId,
    MetricSet,
    Problem,
    Snapshot,
    StaleStage,
    State,
    Value,
    is_finite,
    spell_not_finite,
)
from seatrial.core.revision import RevisionRange
from seatrial.core.verdict import Finding, Outcome, Severity
from seatrial.errors import CompareError

CI = "the pull request's own CI"
LEVEL = 0.95  # of every interval that seatrial computes
_LONGEST_NAME = 1_000
_DEEPEST_KEY = 64
_MOST_FINDINGS = 200
# More than any project has. Files are held against one another, to find those that were renamed.
_MOST_VALUES = 100_000
_MOST_FILES = 2_000
_LOST = frozenset({State.MISSING, State.UNREADABLE, State.MISSING_CACHE, State.NOT_COMPARABLE})
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_METHOD = re.compile(r"[\w ,.()-]{1,60}", re.ASCII)
_HINT = "run the measuring workflow again; if it stays so, look at what it uploads"

Kind = TypeVar("Kind", bound=Enum)


class Names(Struct, frozen=True, kw_only=True):
    """Names as they may be shown: those that the baseline has as they are, others without what can't be seen."""

    known: frozenset[str] = frozenset()

    def clean(self, name: str) -> str:
        """The name in NFC without control, format and surrogate characters; CompareError for one that is endless."""
        if name in self.known or (len(name) <= _LONGEST_NAME and name.isascii() and name.isprintable()):
            return name
        if len(name) > _LONGEST_NAME:
            raise refuse(f"a name in it has {len(name):,} characters")
        normal = unicodedata.normalize("NFC", name)
        return "".join(char for char in normal if unicodedata.category(char) not in _HIDDEN)

    def clean_key(self, key: Key) -> Key:
        """The same for the parts of a key."""
        if len(key) > _DEEPEST_KEY:
            raise refuse(f"a key in it has {len(key):,} parts")
        return tuple(self.clean(part) for part in key)


class Ground(Struct, frozen=True, kw_only=True):
    """What this side knows by itself: both commits, the baseline as git has it, and which way is better."""

    range: RevisionRange
    base: Snapshot | None
    direction_of: Callable[[MetricId], Direction | None] = field(default=lambda _: None)


def refuse(fault: str, *, hint: str = _HINT) -> CompareError:
    """The error for a report that can't be taken over."""
    return CompareError(f"the pull request's report is refused: {fault}", hint=hint)


def refuse_many(count: int, most: int, what: str) -> None:
    """CompareError where a report holds more of something than anybody would look at."""
    if count > most:
        raise refuse(f"it holds {count:,} {what}, more than {most:,} are not read")


def take_over(facts: ReportFacts, ground: Ground) -> tuple[Comparison, Snapshot]:
    """The report's candidate against our own baseline, and the candidate as a snapshot.

    CompareError where the report's baseline is not ours, or names and states contradict one another.
    """
    refuse_many(len(facts.files) + len(facts.stages), _MOST_VALUES, "files and stages")
    head = read_candidate(facts, ground)
    comparison = compare(
        ground.range,
        ground.base,
        head,
        direction_of=ground.direction_of,
        intervals=_read_intervals(facts.metrics, ground.base),
    )
    _check_baseline(facts, comparison, ground)
    names = name_all(ground.base)
    return replace(
        comparison,
        files=tuple(_read_file(file, names) for file in facts.files) if ground.base else (),
        stages=tuple(_read_stage(stage, names) for stage in facts.stages) if ground.base else (),
    ), head


def name_all(base: Snapshot | None) -> Names:
    """The names that the baseline has, and the values that are text."""
    sets = (*base.metrics, *base.params) if base else ()
    keys = {part for one in sets for key in one.values for part in key}
    texts = {value for one in sets for value in one.values.values() if isinstance(value, str)}
    return Names(known=frozenset({one.path for one in sets} | keys | texts))


def read_word(kind: type[Kind], word: str) -> Kind:
    """A word out of a closed list; CompareError for any other."""
    try:
        return kind(word)
    except ValueError:
        raise refuse(f"{word[:40]!a} is no {kind.__name__.lower()} that there is") from None


# -- the candidate


def read_candidate(facts: ReportFacts, ground: Ground) -> Snapshot:
    """What the candidate's CI says of it: values, what could not be read, what is stale."""
    names = name_all(ground.base)
    return Snapshot(
        revision=ground.range.head,
        metrics=_collect(facts.metrics, names),
        params=_collect(facts.params, names),
        problems=tuple(
            _lose(read_word(State, problem.state), names.clean(problem.path))
            for problem in facts.problems
            if problem.side == Side.HEAD.value
        ),
        stale=tuple(_read_stale(stage, names) for stage in facts.stale),
    )


def _collect(changes: tuple[ChangeFacts, ...], names: Names) -> tuple[MetricSet, ...]:
    """The candidate's values by file."""
    refuse_many(len(changes), _MOST_VALUES, "values")
    refuse_many(len({change.file for change in changes}), _MOST_FILES, "files")
    files: dict[str, dict[Key, Value]] = {}
    lost: dict[str, Problem] = {}
    seen: set[tuple[str, Key]] = set()
    for change in changes:
        path, key = names.clean(change.file), names.clean_key(change.key)
        if (path, key) in seen:
            raise refuse(f"it names {'.'.join(key)[:60]!a} of {path[:60]!a} twice")
        seen.add((path, key))
        state = read_word(State, change.state)
        if _is_lost(change, state):
            lost[path] = _lose(state, path)
        elif change.head is not None or (state is State.MISSING and change.side == Side.HEAD.value):
            files.setdefault(path, {})[key] = _read_value(change, state, names)
    return tuple(
        MetricSet(path=path, values={} if path in lost else files[path], problem=lost.get(path))
        for path in sorted(files.keys() | lost.keys())
    )


def _is_lost(change: ChangeFacts, state: State) -> bool:
    """Whether the candidate's file could not be read; who does not say which side it was means the candidate's."""
    of_base = change.side == Side.BASE.value
    # A key that is null is missing as well; it alone has a key, and is no trouble of the file.
    null = state is State.MISSING and bool(change.key)
    return state in _LOST and change.head is None and not of_base and not null


def _lose(state: State, path: str) -> Problem:
    return Problem(
        state=state if state in _LOST else State.UNREADABLE,
        path=path,
        message=f"{state.value}, says {CI}",
        hint=f"see what {CI} says of it",
    )


def _read_value(change: ChangeFacts, state: State, names: Names) -> Value:
    value = change.head
    if state is State.NOT_FINITE and change.side != Side.BASE.value and isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    return names.clean(value) if isinstance(value, str) else value


def _read_stale(stage: StaleFacts, names: Names) -> StaleStage:
    because, edited = (tuple(map(names.clean, some)) for some in (stage.because, stage.edited))
    return StaleStage(address=names.clean(stage.stage), because=because, edited=edited)


# -- what is told beside the numbers


def _read_intervals(changes: Iterable[ChangeFacts], base: Snapshot | None) -> Mapping[MetricId, Interval]:
    names = name_all(base)
    found = {
        MetricId(file=names.clean(change.file), key=names.clean_key(change.key)): _read_interval(change)
        for change in changes
        if change.interval
    }
    return {identity: interval for identity, interval in found.items() if interval}


def _read_interval(change: ChangeFacts) -> Interval | None:
    told = change.interval
    if told is None or not _are_numbers(change.base, change.head):
        return None
    point = float(change.head or 0) - float(change.base or 0)
    return make_interval(told, point)


def _are_numbers(*values: Value) -> bool:
    return all(is_finite(value) for value in values)


def make_interval(told: IntervalFacts, point: float) -> Interval | None:
    """An interval that can be one: in order, around its own difference, at the level that seatrial computes."""
    slack = 1e-9 * max(1.0, abs(point))
    sound = told.low <= told.high and told.low - slack <= point <= told.high + slack
    if not sound or abs(told.level - LEVEL) > 1e-9 or told.n < 0:
        return None
    method = told.method if _METHOD.fullmatch(told.method) else "as told"
    return Interval(low=told.low, high=told.high, level=LEVEL, n=told.n, method=method)


def _read_file(file: FileFacts, names: Names) -> FileChange:
    path = names.clean(file.path)
    base = FileRecord(path=path, digest="", size=_count(file.base_size), files=_count(file.base_files))
    head = FileRecord(path=path, digest="", size=_count(file.head_size), files=_count(file.head_files))
    state = read_word(State, file.state)
    return FileChange(
        path=path,
        state=state,
        base=None if state is State.ADDED else base,
        head=None if state is State.REMOVED else head,
    )


def _count(number: int | None) -> int | None:
    return number if number is not None and number >= 0 else None


def _read_stage(stage: StageFacts, names: Names) -> StageChange:
    return StageChange(
        address=names.clean(stage.stage),
        state=read_word(State, stage.state),
        because=tuple(map(names.clean, stage.because)),
    )


# -- the baseline


def _check_baseline(facts: ReportFacts, comparison: Comparison, ground: Ground) -> None:
    """CompareError where the report compared with other numbers than those of our baseline."""
    names = name_all(ground.base)
    ours = {(change.id.file, change.id.key): change for change in comparison.metrics}
    for told in facts.metrics:
        change = ours.get((names.clean(told.file), names.clean_key(told.key)))
        if told.base is None and told.side == Side.BASE.value:
            continue  # it could not read what we can
        if not _agrees(told, change, ground):
            name = ascii(".".join(told.key)[:60] or told.file[:60])
            there = told.base[:60] if isinstance(told.base, str) else told.base
            here = "none" if change is None or change.base is None else change.base
            raise refuse(f"it compares {name} with {there!a}, where {ground.range.base or 'the baseline'} has {here}")


def _agrees(told: ChangeFacts, change: Change | None, ground: Ground) -> bool:
    if change is None:
        # It was told of a value that neither side has, or of one in a file of the baseline that can't be read here.
        return any(file.path in {told.file, told.moved_from} and file.problem for file in _list_files(ground.base))
    if change.side is Side.BASE and change.base is None:
        return True  # our own baseline can't be read here: no gate rests on what the report says of it
    if change.state is State.NOT_COMPARABLE:
        return True
    base = change.base
    if isinstance(base, float) and not is_finite(base):
        return told.base == spell_not_finite(base)
    if isinstance(base, int) and not isinstance(base, bool) and abs(base) >= 2**63:
        return told.base == float(base)
    same_kind = isinstance(base, bool) == isinstance(told.base, bool)
    return same_kind and told.base == base


def _list_files(base: Snapshot | None) -> tuple[MetricSet, ...]:
    return base.metrics if base else ()


# -- findings that no policy makes


def list_unreproduced(facts: ReportFacts, base: Snapshot | None) -> tuple[Finding, ...]:
    """The metrics that did not come out when the candidate's CI ran its pipeline: said by it, and taken for true."""
    names = name_all(base)
    told = [finding for finding in facts.findings if finding.check == "reproducible"][:_MOST_FINDINGS]
    return tuple(
        Finding(
            id=MetricId(file=names.clean(finding.file), key=names.clean_key(finding.key)),
            check="reproducible",
            limit="what dvc repro makes",
            outcome=Outcome.FAILED,
            severity=Severity.FAIL,
            reason=f"`dvc repro` made another value, says {CI}",
            hint="run `dvc repro` and commit dvc.lock and the metrics that it writes",
        )
        for finding in told
    )
