"""The target in a bucket, on a real object store: the conformance suite, and what only a bucket has to survive."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from s3fs import S3FileSystem

from seatrial.commands.mirroring import Mirror
from seatrial.core.deployment import DeploymentRecord, Outcome
from seatrial.deploy import list_deployed, open_store
from seatrial.deploy.buckets import Bucket
from seatrial.deploy.conformance import NAME, NumberProver, TargetConformance, TargetSurvival, plan_number
from seatrial.deploy.conformance_routing import RoutingConformance
from seatrial.deploy.engine import apply
from seatrial.deploy.leases import LOCK, Holder, Lock, read_lock
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.objects import ObjectTarget
from seatrial.deploy.target import Target
from seatrial.errors import BlockedError, ReleaseError, UsageError
from tests.conformance.bucket import BUCKET, LEASE, connect, name_address, open_bucket, run_server

OPENER = "tests.conformance.bucket:open_bucket"


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The store, and an environment in which everybody finds it."""
    with run_server(tmp_path_factory.mktemp("store")) as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        connect().call_s3("create_bucket", Bucket=BUCKET)
        yield found
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment that a test may change: whoever connects meanwhile does so anew."""
    S3FileSystem.clear_instance_cache()
    yield monkeypatch
    S3FileSystem.clear_instance_cache()


def find_version(target: Target, version: str) -> str:
    """The address of a version."""
    assert isinstance(target, ObjectTarget)
    return f"{target.location}/versions/{version}"


class TestBucket(TargetConformance):
    """What it does."""

    opener = OPENER

    def tamper(self, target: Target, version: str) -> None:
        """Write another object in the place of the model."""
        connect().pipe_file(f"{find_version(target, version)}/model.txt", b"other")

    def destroy(self, target: Target, version: str) -> None:
        """Remove all objects of a version."""
        connect().rm(find_version(target, version), recursive=True)


@pytest.mark.slow
class TestBucketSurvives(TargetSurvival):
    """What it survives: kill -9 at every boundary, and races."""

    opener = OPENER
    step = 3
    races = 1


@pytest.mark.slow
class TestBucketRoutes(RoutingConformance):
    """What it does with shares of the requests, and what that survives."""

    opener = OPENER
    step = 13


def open_target(tmp_path: Path) -> ObjectTarget:
    """The target of a test."""
    target = open_bucket(str(tmp_path), NAME)
    assert isinstance(target, ObjectTarget)
    return target


def deploy(tmp_path: Path, number: str) -> ObjectTarget:
    """The target with one more model, which is live."""
    target = open_target(tmp_path)
    plan = plan_number(target, tmp_path / "source", number)
    assert apply(plan, target=target, prover=NumberProver()).outcome is Outcome.LIVE
    return target


def leave_lock(bucket: Bucket, holder: Holder, *, seconds: float) -> None:
    """Let somebody hold the lock who will not give it back."""
    held, found = read_lock(bucket, LOCK)
    assert found is not None
    left = Lock(fence=held.fence + 1, write="left", holder=holder, seconds=seconds)
    assert bucket.put(LOCK, msgspec.json.encode(left), replacing=found.tag)


STALE = """
import sys
from seatrial.errors import ReleaseError
from seatrial.deploy.conformance import build_release
from tests.conformance.bucket import open_bucket
from pathlib import Path
place = Path(sys.argv[1])
target = open_bucket(str(place), "conformance")
release, sources = build_release(place / "stale", "9", "9")
with target.lock():
    print("held", flush=True)
    sys.stdin.readline()
    acts = {
        "promote": lambda: target.promote("1"),
        "retire": lambda: target.retire("1"),
        "stage": lambda: target.stage(release, sources),
        "journal": target.close_journal,
    }
    for name, act in acts.items():
        try:
            act()
            print(name, "done", flush=True)
        except ReleaseError as error:
            print(name, "the lock was lost" in error.message, flush=True)
