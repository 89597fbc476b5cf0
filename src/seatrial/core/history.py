"""What a branch's own line of commits tells of its metrics: a series of readings for each, gaps with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property

from msgspec import Struct

from seatrial.core.comparison import find_moves
from seatrial.core.metrics import (
    Direction,
    Key,
    MetricId,
    MetricSet,
    Problem,
    Snapshot,
    State,
    Value,
    is_finite,
    is_number,
    spell_not_finite,
)
from seatrial.core.revision import Revision

DirectionOf = Callable[[MetricId], Direction | None]
_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that has a date


class Commit(Struct, frozen=True, kw_only=True, dict=True):
    """A commit of the line; `time` is in seconds of Unix."""

    sha: str
    time: int
    subject: str

    @property
    def short(self) -> str:
        """The first seven digits."""
        return self.sha[:7]

    @cached_property
    def moment(self) -> str:
        """When it was committed, in UTC: `2026-03-01T12:00:00Z`."""
        seconds = min(max(self.time, 0), _LAST_SECOND)  # anybody can write any time into a commit
        return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def date(self) -> str:
        """The day of it: `2026-03-01`."""
        return self.moment[:10]


class Stretch(Struct, frozen=True, kw_only=True):
    """A metrics file that stayed the same from one commit to another; commits count from the oldest, which is 0."""

    metrics: MetricSet
    first: int
    last: int


class Turn(Struct, frozen=True, kw_only=True):
    """A commit at which metrics files came (`new`) while others went (`gone`): some may only have been renamed."""

    at: int
    new: tuple[str, ...]
    gone: tuple[str, ...]


class Reading(Struct, frozen=True, kw_only=True):
    """One measurement of a metric: the commit that wrote it, and the last one for which it stood.

    `state` is None for a finite number; otherwise there is no value, and `reason` says why.
    """

    first: int
    last: int
    file: str
    value: int | float | None = None
    state: State | None = None
    reason: str = ""


class Series(Struct, frozen=True, kw_only=True):
    """All readings of one metric, oldest first; its id is that of the newest commit that has it."""

    id: MetricId
    direction: Direction | None
    readings: tuple[Reading, ...]

    @property
    def values(self) -> tuple[float | None, ...]:
        """The values, None for gaps."""
        return tuple(reading.value for reading in self.readings)

    @property
    def measured(self) -> tuple[Reading, ...]:
        """The readings that have a value."""
        return tuple(reading for reading in self.readings if reading.value is not None)

    @property
    def gaps(self) -> tuple[Reading, ...]:
        """Those that have none."""
        return tuple(reading for reading in self.readings if reading.value is None)

    @property
    def best(self) -> Reading | None:
        """The best of all, the newest of several; None where nobody knows which side is better."""
        if self.direction is None or not self.measured:
            return None
        turn = 1 if self.direction is Direction.HIGHER else -1
        return max(reversed(self.measured), key=lambda reading: turn * (reading.value or 0.0))


class History(Struct, frozen=True, kw_only=True):
    """The series of a branch's metrics over its commits, oldest first; `words` are metrics that are never a number."""

    branch: Revision
    commits: tuple[Commit, ...]
    series: tuple[Series, ...]
    words: tuple[MetricId, ...] = ()
    notes: tuple[str, ...] = ()


def build_series(
    stretches: Iterable[Stretch],
    turns: Iterable[Turn],
    blind: Mapping[int, Problem],
    *,
    newest: int,
    direction_of: DirectionOf,
) -> tuple[tuple[Series, ...], tuple[MetricId, ...]]:
    """The series of all metrics up to the commit `newest`, by file and key, and the metrics that are never a number.

    A file that was renamed goes on under its last name, where that is beyond doubt. What could not be read, or is no
    finite number, is a gap; `blind` are commits whose DVC files could not be read, so that nobody knows what they had.
    """
    by_file: dict[str, list[Stretch]] = {}
    for stretch in sorted(stretches, key=lambda stretch: stretch.first):
        by_file.setdefault(stretch.metrics.path, []).append(stretch)
    series: list[Series] = []
    words: list[MetricId] = []
    for file, joined in sorted(_join_moved(by_file, turns).items()):
        numbers, others = _sort_keys(joined)
        words += [MetricId(file=file, key=key) for key in others]
        for key in numbers or (() if others else ((),)):
            identity = MetricId(file=file, key=key)
            readings = _merge_gaps(_read_key(joined, key, blind, newest))
            series.append(Series(id=identity, direction=direction_of(identity), readings=readings))
    return tuple(series), tuple(words)


