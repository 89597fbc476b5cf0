"""A release in a directory of its own: packed as a deployment would stage it, and proved before it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.commands.release import Packed, describe_packed, pack_release
from seatrial.core.deployment import Answer
from seatrial.core.release import MANIFEST, decode_manifest
from seatrial.deploy.conformance import NumberProver, plan_number
from seatrial.deploy.engine import DeploymentPlan
from seatrial.deploy.target import Target
from seatrial.errors import BlockedError, ReleaseError, UsageError


def pack(place: Path, *, golden: str | None = None) -> Packed:
    """A model that answers with 1, packed into `place/out`."""
    return pack_release(
        "conformance",
        place / "out",
        plan=lambda target: plan_number(target, place / "source", "1", golden),
        choose_prover=lambda _: NumberProver(),
        unproved=False,
    )


def test_release_is_whole_and_alone(tmp_path: Path) -> None:
    """The directory holds what the manifest says, and nothing else is left beside it."""
    packed = pack(tmp_path)
    assert (packed.answer, packed.exit_code, packed.directory) == (Answer.PASS, 0, tmp_path / "out")
    release = decode_manifest((tmp_path / "out" / MANIFEST).read_bytes(), MANIFEST)
    assert release == packed.release
    listed = {file.path for file in release.contents} | {MANIFEST}
    assert {path.name for path in (tmp_path / "out").iterdir()} == listed
    assert {path.name for path in tmp_path.iterdir()} == {"out", "source"}
    assert str(tmp_path / "out") in describe_packed(packed)


def test_model_that_answers_otherwise_is_not_written(tmp_path: Path) -> None:
    """What a deployment would refuse is not packed either: exit code 1, and no directory."""
    packed = pack(tmp_path, golden="2")
    assert (packed.answer, packed.exit_code, packed.directory) == (Answer.FAIL, 1, None)
    assert {path.name for path in tmp_path.iterdir()} == {"source"}
    assert "was not written: golden:" in describe_packed(packed)


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    """A directory, a file and a link to nowhere are left as they are."""
    for make in (Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")):
        make(tmp_path / "out")
        with pytest.raises(UsageError, match="is there already"):
            pack(tmp_path)
        (tmp_path / "out").rmdir() if (tmp_path / "out").is_dir() else (tmp_path / "out").unlink()


def test_what_goes_wrong_leaves_nothing(tmp_path: Path) -> None:
    """A verdict that forbids, and a place that can't be written to, are errors, and no half of a release stays."""

    def forbid(_: Target) -> DeploymentPlan:
        raise BlockedError("the verdict is failed")

    with pytest.raises(BlockedError):
        pack_release("m", tmp_path / "out", plan=forbid, choose_prover=lambda _: NumberProver(), unproved=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ReleaseError):
        pack_release(
            "conformance",
            tmp_path / "file" / "out",
            plan=lambda target: plan_number(target, tmp_path / "source", "1"),
            choose_prover=lambda _: NumberProver(),
            unproved=False,
        )
