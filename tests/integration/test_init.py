"""`seatrial init` in real repositories: what it writes works at once, and nothing that is there is lost."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seatrial.config import parse_config
from tests.integration.repositories import Scratch, run_seatrial

WORKFLOW = ".github/workflows/seatrial.yml"
TRAIN = """\
import json
rows = [(f"r{n}", n % 2, round((n % 10) / 10 * 0.6 + (n % 2) * 0.35, 3)) for n in range(400)]
with open("predictions.csv", "w") as table:
    table.write("id,label,score\\n")
    table.writelines(f"{key},{label},{score}\\n" for key, label, score in rows)
right = sum((score >= 0.4) == bool(label) for _, label, score in rows)
json.dump({"accuracy": right / len(rows), "seconds": 1.5}, open("metrics.json", "w"))
"""
STAGE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [threshold]
    metrics: [{metrics.json: {cache: false}}]
    outs: [predictions.csv]
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A measured project whose remote is on GitHub."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.git("remote", "add", "origin", "https://ada:hunter2@github.com/octo/flights.git")
    scratch.measure(recall=0.8, loss=0.3)
    return scratch


def list_written(scratch: Scratch) -> list[str]:
    """The files that git does not know yet."""
    return sorted(scratch.git("ls-files", "--others", "--exclude-standard").splitlines())


def test_what_is_written_works_at_once(scratch: Scratch) -> None:
    """A workflow and a policy; the comparison passes by it, the doctor finds nothing to mend."""
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 0, answer.err
    assert list_written(scratch) == [WORKFLOW, "seatrial.yaml"]
    compared = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert compared.code == 0
    assert {finding["outcome"] for finding in compared.facts["findings"]} == {"passed"}
    assert run_seatrial(scratch.directory, "doctor").code == 0
    assert "hunter2" not in answer.out + answer.err


def test_the_written_gates_stop_a_worse_model(scratch: Scratch) -> None:
    """They are gates, not ornaments."""
    assert run_seatrial(scratch.directory, "init", "--yes").code == 0
    scratch.git("checkout", "-q", "-b", "feature")
    scratch.write({"metrics.json": json.dumps({"recall": 0.7, "loss": 0.3})})
    assert run_seatrial(scratch.directory, "compare").code == 1


def test_a_second_run_has_nothing_to_write(scratch: Scratch) -> None:
    """Running it twice is running it once."""
    run_seatrial(scratch.directory, "init", "--yes")
    before = {name: (scratch.directory / name).read_bytes() for name in list_written(scratch)}
    again = run_seatrial(scratch.directory, "init", "--yes")
    assert (again.code, "is there already" in again.out) == (0, True)
    assert {name: (scratch.directory / name).read_bytes() for name in list_written(scratch)} == before


def test_a_dry_run_shows_and_writes_nothing(scratch: Scratch) -> None:
    """The diff is a patch that git would take."""
    answer = run_seatrial(scratch.directory, "init", "--dry-run")
    assert answer.code == 0
    assert list_written(scratch) == []
    assert "\x1b" not in answer.out
    start = answer.out.index("--- /dev/null")
    patch = answer.out[start : answer.out.rindex("\n\n- ")] + "\n"
    subprocess.run(["git", "apply", "--check", "-"], cwd=scratch.directory, input=patch, text=True, check=True)


def test_with_nobody_to_ask_nothing_is_written(scratch: Scratch) -> None:
    """In a script the answer has to be given beforehand."""
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "init"],
        cwd=scratch.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "seatrial init --yes" in done.stderr
    assert list_written(scratch) == []


def answer_on_terminal(scratch: Scratch, answers: str) -> tuple[int, bytes]:
    """Run it on a terminal of its own and type these answers; its exit code, and all that the terminal showed."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "seatrial", "init"]
    process = subprocess.Popen(command, cwd=scratch.directory, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    os.write(leader, answers.encode())
    shown = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            block = os.read(leader, 1 << 16)
        except OSError:  # the other side has closed the terminal
            break
        if not block:
            break
        shown += block
    os.close(leader)
    return process.wait(60), shown


@pytest.mark.parametrize(("answer", "written"), [("y", 2), ("n", 0)])
def test_on_a_terminal_it_asks_once(scratch: Scratch, answer: str, written: int) -> None:
    """Yes writes both files, no writes none; both are an answer, not an error."""
    code, shown = answer_on_terminal(scratch, f"{answer}\n")
    assert code == 0
    assert shown.count(b"[y/N]") == 1
    assert b"\x1b[32m+" in shown  # coloured on a terminal
    assert len(list_written(scratch)) == written


def test_on_a_terminal_the_forge_is_asked_for_where_nothing_tells(scratch: Scratch) -> None:
    """The answer decides whose file is written."""
    scratch.git("remote", "remove", "origin")
    code, shown = answer_on_terminal(scratch, "gitlab\ny\n")
    assert code == 0
    assert b"Which forge?" in shown
    assert list_written(scratch) == [".gitlab-ci.yml", "seatrial.yaml"]


def test_an_existing_policy_and_workflow_stay(scratch: Scratch) -> None:
    """They are shown beside the proposal, and not touched."""
    mine = {"seatrial.yaml": "version: 1\nmetrics:\n  recall: {at_least: 0.5}\n", WORKFLOW: "name: mine\non: push\n"}
    scratch.commit(mine)
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 0
    assert "only shown, seatrial.yaml is kept" in answer.out
    assert scratch.git("status", "--short") == ""


def test_an_empty_policy_is_completed(scratch: Scratch) -> None:
    """A file with nothing but its version is added to, its comment kept."""
    scratch.commit({"seatrial.yaml": "# ours\nversion: 1\n"})
    assert run_seatrial(scratch.directory, "init", "--yes").code == 0
    text = (scratch.directory / "seatrial.yaml").read_text()
    assert text.startswith("# ours\nversion: 1\n")
    assert parse_config(text.encode()).policy.gates


def test_a_broken_policy_is_an_error_before_anything_is_written(scratch: Scratch) -> None:
    """Its line is named, and no workflow is left behind."""
    scratch.commit({"seatrial.yaml": "version: 1\nmetricz: {}\n"})
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 2
    assert "seatrial.yaml:2" in answer.err
    assert list_written(scratch) == []


def test_a_gitlab_pipeline_is_added_to(scratch: Scratch) -> None:
    """Comments and jobs stay; the host of the remote tells the forge, its port and password do not get in."""
    scratch.git("remote", "set-url", "origin", "https://oauth2:hunter2@gitlab.acme.com:8443/gl/flights.git")
    scratch.commit(
        {".gitlab-ci.yml": "# ours\ninclude: base.yml\nstages: [check]\n\nlint: {stage: check, script: x}\n"}
    )
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 0, answer.err
    text = (scratch.directory / ".gitlab-ci.yml").read_text()
    values = yaml.safe_load(text)
    assert text.startswith("# ours\n")
    assert values["include"][0] == "base.yml"
    assert values["include"][1]["inputs"] == {"reproduce": "no", "stage": "check"}
    assert set(values) == {"include", "stages", "lint", "seatrial"}
    assert "hunter2" not in answer.out + answer.err + text
    assert list_written(scratch) == ["seatrial.yaml"]


def test_a_pipeline_that_can_not_be_added_to_is_left_with_what_to_paste(scratch: Scratch) -> None:
    """The policy is written all the same."""
    scratch.commit({".gitlab-ci.yml": "seatrial: {script: x}\n"})
    answer = run_seatrial(scratch.directory, "init", "--yes", "--forge", "gitlab")
    assert answer.code == 0
    assert "  extends: .seatrial" in answer.out
    assert list_written(scratch) == ["seatrial.yaml"]


@pytest.mark.parametrize(
    ("url", "files", "code", "written"),
    [
        ("https://git.acme.com/a/b", {}, 2, []),
        ("https://git.acme.com/a/b", {".gitlab-ci.yml": "lint: {script: x}\n"}, 0, ["seatrial.yaml"]),
        ("https://git.acme.com/a/b", {".github/workflows/a.yml": "on: push\n"}, 0, [WORKFLOW, "seatrial.yaml"]),
    ],
)
def test_where_the_address_does_not_tell_the_files_do(
    scratch: Scratch, url: str, files: dict[str, str], code: int, written: list[str]
) -> None:
    """With neither it is an error that names the option."""
    scratch.git("remote", "set-url", "origin", url)
    scratch.commit(files)
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert (answer.code, list_written(scratch)) == (code, written)
    assert code == 0 or "--forge" in answer.err


@pytest.mark.parametrize(
    ("url", "there", "written"),
    [
        ("https://codeberg.org/octo/flights", "", ".forgejo/workflows/seatrial.yml"),
        ("git@gitea.acme.com:octo/flights", "", ".gitea/workflows/seatrial.yml"),
        # Gitea reads the first directory that is there: one more would put the others out of work.
        ("git@gitea.acme.com:octo/flights", ".github/workflows/lint.yml", WORKFLOW),
        ("https://codeberg.org/octo/flights", ".gitea/workflows/lint.yml", ".gitea/workflows/seatrial.yml"),
        ("git@bitbucket.org:octo/flights.git", "", "bitbucket-pipelines.yml"),
    ],
)
def test_other_forges_have_their_file_where_they_look(scratch: Scratch, url: str, there: str, written: str) -> None:
    """Gitea, Forgejo and Bitbucket; what is written is known by the doctor, and by a second run."""
    scratch.git("remote", "set-url", "origin", url)
    if there:
        scratch.commit({there: "on: push\njobs: {}\n"})
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 0, answer.err
    assert list_written(scratch) == sorted([written, "seatrial.yaml"])
    assert f"{written} runs seatrial" in run_seatrial(scratch.directory, "doctor", "--offline").out
    scratch.commit({})
    assert run_seatrial(scratch.directory, "init", "--yes").code == 0
    assert list_written(scratch) == []


def test_a_bitbucket_pipeline_that_is_there_is_left_with_what_to_paste(scratch: Scratch) -> None:
    """The step is shown, and the file is as it was."""
    before = "pipelines:\n  default:\n    - step: {script: [make]}\n"
    scratch.write({"bitbucket-pipelines.yml": before})
    answer = run_seatrial(scratch.directory, "init", "--yes", "--forge", "bitbucket")
    assert answer.code == 0, answer.err
    assert "- step: &model-report" in answer.out + answer.err
    assert (scratch.directory / "bitbucket-pipelines.yml").read_text() == before


def test_what_replaces_cml_is_said_and_its_workflow_stays(scratch: Scratch) -> None:
    """Line by line; where CI runs the pipeline, the new job does too."""
    old = "on: push\njobs:\n  a:\n    steps:\n      - run: |\n          dvc repro\n          cml comment create r.md\n"
    scratch.commit({".github/workflows/cml.yaml": old, "requirements.txt": "dvc\n"})
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert ".github/workflows/cml.yaml:7: `cml comment create r.md` →" in answer.out
    assert (scratch.directory / ".github/workflows/cml.yaml").read_text() == old
    steps = yaml.safe_load((scratch.directory / WORKFLOW).read_text())["jobs"]["measure"]["steps"]
    assert [step["with"]["reproduce"] for step in steps if step.get("id") == "seatrial"] == ["yes"]
    assert [step["run"] for step in steps if "run" in step] == ["python -m pip install -r requirements.txt"]


def test_no_dvc_project_is_an_error_with_the_way_out(tmp_path: Path) -> None:
    """There is nothing to judge."""
    scratch = Scratch(tmp_path)
    scratch.git("init", "--quiet")
    answer = run_seatrial(tmp_path, "init", "--yes", "--forge", "github")
    assert answer.code == 2
    assert "dvc init" in answer.err


def test_a_missing_metric_is_said_and_not_gated_away(scratch: Scratch) -> None:
    """The policy is not softened to let a broken state pass: what will fail is told."""
    stage = "stages:\n  t:\n    cmd: x\n    metrics: [{metrics.json: {cache: false}}, {other.json: {cache: false}}]\n"
    scratch.commit({"dvc.yaml": stage, "other.json": '{"accuracy": 0.9}'})
    (scratch.directory / "metrics.json").unlink()
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 0
    assert "metrics.json: is declared, but is not there" in answer.out
    assert run_seatrial(scratch.directory, "compare").code == 1


def test_several_projects_have_one_policy(scratch: Scratch) -> None:
    """Metrics of the same name are gated by their files, and a remote of any project counts."""
    remote = "[core]\n    remote = s\n['remote \"s\"']\n    url = s3://bucket/x\n"
    for name, recall in (("a", 0.8), ("b", 0.6)):
        stage = "stages:\n  t:\n    cmd: x\n    metrics: [m.json: {cache: false}]\n"
        files = {".dvc/config": remote if name == "b" else "", "dvc.yaml": stage, "m.json": f'{{"auc": {recall}}}'}
        scratch.write({f"{name}/{path}": text for path, text in files.items()})
    scratch.commit({})
    answer = run_seatrial(scratch.directory / "b", "init", "--yes")
    assert answer.code == 0, answer.err
    assert "DVC: the repository's root, a, b; default remote: s" in answer.out
    rules = parse_config((scratch.directory / "seatrial.yaml").read_bytes()).policy.rules
    assert {rule.pattern for rule in rules} == {"recall", "loss", "a/m.json:auc", "b/m.json:auc"}
    assert run_seatrial(scratch.directory, "compare").code == 0


def test_with_no_metric_at_hand_no_policy_is_written(scratch: Scratch) -> None:
    """An empty one would keep a good one from being proposed; what brings the metrics is said."""
    (scratch.directory / "metrics.json").unlink()
    answer = run_seatrial(scratch.directory, "init", "--yes")
    assert answer.code == 0
    assert "then seatrial init again" in answer.out
    assert list_written(scratch) == [WORKFLOW]
    scratch.git("checkout", "--", "metrics.json")
    assert run_seatrial(scratch.directory, "init", "--yes").code == 0
    assert list_written(scratch) == [WORKFLOW, "seatrial.yaml"]


@pytest.mark.slow
def test_a_real_project_in_a_directory_of_its_own(tmp_path: Path) -> None:
    """With DVC's own files and cache: predictions are recognised, tried, and gate; run from within the project."""
    scratch = Scratch(tmp_path)
    scratch.git("init", "--quiet", "--initial-branch=trunk")
    scratch.git("remote", "add", "origin", "git@github.com:octo/flights.git")
    project = tmp_path / "ml"
    project.mkdir()
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--subdir", "--quiet"], cwd=project, check=True)
    scratch.write({"ml/train.py": TRAIN, "ml/params.yaml": "threshold: 0.4\n", "ml/dvc.yaml": STAGE})
    subprocess.run([*dvc, "remote", "add", "--quiet", "-d", "store", str(tmp_path / "store")], cwd=project, check=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run([*dvc, "repro", "--quiet"], cwd=project, check=True, env={**os.environ, "PATH": path})
    scratch.commit({})
    scratch.git("branch", "main")  # what its remote calls the default is not known here
    answer = run_seatrial(project, "init", "--yes")
    assert answer.code == 0, answer.err
    [evaluation] = parse_config((tmp_path / "seatrial.yaml").read_bytes()).evaluations
    assert (evaluation.predictions, evaluation.metrics_file) == ("ml/predictions.csv", "ml/metrics.json")
    assert evaluation.threshold == "ml/params.yaml:threshold"
    workflow = yaml.safe_load((tmp_path / WORKFLOW).read_text())
    [step] = [step for step in workflow["jobs"]["measure"]["steps"] if step.get("id") == "seatrial"]
    assert step["with"]["working-directory"] == "ml"
    compared = run_seatrial(project, "compare", "--format", "json")
    assert compared.code == 0
    outcomes = {(finding["key"][-1], finding["outcome"]) for finding in compared.facts["findings"]}
    assert outcomes == {(key, "passed") for key in ("accuracy", "seconds", "roc_auc", "log_loss")}
    doctor = run_seatrial(project, "doctor", env={"PATH": path})
    assert doctor.code == 0, doctor.out
    assert "ml/predictions.csv: 400 rows with id, label, score" in doctor.out


def test_a_repository_without_a_commit_says_what_could_not_be_tried(tmp_path: Path) -> None:
    """The files are written; that nothing can be compared yet is told."""
    scratch = Scratch.create(tmp_path / "project")
    scratch.write({"metrics.json": '{"recall": 0.8}'})
    answer = run_seatrial(scratch.directory, "init", "--yes", "--forge", "github")
    assert answer.code == 0, answer.err
    assert "could not be tried" in answer.out
