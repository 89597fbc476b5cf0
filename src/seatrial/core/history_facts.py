"""A history for machines: its JSON is written from these classes alone."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from seatrial import __version__
from seatrial.core.history import History, Reading, Series

SCHEMA_VERSION = 1
ReadingState = Literal["measured", "removed", "missing", "unreadable", "missing-cache", "not-finite", "type-changed"]


class CommitFacts(Struct, frozen=True, kw_only=True):
    """A commit, and when it was committed, in UTC (RFC 3339)."""

    sha: str
    date: str


class ReadingFacts(Struct, frozen=True, kw_only=True):
    """One measurement.

    The commit that wrote it, for how many commits of the branch's own line it stood, the file that held it there, and
    its value; null where `state` is not `measured`, and `reason` then says why.
    """

    commit: str
    date: str
    commits: int
    file: str
    value: int | float | None
    state: ReadingState
    reason: str


class SeriesFacts(Struct, frozen=True, kw_only=True):
    """A metric under its newest name, with its readings from the oldest to the newest."""

    file: str
    key: tuple[str, ...]
    direction: str | None
    readings: tuple[ReadingFacts, ...]


class HistoryFacts(Struct, frozen=True, kw_only=True):
    """What `seatrial history --format json` prints.

    `commits` counts the commits that were read, from `oldest` to `newest`; `notes` say what could not be.
    """

    schema_version: int
    seatrial_version: str
    branch: str
    commits: int
    oldest: CommitFacts
    newest: CommitFacts
    metrics: tuple[SeriesFacts, ...]
    notes: tuple[str, ...]


def state_history(history: History) -> HistoryFacts:
    """The history as facts."""
    oldest, newest = (CommitFacts(sha=one.sha, date=one.moment) for one in (history.commits[0], history.commits[-1]))
    return HistoryFacts(
        schema_version=SCHEMA_VERSION,
        seatrial_version=__version__,
        branch=history.branch.name,
        commits=len(history.commits),
        oldest=oldest,
        newest=newest,
        metrics=tuple(_state_series(one, history) for one in history.series),
        notes=history.notes,
    )


def _state_series(series: Series, history: History) -> SeriesFacts:
    return SeriesFacts(
        file=series.id.file,
        key=series.id.key,
        direction=series.direction.value if series.direction else None,
        readings=tuple(state_reading(reading, history) for reading in series.readings),
    )


def state_reading(reading: Reading, history: History) -> ReadingFacts:
    """One measurement as facts."""
    commit = history.commits[reading.first]
    value = reading.value
    return ReadingFacts(
        commit=commit.sha,
        date=commit.moment,
        commits=reading.last - reading.first + 1,
        file=reading.file,
        value=float(value) if isinstance(value, int) and abs(value) >= 2**63 else value,
        state=name_state(reading),
        reason=reading.reason,
    )


def name_state(reading: Reading) -> ReadingState:
    """The state as text."""
    return "measured" if reading.state is None else reading.state.value  # type: ignore[return-value]
