"""Git tags that mirror a deployment log, read by GTO itself, in a clone of a real remote."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from seatrial.commands.registering import announce
from seatrial.core.deployment import Kind, Outcome
from seatrial.core.registry import GtoSettings, RegistryReport
from seatrial.deploy.local import LocalTarget
from tests.fakes.git_project import GitProject
from tests.integration.logs import NAME, digest_of, open_log, place, record

PUSHED = GtoSettings(push="origin", stage="production")


@pytest.fixture
def origin(tmp_path: Path) -> GitProject:
    """A bare repository that takes pushes."""
    bare = GitProject(tmp_path / "origin.git")
    bare.root.mkdir()
    bare.git("init", "--quiet", "--bare", "--initial-branch=main")
    return bare


@pytest.fixture
def project(tmp_path: Path, origin: GitProject) -> GitProject:
    """A clone with three commits, all of them on the remote."""
    project = GitProject.create(tmp_path / "project")
    project.git("remote", "add", "origin", origin.root.as_uri())
    for number in range(3):
        project.commit({"n.txt": str(number)}, f"change {number} `id` $(id)")
    project.git("push", "--quiet", "origin", "main")
    return project


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    """What was deployed."""
    return open_log(tmp_path / "models")


def mirror(
    project: GitProject, target: LocalTarget, settings: GtoSettings = PUSHED, name: str = NAME
) -> RegistryReport:
    """What `deploy`, `rollback` and `status` do at their end."""
    environment = place(target.root, settings, name=settings.stage)
    (report,) = announce(environment, target, NAME, directory=project.root, environ={})
    return report


def ask_gto(where: GitProject, *arguments: str) -> Any:
    """What GTO itself makes of the tags."""
    command = [sys.executable, "-m", "gto.cli", *arguments, "--json"]
    done = subprocess.run(command, cwd=where.root, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def commits(project: GitProject) -> list[str]:
    """The commits, the first one first."""
    return project.git("rev-list", "--reverse", "main").split()


def test_gto_reads_deployments_and_a_rollback(project: GitProject, origin: GitProject, target: LocalTarget) -> None:
    """`gto show` names what is live after each of them, `gto history` tells all of them in their order."""
    first, second, _ = commits(project)
    target.record(record("1", first))
    assert mirror(project, target).changes == (f"new tag {NAME}@v0.0.1", f"new tag {NAME}#production#1")
    target.record(record("2", second))
    assert mirror(project, target).changes == (f"new tag {NAME}@v0.0.2", f"new tag {NAME}#production#2")
    assert ask_gto(origin, "show")[NAME]["stage"] == {"production": "v0.0.2"}
    target.record(record("1", first, kind=Kind.ROLLBACK))
    assert mirror(project, target).changes == (f"new tag {NAME}#production#3",)
    told = ask_gto(origin, "show")[NAME]
    assert (told["version"], told["stage"]) == ("v0.0.2", {"production": "v0.0.1"})
    history = [(each["ref"], each["version"], each["commit"]) for each in reversed(ask_gto(origin, "history"))]
    assert [each for each in history if "#" in each[0]] == [
        (f"{NAME}#production#1", "v0.0.1", first),
        (f"{NAME}#production#2", "v0.0.2", second),
        (f"{NAME}#production#3", "v0.0.1", first),
    ]
    message = origin.git("tag", "--list", "--format=%(contents)", f"{NAME}#production#3").splitlines()
    assert message[0] == f"Assign production to {NAME} v0.0.1"
    assert {"release: 1", f"digest: {digest_of('1')}", f"commit: {first}", "verdict: passed"} < set(message)


def test_telling_twice_is_nothing_to_do(project: GitProject, origin: GitProject, target: LocalTarget) -> None:
    """Any command may tell it again; what failed and was undone is not told at all."""
    first, second, _ = commits(project)
    assert mirror(project, target) == RegistryReport(registry="gto (origin)", model=NAME)
    target.record(record("1", first))
    assert mirror(project, target).changes
    target.record(record("2", second, event=Outcome.REVERTED))
    before = origin.git("show-ref")
    assert mirror(project, target) == RegistryReport(registry="gto (origin)", model=NAME)
    assert origin.git("show-ref") == before


def test_what_failed_is_made_up_for(project: GitProject, origin: GitProject, target: LocalTarget) -> None:
    """A remote that is away is told in one line; the next command tells it what is live by then."""
    first, second, _ = commits(project)
    away = origin.root.rename(origin.root.with_name("away"))
    target.record(record("1", first))
    report = mirror(project, target)
    assert report.changes == ()
    assert report.problem.startswith("fatal: ")
    assert "\n" not in report.problem
    target.record(record("2", second))
    away.rename(origin.root)
    assert mirror(project, target).changes == (f"new tag {NAME}@v0.0.1", f"new tag {NAME}#production#1")
    assert origin.git("rev-parse", f"{NAME}#production#1^{{commit}}") == second


def test_version_that_somebody_registered_is_used(project: GitProject, origin: GitProject, target: LocalTarget) -> None:
    """By `gto register` a commit gets the version that people want; later ones count on from there."""
    first, second, _ = commits(project)
    ask = [sys.executable, "-m", "gto.cli", "register", NAME, first, "--version", "v1.4.0"]
    subprocess.run(ask, cwd=project.root, check=True, capture_output=True)
    project.git("push", "--quiet", "origin", f"{NAME}@v1.4.0")
    target.record(record("1", first))
    assert mirror(project, target).changes == (f"new tag {NAME}#production#1",)
    target.record(record("2", second))
    assert mirror(project, target).changes == (f"new tag {NAME}@v1.4.1", f"new tag {NAME}#production#2")
    assert ask_gto(origin, "show")[NAME]["stage"] == {"production": "v1.4.1"}


def test_environments_share_the_versions(project: GitProject, tmp_path: Path) -> None:
    """A commit has one version, whichever number each target gave to its release, and a stage for each of them."""
    first, second, _ = commits(project)
    staging, production = open_log(tmp_path / "staging"), open_log(tmp_path / "production")
    staging.record(record("1", first))
    mirror(project, staging, GtoSettings(push="origin", stage="staging"))
    staging.record(record("2", second))
    mirror(project, staging, GtoSettings(push="origin", stage="staging"))
    production.record(record("1", second))
    assert mirror(project, production).changes == (f"new tag {NAME}#production#3",)


def test_racing_deployers_make_tags_of_their_own(project: GitProject, origin: GitProject, tmp_path: Path) -> None:
    """Of tags that two jobs made at once, none is lost and none is moved."""

    def deploy(number: int) -> RegistryReport:
        root = tmp_path / f"clone-{number}"
        subprocess.run(["git", "clone", "--quiet", "--depth=1", origin.root.as_uri(), root], check=True)
        target = open_log(tmp_path / f"models-{number}")
        target.record(record("1", shas[number]))
        started.wait()
        return mirror(GitProject(root), target, GtoSettings(push="origin", stage=f"stage-{number}"))

    shas, started = commits(project), threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(deploy, range(3)))
    assert [report.problem for report in reports] == ["", "", ""]
    tags = origin.git("tag", "--list", f"{NAME}*", "--format=%(refname:strip=2) %(*objectname)").splitlines()
    versions = dict(tag.split() for tag in tags if "@" in tag)
    assert sorted(versions) == [f"{NAME}@v0.0.1", f"{NAME}@v0.0.2", f"{NAME}@v0.0.3"]
    assert sorted(versions.values()) == sorted(shas)
    assert sorted(tag.split()[0][-1] for tag in tags if "#" in tag) == ["1", "2", "3"]


def test_clone_of_a_job_that_is_nobody(
    origin: GitProject, project: GitProject, target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shallow clone without tags, whose user git does not know and whose clock is slow, is enough for a rollback."""
    first, _, last = commits(project)
    target.record(record("3", last))
    mirror(project, target)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00+00:00")
    job = GitProject(tmp_path / "job")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "--no-tags", origin.root.as_uri(), job.root], check=True)
    job.git("config", "user.useConfigOnly", "true")
    target.record(record("1", first, kind=Kind.ROLLBACK))
    assert mirror(job, target).changes == (f"new tag {NAME}@v0.0.2", f"new tag {NAME}#production#2")
    assert ask_gto(origin, "show")[NAME]["stage"] == {"production": "v0.0.2"}
    assert origin.git("tag", "--list", "--format=%(taggername)", f"{NAME}#production#2") == "seatrial"


