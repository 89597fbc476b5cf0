"""The local target: immutable versions, one atomic pointer, a lock, and a log that is only appended to."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from seatrial.core.deployment import DeploymentRecord, Intent, JournalEntry, Kind, Outcome, Step
from seatrial.core.release import ModelFormat, Release, digest_files
from seatrial.core.routing import ROUTE, Route, encode_route
from seatrial.deploy.local import JOURNAL, LOG, LocalTarget, list_models
from seatrial.deploy.packing import SourceFile, pack
from seatrial.errors import ReleaseError


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    """A target that nobody used yet."""
    return LocalTarget(root=tmp_path / "root", name="flights", patience=0)


def make_release(directory: Path, version: str, weights: bytes) -> tuple[Release, tuple[SourceFile, ...]]:
    """A release of two files, and where they are."""
    directory.mkdir(exist_ok=True)
    listed = []
    for path, data in (("model.onnx", weights), ("card/model.json", b"{}")):
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        (directory / md5).write_bytes(data)
        listed.append((path, md5, directory / md5))
    sources = pack("models/x", listed)
    files = tuple(source.file for source in sources)
    release = Release(
        name="flights",
        version=version,
        digest=digest_files(files),
        format=ModelFormat.ONNX,
        files=files,
        commit="5601846",
        lock_digest="0123.dir",
        verdict="passed",
        override="",
        metrics={},
    )
    return release, sources


def stage(target: LocalTarget, directory: Path, version: str, weights: bytes) -> Release:
    """Stage a release under the lock, as a deployment does."""
    release, sources = make_release(directory, version, weights)
    with target.lock():
        target.stage(release, sources)
    return release


def make_entry(event: Outcome, version: str) -> DeploymentRecord:
    """A line of the log."""
    return DeploymentRecord(
        time="2026-01-01T00:00:00+00:00",
        event=event,
        name="flights",
        version=version,
        digest="sha256:00",
        previous="",
        commit="5601846",
        verdict="passed",
    )


def test_untouched_target_holds_nothing(target: LocalTarget) -> None:
    """Looking at a target that does not exist creates nothing and finds nothing."""
    seen = target.observe()
    assert (seen.live, seen.versions, seen.next_version) == (None, (), "1")
    assert not target.root.exists()


def test_staged_version_has_no_traffic(target: LocalTarget, tmp_path: Path) -> None:
    """Staging writes the files and the manifest, and nothing is live by it."""
    release = stage(target, tmp_path / "cache", "1", b"weights")
    assert (target.locate("1") / "model.onnx").read_bytes() == b"weights"
    assert target.read_release("1") == release
    assert target.pointer() is None
    assert target.verify("1") == ()


def test_promoted_version_is_live(target: LocalTarget, tmp_path: Path) -> None:
    """The pointer is a relative link, so that the whole directory can be moved or mounted elsewhere."""
    release = stage(target, tmp_path / "cache", "1", b"weights")
    target.promote("1")
    live = target.observe().live
    assert live is not None
    assert (live.version, live.digest) == ("1", release.digest)
    assert (target.home / "current").readlink() == Path("versions/1")
    assert list_models(target.root) == ("flights",)


def test_versions_are_never_written_again(target: LocalTarget, tmp_path: Path) -> None:
    """A number that is taken stays what it is, and its files can't be written."""
    stage(target, tmp_path / "cache", "1", b"weights")
    with pytest.raises(ReleaseError, match="never changed"):
        stage(target, tmp_path / "cache", "1", b"others")
    path = target.locate("1") / "model.onnx"
    assert path.read_bytes() == b"weights"
    assert path.stat().st_mode & 0o222 == 0


