"""A lock that is an object in a bucket: held by a lease that is renewed, and given back or taken over.

Whoever takes the lock gets a number that is higher than that of all before, its *fence*. It stands in everything that
is written under the lock, so that a holder which lost the lock without knowing it can be told from the one that has it.

A lease that was not renewed in time is taken over; its age is told by the clock of the store alone. That of a process
of this machine that is gone is taken over at once.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from seatrial.deploy.buckets import Bucket, StoredObject
from seatrial.errors import BlockedError, ReleaseError

LOCK = "lock.json"
_PROC = Path("/proc")
_RENEWALS = 3
_POLL = 0.2


class Holder(Struct, frozen=True, kw_only=True):
    """A process: `boot` and `namespace` say where its `pid` has a meaning, `started` tells it from later ones.

    `boot` is empty where the system does not tell such things.
    """

    host: str
    pid: int
    boot: str = ""
    namespace: str = ""
    started: str = ""

    def is_gone(self) -> bool:
        """Whether it is known to be no more; a process of another machine is not."""
        here = describe_self()
        same = (self.boot, self.namespace) == (here.boot, here.namespace)
        return bool(self.boot) and same and _read_start(self.pid) != self.started


class Lock(Struct, frozen=True, kw_only=True):
    """`lock.json`: who holds the lock, if anybody does, and for how many seconds after it was written.

    `write` differs from one write to the next, so that every state has a tag of its own.
    """

    fence: int = 0
    write: str = ""
    holder: Holder | None = None
    seconds: float = 0.0


def describe_self() -> Holder:
    """This process."""
    pid = os.getpid()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return Holder(host=socket.gethostname(), pid=pid)
    return Holder(host=socket.gethostname(), pid=pid, boot=boot, namespace=namespace, started=_read_start(pid))


def _read_start(pid: int) -> str:
    """When a process began, in ticks since the boot; empty where there is none, or only what its parent has to reap."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


class Lease:
    """A lock that is held, renewed by a thread of its own until it is given back.

    It is `clean` as long as no write can be under way of which nobody knows what became: not after it was taken over,
    until the other holder's are fenced off, and not after one that was never answered.
    """

    def __init__(self, bucket: Bucket, key: str, lock: Lock, tag: str, *, clean: bool) -> None:
        self.fence = lock.fence
        self.clean = clean
        self._bucket = bucket
        self._key = key
        self._lock = lock
        self._tag = tag
        self._ending = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name="seatrial-lease", daemon=True)
        self._renewer.start()

    def demand(self) -> None:
        """Raise ReleaseError where somebody else has the lock by now."""
        held, _ = read_lock(self._bucket, self._key)
        if held.fence != self.fence:
            raise lose_lock(self._bucket, self._key)

    def give_back(self) -> None:
        """Let others have the lock; where it is not clean, or the store is away, they have to take it over later."""
        self._ending.set()
        self._renewer.join()
        if not self.clean:
            return
        with suppress(ReleaseError):
            self._bucket.put(self._key, _encode(Lock(fence=self.fence, write=_mark())), replacing=self._tag)

    def probe(self) -> None:
        """Raise ReleaseError where the store writes what must not be written: its answers mean nothing then."""
        same = _encode(self._lock)
        taken = (self._bucket.put(self._key, same, replacing=tag) for tag in (None, f'"{"0" * 32}"'))
        if any(taken):
            raise self._bucket.refuse()

    def _renew(self) -> None:
        while not self._ending.wait(self._lock.seconds / _RENEWALS):
            with suppress(ReleaseError):  # the store may be back before the lease is too old
                renewed = msgspec.structs.replace(self._lock, write=_mark())
                tag = self._bucket.put(self._key, _encode(renewed), replacing=self._tag) or self._find(renewed)
                if not tag:
                    return  # somebody else has it; whatever is written next will tell
                self._tag = tag

    def _find(self, renewed: Lock) -> str:
        """The tag of a renewal whose answer was lost, empty where somebody else has the lock."""
        held, found = read_lock(self._bucket, self._key)
        return found.tag if found and held.fence == renewed.fence and held.holder == renewed.holder else ""


def lose_lock(bucket: Bucket, key: str) -> ReleaseError:
    """The error for a holder that was taken for dead."""
    return ReleaseError(
        f"{bucket.address}/{key}: the lock was lost: it was not renewed in time, and another command took it over",
        hint="run `seatrial status`: that command has finished or undone this deployment",
    )


def acquire(bucket: Bucket, key: str, *, seconds: float, patience: float) -> Lease:
    """Take a lock for a lease of some seconds; BlockedError, which says who has it, after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        held, found = read_lock(bucket, key)
        if _is_free(held, found):
            wanted = Lock(fence=held.fence + 1, write=_mark(), holder=describe_self(), seconds=seconds)
            tag = bucket.put(key, _encode(wanted), replacing=found.tag if found else None)
            if tag is None:
                written, found = read_lock(bucket, key)
                tag = found.tag if found and written.write == wanted.write else None
            if tag is not None:
                return Lease(bucket, key, wanted, tag, clean=held.holder is None)
        if time.monotonic() >= end:
            raise _refuse(bucket, key, patience)
        time.sleep(_POLL * random.uniform(0.5, 1.5))  # noqa: S311 - only so that two do not go in step


def read_lock(bucket: Bucket, key: str) -> tuple[Lock, StoredObject | None]:
    """What a lock says, and the object that says it; ReleaseError where it is none."""
    found = bucket.get(key)
    if found is None:
        return Lock(), None
    try:
        return msgspec.json.decode(found.body, type=Lock), found
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{bucket.address}/{key}: not a lock: {error}", hint="remove it if nothing runs") from error


def _is_free(held: Lock, found: StoredObject | None) -> bool:
    if held.holder is None or found is None:
        return True
    return found.age > held.seconds or held.holder.is_gone()


def _refuse(bucket: Bucket, key: str, patience: float) -> BlockedError:
    held, found = read_lock(bucket, key)
    who = f"process {held.holder.pid} on {held.holder.host}" if held.holder else "another deployment"
    renewed = f", renewed {max(found.age, 0):.0f} s ago" if found else ""
    return BlockedError(
        f"{bucket.address}/{key}: {who} has held the lock for {patience:g} s{renewed}",
        hint=f"wait until it is done; should it be gone, the lock is free {held.seconds:g} s after it was last renewed",
    )


def _encode(lock: Lock) -> bytes:
    return msgspec.json.encode(lock)


def _mark() -> str:
    return secrets.token_hex(8)
