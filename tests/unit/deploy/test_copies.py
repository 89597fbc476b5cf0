"""Verified copies of releases on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seatrial.core.release import MANIFEST, SIGNATURE, encode_manifest
from seatrial.deploy.conformance import build_release
from seatrial.deploy.copies import Copies, find_cache
from seatrial.errors import ReleaseError


def write_model(text: str, asked: list[str] | None = None) -> Callable[[Path], None]:
    """What fills a copy of a release of the conformance suite."""

    def write(directory: Path) -> None:
        if asked is not None:
            asked.append(text)
        (directory / "model.txt").write_text(text)
        (directory / "golden.json").write_text(f'"{text}"')

    return write


def provide(copies: Copies, tmp_path: Path, number: str, asked: list[str] | None = None) -> Path:
    """A copy of the release with a number."""
    release, _ = build_release(tmp_path / "source", number, number)
    return copies.provide(release, {MANIFEST: encode_manifest(release)}, write_model(number, asked))


def test_copy_is_made_once_and_again_when_it_was_altered(tmp_path: Path) -> None:
    """What is there is held against its manifest each time."""
    copies, asked = Copies(root=tmp_path / "copies"), list[str]()
    place = provide(copies, tmp_path, "1", asked)
    assert provide(copies, tmp_path, "1", asked) == place
    assert asked == ["1"]
    (place / "model.txt").write_text("other")
    assert provide(copies, tmp_path, "1", asked) == place
    assert (asked, (place / "model.txt").read_text()) == (["1", "1"], "1")


def test_copy_that_is_not_the_release_is_an_error_and_stays_nowhere(tmp_path: Path) -> None:
    """Whatever was fetched instead."""
    release, _ = build_release(tmp_path / "source", "1", "1")
    copies = Copies(root=tmp_path / "copies")
    with pytest.raises(ReleaseError, match=r"model\.txt: altered"):
        copies.provide(release, {MANIFEST: encode_manifest(release)}, write_model("2"))
    assert list(copies.root.iterdir()) == []


def test_copy_with_another_signature_is_another_one(tmp_path: Path) -> None:
    """What lies beside a manifest, and is not listed in it, is part of a copy's name."""
    release, _ = build_release(tmp_path / "source", "1", "1")
    copies, manifest = Copies(root=tmp_path / "copies"), {MANIFEST: encode_manifest(release)}
    plain = copies.provide(release, manifest, write_model("1"))
    signed = copies.provide(release, {**manifest, SIGNATURE: b"{}"}, write_model("1"))
    assert plain != signed
    assert (signed / SIGNATURE).read_bytes() == b"{}"


def test_the_copies_that_were_asked_for_last_stay(tmp_path: Path) -> None:
    """The others go, however often they were made."""
    copies = Copies(root=tmp_path / "copies", keep=2)
    places = []
    for moment, number in enumerate("1213"):
        place = provide(copies, tmp_path, number)
        os.utime(place, (moment + 1, moment + 1))
        places.append(place)
    provide(copies, tmp_path, "3")
    assert [place.exists() for place in places] == [True, False, True, True]


def test_copies_that_are_made_at_once_are_one(tmp_path: Path) -> None:
    """Nobody sees a half of one, and nothing is left of the others."""
    release, _ = build_release(tmp_path / "source", "1", "1")
    copies, manifest = Copies(root=tmp_path / "copies"), {MANIFEST: encode_manifest(release)}
    with ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: copies.provide(release, manifest, write_model("1")), range(8)))
    assert list(copies.root.iterdir()) == list(places)
    assert (places.pop() / "model.txt").read_text() == "1"


def test_place_without_room_or_rights_is_one_error(tmp_path: Path) -> None:
    """It says where copies are kept."""
    (tmp_path / "copies").write_text("a file")
    with pytest.raises(ReleaseError, match="copies") as caught:
        provide(Copies(root=tmp_path / "copies"), tmp_path, "1")
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_cache_is_where_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative path in the variable is no place, as the specification has it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, base in ((str(tmp_path / "c"), tmp_path / "c"), ("", tmp_path / ".cache"), ("c", tmp_path / ".cache")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert find_cache() == base / "seatrial/releases"
