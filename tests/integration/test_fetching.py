"""What is nowhere on this machine comes by the user's own `dvc`: the real one, with a directory for its remote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from seatrial.core.revision import Revision
from seatrial.git import Repository
from seatrial.sources.fetching import Wanted, fetch_missing
from tests.integration.repositories import Answer, Scratch, run_seatrial

pytestmark = pytest.mark.slow

PIPELINE = "metrics: [m.json, scores]\n"
IGNORED = "/m.json\n/scores\n/big.bin\n"


def dvc(directory: Path, *arguments: str) -> str:
    """Run DVC; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three commits whose metrics lie at a remote alone, which is named by a path from `.dvc`."""
    directory = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        scratch = Scratch.create(directory / "project")
        scratch.write({"dvc.yaml": PIPELINE, ".gitignore": IGNORED, ".dvc/.gitignore": "/tmp\n/cache\n/config.local\n"})
        scratch.write({".dvc/config": "[core]\n    remote = shelf\n['remote \"shelf\"']\n    url = ../../shelf\n"})
        for number in (1, 2, 3):
            scratch.write({"m.json": f'{{"auc": 0.{number}}}', "scores/f1.json": f'{{"f1": 0.{number}}}'})
            scratch.write({"scores/same.json": '{"n": 7}', "big.bin": str(number) * 1000})
            dvc(scratch.directory, "add", "-q", "m.json", "scores", "big.bin")
            dvc(scratch.directory, "push", "-q")
            scratch.commit({}, str(number))
        forget(scratch)
    return directory


@pytest.fixture
def scratch(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """A clone of it beside its remote, and the `dvc` of this environment on PATH."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    shutil.copytree(template, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Scratch(tmp_path / "project")


def forget(scratch: Scratch) -> None:
    """A fresh clone: neither the work tree nor the cache has what DVC keeps."""
    shutil.rmtree(scratch.directory / ".dvc" / "cache", ignore_errors=True)
    for name in ("m.json", "big.bin"):
        (scratch.directory / name).unlink(missing_ok=True)
    shutil.rmtree(scratch.directory / "scores", ignore_errors=True)


def compare(scratch: Scratch, *arguments: str, env: Mapping[str, str] | None = None) -> Answer:
    return run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "json", *arguments, env=env)


def cached(scratch: Scratch) -> list[bytes]:
    """The files in the cache, without lists of directories."""
    files = (scratch.directory / ".dvc" / "cache").rglob("*")
    return sorted(file.read_bytes() for file in files if file.is_file() and file.suffix != ".dir")


def states(answer: Answer) -> dict[str, str]:
    return {".".join((change["file"], *change["key"])): change["state"] for change in answer.facts["metrics"]}


def test_what_two_commits_need_is_fetched_and_nothing_else(scratch: Scratch) -> None:
    """Both sides are compared; neither other commits nor other outputs come, and the work tree stays as it was."""
    before = sorted(path.name for path in scratch.directory.iterdir())
    answer = compare(scratch)
    assert states(answer) == {
        "m.json.auc": "changed",
        "scores/f1.json.f1": "changed",
        "scores/same.json.n": "unchanged",
    }
    assert cached(scratch) == [b'{"auc": 0.2}', b'{"auc": 0.3}', b'{"f1": 0.2}', b'{"f1": 0.3}', b'{"n": 7}']
    assert sorted(path.name for path in scratch.directory.iterdir()) == before
    assert scratch.git("status", "--short") == ""
    assert "fetching 4 files" in answer.err