def _join_moved(by_file: dict[str, list[Stretch]], turns: Iterable[Turn]) -> dict[str, list[Stretch]]:
    """The stretches by the name that their file has in the newest commit."""
    joined = dict(by_file)
    for turn in sorted(turns, key=lambda turn: turn.at):
        before = [found for file in turn.gone if (found := _find(by_file[file], turn.at - 1))]
        after = [found for file in turn.new if (found := _find(by_file[file], turn.at))]
        for new, old in find_moves(_snapshot(before), _snapshot(after)).items():
            earlier = [stretch for stretch in joined.get(old, []) if stretch.first < turn.at]
            # A file that was there under the new name before is another one.
            if joined[new][0].first == turn.at:
                joined[new] = [*earlier, *joined[new]]
                joined[old] = [stretch for stretch in joined[old] if stretch.first >= turn.at]
    return {file: found for file, found in joined.items() if found}


def _find(stretches: Sequence[Stretch], at: int) -> MetricSet | None:
    return next((stretch.metrics for stretch in stretches if stretch.first <= at <= stretch.last), None)


def _snapshot(metrics: list[MetricSet]) -> Snapshot:
    return Snapshot(revision=Revision(name="", sha=None), metrics=tuple(metrics))


def _sort_keys(stretches: list[Stretch]) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """The keys that are a number at some time, and those that never are."""
    kinds: dict[Key, bool] = {}
    for stretch in stretches:
        for key, value in stretch.metrics.values.items():
            if not kinds.get(key):
                kinds[key] = is_number(value)
    return tuple(key for key, number in kinds.items() if number), tuple(
        key for key, number in kinds.items() if not number
    )


def _read_key(stretches: list[Stretch], key: Key, blind: Mapping[int, Problem], newest: int) -> list[Reading]:
    """Every reading of a key, from the first that can be one."""
    readings: list[Reading] = []
    end = stretches[0].first
    for stretch in stretches:
        readings += _fill(end, stretch.first - 1, stretch.metrics.path, blind)
        readings.append(_read(stretch, key))
        end = stretch.last + 1
    readings += _fill(end, newest, stretches[-1].metrics.path, blind)
    known = [at for at, reading in enumerate(readings) if reading.state is not State.REMOVED]
    start = next((at for at in known if readings[at].state is None or readings[at].state is State.NOT_FINITE), known[0])
    # Before its first value a file that can't be read may have held it; one that can be did not.
    while start and readings[start - 1].state not in {State.REMOVED, None}:
        start -= 1
    return readings[start:]


def _fill(first: int, last: int, file: str, blind: Mapping[int, Problem]) -> list[Reading]:
    """Readings for the commits that do not declare the file."""
    if first <= last and not any(first <= at <= last for at in blind):
        reason = "no metrics file is declared there"
        return [Reading(first=first, last=last, file=file, state=State.REMOVED, reason=reason)]
    return [
        Reading(first=at, last=at, file=file, state=blind[at].state, reason=blind[at].message)
        if at in blind
        else Reading(first=at, last=at, file=file, state=State.REMOVED, reason="no metrics file is declared there")
        for at in range(first, last + 1)
    ]


def _read(stretch: Stretch, key: Key) -> Reading:
    metrics = stretch.metrics
    state, reason, value = _judge(metrics, key)
    return Reading(first=stretch.first, last=stretch.last, file=metrics.path, value=value, state=state, reason=reason)


def _judge(metrics: MetricSet, key: Key) -> tuple[State | None, str, float | None]:
    if metrics.problem:
        return metrics.problem.state, metrics.problem.message, None
    if not metrics.values:
        return State.UNREADABLE, f"{metrics.path}: holds no values", None
    if key not in metrics.values:
        return State.REMOVED, "the file does not hold it", None
    value: Value = metrics.values[key]
    if is_finite(value):
        assert isinstance(value, (int, float))
        return None, "", value
    if value is None:
        return State.MISSING, "the value is null", None
    if isinstance(value, float) or is_number(value):
        assert isinstance(value, (int, float))
        return State.NOT_FINITE, f"the value is {spell_not_finite(value)}, not a finite number", None
    return State.TYPE_CHANGED, "the value is no number", None


def _merge_gaps(readings: list[Reading]) -> tuple[Reading, ...]:
    """Gaps of one reason that follow each other as one."""
    merged: list[Reading] = []
    for reading in readings:
        before = merged[-1] if merged else None
        if before and before.state and (before.state, before.reason) == (reading.state, reading.reason):
            merged[-1] = Reading(
                first=before.first, last=reading.last, file=before.file, state=before.state, reason=before.reason
            )
        else:
            merged.append(reading)
    return tuple(merged)
