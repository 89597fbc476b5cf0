"""From a judged commit to a model that answers over HTTP: real git, real ONNX models, real processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from seatrial.commands.deploy import describe_deployment, describe_plan, plan_deployment
from seatrial.commands.proving import ModelProver
from seatrial.commands.serve import serve
from seatrial.commands.status import examine_model
from seatrial.core.deployment import Answer, Check, Outcome
from seatrial.core.release import MANIFEST, decode_manifest, diff_files
from seatrial.core.revision import Revision
from seatrial.core.routing import Route
from seatrial.core.verdict import Status, Verdict
from seatrial.deploy import TARGETS
from seatrial.deploy.engine import Action, Deployment, DeploymentPlan, Examination, Terms, apply, plan_rollback
from seatrial.deploy.local import LocalTarget
from seatrial.deploy.packing import list_files
from seatrial.errors import BlockedError, ExitCode, ReleaseError, ServeError, UsageError
from seatrial.git import Repository
from seatrial.serving.golden import prove_golden
from seatrial.serving.runtimes import load_model
from seatrial.sources.cache import hash_listing
from seatrial.sources.snapshot import locate_out, read_declarations

NAME = "flights"
OUT = "models/champion"
FEATURES = 3
DVC_YAML = f"""
stages:
  export:
    cmd: cp -r exported {OUT}
    deps: [exported]
    outs: [{OUT}]
artifacts:
  {NAME}:
    path: {OUT}
    type: model
"""
PROVER = ModelProver()
PASSED = Verdict(status=Status.PASSED, findings=(), exit_code=ExitCode.PASSED)
FAILED = Verdict(status=Status.FAILED, findings=(), exit_code=ExitCode.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A model directory, the rows it was asked, and what it answered when it was evaluated."""

    directory: Path
    rows: list[list[float]]
    scores: list[float]


def export_model(directory: Path, seed: int) -> Exported:
    """Fit a logistic regression, convert it to ONNX, and write the directory that a pipeline exports."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(seed)
    features = random.normal(size=(200, FEATURES)).astype(np.float32)
    model = LogisticRegression().fit(features, features @ random.normal(size=FEATURES) > 0)
    directory.mkdir(parents=True)
    converted = to_onnx(
        model, initial_types=[("features", FloatTensorType([None, FEATURES]))], options={"zipmap": False}
    )
    (directory / "model.onnx").write_bytes(converted.SerializeToString())
    write_card(directory, format="onnx", path="model.onnx", output="probabilities", output_column=1)
    rows = features[:8]
    scores = model.predict_proba(rows.astype(np.float64))[:, 1]
    write_golden(directory, rows.tolist(), scores.tolist())
    return Exported(directory=directory, rows=rows.tolist(), scores=scores.tolist())


def write_card(directory: Path, **card: Any) -> None:
    """Write model.json."""
    names = [f"x{index}" for index in range(FEATURES)]
    card = {"name": NAME, "input": "features", "inputs": names, "threshold": 0.5, **card}
    (directory / "model.json").write_text(json.dumps(card))


def write_golden(directory: Path, rows: list[list[float]], scores: list[float]) -> None:
    """Write golden.json."""
    golden = [{"features": row, "probability": score} for row, score in zip(rows, scores, strict=True)]
    (directory / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": golden}))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Exported]:
    """Two models that answer differently."""
    top = tmp_path_factory.mktemp("exported")
    return export_model(top / "first", seed=1), export_model(top / "second", seed=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A DVC project in git whose artifact is a model, and a directory to deploy to."""

    root: Path
    to: Path

    @property
    def target(self) -> LocalTarget:
        """The target, as the command line opens it."""
        return LocalTarget(root=self.to, name=NAME)

    def git(self, *arguments: str) -> str:
        """Run git."""
        return subprocess.run(
            ["git", "-C", str(self.root), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def dvc(self, *arguments: str) -> None:
        """Run the real DVC."""
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=self.root, check=True, capture_output=True)

    def commit_model(self, directory: Path) -> str:
        """Put a model directory into DVC's cache and commit the dvc.lock that names it; the commit."""
        files = []
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            self._cache(path.read_bytes())
            files.append((path.relative_to(directory).as_posix(), md5_of(path.read_bytes())))
        listing = json.dumps([{"md5": md5, "relpath": path} for path, md5 in files], sort_keys=True).encode()
        digest = hash_listing(files)
        self._cache(listing, ".dir")
        lock = {
            "schema": "2.0",
            "stages": {"export": {"cmd": "export", "outs": [{"path": OUT, "hash": "md5", "md5": digest}]}},
        }
        (self.root / "dvc.lock").write_text(json.dumps(lock))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A model")
        return self.git("rev-parse", "HEAD")

    def find_cached(self, data: bytes, suffix: str = "") -> Path:
        """Where DVC's cache keeps these bytes."""
        digest = md5_of(data)
        return self.root / ".dvc/cache/files/md5" / digest[:2] / (digest[2:] + suffix)

    def _cache(self, data: bytes, suffix: str = "") -> None:
        place = self.find_cached(data, suffix)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def plan(self, commit: str, *, verdict: Verdict = PASSED, override: str = "", name: str = NAME) -> DeploymentPlan:
        """Plan a deployment as the command line does."""
        repository = Repository.discover(self.root)
        revision = Revision(name="main", sha=commit)
        return plan_deployment(
            artifact=name,
            artifacts=read_declarations(repository, revision).artifacts,
            locate=lambda path: locate_out(repository, revision, path),
            target=TARGETS["local"](str(self.to), NAME),
            commit=commit,
            verdict=verdict,
            metrics={"metrics.json:recall": 0.8},
            override=override,
        )

    def deploy(self, directory: Path, *, terms: Terms | None = None) -> Deployment:
        """Commit a model and deliver it."""
        return self.apply(self.plan(self.commit_model(directory)), terms=terms)

    def apply(self, plan: DeploymentPlan, *, terms: Terms | None = None) -> Deployment:
        """Carry a plan out as the command line does."""
        return apply(plan, target=self.target, prover=PROVER, terms=terms)

    def events(self) -> list[str]:
        """What the log tells, oldest first."""
        return [entry.event.value for entry in self.target.read_log()]


def md5_of(data: bytes) -> str:
    """DVC's digest of a file."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty DVC project."""
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc/config").write_text("")
    (root / ".dvc/.gitignore").write_text("/cache\n")
    (root / "dvc.yaml").write_text(DVC_YAML)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(root)], check=True)
    return Project(root=root, to=tmp_path / "live")


def copy_model(exported: Exported, directory: Path) -> Path:
    """A model directory that a test may spoil."""
    directory.mkdir()
    for path in exported.directory.iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    return directory


# --- Delivering -------------------------------------------------------------------------------------------------------


