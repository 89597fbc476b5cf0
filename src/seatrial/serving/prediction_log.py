"""Predictions as JSON lines, in the form in which a comparison reads them: a key and a score per row.

    {"time":"2026-01-31T12:00:00.000000+00:00","model":"m","version":"3","role":"stable","key":"42","score":0.97}

A prediction that is no number is told by `prediction` in place of `score`. Rows are sampled by their key, so that the
same keys are logged whatever version answers them. The file is bounded: at half of the size it is renamed to
`NAME.1.SUFFIX`, and the one before that is gone.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from seatrial.errors import ServeError
from seatrial.serving.metrics import ServerMetrics
from seatrial.serving.runtimes import Array

_WAITING = 1024  # requests
DEFAULT_SIZE = 256 * 1024 * 1024


class LoggedRow(Struct, frozen=True, kw_only=True):
    """One line."""

    time: str
    model: str
    version: str
    role: str
    key: str
    score: float | UnsetType = UNSET
    prediction: str | UnsetType = UNSET


class PredictionLog:
    """Writes rows on a thread of its own; what it has no time or no room for is dropped and counted.

    `share` is the part of all keys that is logged, `size` the bytes that both files together may have.
    """

    def __init__(self, path: Path, *, share: float, size: int = DEFAULT_SIZE) -> None:
        self._path = path
        self._bound = int(share * 2**64)
        self._half = max(size // 2, 1)
        self._waiting: queue.Queue[tuple[LoggedRow, ...] | None] = queue.Queue(_WAITING)
        self._metrics: ServerMetrics | None = None
        self._file = _open(path)
        self._thread = threading.Thread(target=self._work, name="seatrial-log", daemon=True)
        self._thread.start()

    def report_to(self, metrics: ServerMetrics) -> None:
        """Count what is written and dropped there."""
        self._metrics = metrics

    def write(self, *, model: str, version: str, role: str, keys: Sequence[str], values: Array) -> None:
        """Log the chosen ones among predictions of shape (rows,) with as many keys; never waits."""
        chosen = [index for index, key in enumerate(keys) if self._chooses(key)]
        if not chosen:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        listed = values.tolist()
        plain = LoggedRow(time=now, model=model, version=version, role=role, key="")
        rows = tuple(_fill(plain, keys[index], listed[index]) for index in chosen)
        try:
            self._waiting.put_nowait(rows)
        except queue.Full:
            self._count(rows, written=False)

    def _chooses(self, key: str) -> bool:
        digest = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8, person=b"log").digest()
        return int.from_bytes(digest, "big") < self._bound

    def _work(self) -> None:
        while (rows := self._waiting.get()) is not None:
            self._count(rows, written=self._append(rows))
            self._waiting.task_done()

    def _append(self, rows: tuple[LoggedRow, ...]) -> bool:
        """Write rows, and make room; False where the disk refuses, since the log is not worth an answer."""
        try:
            if self._file.closed:
                self._file = self._path.open("ab")
            self._file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
            if self._waiting.empty():
                self._file.flush()
            if self._file.tell() >= self._half:
                self._file.close()
                self._path.replace(self._path.with_suffix(f".1{self._path.suffix}"))
        except OSError:
            return False
        return True

    def _count(self, rows: tuple[LoggedRow, ...], *, written: bool) -> None:
        if self._metrics:
            counts = self._metrics.logged if written else self._metrics.unlogged
            for row in rows:
                counts.add(row.model, row.version)

    def settle(self) -> None:
        """Wait until everything that was taken is written."""
        self._waiting.join()

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join()
        self._file.close()


def _fill(plain: LoggedRow, key: str, value: object) -> LoggedRow:
    if isinstance(value, (int, float)):
        return replace(plain, key=key, score=float(value))
    return replace(plain, key=key, prediction=str(value))


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("ab")
    except OSError as error:
        raise ServeError(
            f"--log-predictions {path}: {error.strerror}", hint="name a file in a directory that can be written to"
        ) from error
