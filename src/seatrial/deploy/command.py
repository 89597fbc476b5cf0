"""The target `command`: a place that scripts of the user reach: a cloud's endpoint, a fleet over ssh, another registry.

    ROOT/command.yaml     which command does what; everything beside it is as for the target `local`

    stage: [./deploy.sh, stage]       bring SEATRIAL_DIRECTORY there without traffic, and end when it is ready
    promote: [./deploy.sh, promote]   make SEATRIAL_VERSION live in one switch, or make nothing live where it is empty
    observe: [./deploy.sh, observe]   print {"version": "3", "digest": "sha256:…"}, both empty where nothing is live
    retire: [./deploy.sh, retire]     take SEATRIAL_VERSION away; it is not live (optional)
    seconds: 600                      after which a command is ended, and has failed

Versions, journal, log and lock are kept below ROOT; what is live is what `observe` says, and nothing else. A command is
started without a shell, in ROOT, with SEATRIAL_MODEL, SEATRIAL_VERSION, SEATRIAL_DIGEST and SEATRIAL_DIRECTORY in its
environment, and without the key that signs. It fails by its exit code, and it may be called twice for the same version.

A command inherits the lock. Should seatrial be killed while one runs, the next deployment waits until that command has
ended and then looks what became of it; a process that a command leaves behind for good would hold the lock for good.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec
from msgspec import Struct

from seatrial.core.deployment import DeploymentRecord, JournalEntry, Observation, StoredVersion
from seatrial.core.release import Release
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.packing import SourceFile
from seatrial.deploy.signing import SECRETS
from seatrial.errors import ReleaseError, UsageError

SETTINGS = "command.yaml"
_MOST_TOLD = 2000


class Commands(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`command.yaml`: a program and its arguments for each verb."""

    stage: tuple[str, ...]
    promote: tuple[str, ...]
    observe: tuple[str, ...]
    retire: tuple[str, ...] = ()
    seconds: float = 600.0


class Live(Struct, frozen=True, kw_only=True):
    """What `observe` prints."""

    version: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class CommandTarget:
    """One model at a place behind commands; the store keeps its versions, its journal and its log."""

    store: LocalTarget
    inherited: list[int] = field(default_factory=list, repr=False, compare=False)

    @cached_property
    def commands(self) -> Commands:
        """The settings; UsageError where they can't be used."""
        import yaml

        path = self.store.root / SETTINGS
        try:
            commands = msgspec.convert(yaml.safe_load(path.read_bytes()), Commands)
        except FileNotFoundError:
            raise UsageError(
                f"{path} is not there", hint="it names the commands: stage, promote, observe, retire"
            ) from None
        except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
            raise UsageError(f"{path}: {error}") from error
        if empty := [verb for verb in ("stage", "promote", "observe") if not getattr(commands, verb)]:
            raise UsageError(f"{path}: {empty[0]} names no program")
        return commands

    @contextmanager
    def lock(self, patience: float | None = None) -> Iterator[None]:
        """Hold the store's lock, and let its pointer follow what is live."""
        with self.store.lock(patience) as descriptor:
            self.inherited.append(descriptor)
            try:
                self._follow()
                yield
            finally:
                self.inherited.remove(descriptor)

    def _follow(self) -> None:
        """Let the store's pointer tell what is live, which keeps that version from being taken away."""
        live = self._ask().version
        if live == (self.store.pointer() or ""):
            return
        if live in {stored.version for stored in self.store.observe().versions}:
            self.store.promote(live)
        else:
            self.store.withdraw()

    def observe(self) -> Observation:
        """What the store holds, and what the command says is live; that it is of no version here is its problem."""
        seen, told = self.store.observe(), self._ask()
        if not told.version:
            return msgspec.structs.replace(seen, live=None)
        stored = next((each for each in seen.versions if each.version == told.version), None)
        problem = stored.problem if stored else f"version {told.version} is live there, and is not in {self.store.home}"
        if stored and not problem and stored.digest != told.digest:
            problem = f"version {told.version} is live there with the digest {told.digest or '(none)'}"
        live = stored if stored and not problem else StoredVersion(version=told.version, digest="", problem=problem)
        return msgspec.structs.replace(seen, live=live)

    def read_release(self, version: str) -> Release:
        """The manifest of a version."""
        return self.store.read_release(version)

    def verify(self, version: str) -> tuple[str, ...]:
        """What differs in the store; what the place itself holds, `observe` tells by its digest."""
        return self.store.verify(version)

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Keep the version in the store, then let the command bring it to its place."""
        place = self.store.stage(release, sources)
        self._run(self.commands.stage, release.version)
        return place

    def locate(self, version: str) -> Path:
        """The directory of a version in the store."""
        return self.store.locate(version)

    def promote(self, version: str) -> None:
        """Let the command switch, then let the store's pointer follow."""
        self.store.read_release(version)
        self._run(self.commands.promote, version)
        self._follow()

    def withdraw(self) -> None:
        """Let the command make nothing live."""
        self._run(self.commands.promote, "")
        self._follow()

    def retire(self, version: str) -> None:
        """Let the command take a version away, then take it out of the store."""
        if self._ask().version == version:
            raise ReleaseError(f"version {version} is live there and can't be taken away")
        if not self.store.locate(version).exists():
            return
        if self.commands.retire:
            self._run(self.commands.retire, version)
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

    def _ask(self) -> Live:
        said = self._run(self.commands.observe, "")
        try:
            return msgspec.json.decode(said, type=Live)
        except msgspec.MsgspecError as error:
            raise ReleaseError(
                f"{self.commands.observe[0]}: what it printed is not what is live: {error}",
                hint='it prints {"version": "3", "digest": "sha256:…"}, both empty where nothing is live',
            ) from error

    def _run(self, command: tuple[str, ...], version: str) -> bytes:
        """What a command prints; ReleaseError, with the end of what it complained of, where it fails."""
        release = self.store.read_release(version) if version else None
        environment = {
            **{name: value for name, value in os.environ.items() if name not in SECRETS},
            "SEATRIAL_MODEL": self.store.name,
            "SEATRIAL_VERSION": version,
            "SEATRIAL_DIGEST": release.digest if release else "",
            "SEATRIAL_DIRECTORY": str(self.store.locate(version).resolve()) if version else "",
        }
        try:
            # A process group of its own: who cancels the deployment does not cut its commands in two.
            process = subprocess.Popen(
                command,
                cwd=self.store.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=self.inherited,
            )
        except OSError as error:
            raise ReleaseError(f"{command[0]} can't be started: {error.strerror}", hint=f"see {SETTINGS}") from error
        with process:
            try:
                printed, complained = process.communicate(timeout=self.commands.seconds)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise ReleaseError(f"{' '.join(command)}: not done after {self.commands.seconds:g} s") from error
                raise
        if process.returncode:
            said = complained.decode(errors="replace").strip()[-_MOST_TOLD:]
            raise ReleaseError(
                f"{' '.join(command)} of version {version or '(none)'} ended with {process.returncode}: {said}"
            )
        return printed