def test_tags_of_this_clone_alone(project: GitProject, origin: GitProject, target: LocalTarget) -> None:
    """Without a remote to push to, the clone has them, a lightweight tag's name is left to who took it."""
    first, second, _ = commits(project)
    project.git("tag", f"{NAME}@v0.0.7", first)
    here = GtoSettings(stage="production")
    target.record(record("1", first))
    assert mirror(project, target, here).changes == (f"new tag {NAME}@v0.0.8", f"new tag {NAME}#production#1")
    target.record(record("2", second))
    assert mirror(project, target, here).changes == (f"new tag {NAME}@v0.0.9", f"new tag {NAME}#production#2")
    assert ask_gto(project, "show")[NAME]["stage"] == {"production": "v0.0.9"}
    assert origin.git("tag", "--list") == ""
    project.git("tag", "--annotate", "--message=by hand", f"{NAME}#production!#3", second)
    assert mirror(project, target, here).changes == (f"new tag {NAME}#production#4",)


@pytest.mark.parametrize("push", ["", "origin"])
def test_stage_may_hold_a_slash(project: GitProject, target: LocalTarget, push: str) -> None:
    """As names of environments do, such as those of reviews; it is found again where it was made."""
    here = GtoSettings(push=push, stage="review/42")
    target.record(record("1", commits(project)[0]))
    assert mirror(project, target, here).changes == (f"new tag {NAME}@v0.0.1", f"new tag {NAME}#review/42#1")
    assert mirror(project, target, here).changes == ()


