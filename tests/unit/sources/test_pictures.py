"""Pictures: pixels are shown, everything else is refused with a reason."""

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sources.formats import FormatError
from seatrial.sources.pictures import MAX_BYTES, read_picture


def make_png(width: int, height: int, *, shown: bytes = b"") -> bytes:
    """A black picture; `shown` replaces the header's size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = shown or struct.pack(">II", width, height)
    pixels = zlib.compress((b"\0" * (3 * width + 1)) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x20\x00\x30\x01\x01\x11\x00\xff\xd9"


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (make_png(3, 2), "image/png", (3, 2)),
        (JPEG, "image/jpeg", (48, 32)),
        (b"GIF89a\x05\x00\x07\x00" + b"\0" * 8, "image/gif", (5, 7)),
    ],
)
def test_the_bytes_tell_kind_and_size(data: bytes, kind: str, size: tuple[int, int]) -> None:
    """Not the name: a JPEG called .png is a JPEG."""
    picture = read_picture("plots/a.png", data)
    assert (picture.media_type, (picture.width, picture.height), picture.content) == (kind, size, data)


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("a.png", b"no picture", "no PNG"),
        ("a.png", make_png(3, 2)[:-12], "cut off"),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG"),
        ("a.svg", b"<svg/>", "scripts"),
        ("a.SVG", make_png(3, 2), "scripts"),
        ("a.png", make_png(1, 1, shown=struct.pack(">II", 60_000, 60_000)), "pixels"),
        ("a.png", make_png(1, 1, shown=b"\0" * 8), "pixels"),
        ("a.png", make_png(3, 2) + b"\0" * MAX_BYTES, "larger"),
        ("a.png", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)
def test_what_is_no_picture_is_refused(path: str, data: bytes, reason: str) -> None:
    """A picture that is none, one that can hold scripts, one that unpacks to gigabytes."""
    with pytest.raises(FormatError, match=reason):
        read_picture(path, data)


@given(data=st.binary(max_size=60), start=st.sampled_from([b"", b"\xff\xd8\xff", JPEG[:9], b"GIF89a"]))
def test_any_bytes_are_a_picture_or_refused(data: bytes, start: bytes) -> None:
    """Nothing but a FormatError leaves."""
    with contextlib.suppress(FormatError):
        assert read_picture("a.jpg", start + data).width > 0