@pytest.mark.parametrize("change", ["alter", "remove", "add", "manifest"])
def test_tampered_version_is_seen(target: LocalTarget, tmp_path: Path, change: str) -> None:
    """An altered, missing or extra file, or another manifest, is named by `verify` and refused on opening."""
    stage(target, tmp_path / "cache", "1", b"weights")
    directory = target.locate("1")
    (directory / "model.onnx").chmod(0o644)
    (directory / "release.json").chmod(0o644)
    match change:
        case "alter":
            (directory / "model.onnx").write_bytes(b"weightz")
        case "remove":
            (directory / "model.onnx").unlink()
        case "add":
            (directory / "hook.py").write_text("")
        case _:
            (directory / "release.json").write_text("{}")
    assert target.verify("1")
    with pytest.raises(ReleaseError):
        target.open_verified("1")


def test_version_of_another_model_is_refused(target: LocalTarget, tmp_path: Path) -> None:
    """A whole version that was moved to another number or model is not taken for it."""
    stage(target, tmp_path / "cache", "1", b"weights")
    target.locate("1").rename(target.locate("2"))
    with pytest.raises(ReleaseError, match="manifest is of flights 1"):
        target.promote("2")


def test_half_written_versions_are_swept_away(target: LocalTarget, tmp_path: Path) -> None:
    """What a crash left behind is no version, and the next deployment removes it."""
    stage(target, tmp_path / "cache", "1", b"weights")
    (target.home / "versions/.tmp-dead").mkdir()
    (target.home / ".current-dead").symlink_to("versions/9")
    assert [stored.version for stored in target.observe().versions] == ["1"]
    with target.lock():
        pass
    assert sorted(path.name for path in (target.home / "versions").iterdir()) == ["1"]
    assert not (target.home / ".current-dead").is_symlink()


def test_failing_copy_leaves_nothing(target: LocalTarget, tmp_path: Path) -> None:
    """A release whose source changed on the way is not staged, not even in part."""
    release, sources = make_release(tmp_path / "cache", "1", b"weights")
    sources[-1].location.write_bytes(b"weightz")
    with target.lock(), pytest.raises(ReleaseError, match="altered"):
        target.stage(release, sources)
    assert list((target.home / "versions").iterdir()) == []


