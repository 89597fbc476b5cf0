"""A tree that lives in a dictionary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from seatrial.sources.fingerprints import Fingerprint


class MemoryTree:
    """The files of a side, as a test writes them down."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        encoded = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
        self._files = dict(sorted(encoded.items()))

    def paths(self) -> Collection[str]:
        """All files in the order of their paths."""
        return self._files.keys()

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Those that are there."""
        return {path: self._files[path] for path in paths if path in self._files}

    def fingerprint(self, paths: Iterable[str], *, limit: int) -> Mapping[str, Fingerprint | None]:
        """Those that are there; none of a test's files is too long."""
        return {path: Fingerprint([content]) for path, content in self.read(paths).items()}

    def expand(self, path: str) -> tuple[str, ...]:
        """The file, or those below the directory."""
        return tuple(file for file in self._files if file == path or file.startswith(f"{path}/"))
