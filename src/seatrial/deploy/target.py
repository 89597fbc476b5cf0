"""What a place must be able to do for models to be deployed to it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, cast

from seatrial.core.deployment import DeploymentRecord, JournalEntry, Observation
from seatrial.core.release import Release
from seatrial.core.routing import Route
from seatrial.deploy.packing import SourceFile


class Target(Protocol):
    """A place that holds versions of one model, of which one is live.

    Versions are immutable, and `promote` is one atomic switch. Rollback is not here: the engine promotes an earlier
    version. Every method raises ReleaseError and leaves what was live untouched. `deploy.conformance` proves all this.
    """

    def lock(self, patience: float | None = None) -> AbstractContextManager[object]:
        """Keep other deployers out, in the target itself; what a crashed one left half-written is swept away.

        Whoever holds it loses it with its process. BlockedError after `patience` seconds (None: the target's own).
        """

    def observe(self) -> Observation:
        """What is there, by the manifests; what the log and an open journal name is never given as a number again."""

    def read_release(self, version: str) -> Release:
        """The manifest of a version; ReleaseError where it can't be read or is of another version."""

    def verify(self, version: str) -> tuple[str, ...]:
        """Read a version's bytes again: what differs from its manifest, empty when nothing does."""

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Bring a version to the target without traffic; the directory that holds it.

        Nothing is to be done where the same release is there already; another one under its number is an error.
        """

    def locate(self, version: str) -> Path:
        """The directory of a staged version."""

    def promote(self, version: str) -> None:
        """Make a staged version the live one."""

    def withdraw(self) -> None:
        """Make nothing live, as before the first deployment."""

    def retire(self, version: str) -> None:
        """Take away a version that is not live; nothing is to be done where it is not there."""

    def write_journal(self, entry: JournalEntry) -> None:
        """Append to the open journal, durably: it is there after a crash at any later moment."""

    def read_journal(self) -> tuple[JournalEntry, ...]:
        """The open journal, oldest first; empty when the last deployment ended."""

    def close_journal(self) -> None:
        """Forget the journal, durably."""

    def record(self, entry: DeploymentRecord) -> None:
        """Append to the deployment log, durably."""

    def read_log(self) -> tuple[DeploymentRecord, ...]:
        """The deployment log, oldest first."""


class Routing(Protocol):
    """What a target can do beside, where several versions may answer: give one a share of the requests."""

    def route(self, route: Route) -> None:
        """Let versions share the requests from now on, atomically; a route that names none takes all shares away."""

    def read_route(self) -> Route:
        """Which versions share the requests now."""


def find_routing(target: Target) -> Routing | None:
    """The same target, if it can route; it may be one that hands everything on to another one."""
    return cast("Routing", target) if hasattr(target, "route") else None


class Store(Target, Protocol):
    """A target that keeps what it holds itself: in a directory, in a bucket.

    One that only switches something elsewhere leaves the versions, the journal, the log and the lock to a store.
    """

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def location(self) -> str:
        """The model's directory or address, for people."""

    def pointer(self) -> str | None:
        """The live version's number, or None where nothing is live."""
