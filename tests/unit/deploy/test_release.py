"""The release manifest: what its digest covers, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.release import (
    ModelFormat,
    Release,
    ReleaseFile,
    check_name,
    check_path,
    decode_manifest,
    detect_format,
    diff_files,
    digest_files,
    encode_manifest,
    record_values,
)
from seatrial.errors import ReleaseError

FILES = (
    ReleaseFile(path="model.json", size=10, sha256="aa"),
    ReleaseFile(path="model.onnx", size=20, sha256="bb"),
)
RELEASE = Release(
    name="flights",
    version="3",
    digest=digest_files(FILES),
    format=ModelFormat.ONNX,
    files=FILES,
    commit="5601846",
    lock_digest="0123.dir",
    verdict="passed",
    override="",
    metrics={"metrics.json:recall": 0.8, "metrics.json:name": "boosting"},
)

release_files = st.lists(
    st.builds(
        ReleaseFile,
        path=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
        size=st.integers(0, 2**40),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    ),
    unique_by=lambda file: file.path,
    max_size=5,
)


@given(release_files.flatmap(lambda files: st.tuples(st.just(files), st.permutations(files))))
def test_order_of_files_does_not_change_the_digest(pair: tuple[list[ReleaseFile], list[ReleaseFile]]) -> None:
    """The digest is of the set of files, however a directory lists them."""
    files, shuffled = pair
    assert digest_files(files) == digest_files(shuffled)


@given(release_files, release_files)
def test_different_files_have_different_digests(left: list[ReleaseFile], right: list[ReleaseFile]) -> None:
    """Two releases share a digest only if every path, size and hash is the same."""
    same = sorted(left, key=lambda file: file.path) == sorted(right, key=lambda file: file.path)
    assert (digest_files(left) == digest_files(right)) is same


def test_digest_is_pinned() -> None:
    """The digest of known files never changes between versions: targets compare it for years."""
    assert digest_files(FILES) == "sha256:386f3688eddea2eec57e25ea1e0cac7072b20f6dc5b2590b0f77f800a037c3bb"


def test_earlier_manifests_stay_readable() -> None:
    """What manifests have come to say later leaves those that don't say it sealed as they are."""
    seal = "sha256:224be81c77ef24c38f16e54ed4154f8f7a9c8cd8f305f3a3c5bdf095cc700c0e"
    written = encode_manifest(RELEASE).decode()
    earlier = re.sub(r'"seal": "[^"]*"', f'"seal": "{seal}"', written.replace('"pickles": [],', ""))
    assert earlier != written
    assert decode_manifest(earlier.encode(), "release.json") == RELEASE
    for other in (earlier.replace(seal, "sha256:00"), earlier.replace('"seal"', '"pickles": ["model.pkl"], "seal"')):
        with pytest.raises(ReleaseError, match="manifest was altered"):
            decode_manifest(other.encode(), "release.json")


def test_manifest_survives_a_round_trip() -> None:
    """What was written is what is read."""
    assert decode_manifest(encode_manifest(RELEASE), "release.json") == RELEASE


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", "truncated"),
        (b"{}", "missing required field"),
        (encode_manifest(replace(RELEASE, schema_version=2)), "schema_version is 2"),
        (encode_manifest(RELEASE).replace(b'"size": 20', b'"size": 21'), "digest is not that of the files"),
        (encode_manifest(RELEASE).replace(b'"onnx"', b'"marshal"'), "Invalid enum value"),
        (encode_manifest(RELEASE).replace(b'"passed"', b'"warned"'), "manifest was altered"),
        (encode_manifest(RELEASE).replace(b"5601846", b"5601847"), "manifest was altered"),
        (b"\xff\xfe", "not a release manifest"),
        (b"[" * 100_000, "not a release manifest"),
    ],
)
def test_manifest_that_is_wrong_is_refused(written: bytes, said: str) -> None:
    """A manifest that is cut, of another schema or at odds with itself is an error that names its place."""
    with pytest.raises(ReleaseError, match=said) as caught:
        decode_manifest(written, "versions/3/release.json")
    assert caught.value.message.startswith("versions/3/release.json")


@pytest.mark.parametrize(
    "path", ["", ".", "..", "/etc/passwd", "a/../b", "../a", "a//b", "./a", "a/", "a\\b", "a\nb", "release.json"]
)
def test_path_that_leaves_the_release_is_refused(path: str) -> None:
    """No file of a release can be written beside it, over its manifest, or under a name that fools a reader."""
    with pytest.raises(ReleaseError, match="can't be the path"):
        check_path(path)


@pytest.mark.parametrize("path", ["model.pkl", "a/model.PICKLE", "pipeline.joblib"])
def test_pickle_is_refused_by_its_name(path: str) -> None:
    """A pickle's name is enough to refuse it, and the error names the file."""
    with pytest.raises(ReleaseError, match="pickle") as caught:
        check_path(path)
    assert path in caught.value.message


@pytest.mark.parametrize("path", ["model.onnx", "saved_model/variables/variables.index", "a/release.json", "..data"])
def test_plain_path_is_kept(path: str) -> None:
    """Ordinary paths are taken as they are."""
    assert check_path(path) == path


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a b", "ä", "a\n", "x" * 129])
def test_name_that_is_no_directory_is_refused(name: str) -> None:
    """A model's name becomes a directory and a part of an address, so it can be neither a path nor an option."""
    with pytest.raises(ReleaseError):
        check_name(name)


def test_format_is_told_by_the_files() -> None:
    """ONNX and SavedModel are told apart; none or both of them is an error rather than a guess."""
    assert detect_format(["model.json", "model.onnx"]) is ModelFormat.ONNX
    assert detect_format(["saved_model/saved_model.pb"]) is ModelFormat.SAVED_MODEL
    with pytest.raises(ReleaseError, match="neither"):
        detect_format(["weights.bin"])
    with pytest.raises(ReleaseError, match="both"):
        detect_format(["model.onnx", "saved_model.pb"])


def test_every_difference_of_files_is_named() -> None:
    """Altered, missing and extra files are each told with their path; equal lists differ in nothing."""
    found = (replace(FILES[1], sha256="cc"), ReleaseFile(path="extra.sh", size=1, sha256="dd"))
    assert diff_files(FILES, found) == ("extra.sh: not in the manifest", "model.json: missing", "model.onnx: altered")
    assert diff_files(FILES, reversed(FILES)) == ()


def test_metrics_that_are_not_finite_stay_readable() -> None:
    """A manifest is strict JSON: what is not finite is recorded as text and never turns into null."""
    metrics = record_values({"m.json:b": float("nan"), "m.json:a": 0.5, "m.json:c": float("-inf")})
    assert metrics == {"m.json:a": 0.5, "m.json:b": "nan", "m.json:c": "-inf"}
    written = encode_manifest(replace(RELEASE, metrics=metrics))
    assert decode_manifest(written, "release.json").metrics == metrics
