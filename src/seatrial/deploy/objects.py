"""A target in an object store: a bucket of S3, or of whatever speaks its protocol.

    ADDRESS/NAME/versions/1/…         a release: its files first, and release.json, without which it is none, last
    ADDRESS/NAME/current.json         which version is live
    ADDRESS/NAME/deployments.json     what happened, only ever appended to
    ADDRESS/NAME/route.json           which other versions have a share of the requests
    ADDRESS/NAME/journal.json         what a deployment that has not ended is about to do
    ADDRESS/NAME/lock.json            who deploys now

These five are replaced as a whole, and only in the state that was read: whoever comes second reads again. All that is
written under the lock bears its fence (`leases`). Who takes the lock over from one that did not give it back writes
all of them anew first; what the other one still sends is in vain from then on.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from seatrial.core.deployment import DeploymentRecord, JournalEntry, Observation, StoredVersion
from seatrial.core.release import (
    BESIDE,
    MANIFEST,
    Release,
    ReleaseFile,
    check_name,
    decode_manifest,
    diff_release,
    encode_manifest,
)
from seatrial.core.routing import Route, decode_route, encode_route
from seatrial.deploy.buckets import Bucket, ListedObject
from seatrial.deploy.copies import Copies, find_cache
from seatrial.deploy.leases import LOCK, Lease, acquire, lose_lock
from seatrial.deploy.packing import SourceFile, copy_verified
from seatrial.errors import ReleaseError

LEASE_SECONDS = 15.0
_VERSIONS = "versions/"
_TRIES = 20


class _State(Struct, frozen=True, kw_only=True):
    """What is replaced as a whole. `write` differs from one write to the next, so that every state has its own tag."""

    fence: int = 0
    write: str = ""


class _Current(_State, frozen=True, kw_only=True):
    version: str = ""


class _Journal(_State, frozen=True, kw_only=True):
    entries: tuple[JournalEntry, ...] = ()


class _Log(_State, frozen=True, kw_only=True):
    entries: tuple[DeploymentRecord, ...] = ()


class _Shares(_State, frozen=True, kw_only=True):
    route: msgspec.Raw = msgspec.Raw(b"{}")


_AnyState = TypeVar("_AnyState", bound=_State)
_KEYS: dict[type[_State], str] = {
    _Current: "current.json",
    _Journal: "journal.json",
    _Log: "deployments.json",
    _Shares: "route.json",
}


class ObjectTarget:
    """One model below an address; `patience` is how many seconds to wait for another deployer, `lease` a lock's life.

    `copies` are kept on this machine of the versions that are asked for.
    """

    def __init__(
        self,
        address: str,
        name: str,
        *,
        patience: float = 30.0,
        lease: float = LEASE_SECONDS,
        copies: Copies | None = None,
    ) -> None:
        self.name = check_name(name)
        self._bucket = Bucket(f"{address.rstrip('/')}/{name}")
        self._patience = patience
        self._seconds = lease
        self._copies = copies or Copies(root=find_cache())
        self._lease: Lease | None = None
        self._manifests: dict[tuple[str, str], StoredVersion] = {}

    @property
    def location(self) -> str:
        """The model's address."""
        return self._bucket.address

    @contextmanager
    def lock(self, patience: float | None = None) -> Iterator[None]:
        """Hold the lock; what its last holder did not give back is fenced off and swept first.

        BlockedError where another process holds it for `patience` seconds (the target's own, unless given).
        """
        waiting = self._patience if patience is None else patience
        lease = acquire(self._bucket, LOCK, seconds=self._seconds, patience=waiting)
        self._lease = lease
        try:
            lease.probe()
            if not lease.clean:
                self._fence_off()
                self._sweep()
                lease.clean = True
            yield
        finally:
            self._lease = None
            lease.give_back()

    def _fence_off(self) -> None:
        for kind in _KEYS:
            self._change(kind, lambda held: held)

    def _sweep(self) -> None:
        """Take away what a deployment that was cut off has brought of a version."""
        listed = self._bucket.list_objects(_VERSIONS)
        whole = {_get_version(each.key) for each in listed if _is_manifest(each.key)}
        for each in listed:
            if _get_version(each.key) not in whole:
                self._bucket.delete(each.key)

    def observe(self) -> Observation:
        """What the manifests say; a version whose manifest can't be read has a problem instead of a digest."""
        current, listed = self.pointer(), self._bucket.list_objects(_VERSIONS)
        while (now := self.pointer()) != current:  # it was switched in between
            current, listed = now, self._bucket.list_objects(_VERSIONS)
        manifests = {_get_version(each.key): each for each in listed if _is_manifest(each.key)}
        versions = tuple(self._read_version(version, manifests[version]) for version in sorted(manifests, key=int))
        live = next((stored for stored in versions if stored.version == current), None)
        if current and live is None:
            live = StoredVersion(version=current, digest="", problem="the live version is not there")
        named = [entry.version for entry in self.read_log()] + [entry.intent.version for entry in self.read_journal()]
        taken = [int(version) for version in (*named, *map(_get_version, (each.key for each in listed))) if version]
        return Observation(live=live, versions=versions, next_version=str(max(taken, default=0) + 1))

    def _read_version(self, version: str, manifest: ListedObject) -> StoredVersion:
        """What a manifest says; the same state of it is read once."""
        known = self._manifests.get((version, manifest.tag))
        if known is None:
            try:
                known = StoredVersion(version=version, digest=self.read_release(version).digest)
            except ReleaseError as error:
                return StoredVersion(version=version, digest="", problem=error.message)
            self._manifests[version, manifest.tag] = known
        return known

    def pointer(self) -> str | None:
        """The live version's number, or None where nothing is live. One request."""
        return self._read(_Current)[0].version or None

    def read_release(self, version: str) -> Release:
        """The manifest of a version, which must be of this model and number."""
        return self._read_manifest(version)[0]

    def _read_manifest(self, version: str) -> tuple[Release, bytes]:
        key = self._spell(version, MANIFEST)
        where, found = f"{self.location}/{key}", self._bucket.get(key)
        if found is None:
            raise ReleaseError(f"{where}: there is no such object", hint="deploy again")
        release = decode_manifest(found.body, where)
        if (release.name, release.version) != (self.name, version):
            raise ReleaseError(f"{where}: the manifest is of {release.name} {release.version}", hint="deploy again")
        return release, found.body

    def verify(self, version: str) -> tuple[str, ...]:
        """Read every object of a version again; what differs from the manifest, one line each."""
        try:
            release = self.read_release(version)
            return diff_release(release, self._hash_objects(version))
        except ReleaseError as error:
            return (error.message,)

    def _hash_objects(self, version: str) -> tuple[ReleaseFile, ...]:
        prefix = self._spell(version, "")
        found = []
        for each in self._bucket.list_objects(prefix):
            if content := self._bucket.read(each.key, size=each.size):
                path = each.key[len(prefix) :]
                found.append(ReleaseFile(path=path, size=content.size, sha256=content.sha256))
        return tuple(found)

    def stage(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        """Bring a version's files, then its manifest, which makes it one; a copy of it on this machine.

        The same release again is nothing to do; another one under a number that is taken is an error.
        """
        if not self._is_staged(release):
            copy = self._copy_sources(release, sources)
            self._demand_lock()
            try:
                self._upload(release, sources, copy)
            except BaseException:
                with suppress(ReleaseError):
                    self._remove(release.version)
                raise
        return self.locate(release.version)

    def _is_staged(self, release: Release) -> bool:
        """Whether this release is there already; ReleaseError where another one has its number."""
        key = self._spell(release.version, MANIFEST)
        found = self._bucket.get(key)
        if found is None:
            return False
        with suppress(ReleaseError):
            if decode_manifest(found.body, key).digest == release.digest:
                return True
        raise ReleaseError(
            f"{self.location}/{_VERSIONS}{release.version} exists already, and versions are never changed",
            hint="deploy again",
        )

    def _copy_sources(self, release: Release, sources: tuple[SourceFile, ...]) -> Path:
        beside = {source.file.path: source for source in sources if source.file.path in BESIDE}
        known = {MANIFEST: encode_manifest(release)}
        for path, source in beside.items():
            with source.open() as stream:
                known[path] = stream.read()

        def write(directory: Path) -> None:
            for source in sources:
                if source.file.path not in beside:
                    _make_room(directory / source.file.path)
                    copy_verified(source, directory / source.file.path)

        return self._copies.provide(release, known, write)

    def _upload(self, release: Release, sources: tuple[SourceFile, ...], copy: Path) -> None:
        """What was left behind under this number goes, the files come, and the manifest comes if none is there."""
        self._remove(release.version)
        for source in sources:
            self._bucket.upload(copy / source.file.path, self._spell(release.version, source.file.path))
        self._demand_lock()
        manifest = encode_manifest(release)
        if self._bucket.put(self._spell(release.version, MANIFEST), manifest, replacing=None) is None:
            self._is_staged(release)  # by an answer that was lost, or else it is another one's

    def locate(self, version: str) -> Path:
        """The directory of a verified copy on this machine."""
        release, manifest = self._read_manifest(version)
        beside = {MANIFEST: manifest}
        for path in BESIDE - {MANIFEST}:
            if found := self._bucket.get(self._spell(version, path)):
                beside[path] = found.body

        def write(directory: Path) -> None:
            for file in release.contents:
                with _make_room(directory / file.path).open("xb") as copy:
                    self._bucket.read(self._spell(version, file.path), size=file.size, copy=copy)

        return self._copies.provide(release, beside, write)

    def promote(self, version: str) -> None:
        """Replace `current.json`, which readers see as a whole or not at all."""
        self.read_release(version)
        self._change(_Current, lambda held: msgspec.structs.replace(held, version=version))

    def withdraw(self) -> None:
        """Let `current.json` name no version: nothing is live."""
        self._change(_Current, lambda held: msgspec.structs.replace(held, version=""))

    def retire(self, version: str) -> None:
        """Take away a version that is not live: its manifest first, without which the rest is none."""
        if self.pointer() == version:
            raise ReleaseError(f"{self.location}: version {version} is live and can't be taken away")
        if version in self.read_route().versions:
            raise ReleaseError(
                f"{self.location}: {_KEYS[_Shares]} gives requests to version {version}, so it can't be taken away",
                hint=f"take the version out of {_KEYS[_Shares]} first",
            )
        self._demand_lock()
        self._remove(version)

    def _remove(self, version: str) -> None:
        listed = self._bucket.list_objects(self._spell(version, ""))
        for each in sorted(listed, key=lambda each: not _is_manifest(each.key)):
            self._bucket.delete(each.key)

    def route(self, route: Route) -> None:
        """Replace `route.json`."""
        said = msgspec.Raw(encode_route(route))
        self._change(_Shares, lambda held: msgspec.structs.replace(held, route=said))

    def read_route(self) -> Route:
        """What `route.json` says."""
        return decode_route(bytes(self._read(_Shares)[0].route), f"{self.location}/{_KEYS[_Shares]}")

    def write_journal(self, entry: JournalEntry) -> None:
        """Append to the journal; it is there when this returns."""
        self._change(_Journal, lambda held: msgspec.structs.replace(held, entries=(*held.entries, entry)))

    def read_journal(self) -> tuple[JournalEntry, ...]:
        """The journal, oldest first."""
        return self._read(_Journal)[0].entries

    def close_journal(self) -> None:
        """Empty the journal: its deployment has ended, and the log says how."""
        self._change(_Journal, lambda held: msgspec.structs.replace(held, entries=()))

    def record(self, entry: DeploymentRecord) -> None:
        """Append to the log; it is there when this returns."""
        self._change(_Log, lambda held: msgspec.structs.replace(held, entries=(*held.entries, entry)))

    def read_log(self) -> tuple[DeploymentRecord, ...]:
        """The log, oldest first."""
        return self._read(_Log)[0].entries

    def _read(self, kind: type[_AnyState]) -> tuple[_AnyState, str | None]:
        """What is there of a kind, and its tag; the beginning, and None, where nothing is there."""
        key = _KEYS[kind]
        found = self._bucket.get(key)
        if found is None:
            return kind(), None
        try:
            return msgspec.json.decode(found.body, type=kind), found.tag
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ReleaseError(
                f"{self.location}/{key}: not what seatrial writes: {error}", hint="put back what was there before"
            ) from error

    def _change(self, kind: type[_AnyState], change: Callable[[_AnyState], _AnyState]) -> None:
        """Replace a state by what becomes of it; read it again, and change that, where another one was first.

        ReleaseError where that other one has the lock by now.
        """
        key = _KEYS[kind]
        for _ in range(_TRIES):
            held, tag = self._read(kind)
            if self._lease and held.fence > self._lease.fence:
                raise lose_lock(self._bucket, LOCK)
            fence = self._lease.fence if self._lease else held.fence
            changed = msgspec.structs.replace(change(held), fence=fence, write=secrets.token_hex(8))
            body = msgspec.json.encode(changed) + b"\n"
            if self._put(key, body, tag) or self._read(kind)[0].write == changed.write:
                return
            time.sleep(random.uniform(0, 0.1))  # noqa: S311 - only so that two do not go in step
        raise ReleaseError(f"{self.location}/{key}: others write to it all the time", hint="try again")

    def _put(self, key: str, body: bytes, tag: str | None) -> str | None:
        """Write a state; that no answer came does not tell that it will not come about."""
        try:
            return self._bucket.put(key, body, replacing=tag)
        except ReleaseError:
            if self._lease:
                self._lease.clean = False
            raise

    def _demand_lock(self) -> None:
        if self._lease:
            self._lease.demand()

    def _spell(self, version: str, path: str) -> str:
        if not _is_version(version):
            raise ReleaseError(f"{self.location}: {version!r} is not a version's number")
        return f"{_VERSIONS}{version}/{path}"


def list_deployed(address: str) -> tuple[str, ...]:
    """The names of the models below an address of which something was ever deployed, live or not."""
    bucket = Bucket(address)
    return tuple(sorted(name for name in bucket.list_folders() if bucket.list_objects(f"{name}/{_VERSIONS}")))


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdecimal() and not name.startswith("0")


def _get_version(key: str) -> str:
    """The version that an object belongs to; empty where it belongs to none."""
    version = key[len(_VERSIONS) :].partition("/")[0]
    return version if _is_version(version) else ""


def _is_manifest(key: str) -> bool:
    version = _get_version(key)
    return bool(version) and key == f"{_VERSIONS}{version}/{MANIFEST}"


def _make_room(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
