"""Files on their way into a release: what `dvc.lock` promises is checked on every byte that is read."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import pickletools
import shutil
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from seatrial.core.release import ReleaseFile, check_path, refuse_pickle
from seatrial.errors import ReleaseError

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a release, and where its bytes are now; `md5` is DVC's digest of it, as hex.

    A document that was written for the release has its bytes in `content` instead.
    """

    file: ReleaseFile
    md5: str
    location: Path
    content: bytes | None = None

    def open(self) -> BinaryIO:
        """The bytes."""
        return self.location.open("rb") if self.content is None else io.BytesIO(self.content)


def write_document(path: str, text: str) -> SourceFile:
    """A file whose content is a text that was written for the release."""
    return hold_content(check_path(path), text.encode())


def hold_content(path: str, content: bytes) -> SourceFile:
    """A file of a release whose bytes are on no disk yet."""
    found = read_content(io.BytesIO(content))
    file = ReleaseFile(path=path, size=found.size, sha256=found.sha256)
    return SourceFile(file=file, md5=found.md5, location=Path(), content=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file's bytes are, both hashes as hex."""

    size: int
    md5: str
    sha256: str


def read_content(stream: BinaryIO, copy: BinaryIO | None = None) -> Content:
    """Hash a stream to its end, and write it to `copy` on the way."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        md5.update(chunk)
        sha256.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return Content(size=size, md5=md5.hexdigest(), sha256=sha256.hexdigest())


def list_files(directory: Path) -> tuple[ReleaseFile, ...]:
    """Every file below a directory with its hash, in the order of paths.

    Raises ReleaseError for anything but plain files and directories: a link could lead out of the release.
    """
    return tuple(sorted(_walk(directory, directory), key=lambda file: file.path))


def _walk(root: Path, directory: Path) -> Iterator[ReleaseFile]:
    with os.scandir(directory) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)
            elif entry.is_file(follow_symlinks=False):
                with path.open("rb") as stream:
                    content = read_content(stream)
                yield ReleaseFile(path=path.relative_to(root).as_posix(), size=content.size, sha256=content.sha256)
            else:
                raise ReleaseError(f"{path}: neither a file nor a directory, so it can't be part of a release")


def pack(
    path: str, files: Iterable[tuple[str, str, Path | None]], pickles: Collection[str] = ()
) -> tuple[SourceFile, ...]:
    """Check the files of an output of DVC (path, MD5, place in the cache) and describe them for a release.

    Raises ReleaseError for bytes that are absent or not what their MD5 says, and for all pickles but those `pickles`.
    """
    listed = sorted((name or Path(path).name, md5, str(location or "")) for name, md5, location in files)
    if not listed:
        raise ReleaseError(f"{path}: the output holds no file")
    if len({name for name, _, _ in listed}) < len(listed):
        raise ReleaseError(f"{path}: a file is listed twice")
    return tuple(_pack_file(path, name, md5, location, pickles) for name, md5, location in listed)


def _pack_file(out: str, name: str, md5: str, place: str, pickles: Collection[str]) -> SourceFile:
    check_path(name, pickles)
    location = Path(place)
    if not location.is_file():
        raise ReleaseError(f"{out}: {name} (md5 {md5}) is not in DVC's cache", hint=f"run `dvc pull {out}` first")
    with location.open("rb") as stream:
        content = read_content(stream)
    if content.md5 != md5:
        raise ReleaseError(
            f"{out}: {name} in DVC's cache has md5 {content.md5}, but dvc.lock promises {md5}",
            hint=f"remove {location} and run `dvc pull {out}`",
        )
    if name not in pickles and is_pickle(location):
        raise refuse_pickle(f"{out}: {name}")
    return SourceFile(file=ReleaseFile(path=name, size=content.size, sha256=content.sha256), md5=md5, location=location)


def copy_verified(source: SourceFile, destination: Path) -> None:
    """Copy one file durably, and raise ReleaseError if it is no longer the file that was packed."""
    with source.open() as stream, destination.open("xb") as copy:
        content = read_content(stream, copy)
        copy.flush()
        os.fchmod(copy.fileno(), 0o444)
        os.fsync(copy.fileno())
    if (content.size, content.md5, content.sha256) != (source.file.size, source.md5, source.file.sha256):
        raise ReleaseError(f"{source.file.path} was altered while it was copied", hint="deploy again")


_IMPORTING = frozenset({"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})
_ENOUGH = 4
_HEAD = 1 << 16
_NUMPY_HEADER = 1 << 14
_PICKLE = b"\x80\x04N."
_MOST = 10_000


def is_pickle(location: Path) -> bool:
    """Whether a file's content is a pickle, or holds one; nothing is loaded to find out.

    Looked into are zip archives (torch, npz), what joblib compresses, and NumPy's arrays of objects.

    Protocols 2 to 5 begin with a header; because model weights may begin with the same two bytes, the next
    instructions must make sense as well. Older protocols have none: a file that can be read as instructions
    up to the end, one of which imports something, is a pickle.
    """
    with location.open("rb") as stream:
        if _holds_pickle(stream):
            return True
        stream.seek(0)
        head = stream.read(_CHUNK)
    return any(_holds_pickle(io.BytesIO(inner)) for inner in (*_decompress(head), *_open_archive(location)))


def _holds_pickle(stream: BinaryIO) -> bool:
    header = stream.read(_NUMPY_HEADER)
    if header.startswith(b"\x93NUMPY"):
        return b"|O" in header.partition(b"}")[0]
    stream.seek(0)
    names, complete = _read_instructions(stream)
    if header[:1] == b"\x80" and header[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return complete or len(names) >= _ENOUGH
    return complete and not _IMPORTING.isdisjoint(names)


def _decompress(head: bytes) -> Iterator[bytes]:
    """The beginning of what is compressed as joblib may compress; nothing for anything else."""
    for opener in (gzip.open, bz2.open, lzma.open):
        with suppress(OSError, EOFError, ValueError, zlib.error, lzma.LZMAError), opener(io.BytesIO(head)) as inner:
            yield inner.read(_HEAD)
    with suppress(zlib.error):
        yield zlib.decompressobj().decompress(head, _HEAD)


def _open_archive(location: Path) -> Iterator[bytes]:
    """The beginning of every file in a zip archive, and a pickle for one that is called so."""
    try:
        with zipfile.ZipFile(location) as archive:
            for entry in archive.infolist():
                yield _PICKLE if entry.filename.endswith((".pkl", ".pickle")) else _read_entry(archive, entry)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        return


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The beginning of a file in an archive; nothing of one that can't be read, which no loader can read, either."""
    try:
        with archive.open(entry) as inner:
            return inner.read(_HEAD)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""


def _read_instructions(stream: BinaryIO) -> tuple[list[str], bool]:
    """The names of the instructions that can be read, and whether they came to their end."""
    names: list[str] = []
    try:
        for operation, _, _ in islice(pickletools.genops(stream), _MOST):
            names.append(operation.name)
    except (ValueError, OverflowError, MemoryError):
        return names, False
    return names, True


def lay_out(sources: Iterable[SourceFile], directory: Path) -> None:
    """Lay a release's files out as they will be in a target, to be read and thrown away; links where they can be."""
    for source in sources:
        place = directory / source.file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.hardlink_to(source.location)
        except OSError:  # another file system
            with source.open() as stream, place.open("xb") as copy:
                shutil.copyfileobj(stream, copy)
