"""The default target: a directory of this machine, or one that is mounted on it.

    ROOT/NAME/versions/1/…        a release: release.json and its files, never changed
    ROOT/NAME/current             a link to versions/N: the live one
    ROOT/NAME/deployments.jsonl   what happened, one line each, only ever appended to
    ROOT/NAME/route.json          which other versions `seatrial serve` lets answer; those stay
    ROOT/NAME/journal.jsonl       what a deployment that has not ended is about to do; gone when it ended
    ROOT/NAME/.lock               held while a deployment runs; the system frees it when the process dies

A version is written beside its place and renamed into it when it is complete, and `current` is replaced by a
rename. Whoever reads sees the old version or the new one, and nothing in between.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from seatrial.core.deployment import DeploymentRecord, JournalEntry, Observation, StoredVersion
from seatrial.core.release import (
    MANIFEST,
    Release,
    check_name,
    decode_manifest,
    diff_release,
    encode_manifest,
)
from seatrial.core.routing import ROUTE, Route, decode_route, encode_route
from seatrial.deploy.packing import SourceFile, copy_verified, list_files
from seatrial.errors import BlockedError, ReleaseError

CURRENT = "current"
LOG = "deployments.jsonl"
JOURNAL = "journal.jsonl"
_TEMPORARY = ".tmp-"
_HEADROOM = 1.2
_Line = TypeVar("_Line")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTarget:
    """One model below a root directory; `patience` is how many seconds to wait for another deployer."""

    root: Path
    name: str
    patience: float = 30.0

    @property
    def home(self) -> Path:
        """The model's directory."""
        return self.root / check_name(self.name)

    @property
    def location(self) -> str:
        """The model's directory, for people."""
        return str(self.home)

    @property
    def _versions(self) -> Path:
        return self.home / "versions"

    @contextmanager
    def lock(self, patience: float | None = None) -> Iterator[int]:
        """Hold the lock, and take away what a crashed deployment left half-written; the descriptor that holds it.

        BlockedError where another process holds it for `patience` seconds (the target's own, unless given).
        """
        with explaining(self.home):
            self._versions.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._wait_for(descriptor, self.patience if patience is None else patience)
            self._sweep()
            yield descriptor
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int, patience: float) -> None:
        end = time.monotonic() + patience
        while not _try_lock(descriptor):
            if time.monotonic() >= end:
                raise BlockedError(
                    f"{self.home}: another deployment has held the lock for {patience:g} s",
                    hint="wait until it is done; the lock is freed when its process ends",
                )
            time.sleep(0.05)

    def _sweep(self) -> None:
        for left in self._versions.glob(f"{_TEMPORARY}*"):
            shutil.rmtree(left)
        for draft in (*self.home.glob(f".{CURRENT}-*"), *self.home.glob(f".{ROUTE}-*")):
            draft.unlink()

    def observe(self) -> Observation:
        """What the manifests say; a version whose manifest can't be read has a problem instead of a digest."""
        versions = tuple(self._read_version(version) for version in self._list_versions())
        current = self.pointer()
        live = next((stored for stored in versions if stored.version == current), None)
        if current and live is None:
            live = StoredVersion(version=current, digest="", problem="the live version is not there")
        named = [entry.version for entry in self.read_log()] + [entry.intent.version for entry in self.read_journal()]
        taken = [int(stored.version) for stored in versions]
        taken += [int(version) for version in named if _is_version(version)]
        return Observation(live=live, versions=versions, next_version=str(max(taken, default=0) + 1))

    def _list_versions(self) -> list[str]:
        if not self._versions.is_dir():
            return []
        found = [entry.name for entry in self._versions.iterdir() if entry.is_dir() and _is_version(entry.name)]
        return sorted(found, key=int)

    def _read_version(self, version: str) -> StoredVersion:
        try:
            return StoredVersion(version=version, digest=self.read_release(version).digest)
        except ReleaseError as error:
            return StoredVersion(version=version, digest="", problem=error.message)

    def pointer(self) -> str | None:
        """The live version's number, or None where nothing is live. One system call."""
        try:
            return (self.home / CURRENT).readlink().name
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ReleaseError(f"{self.home / CURRENT}: not a link to a version: {error.strerror}") from error

    def locate(self, version: str) -> Path:
        """The directory of a version."""
        if not _is_version(version):
            raise ReleaseError(f"{self.home}: {version!r} is not a version's number")
        return self._versions / version

    def read_release(self, version: str) -> Release:
        """The manifest of a version, which must be of this model and number."""
        path = self.locate(version) / MANIFEST
        with explaining(path):
            release = decode_manifest(path.read_bytes(), str(path))
        if (release.name, release.version) != (self.name, version):
            raise ReleaseError(f"{path}: the manifest is of {release.name} {release.version}", hint="deploy again")
        return release

    def verify(self, version: str) -> tuple[str, ...]:
        """Hash a version's files again; what differs from the manifest, one line each."""
        directory = self.locate(version)
        try:
            release = self.read_release(version)
            with explaining(directory):
                found = list_files(directory)
        except ReleaseError as error:
            return (error.message,)
        return diff_release(release, found)

    def open_verified(self, version: str) -> tuple[Release, Path]:
        """A version whose every byte was just checked, or ReleaseError that names what differs."""
        release = self.read_release(version)
        if differences := self.verify(version):
            raise ReleaseError(
                f"{self.locate(version)} is not what was released: {'; '.join(differences)}",
                hint="deploy the model again: an altered version is replaced by a new one",
            )
        return release, self.locate(version)

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Write a version beside its place, verify what is on the disk, and rename it into place.

        The same release again is nothing to do; another one under a number that is taken is an error.
        """
        place = self.locate(release.version)
        if place.exists():
            if self._read_version(release.version).digest == release.digest:
                return place
            raise ReleaseError(f"{place} exists already, and versions are never changed", hint="deploy again")
        draft = self._versions / f"{_TEMPORARY}{secrets.token_hex(8)}"
        with explaining(place):
            self._check_room(release)
            try:
                self._write(draft, release, sources)
                draft.rename(place)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
            sync(self._versions)
        return place

    def _write(self, draft: Path, release: Release, sources: tuple[SourceFile, ...]) -> None:
        draft.mkdir()
        for source in sources:
            destination = draft / source.file.path
            destination.parent.mkdir(parents=True, exist_ok=True)
            copy_verified(source, destination)
        if differences := diff_release(release, list_files(draft)):
            raise ReleaseError(f"{draft}: the disk does not hold what was written: {'; '.join(differences)}")
        write_durably(draft / MANIFEST, encode_manifest(release))
        for directory, _, _ in os.walk(draft):
            sync(Path(directory))

    def _check_room(self, release: Release) -> None:
        needed = int(sum(file.size for file in release.contents) * _HEADROOM)
        free = shutil.disk_usage(self._versions).free
        if free < needed:
            raise ReleaseError(
                f"{self.root}: {needed:,} bytes are needed and {free:,} are free", hint="make room, then deploy again"
            )

    def promote(self, version: str) -> None:
        """Replace the link `current`: one rename, which readers see as a whole or not at all."""
        self.read_release(version)
        link = self.home / f".{CURRENT}-{secrets.token_hex(8)}"
        with explaining(self.home / CURRENT):
            link.symlink_to(Path("versions") / version)
            link.replace(self.home / CURRENT)
            sync(self.home)

    def withdraw(self) -> None:
        """Take the link `current` away: nothing is live."""
        with explaining(self.home / CURRENT):
            (self.home / CURRENT).unlink(missing_ok=True)
            sync(self.home)

    def retire(self, version: str) -> None:
        """Take away a version that is not live, in a way that never shows a half of it."""
        if self.pointer() == version:
            raise ReleaseError(f"{self.home}: version {version} is live and can't be taken away")
        if version in self.read_route().versions:
            raise ReleaseError(
                f"{self.home}: {ROUTE} gives requests to version {version}, so it can't be taken away",
                hint=f"take the version out of {self.home / ROUTE} first",
            )
        place = self.locate(version)
        if not place.exists():
            return
        with explaining(place):
            gone = self._versions / f"{_TEMPORARY}{secrets.token_hex(8)}"
            place.rename(gone)
            shutil.rmtree(gone)

    def route(self, route: Route) -> None:
        """Replace `route.json` by a rename, or take it away where no version has a share."""
        path = self.home / ROUTE
        with explaining(path):
            if route.versions:
                draft = self.home / f".{ROUTE}-{secrets.token_hex(8)}"
                write_durably(draft, encode_route(route))
                draft.replace(path)
            else:
                path.unlink(missing_ok=True)
            sync(self.home)

    def read_route(self) -> Route:
        """What `route.json` says."""
        path = self.home / ROUTE
        with explaining(path):
            return decode_route(path.read_bytes(), str(path)) if path.exists() else Route()

    def write_journal(self, entry: JournalEntry) -> None:
        """Append a line to the journal, and make it durable before anything else happens."""
        _append(self.home / JOURNAL, entry)

    def read_journal(self) -> tuple[JournalEntry, ...]:
        """The journal; a line that a crash cut off is passed over, as what it announces was not begun."""
        return _read_lines(self.home / JOURNAL, JournalEntry)

    def close_journal(self) -> None:
        """Remove the journal: its deployment has ended, and the log says how."""
        with explaining(self.home / JOURNAL):
            (self.home / JOURNAL).unlink(missing_ok=True)
            sync(self.home)

    def record(self, entry: DeploymentRecord) -> None:
        """Append a line to the log; a line that a crash cut off is closed first."""
        _append(self.home / LOG, entry)

    def read_log(self) -> tuple[DeploymentRecord, ...]:
        """The log, oldest first; a line that a crash cut off is passed over."""
        return _read_lines(self.home / LOG, DeploymentRecord)


def list_models(root: Path) -> tuple[str, ...]:
    """The names of the models below a root of which a version is live."""
    if not root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in root.iterdir() if (entry / CURRENT).is_symlink()))


def list_deployed(root: Path) -> tuple[str, ...]:
    """The names of the models below a root of which something was ever deployed, live or not."""
    if not root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in root.iterdir() if (entry / "versions").is_dir()))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _append(path: Path, entry: DeploymentRecord | JournalEntry) -> None:
    """Add a line durably; the file's own entry in its directory too, when it is new."""
    with explaining(path):
        new = not path.exists()
        torn = not new and path.read_bytes()[-1:] not in (b"", b"\n")
        with path.open("ab") as lines:
            lines.write((b"\n" if torn else b"") + msgspec.json.encode(entry) + b"\n")
            lines.flush()
            os.fsync(lines.fileno())
        if new:
            sync(path.parent)


def _read_lines(path: Path, kind: type[_Line]) -> tuple[_Line, ...]:
    with explaining(path):
        if not path.exists():
            return ()
        entries = (_decode_line(line, kind) for line in path.read_bytes().splitlines())
        return tuple(entry for entry in entries if entry is not None)


def _decode_line(line: bytes, kind: type[_Line]) -> _Line | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal() and not name.startswith("0")


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file that nobody changes, and have it on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())


def sync(directory: Path) -> None:
    """Make a directory's entries durable: a rename alone may be lost with the power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn what the system refuses into an error for people."""
    try:
        yield
    except OSError as error:
        raise ReleaseError(
            f"{error.filename or path}: {error.strerror or error}", hint="what was live is untouched"
        ) from error
