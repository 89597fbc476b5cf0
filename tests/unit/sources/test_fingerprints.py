"""Digests that are taken block by block are those of the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sources.cache import hash_bytes, hash_text
from seatrial.sources.fingerprints import Fingerprint

BLOCKS = st.lists(st.text(alphabet="a\r\n", max_size=4).map(str.encode), max_size=6)


@given(blocks=BLOCKS)
def test_blocks_make_the_digests_of_the_whole(blocks: list[bytes]) -> None:
    """Wherever a line end is cut, both digests are those that DVC takes of the content."""
    whole = b"".join(blocks)
    fingerprint = Fingerprint(blocks)
    assert (fingerprint.digest, fingerprint.text_digest) == (hash_bytes(whole), hash_text(whole))


@pytest.mark.parametrize("cut", [0, 1, 7, 40, 41, 100])
def test_a_pointer_of_git_lfs_is_seen_wherever_it_is_cut(cut: int) -> None:
    """Its first line tells it; another content is none."""
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n"
    assert Fingerprint([pointer[:cut], pointer[cut:]]).is_pointer
    assert not Fingerprint([b"x" + pointer[:cut], pointer[cut:]]).is_pointer
