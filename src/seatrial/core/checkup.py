"""What `seatrial doctor` says: a list of checks, each with what mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from seatrial.errors import SeatrialError

_MOST_NAMED = 5


class Health(str, Enum):
    """How a check ended; `skipped` is for what could not be looked at, and says why."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `remedy` is a command or a piece of YAML, of any number of lines."""

    name: str
    health: Health
    message: str
    remedy: str = ""


class Checkup(Struct, frozen=True, kw_only=True):
    """All checks in the order in which they build on each other; also the shape for machines."""

    schema_version: int = 1
    checks: tuple[Check, ...]

    @property
    def fails(self) -> bool:
        """Whether anything is wrong that has to be mended."""
        return any(check.health is Health.FAIL for check in self.checks)

    @property
    def summary(self) -> str:
        """All of it in one line."""
        counts = {health: sum(check.health is health for check in self.checks) for health in Health}
        words = {Health.FAIL: "to mend", Health.WARN: "to look at", Health.SKIPPED: "skipped"}
        told = [f"{counts[health]} {word}" for health, word in words.items() if counts[health]]
        return ", ".join([*told, f"{counts[Health.OK]} fine"])


def ok(name: str, message: str) -> Check:
    """A check that found nothing wrong."""
    return Check(name=name, health=Health.OK, message=message)


def warn(name: str, message: str, remedy: str = "") -> Check:
    """A check that found what people should look at."""
    return Check(name=name, health=Health.WARN, message=message, remedy=remedy)


def fail(name: str, message: str, remedy: str = "") -> Check:
    """A check that found what has to be mended."""
    return Check(name=name, health=Health.FAIL, message=message, remedy=remedy)


def skip(name: str, message: str) -> Check:
    """A check that could not be made, with the reason."""
    return Check(name=name, health=Health.SKIPPED, message=message)


def fail_by(name: str, error: SeatrialError) -> Check:
    """The check that an error makes."""
    return fail(name, error.message, error.hint)


def shorten(checks: Sequence[Check]) -> list[Check]:
    """The first few of several checks; the last of them says how many more there are."""
    if len(checks) <= _MOST_NAMED:
        return list(checks)
    last = checks[_MOST_NAMED - 1]
    more = f"{last.message}; and {len(checks) - _MOST_NAMED:,} more like these"
    return [*checks[: _MOST_NAMED - 1], replace(last, message=more)]


def name_some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMED:,} more" if listed[_MOST_NAMED:] else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