@pytest.mark.parametrize("name", ["flights.delay", "flights-", "a=b", "--all", "a#b", "a b", "$(id)", "a\nb", "é"])
def test_name_that_gto_does_not_know_makes_no_tag(project: GitProject, target: LocalTarget, name: str) -> None:
    """A name is held to GTO's grammar before git hears of it."""
    target.record(record("1", commits(project)[0], name=name))
    report = mirror(project, target)
    assert "is no name of GTO's grammar" in report.problem
    assert project.git("tag", "--list") == ""


@pytest.mark.parametrize("commit", ["", "HEAD", "main", "--all", "5601846", "0" * 40])
def test_commit_that_is_none_makes_no_tag(project: GitProject, target: LocalTarget, commit: str) -> None:
    """A log that names no commit of this repository is told as such."""
    target.record(record("1", commit))
    report = mirror(project, target, GtoSettings(stage="production"))
    assert report.problem
    assert project.git("tag", "--list") == ""


def test_log_forges_no_line_of_a_message(project: GitProject, target: LocalTarget) -> None:
    """Each fact is one line, whatever a log holds."""
    forged = msgspec.structs.replace(record("1", commits(project)[0]), verdict="passed\n\ndigest: sha256:0\x1b[31m")
    target.record(forged)
    mirror(project, target, GtoSettings(stage="production"))
    lines = project.git("tag", "--list", "--format=%(contents)", f"{NAME}@v0.0.1").splitlines()
    assert "verdict: passeddigest: sha256:0[31m" in lines
    assert [line for line in lines if line.startswith("digest: ")] == [f"digest: {digest_of('1')}"]
