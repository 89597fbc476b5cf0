"""Every error that may end a run, with its exit code and a hint that says what to do next.

SeatrialError
├── UsageError            2   the call or its surroundings are wrong: no repository, unknown revision
│   └── ConfigError       2   seatrial.yaml is wrong, at a line
├── CompareError          3   one side can't be read, so nothing can be said
├── DeliveryError         4   judged, but a report did not reach its place
├── ReleaseError          1   a model can't be released or deployed as asked
│   └── BlockedError      4   a deployment that was stopped before anything was changed
└── ServeError            2   the model server can't start with what it was given

Whatever else escapes is a defect of ours and exits with 70. `deploy` and `rollback` have exit codes of their own:
DeployExit.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; scripts may rely on them."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    NOT_COMPARED = 3
    NOT_DELIVERED = 4
    DEFECT = 70


class DeployExit(IntEnum):
    """Exit codes of `deploy` and `rollback`; LIVE also where it was live already."""

    LIVE = 0
    FAILED = 1
    USAGE = 2
    NOT_RESTORED = 3
    BLOCKED = 4
    INCONCLUSIVE = 5


class SeatrialError(Exception):
    """An expected failure: `message` names file, line or key; `hint` says what to do next."""

    exit_code: ExitCode | DeployExit = ExitCode.DEFECT

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(SeatrialError):
    """The command was called in a way, or in a place, that can't work."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A seatrial.yaml that can't be used; the message starts with `FILE:LINE`."""


class CompareError(SeatrialError):
    """A side of the comparison can't be read at all."""

    exit_code = ExitCode.NOT_COMPARED


class DeliveryError(SeatrialError):
    """A forge or a file did not take what was to be delivered; the verdict stands."""

    exit_code = ExitCode.NOT_DELIVERED


class ReleaseError(SeatrialError):
    """A model that can't be released or deployed: absent, altered, or refused by the target."""

    exit_code: ExitCode | DeployExit = ExitCode.FAILED


class BlockedError(ReleaseError):
    """A deployment that was stopped before it changed anything: lock, verdict, older commit, altered bytes."""

    exit_code = DeployExit.BLOCKED


class ServeError(SeatrialError):
    """The model server can't start with the directory, model or port that it was given."""

    exit_code = ExitCode.USAGE
