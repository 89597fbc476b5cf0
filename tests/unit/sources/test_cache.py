"""DVC's cache: found by digest, believed only when the digest fits."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from seatrial.errors import CompareError
from seatrial.sources.cache import Cache, hash_listing, open_cache, verify


def _store(top: Path, data: bytes, *, layout: str = "files/md5", suffix: str = "", digest: str = "") -> str:
    digest = digest or hashlib.md5(data).hexdigest()
    place = top / layout / digest[:2] / (digest[2:] + suffix)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return digest + suffix


def _store_directory(top: Path, files: dict[str, bytes]) -> str:
    entries = [{"md5": _store(top, data), "relpath": path} for path, data in files.items()]
    return _store(top, json.dumps(entries).encode(), suffix=".dir")


@pytest.mark.parametrize("layout", ["files/md5", ""])
def test_both_layouts_are_searched(tmp_path: Path, layout: str) -> None:
    """DVC 3 and DVC 2 keep the same bytes at different places."""
    digest = _store(tmp_path, b"data", layout=layout)
    assert Cache((tmp_path,)).read(digest, limit=100) == b"data"
    assert Cache((tmp_path,)).read(digest, limit=2) == bytes(3)


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    """An unknown digest is no error; the caller knows what to say."""
    cache = Cache((tmp_path,))
    assert cache.find("0" * 32) is None
    assert cache.read("0" * 32, limit=1) is None
    assert cache.list_directory("0" * 32 + ".dir") is None
    assert cache.expand("x", "0" * 32 + ".dir") is None


@pytest.mark.parametrize("digest", ["../../../etc/passwd", "", "0" * 31, "0" * 32 + "/x", "ab/../../x"])
def test_a_digest_is_never_a_path(tmp_path: Path, digest: str) -> None:
    """A digest from a stranger's dvc.lock can't lead out of the cache."""
    assert Cache((tmp_path,)).find(digest) is None


def test_altered_bytes_are_refused(tmp_path: Path) -> None:
    """A cache that was tampered with or damaged is an error, not a metric."""
    digest = _store(tmp_path, b"altered", digest="0" * 32)
    with pytest.raises(CompareError, match="another digest") as caught:
        Cache((tmp_path,)).read(digest, limit=100)
    assert "dvc fetch" in caught.value.hint


def test_text_digests_of_dvc_2_are_accepted(tmp_path: Path) -> None:
    """DVC 2 counted Windows line ends as Unix ones."""
    place = tmp_path / "x"
    place.write_bytes(b"a\r\nb\r\n")
    verify(place, hashlib.md5(b"a\nb\n").hexdigest())


def test_directories_are_listed_with_their_files(tmp_path: Path) -> None:
    """A directory's digest gives every file with its own, in the order of the paths; a lost one has no location."""
    digest = _store_directory(tmp_path, {"b.json": b"2", "a/x.json": b"1"})
    lost = hashlib.md5(b"2").hexdigest()
    (tmp_path / "files" / "md5" / lost[:2] / lost[2:]).unlink()
    out = Cache((tmp_path,)).expand("reports", digest)
    assert out is not None
    assert [file.path for file in out.files] == ["a/x.json", "b.json"]
    assert [file.path for file in out.missing] == ["b.json"]
    assert hash_listing((file.path, file.digest) for file in out.files) == hash_listing(
        [("b.json", lost), ("a/x.json", hashlib.md5(b"1").hexdigest())]
    )


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b"])
def test_a_directory_names_nothing_outside_of_itself(tmp_path: Path, path: str) -> None:
    """A listing from a stranger can't write over what lies beside it."""
    digest = _store_directory(tmp_path, {path: b"1"})
    with pytest.raises(CompareError, match="outside of itself"):
        Cache((tmp_path,)).list_directory(digest)


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"[{}]", b"no json"])
def test_an_unreadable_listing_is_damage(tmp_path: Path, data: bytes) -> None:
    """A `.dir` object that is no listing is an error with its digest."""
    if data == b"{}":
        assert Cache((tmp_path,)).list_directory(_store(tmp_path, data, suffix=".dir")) == ()
        return
    with pytest.raises(CompareError, match="list of files is unreadable"):
        Cache((tmp_path,)).list_directory(_store(tmp_path, data, suffix=".dir"))


def test_configuration_says_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """config.local wins over config; relative directories start at .dvc; without any it is .dvc/cache."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    dvc = tmp_path / "project" / ".dvc"
    dvc.mkdir(parents=True)
    root = dvc.parent
    assert open_cache(root).directories == (dvc / "cache",)
    (dvc / "config").write_text(
        "[core]\n    remote = x\n[cache]\n    dir = ../../shared\n['remote \"x\"']\n    dir = no\n"
    )
    assert open_cache(root).directories == (tmp_path / "shared",)
    (dvc / "config.local").write_text(f"[cache]\ndir={tmp_path / 'local'}\n")
    assert open_cache(root).directories == (tmp_path / "local",)


def test_the_users_own_configuration_counts_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc cache dir --global` is written in the user's configuration directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config" / "dvc").mkdir(parents=True)
    (tmp_path / ".config" / "dvc" / "config").write_text(f"[cache]\n    dir = {tmp_path / 'mine'}\n")
    assert open_cache(tmp_path / "project").directories == (tmp_path / "mine",)


def test_every_project_brings_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content of one project is found although another is asked for."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    digest = _store(tmp_path / "a" / ".dvc" / "cache", b"x")
    assert open_cache(tmp_path, ("", "a", "b")).find(digest) is not None
    assert open_cache(tmp_path).find(digest) is None
