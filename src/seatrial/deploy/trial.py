"""What a version has to show beside its golden requests, some of it while it answers a share of the requests."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from seatrial.core.deployment import Check
from seatrial.core.release import Release
from seatrial.core.routing import Route


class Phase(Struct, frozen=True, kw_only=True):
    """A while in which requests are shared by a route; `lenient`: that it can't be judged does not end the trial."""

    title: str
    route: Route
    lenient: bool = False


class Trial(Protocol):
    """Asks what golden requests do not tell. Nothing that goes wrong may raise: it is the answer of a check."""

    def list_phases(self) -> tuple[Phase, ...]:
        """What the version goes through before it answers everybody; none where nothing else is live."""

    def measure(self, directory: Path) -> tuple[Check, ...]:
        """Ask the model of a directory, which has no traffic yet."""

    def watch(self, phase: Phase, release: Release, directory: Path) -> tuple[Check, ...]:
        """Wait as long as a phase takes, whose route is in force, and judge it."""

    def look_back(self, release: Release, directory: Path) -> tuple[Check, ...]:
        """Judge the version that is live now."""
