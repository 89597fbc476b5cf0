"""One file out of an archive that a stranger made: read by its exact name, or refused as a whole."""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.errors import CompareError
from seatrial.sources.archive import ArchiveLimits, read_entry
from tests.fakes.github_runs import pack

WANTED = "report.json"
SMALL = ArchiveLimits(packed=4_096, unpacked=1_024, entries=8)


def pack_entry(name: str, content: bytes = b"x", *, mode: int = 0o100644, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with one entry of this name and kind, and the wanted one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        entry.compress_type = method
        archive.writestr(entry, content)
        if name != WANTED:
            archive.writestr(WANTED, b"{}")
    return buffer.getvalue()


def overwrite(archive: bytes, signature: bytes, offset: int, field: bytes) -> bytes:
    """The archive with another field behind the first of these signatures."""
    at = archive.index(signature) + offset
    return archive[:at] + field + archive[at + len(field) :]


def spell_otherwise(archive: bytes, name: bytes, other: bytes) -> bytes:
    """The archive with another spelling of a name, of the same length, wherever it stands."""
    assert len(name) == len(other)
    return archive.replace(name, other)


BOMB = pack({WANTED: bytes(100_000)})
FORGED = {
    "up": (pack_entry("../../.git/hooks/pre-commit"), "leads elsewhere"),
    "up within": (pack_entry("a/../../b"), "leads elsewhere"),
    "absolute": (pack_entry("/etc/passwd"), "leads elsewhere"),
    "back-slash": (pack_entry("..\\x"), "leads elsewhere"),
    "drive": (pack_entry("C:x"), "leads elsewhere"),
    "NUL": (spell_otherwise(pack_entry("report.jsonAx"), b"report.jsonAx", b"report.json\0x"), "leads elsewhere"),
    "link": (pack_entry("link", b"/etc/passwd", mode=0o120777), "is no plain file"),
    "wanted link": (pack_entry(WANTED, b"/etc/passwd", mode=0o120777), "is no plain file"),
    "device": (pack_entry("null", mode=0o020666), "is no plain file"),
    "none": (pack({"other.json": b"{}"}), f"holds no {WANTED}"),
    "below": (pack({f"deep/{WANTED}": b"{}"}), f"holds no {WANTED}"),
    "another case": (pack({"REPORT.json": b"{}"}), f"holds no {WANTED}"),
    "two": (
        spell_otherwise(pack({WANTED: b"{}", "REPORT.json": b"[]"}), b"REPORT", b"report"),
        f"holds 2 {WANTED} files",
    ),
    "bomb": (BOMB, "of 100,000 bytes"),
    "bomb that lies": (overwrite(BOMB, b"PK\x01\x02", 24, struct.pack("<I", 100)), "zip archive"),
    "large": (pack({"filler": bytes(range(256)) * 40}) * 40, "more than 4,096 are not read"),
    "empty": (b"", "is no zip archive"),
    "no archive": (b"PK, they said, and wrote some more", "is no zip archive"),
    "tail": (pack({WANTED: b"{}"}) + b"more", "something behind its end"),
    "many": (pack({f"{number}": b"" for number in range(9)}), "lists more than 8 files"),
    "many unsaid": (
        overwrite(pack({WANTED: b"{}"}), b"PK\x05\x06", 12, struct.pack("<I", 1 << 30)),
        "lists more than 8 files",
    ),
    "64 bits": (pack({WANTED: b"{}"})[:-22] + b"PK\x06\x07" + bytes(16) + pack({WANTED: b"{}"})[-22:], "64-bit kind"),
    "bzip2": (pack_entry(WANTED, b"{}", method=zipfile.ZIP_BZIP2), "packs report.json by method 12"),
    "encrypted": (overwrite(pack({WANTED: b"{}"}), b"PK\x01\x02", 8, b"\x01\x00"), "has an encrypted entry"),
    "wrong checksum": (overwrite(pack({WANTED: b"{}"}), b"PK\x01\x02", 16, b"\0\0\0\0"), "no sound zip archive"),
    "cut": (overwrite(pack({WANTED: b"{}" * 99}), b"PK\x03\x04", 0, b"PK\x03\x05"), "no sound zip archive"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_archive_is_refused(kind: str) -> None:
    """Each with its own reason, and a hint."""
    archive, said = FORGED[kind]
    with pytest.raises(CompareError, match="the artifact") as refused:
        read_entry(archive, WANTED, SMALL)
    assert said in refused.value.message
    assert refused.value.hint


def test_the_wanted_file_is_read() -> None:
    """Others beside it are looked at by name only."""
    assert read_entry(pack({"report.md": b"# x", WANTED: b"{}", "plots/a.png": b""}), WANTED) == b"{}"


def test_a_file_of_exactly_the_limit_is_read() -> None:
    """The limit is the most that is allowed."""
    assert len(read_entry(pack({WANTED: bytes(1_024)}), WANTED, SMALL)) == 1_024


@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=8))
def test_whatever_the_bytes_there_is_one_kind_of_error(content: bytes, at: int, noise: bytes) -> None:
    """Bytes of any kind, or a sound archive with some of them changed, are read or refused."""
    sound = pack({WANTED: content})
    for archive in (content, sound[:at] + noise + sound[at + len(noise) :]):
        with suppress(CompareError):
            assert len(read_entry(archive, WANTED, SMALL)) <= SMALL.unpacked
