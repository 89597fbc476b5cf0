"""Bytes that call themselves a picture -> a picture that a page may hold, or the reason why not.

Only the kinds that hold nothing but pixels: an SVG picture can carry scripts and addresses. The first bytes say the
kind, whatever the file's name, and the size is read before anything is shown.
"""

from __future__ import annotations

from seatrial.core.document import Picture
from seatrial.sources.formats import LFS_POINTER, FormatError

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".svg")
MAX_BYTES = 2 << 20
_MAX_PIXELS = 25_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
# Frame headers of JPEG, which hold the size: all from C0 to CF but three that are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_picture(path: str, data: bytes) -> Picture:
    """The picture with its size; FormatError where it is none that is shown."""
    if data.startswith(LFS_POINTER):
        raise FormatError("is a Git LFS pointer, not the file itself")
    if path.lower().endswith(".svg"):
        raise FormatError("is an SVG picture, which can hold scripts and addresses: it is not shown")
    if len(data) > MAX_BYTES:
        raise FormatError(f"is larger than {MAX_BYTES >> 20} MB, the most that a report holds of one picture")
    found = _measure_png(data) or _measure_gif(data) or _measure_jpeg(data)
    if found is None:
        raise FormatError("is no PNG, JPEG or GIF picture, whatever its name says, or is cut off")
    media_type, width, height = found
    if not 0 < width * height <= _MAX_PIXELS:
        raise FormatError(f"has {width:,} × {height:,} pixels, more than are shown")
    return Picture(content=data, media_type=media_type, width=width, height=height)


def _measure_png(data: bytes) -> tuple[str, int, int] | None:
    if not data.startswith(_PNG + b"\x00\x00\x00\rIHDR") or b"IEND" not in data[-16:]:
        return None
    return "image/png", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _measure_gif(data: bytes) -> tuple[str, int, int] | None:
    if data[:6] not in {b"GIF87a", b"GIF89a"} or len(data) < 14:
        return None
    return "image/gif", int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _measure_jpeg(data: bytes) -> tuple[str, int, int] | None:
    """The size in the frame's header, which is found from segment to segment."""
    at = 2
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if kind in _FRAMES:
            return (
                "image/jpeg",
                int.from_bytes(data[at + 7 : at + 9], "big"),
                int.from_bytes(data[at + 5 : at + 7], "big"),
            )
        at += 1 if kind == 0xFF else 2 + max(2, length)  # markers may be filled up with FF
    return None
