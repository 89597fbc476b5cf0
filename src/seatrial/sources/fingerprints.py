"""What tells whether a file's content is what DVC recorded, taken block by block: no content is held."""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.sources.formats import LFS_POINTER
from seatrial.sources.md5 import md5


class Fingerprint:
    """The digests that DVC may have recorded for one content: its md5, and that of it with Unix line ends.

    DVC 1 and 2 counted text with Windows line ends as if it had Unix ones. A pointer of Git LFS is not the file itself.
    """

    __slots__ = ("_as_text", "_held", "_md5", "_start")

    def __init__(self, blocks: Iterable[bytes] = ()) -> None:
        self._md5 = md5(usedforsecurity=False)
        self._as_text = self._md5
        self._held = b""
        self._start = b""
        for block in blocks:
            self.feed(block)

    def feed(self, block: bytes) -> None:
        """Take the next block of the content."""
        if len(self._start) < len(LFS_POINTER):
            self._start += block[: len(LFS_POINTER) - len(self._start)]
        text = self._held + block
        # A carriage return at the end may be half of a line end.
        held = b"\r" if text.endswith(b"\r") else b""
        if self._as_text is self._md5 and (held or self._held or b"\r\n" in text):
            self._as_text = self._md5.copy()
        if self._as_text is not self._md5:
            self._as_text.update(text[: len(text) - len(held)].replace(b"\r\n", b"\n"))
        self._held = held
        self._md5.update(block)

    @property
    def is_pointer(self) -> bool:
        """Whether the content stands for one that Git LFS keeps elsewhere."""
        return self._start == LFS_POINTER

    @property
    def digest(self) -> str:
        """The md5 of the content."""
        return self._md5.hexdigest()

    @property
    def text_digest(self) -> str:
        """The md5 of the content with Unix line ends."""
        if self._as_text is self._md5:
            return self.digest
        whole = self._as_text.copy()
        whole.update(self._held)
        return whole.hexdigest()
