"""One file out of a zip archive that a stranger made: in memory, by its exact name, within limits, or not at all."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

from msgspec import Struct

from seatrial.errors import CompareError

MAX_PACKED = 20 * 1024 * 1024
MAX_UNPACKED = 16 * 1024 * 1024
MAX_ENTRIES = 1_000
_HINT = "let the measuring workflow upload the directory that `seatrial ci` writes, and nothing else"
# The record that ends an archive without a comment (signature, 4 × 2 bytes, 2 × 4 bytes, 2 bytes), and the locator of
# its 64-bit form, which stands before it.
_END, _END_SIZE = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1


class ArchiveLimits(Struct, frozen=True, kw_only=True):
    """How many bytes an archive may have, how many the file in it, and how many entries."""

    packed: int = MAX_PACKED
    unpacked: int = MAX_UNPACKED
    entries: int = MAX_ENTRIES


def read_entry(archive: bytes, name: str, limits: ArchiveLimits | None = None) -> bytes:
    """The content of the one entry of this name; CompareError for an archive that is not as CI writes one.

    Nothing is written to disk. An archive in which any name could lead elsewhere is refused as a whole.
    """
    allowed = limits or ArchiveLimits()
    if len(archive) > allowed.packed:
        raise refuse_archive(f"has {len(archive):,} bytes, more than {allowed.packed:,} are not read")
    _check_end(archive, allowed)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return _read(opened, _choose(opened.infolist(), name, allowed), allowed)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, struct.error) as error:
        raise refuse_archive(f"is no sound zip archive: {error}") from None


def refuse_archive(fault: str) -> CompareError:
    """The error for an archive with a fault, such as `has 50 bytes too many`."""
    return CompareError(f"the artifact {fault}", hint=_HINT)


def _check_end(archive: bytes, limits: ArchiveLimits) -> None:
    """Refuse what `zipfile` would build a list of millions of entries for, before it does."""
    end = archive[-_END_SIZE:]
    if len(end) < _END_SIZE or end[:4] != _END:
        raise refuse_archive("is no zip archive, or has something behind its end")
    if archive[-_END_SIZE - _LOCATOR_SIZE : -_END_SIZE].startswith(_LOCATOR):
        raise refuse_archive("is a zip archive of the 64-bit kind, which a report never needs")
    entries, size = struct.unpack("<H", end[10:12])[0], struct.unpack("<I", end[12:16])[0]
    # An entry of the list has 46 bytes and its name.
    if entries > limits.entries or size > limits.entries * 1_024:
        raise refuse_archive(f"lists more than {limits.entries:,} files")


def _choose(entries: list[zipfile.ZipInfo], name: str, limits: ArchiveLimits) -> zipfile.ZipInfo:
    for entry in entries:
        _check_entry(entry)
    found = [entry for entry in entries if entry.filename == name]
    if len(found) != 1:
        raise refuse_archive(f"holds {len(found) or 'no'} {name}{' files' if found else ''}")
    (entry,) = found
    if entry.file_size > limits.unpacked:
        raise refuse_archive(f"holds a {name} of {entry.file_size:,} bytes, more than {limits.unpacked:,} are not read")
    return entry


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuse names that lead out of a directory, links, devices, and what is encrypted."""
    # As the archive spells it: zipfile itself cuts names at a NUL and turns back-slashes round on some systems.
    name = entry.orig_filename
    parts = name.removesuffix("/").split("/")
    if not name or name.startswith("/") or "\\" in name or "\0" in name or ":" in name or {"", ".", ".."} & {*parts}:
        raise refuse_archive(f"has an entry whose name leads elsewhere: {name[:60]!a}")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise refuse_archive(f"has an entry that is no plain file: {name[:60]!a}")
    if entry.flag_bits & _ENCRYPTED:
        raise refuse_archive(f"has an encrypted entry: {name[:60]!a}")


def _read(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: ArchiveLimits) -> bytes:
    """The entry's bytes, of which the archive may tell a wrong number."""
    if entry.compress_type not in _METHODS:
        raise refuse_archive(f"packs {entry.filename} by method {entry.compress_type}, which is not read")
    with opened.open(entry) as file:
        content = file.read(limits.unpacked + 1)
    if len(content) > limits.unpacked:
        raise refuse_archive(f"holds a {entry.filename} of more than {limits.unpacked:,} bytes")
    return content