def test_one_call_fetches_all(scratch: Scratch, tmp_path: Path) -> None:
    """`dvc` is started once, whatever the number of files and sides; with everything at hand not at all."""
    calls = tmp_path / "calls"
    wrapper = tmp_path / "bin" / "dvc"
    wrapper.parent.mkdir()
    real = Path(sys.executable).with_name("dvc")
    wrapper.write_text(f'#!/bin/sh\necho "$@" >>{calls}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    env = {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}
    first, second = compare(scratch, env=env), compare(scratch, env=env)
    assert states(first) == states(second)
    assert len(calls.read_text().splitlines()) == 1
    assert second.err == ""


def test_only_what_is_asked_for_is_fetched(scratch: Scratch) -> None:
    """`--targets` leaves the rest at the remote."""
    assert states(compare(scratch, "--targets", "m.json")) == {"m.json.auc": "changed"}
    assert cached(scratch) == [b'{"auc": 0.2}', b'{"auc": 0.3}']


def test_a_file_of_a_directory_comes_alone(scratch: Scratch) -> None:
    """A metrics file that lies in a directory of DVC is fetched without the others."""
    scratch.commit({"dvc.yaml": "metrics: [scores/f1.json]\n"})
    scratch.commit({})
    assert states(compare(scratch)) == {"scores/f1.json.f1": "unchanged"}
    assert cached(scratch) == [b'{"f1": 0.3}']


@pytest.mark.parametrize("how", ["gone", "no remote", "no dvc", "not asked", "broken settings"])
def test_what_does_not_come_is_missing_with_its_reason(scratch: Scratch, tmp_path: Path, how: str) -> None:
    """The comparison ends as without a fetch, and says why and by which command the files would come."""
    arguments: list[str] = []
    env: dict[str, str] = {}
    reason = {
        "gone": "did not find it at the remote, or the remote can't be reached",
        "no remote": "the DVC project has no default remote",
        "no dvc": "`dvc` is not on PATH",
        "not asked": "its bytes are not on this machine",
        "broken settings": "the settings of DVC can't be read",
    }[how]
    if how == "gone":
        shutil.rmtree(tmp_path / "shelf")
    elif how == "no remote":
        (scratch.directory / ".dvc/config").write_text("")
    elif how == "no dvc":
        env = {"PATH": "/usr/bin:/bin"}
    elif how == "not asked":
        arguments = ["--no-fetch"]
    else:
        (scratch.directory / ".dvc/config").write_text("remote = shelf\n")
    answer = compare(scratch, *arguments, env=env)
    assert answer.code == 1
    assert set(states(answer).values()) == {"missing-cache"}
    assert all(reason in change["reason"] for change in answer.facts["metrics"])
    told = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", *arguments, env=env)
    assert "Next: dvc fetch --all-commits m.json" in told.out
    assert cached(scratch) == []


def test_a_remote_that_never_answers_ends_in_time(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `dvc` started ends with it, and the reason is the time."""
    wrapper, child = tmp_path / "bin" / "dvc", tmp_path / "child"
    wrapper.parent.mkdir()
    wrapper.write_text(f"#!/bin/sh\nsleep 1000 & echo $! >{child}\nwait\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    head = Revision(name="HEAD", sha=scratch.git("rev-parse", "HEAD"))
    wanted = [Wanted(revision=head, path="m.json")]
    assert "no answer within 1 seconds" in fetch_missing(Repository.discover(scratch.directory), wanted, seconds=1)
    status = Path(f"/proc/{child.read_text().strip()}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"  # ended, if nobody has asked for it yet


def test_a_reason_tells_no_password(scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What DVC says of an address goes into a report that many read: who asks, and with what, is left out."""
    said = "ERROR: failed to connect to https://someone:pass@example.org/shelf?sig=hidden"
    wrapper = tmp_path / "bin" / "dvc"
    wrapper.parent.mkdir()
    wrapper.write_text(f"#!/bin/sh\necho '{said}'\nexit 255\n")
    wrapper.chmod(0o755)
    answer = compare(scratch, env={"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"})
    assert "failed to connect to https://example.org/shelf" in answer.out
    assert not [secret for secret in ("someone", "pass@", "hidden") if secret in answer.out]


def test_a_project_below_another_has_its_own_remote(scratch: Scratch, tmp_path: Path) -> None:
    """Each project's files come from where its own settings say, older commits' too."""
    inner = scratch.directory / "team"
    inner.mkdir()
    dvc(inner, "init", "-q", "--subdir")
    dvc(inner, "remote", "add", "-q", "-d", "other", str(tmp_path / "other"))
    for number in (1, 2):
        scratch.write({"team/t.json": f'{{"t": {number}}}', "team/dvc.yaml": "metrics: [t.json]\n"})
        dvc(inner, "add", "-q", "t.json")
        dvc(inner, "push", "-q")
        scratch.commit({}, "team")
    (inner / "t.json").unlink()
    shutil.rmtree(inner / ".dvc" / "cache")
    forget(scratch)
    assert states(compare(scratch))["team/t.json.t"] == "changed"
    assert states(compare(scratch))["m.json.auc"] == "unchanged"


def test_an_output_with_a_remote_of_its_own_comes_from_there(scratch: Scratch, tmp_path: Path) -> None:
    """`remote:` of an output in dvc.yaml counts."""
    dvc(scratch.directory, "remote", "add", "-q", "aside", str(tmp_path / "aside"))
    for number in (1, 2):
        scratch.write({"dvc.yaml": (
            f"stages:\n  s:\n    cmd: echo {number} > own.yaml\n    metrics: [own.yaml: {{remote: aside}}]\n"
        )})  # fmt: skip
        dvc(scratch.directory, "repro", "-q", "s")
        dvc(scratch.directory, "push", "-q", "own.yaml")
        scratch.commit({})
    forget(scratch)
    (scratch.directory / "own.yaml").unlink()
    assert states(compare(scratch)) == {"own.yaml": "changed"}


def test_predictions_are_fetched_for_intervals(scratch: Scratch) -> None:
    """Per-sample predictions that only the remote has bring their interval; without intervals they stay there."""
    policy = "version: 1\nevaluations:\n- {predictions: p.csv, metrics_file: own.json, key: id, label: y, score: p}\n"
    scratch.write({"dvc.yaml": "metrics: [own.json]\n", "seatrial.yaml": policy})
    scratch.write({".gitignore": f"{IGNORED}/p.csv\n"})
    for right in (60, 80):
        rows = [(i, i % 2, 0.9 if (i % 2) == (i < right) else 0.1) for i in range(100)]
        hits = sum((p >= 0.5) == bool(y) for _, y, p in rows)
        scratch.write({"p.csv": "id,y,p\n" + "".join(f"{i},{y},{p}\n" for i, y, p in rows)})
        dvc(scratch.directory, "add", "-q", "p.csv")
        dvc(scratch.directory, "push", "-q", "p.csv")
        scratch.commit({"own.json": f'{{"accuracy": {hits / 100}}}'})
    (scratch.directory / "p.csv").unlink()
    forget(scratch)
    assert compare(scratch, "--no-intervals").err == ""
    assert cached(scratch) == []
    answer = compare(scratch)
    assert answer.facts["metrics"][0]["interval"]["n"] == 100
    assert len(cached(scratch)) == 2


def test_a_deployment_fetches_what_it_is_judged_by_and_the_model(scratch: Scratch, tmp_path: Path) -> None:
    """The merged commit's metrics and its model come to a runner that has neither; without a fetch both are told."""
    scratch.write({"dvc.yaml": f"{PIPELINE}artifacts:\n  auc: {{path: model.onnx, type: model}}\n"})
    scratch.write({".gitignore": f"{IGNORED}/model.onnx\n", "model.onnx": "weights"})
    dvc(scratch.directory, "add", "-q", "model.onnx")
    dvc(scratch.directory, "push", "-q", "model.onnx")
    scratch.commit({})
    scratch.commit({})
    (scratch.directory / "model.onnx").unlink()
    forget(scratch)
    command = ("deploy", "auc", "--to", str(tmp_path / "models"), "--dry-run")
    without = run_seatrial(scratch.directory, *command, "--no-fetch")
    assert without.code != 0
    assert "m.json" in without.err
    assert "its bytes are not on this machine" in without.err
    answer = run_seatrial(scratch.directory, *command)
    assert answer.code == 0, answer.err
    assert "fetching 4 files that are not in the local cache" in answer.err
    assert "fetching model.onnx, which is not in the local cache: dvc fetch" in answer.err
    assert "(onnx, 1 files, 7 bytes)" in answer.out
    assert cached(scratch) == [b"weights", b'{"auc": 0.3}', b'{"f1": 0.3}', b'{"n": 7}']
    assert "fetching" not in run_seatrial(scratch.directory, *command).err


def test_a_model_that_does_not_come_is_told_with_its_reason(scratch: Scratch, tmp_path: Path) -> None:
    """What is judged is at hand, the model is nowhere: nothing is deployed, and why is said."""
    scratch.write({"dvc.yaml": "metrics: [own.json]\nartifacts:\n  big: {path: big.bin, type: model}\n"})
    scratch.commit({"own.json": '{"auc": 0.5}'})
    scratch.commit({})
    shutil.rmtree(tmp_path / "shelf")
    answer = run_seatrial(scratch.directory, "deploy", "big", "--to", str(tmp_path / "models"))
    assert answer.code != 0
    assert "big.bin: `dvc fetch` did not find it at the remote" in answer.err
    assert "is not in DVC's cache" in answer.err
    assert not (tmp_path / "models").exists()


def test_dvc_gets_no_token_of_the_forge(scratch: Scratch, tmp_path: Path) -> None:
    """What `dvc` starts is named by the project's settings: it gets the remotes' credentials, and no forge's token."""
    wrapper, seen = tmp_path / "bin" / "dvc", tmp_path / "seen"
    wrapper.parent.mkdir()
    wrapper.write_text(f"#!/bin/sh\nenv >{seen}\n")
    wrapper.chmod(0o755)
    tokens = ("SEATRIAL_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN", "ACTIONS_RUNTIME_TOKEN")
    env = {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}", "AWS_SECRET_ACCESS_KEY": "of-the-remote"}
    compare(scratch, env={**env, **dict.fromkeys(tokens, "of-the-forge")})
    assert "of-the-remote" in seen.read_text()
    assert "of-the-forge" not in seen.read_text()


@pytest.mark.parametrize("fork", [False, True])
def test_a_strangers_settings_are_not_run(scratch: Scratch, tmp_path: Path, fork: bool) -> None:
    """A job fetches, but not in the pull request of a fork: what `dvc` runs and whom it asks is in its settings."""
    repository = {"full_name": "octo/flights", "default_branch": "main"}
    head, base = scratch.git("rev-parse", "HEAD"), scratch.git("rev-parse", "HEAD~1")
    event = {
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"sha": head, "ref": "x", "repo": {"full_name": "eve/flights"} if fork else repository},
            "base": {"sha": base, "ref": "main", "repo": repository},
        },
        "repository": repository,
    }
    (tmp_path / "event.json").write_text(json.dumps(event))
    env = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_REPOSITORY": "octo/flights",
        "GITHUB_SHA": head,
        "GITHUB_REF": "refs/pull/7/merge",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SERVER_URL": "http://127.0.0.1:9",
        "GITHUB_API_URL": "http://127.0.0.1:9",
    }
    answer = run_seatrial(scratch.directory, "ci", "--no-comment", "--no-check", env=env)
    assert answer.code in {0, 1}, answer.err
    report = json.loads((scratch.directory / "seatrial-report" / "report.json").read_text())
    assert {change["state"] for change in report["metrics"]} >= {"missing-cache" if fork else "changed"}
    assert bool(cached(scratch)) is not fork
