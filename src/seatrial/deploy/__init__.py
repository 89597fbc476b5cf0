"""Where models go: one file per target."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from seatrial.core.release import DeploymentRecord, Observation, Release
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.packing import SourceFile


class Target(Protocol):
    """A place that holds versions of one model, of which one is live.

    Versions are immutable, and `promote` is one atomic switch. Rollback is not here: it is staging and
    promoting an earlier release. Every method raises ReleaseError and leaves what was live untouched.
    """

    def lock(self) -> AbstractContextManager[None]:
        """Keep other deployers out; what a crashed one left half-written is swept away."""

    def observe(self) -> Observation:
        """What is there, by the manifests."""

    def verify(self, version: str) -> tuple[str, ...]:
        """Read a version's bytes again: what differs from its manifest, empty when nothing does."""

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Bring a version to the target without traffic; the directory that holds it."""

    def locate(self, version: str) -> Path:
        """The directory of a staged version."""

    def promote(self, version: str) -> None:
        """Make a staged version the live one."""

    def retire(self, version: str) -> None:
        """Take away a version that is not live."""

    def record(self, entry: DeploymentRecord) -> None:
        """Append to the deployment log, durably."""

    def read_log(self) -> tuple[DeploymentRecord, ...]:
        """The deployment log, oldest first."""


def _open_local(root: Path, name: str) -> Target:
    return LocalTarget(root=root, name=name)


TARGETS: dict[str, Callable[[Path, str], Target]] = {"local": _open_local}