def test_judged_model_is_delivered(project: Project, exported: tuple[Exported, Exported]) -> None:
    """The live directory holds exactly the files that dvc.lock names, with their provenance and a golden proof."""
    commit = project.commit_model(exported[0].directory)
    deployment = project.apply(project.plan(commit))
    live = project.to / NAME / "current"
    for path in exported[0].directory.iterdir():
        assert (live / path.name).read_bytes() == path.read_bytes()
    release = decode_manifest((live / MANIFEST).read_bytes(), MANIFEST)
    assert (release.commit, release.verdict, release.version) == (commit, "passed", "1")
    assert release.metrics == {"metrics.json:recall": 0.8}
    assert deployment.golden is not None
    assert deployment.golden.rows == 8
    assert 0 < deployment.golden.largest_error < 1e-5
    assert project.events() == ["live"]


def test_plan_writes_nothing(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A dry run says what would be done and leaves no trace."""
    plan = project.plan(project.commit_model(exported[0].directory))
    assert plan.action is Action.STAGE
    assert any("stage version 1" in line for line in describe_plan(plan))
    assert not project.to.exists()


def test_same_model_again_is_nothing_to_do(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A commit that did not change the model is already live: no version, no log line, no golden request."""
    project.deploy(exported[0].directory)
    again = project.deploy(exported[0].directory)
    assert again.action is Action.NOTHING
    assert "already live" in describe_deployment(again)
    assert [stored.version for stored in project.target.observe().versions] == ["1"]
    assert project.events() == ["live"]


def test_earlier_model_is_promoted_without_a_copy(project: Project, exported: tuple[Exported, Exported]) -> None:
    """Going back to a model that the target still holds is a switch of the pointer, after its golden requests."""
    for model in exported:
        project.deploy(model.directory)
    back = project.deploy(exported[0].directory)
    assert (back.action, project.target.pointer()) == (Action.PROMOTE, "1")
    assert back.golden is not None


def test_model_of_any_earlier_commit_can_be_delivered(project: Project, exported: tuple[Exported, Exported]) -> None:
    """The model of a commit is that commit's, whatever is checked out."""
    first = project.commit_model(exported[0].directory)
    project.commit_model(exported[1].directory)
    project.apply(project.plan(first))
    live = project.to / NAME / "current/model.onnx"
    assert live.read_bytes() == (exported[0].directory / "model.onnx").read_bytes()


# --- Refusing ---------------------------------------------------------------------------------------------------------


def test_verdict_that_forbids_it_is_obeyed(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A commit that did not pass is not released."""
    commit = project.commit_model(exported[0].directory)
    for status in Status:
        verdict = msgspec.structs.replace(PASSED, status=status)
        if status in {Status.PASSED, Status.WARNED}:
            assert project.plan(commit, verdict=verdict).release.verdict == status.value
            continue
        with pytest.raises(ReleaseError, match=f"is {status.value}, so the model is not released"):
            project.plan(commit, verdict=verdict, override="  ")


def test_override_is_recorded_with_its_reason(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A verdict can be overruled, and the manifest and the log say so for ever."""
    commit = project.commit_model(exported[0].directory)
    project.apply(project.plan(commit, verdict=FAILED, override="incident 42"))
    assert project.target.read_release("1").override == "incident 42"
    assert [entry.override for entry in project.target.read_log()] == ["incident 42"]


def test_unknown_artifact_is_a_usage_error(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A name that dvc.yaml does not declare is refused with the names that it does."""
    commit = project.commit_model(exported[0].directory)
    with pytest.raises(UsageError, match="no artifact 'fligths'") as caught:
        project.plan(commit, name="fligths")
    assert NAME in caught.value.hint


def test_altered_byte_in_the_cache_is_refused(project: Project, exported: tuple[Exported, Exported]) -> None:
    """One byte that differs from dvc.lock keeps the model where it is."""
    commit = project.commit_model(exported[0].directory)
    data = (exported[0].directory / "model.onnx").read_bytes()
    project.find_cached(data).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ReleaseError, match=r"model\.onnx in DVC's cache has md5 .* promises"):
        project.plan(commit)


def test_byte_altered_after_planning_is_refused(project: Project, exported: tuple[Exported, Exported]) -> None:
    """Bytes are checked again while they are copied, and the version before stays live."""
    project.deploy(exported[0].directory)
    plan = project.plan(project.commit_model(exported[1].directory))
    data = (exported[1].directory / "model.onnx").read_bytes()
    project.find_cached(data).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    failed = project.apply(plan)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
    assert "altered while it was copied" in failed.reason
    assert project.target.pointer() == "1"
    assert [stored.version for stored in project.target.observe().versions] == ["1"]


def test_model_that_is_not_in_the_cache_says_how_to_get_it(
    project: Project, exported: tuple[Exported, Exported]
) -> None:
    """Missing bytes and a missing list of files both end in the command that brings them."""
    commit = project.commit_model(exported[0].directory)
    project.find_cached((exported[0].directory / "model.onnx").read_bytes()).unlink()
    with pytest.raises(ReleaseError, match="not in DVC's cache") as caught:
        project.plan(commit)
    assert f"dvc pull {OUT}" in caught.value.hint
    for listing in project.root.rglob("*.dir"):
        listing.unlink()
    with pytest.raises(ReleaseError, match="not in DVC's cache"):
        project.plan(commit)


def test_pickle_is_refused(project: Project, exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    """A pickle beside the model keeps the whole release from being made."""
    import pickle

    directory = copy_model(exported[0], tmp_path / "model")
    (directory / "scaler.bin").write_bytes(pickle.dumps({"mean": [0.0]}))
    commit = project.commit_model(directory)
    with pytest.raises(ReleaseError, match=r"scaler\.bin: a pickle"):
        project.plan(commit)


@pytest.mark.parametrize("spoil", ["score", "model", "card", "rows", "garbage"])
def test_model_that_answers_otherwise_is_not_promoted(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path, spoil: str
) -> None:
    """A model whose golden requests fail never gets traffic, and its number is not given again."""
    project.deploy(exported[0].directory)
    directory = copy_model(exported[1], tmp_path / "model")
    rows, scores = exported[1].rows, exported[1].scores
    match spoil:
        case "score":
            write_golden(directory, rows, [scores[0] + 2e-4, *scores[1:]])
        case "model":
            (directory / "model.onnx").write_bytes((exported[0].directory / "model.onnx").read_bytes())
        case "card":
            write_card(directory, format="onnx", path="model.onnx", output="probabilities", output_column=0)
        case "rows":
            write_golden(directory, [], [])
        case _:
            (directory / "model.onnx").write_bytes(b"no model at all")
    failed = project.deploy(directory)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REFUSED, 1)
    assert failed.checks[-1].name == ("ready" if spoil == "garbage" else "golden")
    assert not failed.checks[-1].passed
    assert project.target.pointer() == "1"
    assert [stored.version for stored in project.target.observe().versions] == ["1"]
    assert project.events() == ["live", "refused"]
    project.deploy(exported[1].directory)
    assert project.target.pointer() == "3"


def test_model_without_golden_requests_is_not_called_proved(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """No golden requests is no proof: it is inconclusive, and delivered only where that was asked for."""
    directory = copy_model(exported[0], tmp_path / "model")
    (directory / "golden.json").unlink()
    doubtful = project.deploy(directory)
    assert (doubtful.outcome, doubtful.outcome.exit_code) == (Outcome.INCONCLUSIVE, 5)
    assert project.target.pointer() is None
    deployment = project.deploy(directory, terms=Terms(unproved=True))
    assert (deployment.outcome, deployment.golden) == (Outcome.LIVE, None)
    assert "its answers are not proved" in describe_deployment(deployment)
    (directory / "model.onnx").write_bytes(b"no model at all")
    failed = project.deploy(directory, terms=Terms(unproved=True))
    assert failed.outcome is Outcome.REFUSED
    assert "can't be served" in failed.reason


def test_plan_that_is_out_of_date_is_refused(project: Project, exported: tuple[Exported, Exported]) -> None:
    """What was planned against another live version is not applied."""
    plan = project.plan(project.commit_model(exported[0].directory))
    project.deploy(exported[1].directory)
    with pytest.raises(BlockedError, match="another deployment changed the target"):
        project.apply(plan)


def test_altered_live_version_is_replaced(project: Project, exported: tuple[Exported, Exported]) -> None:
    """Deploying over a version that was tampered with makes a new one of the right bytes."""
    project.deploy(exported[0].directory)
    victim = project.target.locate("1") / "model.onnx"
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes() + b"\0")
    plan = project.plan(project.commit_model(exported[0].directory))
    assert any("model.onnx: altered" in note for note in plan.notes)
    project.apply(plan)
    assert project.target.pointer() == "2"
    assert project.target.verify("2") == ()


# --- Surviving --------------------------------------------------------------------------------------------------------

_DEPLOY = """
import pickle, sys
from seatrial.commands.proving import ModelProver
from seatrial.deploy.engine import apply

plan, target = pickle.load(open(sys.argv[1], "rb"))  # written by the test itself
sys.exit(apply(plan, target=target, prover=ModelProver()).outcome.exit_code)
"""
_DIE = """
import os, signal
from pathlib import Path
from seatrial.deploy import local

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(function):
    def run(*arguments, **named):
        function(*arguments, **named)
        die()
    return run

match sys.argv[2]:
    case "while copying":
        local.copy_verified = die_after(local.copy_verified)
    case "before the rename":
        Path.rename = die
    case "before the switch":
        Path.replace = die
    case "after the switch":
        Path.replace = die_after(Path.replace)
"""


def run_plan(tmp_path: Path, project: Project, plan: DeploymentPlan, moment: str = "", before: str = "") -> int:
    """Carry a plan out in a process of its own, which may die on the way; its exit code."""
    import pickle

    (tmp_path / "plan").write_bytes(pickle.dumps((plan, project.target)))
    script = _DEPLOY.replace("import pickle, sys", f"import pickle, sys\n{before}{_DIE if moment else ''}")
    return subprocess.run([sys.executable, "-c", script, str(tmp_path / "plan"), moment], check=False).returncode


@pytest.mark.parametrize(
    ("moment", "live", "found"),
    [
        ("while copying", "1", "abandoned"),
        ("before the rename", "1", "abandoned"),
        ("before the switch", "1", "abandoned"),
        ("after the switch", "2", "live"),
    ],
)
def test_killed_deployment_leaves_one_whole_version_live(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path, moment: str, live: str, found: str
) -> None:
    """Killed within a step, the old or the new version is live and whole, and the next deployment ends the story.

    Every boundary between steps is the affair of the conformance suite.
    """
    project.deploy(exported[0].directory)
    plan = project.plan(project.commit_model(exported[1].directory))
    assert run_plan(tmp_path, project, plan, moment) == -signal.SIGKILL
    assert project.target.pointer() == live
    assert project.target.verify(live) == ()

    run_cli(project, "status", "--to", str(project.to))
    assert project.target.pointer() == live
    assert project.events() == ["live", found]
    assert prove_golden(project.to / NAME / "current") is not None
    project.deploy(exported[1].directory)
    newest = "2" if live == "2" else "3"
    assert project.target.pointer() == newest
    assert sorted(path.name for path in (project.target.home / "versions").iterdir()) == ["1", newest]


def test_racing_deployers_leave_one_winner(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """Of several deployers that planned at the same time, one model wins; the others are told, and nothing is mixed."""
    import pickle

    plans = [project.plan(project.commit_model(model.directory)) for model in exported]
    for number, plan in enumerate(plans):
        (tmp_path / f"plan{number}").write_bytes(pickle.dumps((plan, project.target)))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _DEPLOY, str(tmp_path / f"plan{number % 2}")], stderr=subprocess.PIPE, text=True
        )
        for number in range(6)
    ]
    told = [racer.communicate()[1] for racer in racers]
    live = project.target.observe().live
    assert live is not None
    winner = [plan.release.digest for plan in plans].index(live.digest)
    for number, racer in enumerate(racers):
        assert racer.returncode == (0 if number % 2 == winner else 1)
        assert number % 2 == winner or "another deployment changed the target" in told[number]
    assert project.target.verify(live.version) == ()
    assert [path.name for path in (project.target.home / "versions").iterdir()] == ["1"]
    assert project.events() == ["live"]


def test_write_that_the_system_refuses_leaves_the_old_version(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """A write that ends in the middle of a file is a failed deployment, and nothing is left of it."""
    project.deploy(exported[0].directory)
    plan = project.plan(project.commit_model(exported[1].directory))
    # Enough for a line of the journal, and not for the model.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
    padded = replace(plan.release, metrics={"padding": "x" * 8000})
    assert run_plan(tmp_path, project, msgspec.structs.replace(plan, release=padded), before=limit) == 1
    assert project.target.pointer() == "1"
    assert [path.name for path in (project.target.home / "versions").iterdir()] == ["1"]
    (failed,) = project.target.read_log()[1:]
    assert (failed.event, "File too large" in failed.reason) == (Outcome.REFUSED, True)


@pytest.mark.parametrize("room", [300, 700, 1100, 1500])
def test_full_disk_leaves_the_old_version(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path, room: int
) -> None:
    """On a disk of 1 MiB that is full but for some KiB, nothing half-written stays and the old version answers."""
    with small_disk(tmp_path / "disk") as disk:
        full = replace(project, to=disk)
        full.deploy(exported[0].directory)
        free = shutil.disk_usage(disk).free
        (disk / "ballast").write_bytes(bytes(max(free - room * 4, 0)))
        plan = full.plan(full.commit_model(exported[1].directory))
        assert run_plan(tmp_path, full, plan) == 1
        assert full.target.pointer() == "1"
        assert [path.name for path in (full.target.home / "versions").iterdir()] == ["1"]
        assert prove_golden(disk / NAME / "current") is not None
        (disk / "ballast").unlink()
        assert full.deploy(exported[1].directory).outcome is Outcome.LIVE


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of 1 MiB in memory; where nobody may mount one, the test is skipped, and that is seen."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small tmpfs can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_readers_never_see_a_half_switch(project: Project, exported: tuple[Exported, Exported]) -> None:
    """During 50 switches, whoever follows the pointer finds a whole release, every time."""
    for model in exported:
        project.deploy(model.directory)
    wrong: list[str] = []
    seen: list[set[str]] = [set(), set()]
    reads = [0, 0]
    done = threading.Event()

    def read(reader: int) -> None:
        while not done.is_set():
            try:
                place = (project.target.home / "current").resolve(strict=True)
                release = decode_manifest((place / MANIFEST).read_bytes(), MANIFEST)
                wrong.extend(diff_files(release.contents, (f for f in list_files(place) if f.path != MANIFEST)))
                seen[reader].add(release.digest)
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in the thread is this test's failure
                wrong.append(repr(error))
            reads[reader] += 1

    readers = [threading.Thread(target=read, args=(reader,)) for reader in range(2)]
    for thread in readers:
        thread.start()
    for switch in range(50):
        before = list(reads)
        project.target.promote("12"[switch % 2])
        while any(now <= then for now, then in zip(reads, before, strict=True)):
            done.wait(0.001)
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert [len(digests) for digests in seen] == [2, 2]


# --- Serving ----------------------------------------------------------------------------------------------------------

_SERVE = """
import sys
from pathlib import Path
from seatrial.commands.serve import ServeSettings, serve
serve(Path(sys.argv[1]), port=0, settings=ServeSettings(max_body=10_000), announce=lambda line: print(line, flush=True))
"""


@contextmanager
def serving(directory: Path) -> Iterator[httpx.Client]:
    """A server in a process of its own, on a free port; it must end with 0 on SIGTERM."""
    process = subprocess.Popen([sys.executable, "-c", _SERVE, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        address = next((line.split()[-1] for line in lines if line.startswith("serving on ")), None)
        assert address, "the server ended before it listened"
        with httpx.Client(base_url=address, timeout=60) as client:
            yield client
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(client: httpx.Client, rows: list[list[float]], name: str = NAME) -> httpx.Response:
    """Send rows as a client of the Open Inference Protocol does."""
    tensor = {"name": "features", "shape": [len(rows), FEATURES], "datatype": "FP32", "data": rows}
    body = {"id": "7", "inputs": [tensor], "outputs": [{"name": "probabilities"}]}
    return client.post(f"/v2/models/{name}/infer", json=body)


def test_served_model_answers_as_it_was_evaluated(project: Project, exported: tuple[Exported, Exported]) -> None:
    """Over HTTP, the deployed model gives the scores of its evaluation, and names its digest in every answer."""
    digest = project.deploy(exported[0].directory).release.digest
    with serving(project.to) as client:
        answer = ask(client, exported[0].rows)
        described = client.get(f"/v2/models/{NAME}/versions/1")
        answers = [answer, described, *map(client.get, ("/v2/health/live", "/v2/health/ready", "/v2", "/v2/"))]
    assert answer.json()["id"] == "7"
    assert (answer.json()["model_name"], answer.json()["model_version"]) == (NAME, "1")
    np.testing.assert_allclose(answer.json()["outputs"][0]["data"][1::2], exported[0].scores, rtol=1e-4)
    assert described.json()["platform"] == "onnxruntime_onnx"
    assert described.json()["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, FEATURES]}]
    assert described.json()["parameters"]["features"] == ["x0", "x1", "x2"]
    assert [response.status_code for response in answers] == [200] * len(answers)
    assert {response.headers["X-Model-Digest"] for response in answers} == {digest}


def test_wrong_requests_are_refused_with_the_digest(project: Project, exported: tuple[Exported, Exported]) -> None:
    """Mistakes get the right status and a sentence, and even then the answer says which model it was."""
    digest = project.deploy(exported[0].directory).release.digest
    infer = f"/v2/models/{NAME}/infer"
    with serving(project.to) as client:
        answers = {
            "shape": client.post(
                infer, json={"inputs": [{"name": "features", "shape": [1], "datatype": "FP32", "data": [1]}]}
            ),
            "no JSON": client.post(infer, content=b"\x80\x04"),
            "large": client.post(infer, content=b" " * 10_001),
            "large, in pieces": client.post(infer, content=iter([b" " * 6_000, b" " * 6_000])),
            "no model": ask(client, exported[0].rows, name="other"),
            "outside": client.get("/v2/models/..%2f..%2fetc"),
            "no version": client.get(f"/v2/models/{NAME}/versions/9"),
            "no such path": client.get("/v2/models"),
            "no such method": client.delete(infer),
        }
        assert client.get("/v2/health/ready").status_code == 200
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "shape": 400,
        "no JSON": 400,
        "large": 413,
        "large, in pieces": 413,
        "no model": 404,
        "outside": 404,
        "no version": 404,
        "no such path": 404,
        "no such method": 405,
    }
    assert "the model takes [any, 3]" in answers["shape"].json()["error"]
    assert all(answer.json()["error"] for answer in answers.values())
    assert {answer.headers["X-Model-Digest"] for answer in answers.values()} == {digest}


def test_switches_under_load_lose_no_request(project: Project, exported: tuple[Exported, Exported]) -> None:
    """During 50 switches every answer is of the digest it names, and the first after a switch is of the new one."""
    rows = exported[0].rows
    scores = {project.deploy(model.directory).release.digest: score(model.directory, rows) for model in exported}
    order = [stored.digest for stored in project.target.observe().versions]
    with serving(project.to) as client, loading(client, rows, scores) as wrong:
        for switch in range(50):
            project.target.promote(str(switch % 2 + 1))
            answer = ask(client, rows)
            assert answer.headers["X-Model-Digest"] == order[switch % 2]
            wrong.extend(check(answer, scores))
    assert wrong == []


@pytest.mark.slow
def test_deployments_and_rollbacks_under_load_lose_no_request(
    project: Project, exported: tuple[Exported, Exported]
) -> None:
    """Twenty whole deployments and rollbacks, proved through the server that they switch, lose no request."""
    rows = exported[0].rows
    scores = {project.deploy(model.directory).release.digest: score(model.directory, rows) for model in exported}
    commit = project.git("rev-parse", "HEAD")
    with serving(project.to) as client, loading(client, rows, scores) as wrong:
        prover = ModelProver(address=str(client.base_url))
        for turn in range(20):
            plan = project.plan(commit) if turn % 2 else plan_rollback(project.target, None)
            done = apply(plan, target=project.target, prover=prover)
            assert (done.outcome, done.release.version) == (Outcome.LIVE, str(turn % 2 + 1))
    assert wrong == []
    assert len(project.events()) == 22


@contextmanager
def loading(client: httpx.Client, rows: list[list[float]], scores: dict[str, Any]) -> Iterator[list[str]]:
    """Two clients that ask without a pause; what was wrong with their answers, of which there must be some."""
    wrong: list[str] = []
    asked = [0, 0]
    done = threading.Event()

    def load(number: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as other:
            while not done.is_set():
                wrong.extend(check(ask(other, rows), scores))
                asked[number] += 1

    threads = [threading.Thread(target=load, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert min(asked) > 0


def score(directory: Path, rows: list[list[float]]) -> np.ndarray[Any, Any]:
    """What the model of a directory answers in this process."""
    return load_model(directory).predict(np.array(rows, dtype=np.float32))


def check(answer: httpx.Response, scores: dict[str, Any]) -> list[str]:
    """What is wrong with an answer under load."""
    if answer.status_code != 200:
        return [answer.text]
    expected = scores[answer.headers["X-Model-Digest"]]
    same = np.allclose(answer.json()["outputs"][0]["data"][1::2], expected)
    return [] if same else [f"{answer.headers['X-Model-Digest']} answered {answer.text}"]


def test_altered_model_is_not_served(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A server does not start with a model that differs from its manifest by a byte."""
    project.deploy(exported[0].directory)
    spoil(project.target.locate("1") / "model.json")
    with pytest.raises(ServeError, match=r"model\.json: altered"):
        serve(project.to, port=0, announce=print)


def test_altered_model_is_not_switched_to(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A running server keeps the good version when the pointer moves to an altered one, and is no longer ready."""
    digest = project.deploy(exported[0].directory).release.digest
    with serving(project.to) as client:
        assert client.get("/v2/health/ready").status_code == 200
        project.deploy(exported[1].directory)
        spoil(project.target.locate("2") / "model.onnx")
        answer, ready = ask(client, exported[0].rows), client.get("/v2/health/ready")
        one = client.get(f"/v2/models/{NAME}/ready")
        assert (answer.status_code, answer.headers["X-Model-Digest"]) == (200, digest)
        assert (ready.status_code, one.status_code) == (503, 503)
        assert "model.onnx: altered" in ready.json()["problems"][NAME]
        project.deploy(exported[1].directory)
        assert client.get("/v2/health/ready").status_code == 200
        assert ask(client, exported[0].rows).json()["model_version"] == "3"


def spoil(path: Path) -> None:
    """Add a byte to a released file."""
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\n")


def test_one_model_can_be_served_by_its_own_directory(project: Project, exported: tuple[Exported, Exported]) -> None:
    """`serve ROOT/NAME` serves that model alone."""
    project.deploy(exported[0].directory)
    with serving(project.to / NAME) as client:
        assert ask(client, exported[0].rows).status_code == 200


def test_server_refuses_what_it_cannot_serve(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """An empty directory, a missing one and a port that is taken are errors, not servers."""
    for directory in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ServeError, match="holds no live model"):
            serve(directory, port=0, announce=print)
    project.deploy(exported[0].directory)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServeError, match="can't listen"):
        serve(project.to, port=taken.getsockname()[1], announce=print)


# --- The command line -------------------------------------------------------------------------------------------------


def run_cli(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `seatrial` in the project."""
    command = [sys.executable, "-c", "from seatrial.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=project.root, check=False, capture_output=True, text=True)


def commit_recall(project: Project, model: Exported, recall: float) -> str:
    """A commit with a model and the recall that its evaluation found."""
    (project.root / "metrics.json").write_text(json.dumps({"recall": recall}))
    return project.commit_model(model.directory)


@pytest.fixture
def gated(project: Project) -> Project:
    """A project whose recall may not fall by more than 0.01."""
    (project.root / "dvc.yaml").write_text(DVC_YAML + "metrics: [metrics.json]\n")
    (project.root / "seatrial.yaml").write_text('version: 1\nmetrics:\n  "metrics.json:recall": {max_decrease: 0.01}\n')
    return project


def test_merge_is_judged_and_delivered(gated: Project, exported: tuple[Exported, Exported]) -> None:
    """`seatrial deploy` judges the commit against its parent: a good one goes live, a worse one changes nothing."""
    good = commit_recall(gated, exported[0], 0.8)
    delivered = run_cli(gated, "deploy", NAME, "--to", str(gated.to))
    assert (delivered.returncode, gated.target.pointer()) == (0, "1"), delivered.stderr
    assert "8 golden requests answered" in delivered.stdout
    assert gated.target.read_release("1").commit == good
    assert "already live" in run_cli(gated, "deploy", NAME, "--to", str(gated.to)).stdout

    commit_recall(gated, exported[1], 0.7)
    refused = run_cli(gated, "deploy", NAME, "--to", str(gated.to))
    assert (refused.returncode, gated.target.pointer()) == (4, "1")
    assert "is failed, so the model is not released; metrics.json:recall" in refused.stderr

    planned = run_cli(gated, "deploy", NAME, "--to", str(gated.to), "--override", "agreed in 42", "--dry-run")
    assert (planned.returncode, gated.target.pointer()) == (0, "1")
    assert "failed, overruled: agreed in 42" in planned.stdout
    assert run_cli(gated, "deploy", NAME, "--to", str(gated.to), "--override", "agreed in 42").returncode == 0
    assert (gated.target.pointer(), gated.target.read_release("2").override) == ("2", "agreed in 42")


def test_model_that_answers_otherwise_ends_with_one(
    gated: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """A judged commit whose model does not reproduce its scores ends with exit code 1 and the old one live."""
    commit_recall(gated, exported[0], 0.8)
    assert run_cli(gated, "deploy", NAME, "--to", str(gated.to)).returncode == 0
    spoiled = copy_model(exported[1], tmp_path / "model")
    write_golden(spoiled, exported[1].rows, exported[0].scores)
    commit_recall(gated, replace(exported[1], directory=spoiled), 0.8)
    refused = run_cli(gated, "deploy", NAME, "--to", str(gated.to))
    assert (refused.returncode, gated.target.pointer()) == (1, "1")
    assert "golden requests differently" in refused.stderr
    assert "version 1 is live, and proved" in refused.stderr


def test_rollback_status_and_releases(gated: Project, exported: tuple[Exported, Exported]) -> None:
    """What is live can be asked for, taken back and listed without the project, for people and for machines."""
    commits = [commit_recall(gated, model, 0.8) for model in exported]
    for commit in commits:
        gated.git("checkout", "--quiet", commit)
        assert run_cli(gated, "deploy", NAME, "--to", str(gated.to)).returncode == 0
    back = run_cli(gated, "rollback", NAME, "--to", str(gated.to), "--reason", "incident 42", "--format", "json")
    facts = json.loads(back.stdout)
    assert (back.returncode, facts["outcome"], facts["version"]) == (0, "live", "1")
    assert {check["name"]: check["answer"] for check in facts["checks"]} == dict.fromkeys(
        ("identity", "ready", "golden"), "pass"
    )
    told = json.loads(run_cli(gated, "status", "--to", str(gated.to), "--prove", "--format", "json").stdout)
    (model,) = told["models"]
    assert (model["version"], model["commit"], model["problems"]) == ("1", commits[0], [])
    assert [check["answer"] for check in model["checks"]] == ["pass", "pass", "pass"]
    assert (model["latest"][0]["kind"], model["latest"][0]["reason"]) == ("rollback", "incident 42")
    listed = json.loads(run_cli(gated, "releases", NAME, "--to", str(gated.to), "--format", "json").stdout)["releases"]
    assert [(each["version"], each["state"], each["commit"]) for each in listed] == [
        ("2", "known-good", commits[1]),
        ("1", "live", commits[0]),
    ]
    assert listed[0]["metrics"] == {"metrics.json:recall": 0.8}
    assert "incident 42" in run_cli(gated, "status", NAME, "--to", str(gated.to)).stdout
    assert "known-good" in run_cli(gated, "releases", NAME, "--to", str(gated.to)).stdout
    again = run_cli(gated, "rollback", NAME, "--to", str(gated.to))
    assert (again.returncode, "no earlier version was ever proved live" in again.stderr) == (4, True)
    assert run_cli(gated, "rollback", NAME, "2", "--to", str(gated.to)).returncode == 0
    assert gated.target.pointer() == "2"


@pytest.mark.slow
def test_registries_follow_what_is_live(gated: Project, exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    """A registry that fails costs no deployment, and the next command makes up for it; a rollback is told, too."""
    place = ("--environment", "production", "--format", "json")
    with (gated.root / "seatrial.yaml").open("a") as policy:
        policy.write(f"environments:\n  production: {{to: {gated.to}, registries: [{{gto: {{push: origin}}}}]}}\n")
    gated.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    first = commit_recall(gated, exported[0], 0.8)
    delivered = run_cli(gated, "deploy", NAME, *place)
    (report,) = json.loads(delivered.stdout)["registries"]
    assert (delivered.returncode, report["registry"], report["changes"]) == (0, "gto (origin)", [])
    assert f"{NAME} in gto (origin): failed: {report['problem']}; the next command" in delivered.stderr
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "origin.git")], check=True)
    (report,) = json.loads(run_cli(gated, "status", *place).stdout)["registries"]
    assert report["changes"] == [f"new tag {NAME}@v0.0.1", f"new tag {NAME}#production#1"]
    commit_recall(gated, exported[1], 0.8)
    assert run_cli(gated, "deploy", NAME, *place).returncode == 0
    back = run_cli(gated, "rollback", NAME, "--environment", "production")
    assert f"seatrial: {NAME} in gto (origin): new tag {NAME}#production#3" in back.stderr
    assert gated.git("ls-remote", "origin", f"refs/tags/{NAME}#production#3^{{}}").split()[0] == first


def test_environment_is_taken_by_its_name(gated: Project, exported: tuple[Exported, Exported]) -> None:
    """Its place, checks and canary are those of seatrial.yaml, a share is told, and the log and the JSON name it."""
    with (gated.root / "seatrial.yaml").open("a") as policy:
        policy.write(
            f"environments:\n  live:\n    to: {gated.to}\n    keep: 0\n    checks: {{latency: {{p95_ms: 9000}},"
            " prometheus: {url: 'http://127.0.0.1:1', max_errors: 1}}\n    canary: {weights: [5], seconds: 0.1}\n"
        )
    commit_recall(gated, exported[0], 0.8)
    planned = run_cli(gated, "deploy", NAME, "-e", "live", "--plan")
    assert "nothing is live yet, so there are no requests to judge it by" in planned.stdout
    delivered = run_cli(gated, "deploy", NAME, "-e", "live", "--format", "json")
    assert delivered.returncode == 0, delivered.stderr
    told = json.loads(delivered.stdout)
    assert (told["environment"], told["checks"][0]["name"]) == ("live", "latency")
    assert gated.target.read_log()[-1].environment == "live"

    commit_recall(gated, exported[1], 0.8)
    doubtful = run_cli(gated, "deploy", NAME, "-e", "live")
    assert (doubtful.returncode, gated.target.pointer()) == (5, "1"), doubtful.stderr
    assert "it is tried out first: with 5 % of the requests, 0.1 s each" in doubtful.stderr
    assert "version 2 answers 5 % of the requests for 0.1 s" in doubtful.stderr
    assert "http://127.0.0.1:1 can't be asked" in doubtful.stderr

    gated.target.route(Route(weights={"1": 5.0}))
    assert "shares    version 1 answers 5 % of the requests" in run_cli(gated, "status", "-e", "live").stdout
    (gated.target.home / "route.json").write_text("{")
    looked = run_cli(gated, "status", "-e", "live")
    assert (looked.returncode, "not a route" in looked.stdout) == (1, True)
    unknown = run_cli(gated, "releases", NAME, "-e", "life")
    assert (unknown.returncode, "did you mean `live`?" in unknown.stderr) == (2, True)
    nowhere = run_cli(gated, "rollback", NAME)
    assert (nowhere.returncode, "no place is named" in nowhere.stderr) == (2, True)


def test_status_sees_an_altered_byte(gated: Project, exported: tuple[Exported, Exported]) -> None:
    """A live model that differs from what was deployed makes `status` fail, and names the file."""
    gated.deploy(exported[0].directory)
    assert run_cli(gated, "status", "--to", str(gated.to)).returncode == 0
    spoil(gated.target.locate("1") / "model.onnx")
    told = run_cli(gated, "status", "--to", str(gated.to))
    assert (told.returncode, "model.onnx: altered" in told.stdout) == (1, True)
    nothing = run_cli(gated, "status", "other", "--to", str(gated.to))
    assert (nothing.returncode, NAME in nothing.stderr) == (2, True)


def test_directory_that_cannot_be_written_blocks(gated: Project, exported: tuple[Exported, Exported]) -> None:
    """What goes wrong before the first step is told as blocked: exit code 4, nothing was changed."""
    commit_recall(gated, exported[0], 0.8)
    gated.to.write_text("a file, and no directory")
    place = gated.to / "below"
    blocked = run_cli(gated, "deploy", NAME, "--to", str(place))
    assert (blocked.returncode, "Not a directory" in blocked.stderr) == (4, True)


def test_older_commit_that_finishes_later_is_blocked(gated: Project, exported: tuple[Exported, Exported]) -> None:
    """An ancestor of what is live does not take its place, unless that was asked for; a rollback is no such thing."""
    older = commit_recall(gated, exported[0], 0.8)
    commit_recall(gated, exported[1], 0.8)
    assert run_cli(gated, "deploy", NAME, "--to", str(gated.to)).returncode == 0
    gated.git("checkout", "--quiet", older)
    late = run_cli(gated, "deploy", NAME, "--to", str(gated.to))
    assert (late.returncode, gated.target.pointer()) == (4, "1")
    assert f"{older[:7]} is older than" in late.stderr
    assert run_cli(gated, "deploy", NAME, "--to", str(gated.to), "--allow-older").returncode == 0
    assert gated.target.pointer() == "2"


def test_model_that_takes_other_requests_is_refused(
    gated: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """Other features than those of the live model fail, unless the break was asked for."""
    commit_recall(gated, exported[0], 0.8)
    assert run_cli(gated, "deploy", NAME, "--to", str(gated.to)).returncode == 0
    other = copy_model(exported[1], tmp_path / "model")
    write_card(
        other, format="onnx", path="model.onnx", output="probabilities", output_column=1, inputs=["x0", "x2", "x9"]
    )
    commit_recall(gated, replace(exported[1], directory=other), 0.8)
    refused = run_cli(gated, "deploy", NAME, "--to", str(gated.to))
    assert (refused.returncode, gated.target.pointer()) == (1, "1")
    assert "feature 'x1' is gone; feature 'x9' is new" in refused.stderr
    assert run_cli(gated, "deploy", NAME, "--to", str(gated.to), "--breaking").returncode == 0


def test_previous_release_that_is_gone_blocks_the_next(project: Project, exported: tuple[Exported, Exported]) -> None:
    """Where what is live could not be put back, nothing is promoted; the same model again, or --no-return, may be."""
    project.deploy(exported[0].directory)
    shutil.rmtree(project.target.locate("1"))
    with pytest.raises(BlockedError, match="version 1, which is live, could not be put back"):
        project.deploy(exported[1].directory)
    assert project.events() == ["live"]
    assert project.deploy(exported[1].directory, terms=Terms(no_return=True)).outcome is Outcome.LIVE
    spoil(project.target.locate("2") / "model.onnx")
    with pytest.raises(BlockedError, match=r"model\.onnx: altered"):
        project.deploy(exported[0].directory)
    assert project.deploy(exported[1].directory).outcome is Outcome.LIVE


def test_bytes_altered_on_the_target_are_seen_at_every_door(
    project: Project, exported: tuple[Exported, Exported], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte that changes after staging, or after promoting, is a failed deployment, and the old version is proved."""
    project.deploy(exported[0].directory)
    for door, outcome in (("stage", Outcome.REFUSED), ("promote", Outcome.REVERTED)):
        plan = project.plan(project.commit_model(exported[1].directory))
        with monkeypatch.context() as patch:
            _spoil_after(patch, door, plan.release.version)
            failed = project.apply(plan)
        assert (failed.outcome, failed.outcome.exit_code) == (outcome, 1)
        assert "model.onnx: altered" in failed.reason
        assert (project.target.pointer(), project.target.verify("1")) == ("1", ())
        assert [stored.version for stored in project.target.observe().versions] == ["1"]


def _spoil_after(patch: pytest.MonkeyPatch, door: str, version: str) -> None:
    """Let a byte change right after a step, once, whoever takes it."""
    real = getattr(LocalTarget, door)

    def spoiling(target: LocalTarget, *arguments: Any) -> Any:
        done = real(target, *arguments)
        if arguments[0] == version or door == "stage":
            spoil(target.locate(version) / "model.onnx")
        return done

    patch.setattr(LocalTarget, door, spoiling)


def test_ready_but_wrong_server_turns_the_deployment_back(
    project: Project, exported: tuple[Exported, Exported]
) -> None:
    """A server that is ready and goes on with another model is seen from outside, and the old version is live again."""
    digest = project.deploy(exported[0].directory).release.digest
    stale = replace(project, to=project.to.with_name("stale"))
    stale.deploy(exported[0].directory)
    with serving(stale.to) as client:
        assert client.get("/v2/health/ready").status_code == 200
        prover = ModelProver(address=str(client.base_url), patience=1)
        plan = project.plan(project.commit_model(exported[1].directory))
        failed = apply(plan, target=project.target, prover=prover)
    assert (failed.outcome, failed.outcome.exit_code) == (Outcome.REVERTED, 1)
    assert f"answers with {digest}" in failed.reason
    assert (project.target.pointer(), project.events()) == ("1", ["live", "reverted"])


def test_server_that_follows_is_proved_from_outside(project: Project, exported: tuple[Exported, Exported]) -> None:
    """With an address, the bake asks the server there: its digest, and the golden requests over HTTP."""
    project.deploy(exported[0].directory)
    with serving(project.to) as client:
        plan = project.plan(project.commit_model(exported[1].directory))
        prover = ModelProver(address=str(client.base_url), patience=30)
        done = apply(plan, target=project.target, prover=prover)
    assert done.outcome is Outcome.LIVE
    assert [check.name for check in done.checks] == ["identity", "served", "golden"]
    nobody = ModelProver(address=str(client.base_url), patience=0)
    failed = apply(project.plan(project.commit_model(exported[0].directory)), target=project.target, prover=nobody)
    assert (failed.outcome, failed.checks[-1].answer.value) == (Outcome.REVERTED, "error")


def test_recovery_waits_for_somebody_who_can_ask(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """Where no runtime is installed, a deployment that was cut off is neither finished nor undone, and that is told."""
    project.deploy(exported[0].directory)
    plan = project.plan(project.commit_model(exported[1].directory))
    assert run_plan(tmp_path, project, plan, "after the switch") == -signal.SIGKILL
    told = examine_model(NAME, project.target, BlindProver(), prove=False)
    assert any("was cut off, and can't be judged here" in problem for problem in told.problems)
    assert (project.target.pointer(), len(project.target.read_journal()) > 0) == ("2", True)
    told = examine_model(NAME, project.target, PROVER, prove=True)
    assert (told.problems, told.version) == ((), "2")
    assert told.recovered is not None
    assert told.recovered.event is Outcome.LIVE


class BlindProver(ModelProver, frozen=True, kw_only=True):
    """A prover on a machine that lacks what loads models."""

    def examine(self, directory: Path) -> Examination:
        """Nothing can be asked."""
        return Examination(checks=(Check(name="ready", answer=Answer.ERROR, detail="numpy is not installed"),))


def test_model_that_cannot_be_asked_leaves_what_was_live(project: Project, exported: tuple[Exported, Exported]) -> None:
    """A check that can't be carried out is no pass: exit code 1, and what was live was never left."""
    project.deploy(exported[0].directory)
    plan = project.plan(project.commit_model(exported[1].directory))
    failed = apply(plan, target=project.target, prover=BlindProver())
    assert (failed.outcome, failed.reason) == (Outcome.REFUSED, "ready: numpy is not installed")
    assert project.target.pointer() == "1"
    assert project.target.read_journal() == ()


_DEPLOY_SLOWLY = _DEPLOY.replace(
    "plan, target",
    """
import time
class Slow(ModelProver):
    def {method}(self, *given):
        print("asking", flush=True)
        if "{method}" == "look_from_outside" or given[0].name != "1":
            time.sleep(60)
        return super().{method}(*given)
ModelProver = Slow
plan, target""",
    1,
)


@pytest.mark.parametrize(("method", "outcome"), [("examine", Outcome.REFUSED), ("look_from_outside", Outcome.REVERTED)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_cancelled_deployment_reverts(
    project: Project, exported: tuple[Exported, Exported], tmp_path: Path, method: str, outcome: Outcome, number: int
) -> None:
    """SIGTERM while a model is asked ends the deployment at once: the old version is live, proved, and the job red."""
    import pickle

    project.deploy(exported[0].directory)
    plan = project.plan(project.commit_model(exported[1].directory))
    (tmp_path / "plan").write_bytes(pickle.dumps((plan, project.target)))
    script = _DEPLOY_SLOWLY.format(method=method)
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "plan")], stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        assert slow.stdout.readline() == b"asking\n"
        slow.send_signal(number)
        assert slow.wait(timeout=30) == 1
    assert project.target.pointer() == "1"
    last = project.target.read_log()[-1]
    assert (last.event, "told to end" in last.reason) == (outcome, True)
    assert [stored.version for stored in project.target.observe().versions] == ["1"]


def test_golden_requests_are_those_that_the_gate_judged(
    gated: Project, exported: tuple[Exported, Exported], tmp_path: Path
) -> None:
    """The release tells scores, gates and origins; golden requests with other scores than the judged ones block it."""
    model = exported[0]
    lines = [f"{key},{int(score > 0.5)},{score:.6f}" for key, score in enumerate(model.scores)]
    columns = "key: sample, label: label, score: score, metrics: [roc_auc, log_loss]"
    (gated.root / "seatrial.yaml").write_text(
        f"version: 1\nevaluations:\n  - {{name: test, predictions: predictions.csv, {columns}}}\n"
    )
    directory = copy_model(model, tmp_path / "model")
    for shift, code in ((0.1, 4), (0.0, 0)):
        changed = f"100,1,0.{9 - code}"  # predictions that did not change are not measured again
        (gated.root / "predictions.csv").write_text("\n".join(["sample,label,score", *lines, changed]) + "\n")
        rows = [
            {"sample": key, "features": row, "probability": score + shift}
            for key, (row, score) in enumerate(zip(model.rows, model.scores, strict=True))
        ]
        (directory / "golden.json").write_text(json.dumps({"tolerance": 1e-4, "rows": rows}))
        commit_recall(gated, replace(model, directory=directory), 0.8)
        done = run_cli(gated, "deploy", NAME, "--to", str(gated.to))
        assert done.returncode == code, done.stderr
        assert ("was judged" in done.stderr) or code == 0
    release = gated.target.read_release("1")
    assert release.golden is not None
    assert (release.golden.rows, release.golden.judged) == (8, 8)
    assert {score.metric for score in release.scores} >= {"roc_auc", "log_loss"}
    assert release.environment["python"]
    assert [tensor.name for tensor in release.signature.inputs] == ["features"] if release.signature else False
    live = gated.to / NAME / "current"
    assert {file.path for file in release.documents} <= {path.name for path in live.iterdir()}
    assert "model-index" in (live / "README.md").read_text()
    spoil(live / "README.md")
    assert run_cli(gated, "status", "--to", str(gated.to)).returncode == 1


def test_old_versions_are_taken_away(project: Project, exported: tuple[Exported, Exported], tmp_path: Path) -> None:
    """The live version and the last N known-good ones stay."""
    for number in range(4):
        model = copy_model(exported[0], tmp_path / f"model{number}")
        (model / "note.txt").write_text(str(number))
        done = project.deploy(model, terms=Terms(keep=1))
    assert done.freed == ("2",)
    assert [stored.version for stored in project.target.observe().versions] == ["3", "4"]


# --- The real engines -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_saved_model_is_delivered_and_served(project: Project, tmp_path: Path) -> None:
    """A TensorFlow SavedModel goes the same way: golden proof, HTTP, and the same scores."""
    directory = tmp_path / "model"
    directory.mkdir()
    subprocess.run([sys.executable, "-c", _SAVE_MODEL, str(directory / "saved_model")], check=True, env=quiet())
    write_card(directory, format="saved-model", path="saved_model", output="probability")
    rows = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]]
    scores = [float(1 / (1 + np.exp(-sum(row)))) for row in rows]
    write_golden(directory, rows, scores)
    deployment = project.deploy(directory)
    assert deployment.golden is not None
    assert deployment.golden.rows == 3
    with serving(project.to) as client:
        tensor = {"name": "features", "shape": [3, FEATURES], "datatype": "FP32", "data": rows}
        answer = client.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]})
        wrong = client.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor | {"shape": [9, 1], "data": [1] * 9}]})
    np.testing.assert_allclose(answer.json()["outputs"][0]["data"], scores, rtol=1e-5)
    assert wrong.status_code == 400