def test_disk_that_is_too_small_is_told_before_writing(
    target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for the release and a fifth more is asked for before the first byte."""
    release, sources = make_release(tmp_path / "cache", "1", b"weights")
    full = os.statvfs(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 9, "total": full.f_blocks}))
    with target.lock(), pytest.raises(ReleaseError, match=r"10 bytes are needed and 9 are free"):
        target.stage(release, sources)


def test_lock_keeps_a_second_deployer_out(target: LocalTarget) -> None:
    """Who comes second waits, and is told when waiting ends; afterwards the lock is free."""
    with target.lock(), pytest.raises(ReleaseError, match="another deployment"), target.lock():
        pytest.fail("two deployers held the lock")
    with target.lock():
        pass


def test_live_version_is_not_retired(target: LocalTarget, tmp_path: Path) -> None:
    """Only what is not live can be taken away."""
    stage(target, tmp_path / "cache", "1", b"weights")
    stage(target, tmp_path / "cache", "2", b"others")
    target.promote("1")
    with pytest.raises(ReleaseError, match="is live"):
        target.retire("1")
    target.retire("2")
    assert [stored.version for stored in target.observe().versions] == ["1"]


def test_version_that_a_route_names_is_not_retired(target: LocalTarget, tmp_path: Path) -> None:
    """What gets a share of the requests stays until the route lets it go."""
    stage(target, tmp_path / "cache", "1", b"weights")
    (target.home / ROUTE).write_bytes(encode_route(Route(weights={"1": 10})))
    with pytest.raises(ReleaseError, match="gives requests to version 1"):
        target.retire("1")
    (target.home / ROUTE).unlink()
    target.retire("1")
    assert target.observe().versions == ()


def test_pointer_to_nothing_has_a_problem(target: LocalTarget, tmp_path: Path) -> None:
    """A live version that somebody removed is reported, not taken for "nothing is live"."""
    stage(target, tmp_path / "cache", "1", b"weights")
    target.promote("1")
    target.locate("1").rename(tmp_path / "gone")
    live = target.observe().live
    assert live is not None
    assert "not there" in live.problem


def test_numbers_are_never_given_twice(target: LocalTarget, tmp_path: Path) -> None:
    """A version that was refused and removed keeps its number in the log, and the next one gets another."""
    stage(target, tmp_path / "cache", "1", b"weights")
    target.record(make_entry(Outcome.REFUSED, "7"))
    assert target.observe().next_version == "8"


def test_log_outlives_a_cut_line(target: LocalTarget) -> None:
    """A line that a crash cut off costs that line alone: what is written next can be read."""
    with target.lock():
        target.record(make_entry(Outcome.REFUSED, "1"))
    with (target.home / LOG).open("ab") as log:
        log.write(b'{"time":"2026')
    target.record(make_entry(Outcome.LIVE, "1"))
    assert [entry.event for entry in target.read_log()] == [Outcome.REFUSED, Outcome.LIVE]


def make_step(step: Step, version: str) -> JournalEntry:
    """A line of the journal."""
    intent = Intent(
        id="1",
        kind=Kind.DEPLOY,
        name="flights",
        version=version,
        digest="sha256:00",
        previous="",
        previous_digest="",
        staged=True,
        commit="5601846",
        verdict="passed",
    )
    return JournalEntry(time="2026-01-01T00:00:00+00:00", step=step, intent=intent)


def test_journal_is_there_until_it_is_closed(target: LocalTarget) -> None:
    """Steps are read back in their order, their version's number is taken, and closing leaves nothing."""
    with target.lock():
        for step in (Step.STAGE, Step.PROVE):
            target.write_journal(make_step(step, "3"))
        with (target.home / JOURNAL).open("ab") as journal:
            journal.write(b'{"time":')
        target.write_journal(make_step(Step.PROMOTE, "3"))
    assert [entry.step for entry in target.read_journal()] == [Step.STAGE, Step.PROVE, Step.PROMOTE]
    assert target.observe().next_version == "4"
    target.close_journal()
    assert target.read_journal() == ()
    target.close_journal()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(b"\xff\xfe\n{}")
def test_whatever_lies_in_journal_and_log_is_passed_over(target: LocalTarget, content: bytes) -> None:
    """Bytes that are no line of ours hide none of the lines that are, and stop no deployment."""
    with target.lock():
        for name in (JOURNAL, LOG):
            (target.home / name).write_bytes(content)
        target.write_journal(make_step(Step.STAGE, "3"))
        target.record(make_entry(Outcome.LIVE, "1"))
    assert (len(target.read_journal()), len(target.read_log())) == (1, 1)


def test_staging_the_same_release_again_is_nothing_to_do(target: LocalTarget, tmp_path: Path) -> None:
    """Whoever repeats a step gets what is there."""
    stage(target, tmp_path / "cache", "1", b"weights")
    before = (target.locate("1") / "model.onnx").stat().st_ino
    stage(target, tmp_path / "cache", "1", b"weights")
    assert (target.locate("1") / "model.onnx").stat().st_ino == before


def test_withdrawing_leaves_nothing_live(target: LocalTarget, tmp_path: Path) -> None:
    """What was the first ever to be live can be taken back."""
    stage(target, tmp_path / "cache", "1", b"weights")
    target.promote("1")
    target.withdraw()
    assert target.pointer() is None
    target.withdraw()


def test_unwritable_root_is_an_error_for_people(tmp_path: Path) -> None:
    """A root that can't be a directory is told with its path."""
    (tmp_path / "root").write_text("a file")
    with (
        pytest.raises(ReleaseError, match=str(tmp_path / "root")),
        LocalTarget(root=tmp_path / "root", name="x").lock(),
    ):
        pytest.fail("the lock can't be held in a file")
