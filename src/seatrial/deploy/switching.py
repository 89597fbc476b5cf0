"""A target that keeps its versions, journal and log in a store, and lets a switch elsewhere decide what is live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from seatrial.core.deployment import DeploymentRecord, JournalEntry, Observation, StoredVersion
from seatrial.core.release import Release
from seatrial.core.routing import Route
from seatrial.deploy.packing import SourceFile
from seatrial.deploy.target import Store
from seatrial.errors import ReleaseError


class Live(Struct, frozen=True, kw_only=True):
    """What a switch says is live, all empty where nothing is; `problem` is why that can't be believed."""

    version: str = ""
    digest: str = ""
    problem: str = ""


class Switch(Protocol):
    """Where requests are answered: it brings versions up, and sends the requests to one of them."""

    def lock(self, patience: float | None, held: object) -> AbstractContextManager[object]:
        """Keep deployers with other stores out; BlockedError after `patience` seconds (None: its own).

        `held` is what the store's lock gave: the descriptor of a directory's.
        """

    def ask(self) -> Live:
        """What is live now."""

    def bring_up(self, release: Release) -> None:
        """Let a version get ready without traffic; done at once where it is ready, or live."""

    def turn_to(self, release: Release) -> None:
        """Bring a version up where it is not, send all requests to it, and wait until that is so."""

    def turn_off(self) -> None:
        """Send requests nowhere, as before the first deployment."""

    def take_down(self, version: str) -> None:
        """Take away a version that is not live; nothing is to be done where it is not up."""


class Mixer(Switch, Protocol):
    """A switch that can send some of the requests to another version than the live one."""

    def share(self, route: Route) -> None:
        """Send so much to others, and the rest to the live version; ReleaseError for what it can't do."""

    def read_route(self) -> Route:
        """What others have now."""


_AnySwitch = TypeVar("_AnySwitch", bound=Switch)


@dataclass(frozen=True, kw_only=True)
class SwitchingTarget(Generic[_AnySwitch]):
    """One model in a store and behind a switch."""

    store: Store
    switch: _AnySwitch

    @contextmanager
    def lock(self, patience: float | None = None) -> Iterator[None]:
        """Hold the store's lock, then the switch's, and let the store's pointer follow what is live."""
        with self.store.lock(patience) as held, self.switch.lock(patience, held):
            self._follow()
            yield

    def _follow(self) -> None:
        live = self.switch.ask().version
        if live == (self.store.pointer() or ""):
            return
        if live in {stored.version for stored in self.store.observe().versions}:
            self.store.promote(live)
        else:
            self.store.withdraw()

    def observe(self) -> Observation:
        """What the store holds, and what the switch says is live; that it is of no version here is its problem."""
        seen, told = self.store.observe(), self.switch.ask()
        if not told.version:
            return msgspec.structs.replace(seen, live=None)
        stored = next((each for each in seen.versions if each.version == told.version), None)
        problem = told.problem
        if stored is None:
            problem = f"version {told.version} is live there, and is not in {self.store.location}"
        elif not problem and told.digest != stored.digest:
            problem = stored.problem or f"version {told.version} is live there with the digest {told.digest}"
        live = stored if stored and not problem else StoredVersion(version=told.version, digest="", problem=problem)
        return msgspec.structs.replace(seen, live=live)

    def read_release(self, version: str) -> Release:
        """The manifest of a version."""
        return self.store.read_release(version)

    def verify(self, version: str) -> tuple[str, ...]:
        """What differs in the store."""
        return self.store.verify(version)

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Keep the version in the store, then let it get ready without traffic."""
        place = self.store.stage(release, sources)
        self.switch.bring_up(release)
        return place

    def locate(self, version: str) -> Path:
        """The directory of a version in the store."""
        return self.store.locate(version)

    def promote(self, version: str) -> None:
        """Switch, then let the store's pointer follow."""
        self.switch.turn_to(self.store.read_release(version))
        self._follow()

    def withdraw(self) -> None:
        """Make nothing live."""
        self.switch.turn_off()
        self._follow()

    def retire(self, version: str) -> None:
        """Take a version down, then out of the store."""
        if self.switch.ask().version == version:
            raise ReleaseError(f"version {version} is live there and can't be taken away")
        self.switch.take_down(version)
        self.store.retire(version)

    def write_journal(self, entry: JournalEntry) -> None:
        """Append to the open journal, durably."""
        self.store.write_journal(entry)

    def read_journal(self) -> tuple[JournalEntry, ...]:
        """The open journal, oldest first."""
        return self.store.read_journal()

    def close_journal(self) -> None:
        """Forget the journal, durably."""
        self.store.close_journal()

    def record(self, entry: DeploymentRecord) -> None:
        """Append to the deployment log, durably."""
        self.store.record(entry)

    def read_log(self) -> tuple[DeploymentRecord, ...]:
        """The deployment log, oldest first."""
        return self.store.read_log()


class MixingTarget(SwitchingTarget[Mixer]):
    """The same where the switch can share the requests between versions (`deploy.target.Routing`)."""

    def route(self, route: Route) -> None:
        """Let versions share the requests from now on."""
        self.switch.share(route)

    def read_route(self) -> Route:
        """Which versions share the requests now."""
        return self.switch.read_route()
