"""The file `route.json` beside a model's versions, looked at on every request and read when it changed."""

from __future__ import annotations

import os
from pathlib import Path

from seatrial.core.routing import Route, decode_route
from seatrial.errors import ReleaseError

_PLAIN = Route()


class RouteFile:
    """A route in a file, read again when the file changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = str(path)
        self._mark: tuple[int, int, int] | None = None
        self._route = Route()
        self._error: ReleaseError | None = None

    def read(self) -> Route:
        """The route; no file is a route without shares. ReleaseError for one that can't be meant."""
        try:
            found = os.stat(self._text)  # noqa: PTH116 - on every request
        except FileNotFoundError:
            self._mark = None
            return _PLAIN
        except OSError as error:
            raise ReleaseError(f"{self._path}: {error.strerror}") from error
        mark = (found.st_mtime_ns, found.st_ino, found.st_size)
        if mark != self._mark:
            self._reread()
            self._mark = mark
        if self._error:
            raise self._error
        return self._route

    def _reread(self) -> None:
        self._error = None
        try:
            self._route = decode_route(self._path.read_bytes(), str(self._path))
        except OSError as error:
            self._error = ReleaseError(f"{self._path}: {error.strerror}")
        except ReleaseError as error:
            self._error = error
