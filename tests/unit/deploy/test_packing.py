"""Files on their way into a release: the chain of digests, and pickles by their content."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.deploy.packing import SourceFile, copy_verified, is_pickle, list_files, pack
from seatrial.errors import ReleaseError


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("true",)


def md5_of(data: bytes) -> str:
    """DVC's digest of a file."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def keep(directory: Path, files: dict[str, bytes]) -> list[tuple[str, str, Path | None]]:
    """Write files as a cache holds them, and list them as dvc.lock does."""
    listed: list[tuple[str, str, Path | None]] = []
    for path, data in files.items():
        (directory / md5_of(data)).write_bytes(data)
        listed.append((path, md5_of(data), directory / md5_of(data)))
    return listed


def test_every_file_is_described(tmp_path: Path) -> None:
    """A packed output holds each file with size, SHA-256 and MD5, in the order of paths."""
    listed = keep(tmp_path, {"model.onnx": b"weights", "card/model.json": b"{}"})
    sources = pack("models/x", listed)
    assert [source.file.path for source in sources] == ["card/model.json", "model.onnx"]
    assert sources[1].file.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert sources[1].file.size == len(b"weights")


def test_single_file_is_named_after_its_output(tmp_path: Path) -> None:
    """An output that is one file keeps its own name in the release."""
    listed = keep(tmp_path, {"": b"weights"})
    (source,) = pack("models/model.onnx", listed)
    assert source.file.path == "model.onnx"


def test_altered_byte_in_the_cache_is_refused(tmp_path: Path) -> None:
    """A cached file that is no longer what dvc.lock promises is refused, with both digests."""
    listed = keep(tmp_path, {"model.onnx": b"weights"})
    (tmp_path / md5_of(b"weights")).write_bytes(b"weightz")
    with pytest.raises(ReleaseError, match=f"{md5_of(b'weightz')}, but dvc.lock promises {md5_of(b'weights')}"):
        pack("models/x", listed)


def test_file_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    """One path has one content."""
    with pytest.raises(ReleaseError, match="listed twice"):
        pack("models/x", keep(tmp_path, {"model.onnx": b"1"}) + keep(tmp_path, {"model.onnx": b"2"}))


def test_file_that_is_not_in_the_cache_says_how_to_get_it(tmp_path: Path) -> None:
    """A file without bytes is an error with the command that brings them."""
    listed: list[tuple[str, str, Path | None]] = [("model.onnx", md5_of(b"weights"), None)]
    with pytest.raises(ReleaseError, match="not in DVC's cache") as caught:
        pack("models/x", listed)
    assert "dvc pull models/x" in caught.value.hint


def test_empty_output_is_refused() -> None:
    """A directory without files is no model."""
    with pytest.raises(ReleaseError, match="holds no file"):
        pack("models/x", [])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("suffix", ["", "junk after the end"])
def test_pickle_is_seen_whatever_its_name(tmp_path: Path, protocol: int, suffix: str) -> None:
    """A pickle of any protocol that would run something is recognised by its content."""
    (tmp_path / "weights.bin").write_bytes(pickle.dumps(Evil(), protocol=protocol) + suffix.encode())
    assert is_pickle(tmp_path / "weights.bin")


def test_pickle_in_an_output_is_refused_and_named(tmp_path: Path) -> None:
    """A pickle under a harmless name keeps the whole output from being released."""
    listed = keep(tmp_path, {"model.onnx": b"weights", "scaler.bin": pickle.dumps(Evil())})
    with pytest.raises(ReleaseError, match=r"models/x: scaler\.bin: a pickle is not released"):
        pack("models/x", listed)


def test_archive_that_holds_a_pickle_is_refused(tmp_path: Path) -> None:
    """A zip file such as torch.save writes is opened far enough to see the pickle in it."""
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert is_pickle(tmp_path / "model.pt")


def _zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("weights/0", data)
    return out.getvalue()


def _save_objects(data: bytes) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([data, None], dtype=object), allow_pickle=True)
    return out.getvalue()


def _save_fields(data: bytes) -> bytes:
    out = io.BytesIO()
    np.savez(out, table=np.array([(1.0, data)], dtype=[("a", "<f8"), ("b", "O")]))
    return out.getvalue()


