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

import msgspec
from msgspec import Struct

from seatrial.core.release import Release
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.signing import SECRETS
from seatrial.deploy.switching import Live
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


class Told(Struct, frozen=True, kw_only=True):
    """What `observe` prints."""

    version: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class CommandSwitch:
    """One model at a place behind commands, which are started in the directory of the store."""

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
    def lock(self, patience: float | None, held: object) -> Iterator[None]:
        """The store's lock is enough; its descriptor goes to every command that is started under it."""
        assert isinstance(held, int)
        self.inherited.append(held)
        try:
            yield
        finally:
            self.inherited.remove(held)

    def ask(self) -> Live:
        """What the command says is live."""
        said = self._run(self.commands.observe, "")
        try:
            told = msgspec.json.decode(said, type=Told)
        except msgspec.MsgspecError as error:
            raise ReleaseError(
                f"{self.commands.observe[0]}: what it printed is not what is live: {error}",
                hint='it prints {"version": "3", "digest": "sha256:…"}, both empty where nothing is live',
            ) from error
        return Live(version=told.version, digest=told.digest)

    def bring_up(self, release: Release) -> None:
        """Let the command bring a version to its place."""
        self._run(self.commands.stage, release.version)

    def turn_to(self, release: Release) -> None:
        """Let the command switch; it was staged before, as every version that is kept."""
        self._run(self.commands.promote, release.version)

    def turn_off(self) -> None:
        """Let the command make nothing live."""
        self._run(self.commands.promote, "")

    def take_down(self, version: str) -> None:
        """Let the command take a version away, where there is one for that."""
        if self.commands.retire and self.store.locate(version).exists():
            self._run(self.commands.retire, version)

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