"""


def test_deployer_that_lost_its_lock_changes_nothing(tmp_path: Path) -> None:
    """Stopped for longer than its lease, then awake again, it can't switch, take away, bring or forget anything."""
    deploy(tmp_path, "1")
    target = deploy(tmp_path, "2")
    bucket = Bucket(target.location)
    command = [sys.executable, "-c", STALE, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stale:
        try:
            assert stale.stdout is not None
            assert stale.stdout.readline() == "held\n"
            before = bucket.get("current.json")
            assert before is not None
            stale.send_signal(signal.SIGSTOP)
            with target.lock(30):
                assert bucket.put("current.json", before.body, replacing=before.tag) is None  # in vain by now
                stale.send_signal(signal.SIGCONT)
                said, _ = stale.communicate("go on\n")
        finally:
            stale.kill()
    assert said.splitlines() == ["promote True", "retire True", "stage True", "journal True"]
    assert (target.pointer(), target.verify("1")) == ("2", ())
    assert [stored.version for stored in target.observe().versions] == ["1", "2"]


def test_lock_of_another_machine_is_free_when_its_lease_is_over(tmp_path: Path) -> None:
    """Until then the error says who has it; afterwards it is taken, and what was half-brought is swept away."""
    target = deploy(tmp_path, "1")
    bucket = Bucket(target.location)
    connect().pipe_file(f"{find_version(target, '2')}/model.txt", b"half of it")
    leave_lock(bucket, Holder(host="runner-7", pid=42, boot="another"), seconds=1)
    with pytest.raises(BlockedError, match=r"process 42 on runner-7 has held the lock .* renewed \d s ago"):
        target.lock(0).__enter__()
    with target.lock(30):
        assert bucket.list_objects("versions/2/") == ()
        assert target.observe().next_version == "2"
    with target.lock(0):
        assert target.pointer() == "1"


@pytest.mark.parametrize("failing", ["_sweep", "_fence_off"])
def test_lock_that_was_not_cleaned_up_is_not_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Where the last holder could not be fenced off, the next one does it; nobody takes the lock for a clean one."""
    target = deploy(tmp_path, "1")
    bucket = Bucket(target.location)
    leave_lock(bucket, Holder(host="runner-7", pid=42, boot="another"), seconds=0)
    before = bucket.get("current.json")
    assert before is not None

    def fail(_: ObjectTarget) -> None:
        raise ReleaseError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectTarget, failing, fail)
        with pytest.raises(ReleaseError, match="away"):
            target.lock(10).__enter__()
    assert read_lock(bucket, LOCK)[0].holder is not None
    with target.lock(30):
        assert bucket.put("current.json", before.body, replacing=before.tag) is None
    assert read_lock(bucket, LOCK)[0].holder is None


def test_lease_is_renewed_for_as_long_as_it_is_held(tmp_path: Path) -> None:
    """Nobody takes a lock over whose holder is alive, however long it takes."""
    target = deploy(tmp_path, "1")
    with target.lock():
        first = Bucket(target.location).get(LOCK)
        time.sleep(LEASE * 2)
        with pytest.raises(BlockedError):
            open_target(tmp_path).lock(0).__enter__()
        target.promote("1")
        second = Bucket(target.location).get(LOCK)
    assert first is not None
    assert second is not None
    assert first.tag != second.tag


def test_log_loses_no_line(tmp_path: Path) -> None:
    """Of four that append at once, each finds the others' lines before its own."""
    entry = DeploymentRecord(
        time="", event=Outcome.LIVE, name="m", version="1", digest="", previous="", commit="", verdict=""
    )

    def append(number: int) -> None:
        target = open_target(tmp_path)
        for line in range(5):
            target.record(msgspec.structs.replace(entry, id=f"{number}-{line}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    told = [found.id for found in open_target(tmp_path).read_log()]
    assert len(told) == len(set(told)) == 20
    assert [found for found in told if found.startswith("0")] == [f"0-{line}" for line in range(5)]


def test_upload_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No object of a version stays that did not come to its end, and the live one is untouched."""
    target = deploy(tmp_path, "1")
    real = Bucket.upload

    def fail(bucket: Bucket, path: Path, key: str) -> None:
        if path.name == "model.txt":
            raise ReleaseError("the connection broke")
        real(bucket, path, key)

    monkeypatch.setattr(Bucket, "upload", fail)
    plan = plan_number(target, tmp_path / "source", "2")
    assert apply(plan, target=target, prover=NumberProver()).outcome is Outcome.REFUSED
    assert Bucket(target.location).list_objects("versions/2/") == ()
    assert target.pointer() == "1"


def test_extra_and_missing_objects_are_told(tmp_path: Path) -> None:
    """Beside altered ones; and a version whose manifest is gone is none."""
    target = deploy(tmp_path, "1")
    files = connect()
    files.pipe_file(f"{find_version(target, '1')}/more.bin", b"")
    files.rm(f"{find_version(target, '1')}/model.txt")
    assert target.verify("1") == ("model.txt: missing", "more.bin: not in the manifest")
    files.rm(f"{find_version(target, '1')}/release.json")
    live = target.observe().live
    assert live is not None
    assert live.problem == "the live version is not there"


def test_large_object_is_read_in_blocks(tmp_path: Path) -> None:
    """Its hash, and its copy, are those of its bytes."""
    content = bytes(range(256)) * (70_000)
    (tmp_path / "large").write_bytes(content)
    bucket = Bucket(name_address(tmp_path))
    bucket.upload(tmp_path / "large", "large")
    with (tmp_path / "copy").open("wb") as copy:
        found = bucket.read("large", size=len(content), copy=copy)
    assert found is not None
    assert found.size == len(content)
    assert (tmp_path / "copy").read_bytes() == content
    assert bucket.read("nothing", size=len(content)) is None


def test_store_without_conditional_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store, or a library, that drops the conditions is found out before anything but the lock is written."""
    real = Bucket._call

    def careless(bucket: Bucket, method: str, key: str, **given: object) -> object:
        return real(bucket, method, key, **{k: v for k, v in given.items() if not k.startswith("If")})

    monkeypatch.setattr(Bucket, "_call", careless)
    target = open_target(tmp_path)
    with pytest.raises(ReleaseError, match="no conditional writes"):
        target.lock(0).__enter__()
    assert [each.key for each in Bucket(target.location).list_objects("")] == [LOCK]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "access is refused"),
        ("AWS_ACCESS_KEY_ID", "nobody", "access is refused"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "Could not connect to the endpoint"),
    ],
)
def test_store_that_is_away_or_refuses_is_one_error(
    tmp_path: Path, environment: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    """It names the address, and says what to look at."""
    environment.setenv(variable, value)
    target = open_target(tmp_path)
    with pytest.raises(ReleaseError, match=said) as caught:
        target.observe()
    assert caught.value.message.startswith(target.location)
    assert caught.value.hint
    with pytest.raises(ReleaseError, match=said):
        list_deployed(name_address(tmp_path))


def test_missing_bucket_and_wrong_addresses_are_one_error(tmp_path: Path) -> None:
    """No bucket is made; an address that names none, or another kind of store, is a usage error."""
    for act in (lambda: open_store("s3://missing", NAME).observe(), lambda: list_deployed("s3://missing/prefix")):
        with pytest.raises(ReleaseError, match="s3://missing") as caught:
            act()
        assert "is there a bucket 'missing'?" in caught.value.hint
    with pytest.raises(UsageError, match="names no bucket"):
        open_store("s3://", NAME)
    with pytest.raises(UsageError, match="nothing here can write to gs://"):
        open_store("gs://models", NAME)


def test_what_lies_there_and_is_not_ours_is_one_error(tmp_path: Path) -> None:
    """A state that can't be read names its object; nothing is written over it."""
    target = deploy(tmp_path, "1")
    for key in ("deployments.json", "current.json", LOCK):
        connect().pipe_file(f"{target.location}/{key}", b"{]")
        with pytest.raises(ReleaseError, match=key):
            target.lock(0).__enter__() if key == LOCK else target.observe()


def test_mirror_follows_and_stays_when_the_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever serves its directory gets what is live in the bucket, and goes on with that while the store is away."""
    target = deploy(tmp_path, "1")
    mirror = Mirror(name_address(tmp_path), seconds=0.05)
    try:
        seen = LocalTarget(root=mirror.root, name=NAME)
        assert (seen.pointer(), seen.open_verified("1")[0]) == ("1", target.read_release("1"))
        deploy(tmp_path, "2")
        end = time.monotonic() + 60
        while seen.pointer() != "2" and time.monotonic() < end:
            time.sleep(0.05)
        assert seen.open_verified("2")[0] == target.read_release("2")
        monkeypatch.setattr(Bucket, "get", lambda *_: (_ for _ in ()).throw(ReleaseError("away")))
        time.sleep(0.2)
        assert seen.pointer() == "2"
    finally:
        mirror.close()
    assert not mirror.root.exists()