@pytest.mark.parametrize(
    "disguise",
    [_zip, gzip.compress, bz2.compress, lzma.compress, zlib.compress, _save_objects, _save_fields],
    ids=lambda disguise: disguise.__name__,
)
@pytest.mark.parametrize("protocol", [0, 4])
def test_disguised_pickle_is_seen(tmp_path: Path, disguise: Callable[[bytes], bytes], protocol: int) -> None:
    """In an archive under another name, compressed as joblib does it, or as an array of objects."""
    (tmp_path / "weights.bin").write_bytes(disguise(pickle.dumps(Evil(), protocol=protocol)))
    assert is_pickle(tmp_path / "weights.bin")


@pytest.mark.parametrize("disguise", [bytes, _zip, gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_compressed_numbers_are_let_through(tmp_path: Path, disguise: Callable[[bytes], bytes]) -> None:
    """What is packed in the same ways, and holds an array, is none."""
    out = io.BytesIO()
    np.save(out, np.arange(1000.0))
    (tmp_path / "weights.bin").write_bytes(disguise(out.getvalue()))
    assert not is_pickle(tmp_path / "weights.bin")


def test_only_the_pickle_that_is_named_is_let_through(tmp_path: Path) -> None:
    """By its path in the output; one beside it is refused, whatever it is called."""
    listed = keep(tmp_path, {"model.pkl": pickle.dumps(Evil())})
    assert [source.file.path for source in pack("models/x", listed, ("model.pkl",))] == ["model.pkl"]
    for path in ("other.pkl", "sub/model.pkl", "model.bin"):
        with pytest.raises(ReleaseError, match="a pickle is not released") as caught:
            pack("models/x", listed + keep(tmp_path, {path: pickle.dumps({"a": Evil()})}), ("model.pkl",))
        assert "seatrial.yaml" in caught.value.hint


def test_weights_that_end_like_an_archive_are_let_through(tmp_path: Path) -> None:
    """The signature of a zip archive in a file that is none is no reason to fail, nor to stop looking."""
    end = b"PK\x05\x06" + b"\xff" * 16 + b"\0\0"
    (tmp_path / "weights").write_bytes(b"\0" * 64 + end)
    assert not is_pickle(tmp_path / "weights")
    (tmp_path / "weights").write_bytes(pickle.dumps(Evil()) + end)
    assert is_pickle(tmp_path / "weights")


@pytest.mark.parametrize(
    "content", [b"", b".", b"{}", b"carrier\nAA\nUA\n", b"(lp0\n.", b"\x80\x02", b"\x80\x04\xff\xff\xff", b"i\n"]
)
def test_other_content_is_not_taken_for_a_pickle(tmp_path: Path, content: bytes) -> None:
    """Text, weights that happen to begin like a pickle, and lists of nothing are let through."""
    (tmp_path / "file").write_bytes(content)
    assert not is_pickle(tmp_path / "file")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.recursive(st.none() | st.integers() | st.text(), lambda leaf: st.lists(leaf) | st.tuples(leaf, leaf)))
def test_pickle_with_a_header_is_always_seen(tmp_path: Path, value: object) -> None:
    """Whatever modern pickle there is, the sniffing sees it."""
    (tmp_path / "file").write_bytes(pickle.dumps(value, protocol=4))
    assert is_pickle(tmp_path / "file")


def test_copy_of_an_altered_file_is_refused(tmp_path: Path) -> None:
    """A file that changes between planning and copying does not reach the release unnoticed."""
    listed = keep(tmp_path, {"model.onnx": b"weights"})
    (source,) = pack("models/x", listed)
    source.location.write_bytes(b"weightz")
    with pytest.raises(ReleaseError, match="altered while it was copied"):
        copy_verified(source, tmp_path / "copy")


def test_copy_is_the_same_and_read_only(tmp_path: Path) -> None:
    """A copied file has the bytes of its source and no permission to be written."""
    listed = keep(tmp_path, {"model.onnx": b"weights"})
    source: SourceFile = pack("models/x", listed)[0]
    copy_verified(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"weights"
    assert (tmp_path / "copy").stat().st_mode & 0o222 == 0


def test_link_in_a_directory_is_refused(tmp_path: Path) -> None:
    """A release is listed from plain files alone: a link could lead anywhere."""
    (tmp_path / "model.onnx").symlink_to("/etc/hostname")
    with pytest.raises(ReleaseError, match="neither a file nor a directory"):
        list_files(tmp_path)