def test_skops_model_is_delivered_and_served(project: Project, tmp_path: Path) -> None:
    """A scikit-learn estimator goes the same way as itself: golden proof, both protocols, and the same scores."""
    import skops.io
    from sklearn.ensemble import GradientBoostingClassifier

    features = np.random.default_rng(3).normal(size=(300, FEATURES))
    fitted = GradientBoostingClassifier(n_estimators=5).fit(features, features[:, 0] > 0)
    directory = tmp_path / "model"
    directory.mkdir()
    skops.io.dump(fitted, directory / "model.skops")
    trusted = [str(name) for name in skops.io.get_untrusted_types(file=directory / "model.skops")]
    write_card(directory, format="skops", path="model.skops", output="predict_proba", output_column=1, trusted=trusted)
    rows, scores = features[:8], fitted.predict_proba(features[:8])[:, 1]
    write_golden(directory, rows.tolist(), scores.tolist())
    deployment = project.deploy(directory)
    assert deployment.golden is not None
    with serving(project.to) as client:
        tensor = {"name": "features", "shape": [8, FEATURES], "datatype": "FP64", "data": rows.tolist()}
        infer = {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
        answer = client.post(f"/v2/models/{NAME}/infer", json=infer)
        by_row = client.post(f"/v1/models/{NAME}:predict", json={"instances": rows.tolist()})
    np.testing.assert_allclose(answer.json()["outputs"][0]["data"][1::2], scores, rtol=1e-9)
    told = [row["predict_proba"][1] for row in by_row.json()["predictions"]]
    np.testing.assert_allclose(told, scores, rtol=1e-9)


@pytest.mark.slow
def test_keras_model_is_delivered_and_served(project: Project, tmp_path: Path) -> None:
    """A file of Keras is loaded in safe mode, and goes the same way."""
    directory = tmp_path / "model"
    directory.mkdir()
    subprocess.run([sys.executable, "-c", _SAVE_KERAS, str(directory / "model.keras")], check=True, env=quiet())
    write_card(directory, format="keras", path="model.keras", output="probability")
    rows = [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [-1.0, 0.5, 0.25]]
    scores = [float(1 / (1 + np.exp(-sum(row)))) for row in rows]
    write_golden(directory, rows, scores)
    assert project.deploy(directory).golden is not None
    with serving(project.to) as client:
        answer = client.post(f"/v1/models/{NAME}:predict", json={"instances": rows})
    np.testing.assert_allclose(np.ravel(answer.json()["predictions"]), scores, rtol=1e-5)


_SAVE_KERAS = """
import sys
import keras
import numpy as np

model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
model.layers[-1].set_weights([np.ones((3, 1)), np.zeros(1)])
model.save(sys.argv[1])
"""

_SAVE_MODEL = """
import sys
import tensorflow as tf

class Model(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(tf.ones([3, 1]))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="features")])
    def serve(self, features):
        return {"probability": tf.sigmoid(features @ self.weights)}

model = Model()
tf.saved_model.save(model, sys.argv[1], signatures={"serving_default": model.serve})
"""


def quiet() -> dict[str, str]:
    """The environment, with TensorFlow's start-up messages off."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}


@pytest.mark.slow
def test_model_that_dvc_made_is_delivered(project: Project, exported: tuple[Exported, Exported]) -> None:
    """The real DVC runs the pipeline and writes dvc.lock and cache; the model in them is what becomes live."""
    copy_model(exported[0], project.root / "exported")
    (project.root / "models").mkdir()
    project.dvc("repro")
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "A model")
    project.apply(project.plan(project.git("rev-parse", "HEAD")))
    assert prove_golden(project.to / NAME / "current") is not None
    (project.root / OUT / "model.onnx").unlink()
    project.dvc("checkout", "--force")
    assert project.apply(project.plan(project.git("rev-parse", "HEAD"))).action is Action.NOTHING
