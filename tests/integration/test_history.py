"""`seatrial history` on a branch of three hundred commits, with all that goes wrong in the life of a project."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from seatrial.render.history import schema
from tests.integration.branches import Step, declare, grow, spell
from tests.integration.repositories import Answer, Scratch, run_seatrial

OLD, NEW = "metrics.json", "reports/metrics.json"
APPEARS, BROKEN, MOVED, BLIND, NAN, LAST = 20, 150, 200, 250, 260, 299


def measure(at: int) -> str:
    """What the model of a commit scores; `f1` is measured from the hundredth commit on."""
    recall = round(0.7 + 0.1 * math.tanh(at / 80) + 0.01 * math.sin(at), 4)
    values: dict[str, Any] = {"recall": recall, "model": "forest", "latency": {"p95_ms": 40 + at % 7}}
    return spell(**(values | {"f1": recall - 0.05} if at >= 100 else values))


def live() -> list[Step]:
    """The branch: only every third commit trains anew, every fifth is a merge."""
    steps = []
    for at in range(LAST + 1):
        files: dict[str, str | None] = {"notes.md": f"{at}\n"}
        path = OLD if at < MOVED else NEW
        if at == APPEARS:
            files["dvc.yaml"] = declare(OLD)
        if at >= APPEARS and at % 3 == 2 and at not in {BROKEN, MOVED}:
            files[path] = measure(at)
        if at == BROKEN:
            files[OLD] = '{"recall": 0.8,\n<<<<<'
        if at == BROKEN + 1:
            files[OLD] = measure(at)
        if at == MOVED:
            files |= {OLD: None, NEW: measure(MOVED), "dvc.yaml": declare(NEW)}
        if at == BLIND:
            files["dvc.yaml"] = "stages: [\n"
        if at == BLIND + 1:
            files["dvc.yaml"] = declare(NEW)
        if at == NAN:
            files[NEW] = '{"recall": NaN, "f1": 0.7, "model": "forest", "latency": {"p95_ms": 41}}'
        steps.append(Step(files=files, merges={path: spell(recall=0.1)} if at and at % 5 == 0 else None))
    return steps


@pytest.fixture(scope="module")
def branch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    directory = tmp_path_factory.mktemp("history") / "project"
    return directory, grow(directory, live())


def history(directory: Path, *arguments: str) -> Answer:
    answer = run_seatrial(directory, "history", *arguments)
    assert answer.code == 0, answer.err
    return answer


def readings(facts: dict[str, Any], key: str) -> list[dict[str, Any]]:
    [found] = [one for one in facts["metrics"] if ".".join(one["key"]) == key]
    return list(found["readings"])


def test_every_commit_of_the_line_counts_and_no_other(branch: tuple[Path, list[str]]) -> None:
    """The readings cover main's own commits without a hole from the first measurement on, and no merged branch."""
    directory, commits = branch
    facts = history(directory, "--format", "json").facts
    assert facts["commits"] == LAST + 1 == len(commits)
    found = readings(facts, "recall")
    assert found[0]["commit"] == commits[APPEARS]
    at = APPEARS
    for reading in found:
        assert reading["commit"] == commits[at]
        at += reading["commits"]
    assert at == LAST + 1
    assert 0.1 not in {reading["value"] for reading in found}
    Draft202012Validator(schema()).validate(facts)


def test_values_are_those_that_git_holds(branch: tuple[Path, list[str]]) -> None:
    """Each value is what the file says in the commit that is named, whatever its name was then."""
    directory, commits = branch
    scratch = Scratch(directory)
    for reading in readings(history(directory, "--format", "json").facts, "recall")[::15]:
        if reading["state"] == "measured":
            held = json.loads(scratch.git("show", f"{reading['commit']}:{reading['file']}"))
            assert held["recall"] == reading["value"]
            assert reading["file"] == (OLD if commits.index(reading["commit"]) < MOVED else NEW)


def test_what_broke_is_a_gap_with_its_reason(branch: tuple[Path, list[str]]) -> None:
    """Broken JSON, a broken dvc.yaml and NaN are gaps of exactly their commits, and say why."""
    directory, commits = branch
    found = readings(history(directory, "--format", "json").facts, "recall")
    gaps = {commits.index(one["commit"]): one for one in found if one["state"] != "measured"}
    assert sorted(gaps) == [BROKEN, BLIND, NAN]
    assert gaps[BROKEN]["state"] == "unreadable"
    assert gaps[BROKEN]["reason"].startswith("metrics.json")
    assert (gaps[BLIND]["state"], gaps[BLIND]["commits"]) == ("unreadable", 1)
    assert gaps[BLIND]["reason"].startswith("dvc.yaml:")
    assert gaps[NAN]["reason"] == "the value is NaN, not a finite number"


def test_a_metric_that_came_later_starts_later(branch: tuple[Path, list[str]]) -> None:
    """Commits before a metric was first written are no gaps of it."""
    directory, commits = branch
    first = readings(history(directory, "--format", "json").facts, "f1")[0]
    assert (first["state"], commits.index(first["commit"])) == ("measured", 101)


def test_formats_tell_the_same(branch: tuple[Path, list[str]], tmp_path: Path) -> None:
    """CSV and JSON hold the same measurements; Markdown and the terminal the latest of them."""
    directory, _ = branch
    facts = history(directory, "recall", "--format", "json").facts
    rows = list(csv.DictReader(io.StringIO(history(directory, "recall", "--format", "csv").out)))
    told = readings(facts, "recall")
    assert [row["commit"] for row in rows] == [one["commit"] for one in told]
    assert [float(row["value"]) if row["value"] else None for row in rows] == [one["value"] for one in told]
    history(directory, "recall", "--output", str(tmp_path / "history.md"))
    markdown, terminal = (tmp_path / "history.md").read_text(encoding="utf-8"), history(directory, "recall").out
    assert told[-1]["commit"][:7] in markdown
    assert told[-1]["commit"][:7] in terminal
    assert "xychart-beta" in markdown


def test_a_part_of_the_line_can_be_read(branch: tuple[Path, list[str]]) -> None:
    """`--most` counts commits, `--since` starts at a day, `--branch` ends at a revision, `--targets` names files."""
    directory, commits = branch
    assert history(directory, "--most", "10", "--format", "json").facts["oldest"]["sha"] == commits[-10]
    assert history(directory, "--since", "2026-02-01", "--format", "json").facts["oldest"]["date"][:10] == "2026-02-01"
    cut = history(directory, "--branch", commits[100], "--format", "json").facts
    assert (cut["newest"]["sha"], cut["commits"]) == (commits[100], 101)
    assert {one["file"] for one in cut["metrics"]} == {OLD}
    assert {one["file"] for one in history(directory, "--targets", "reports", "--format", "json").facts["metrics"]} == {
        NEW
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["recal"], "did you mean recall?"),
        (["model"], "model is never a number"),
        (["--since", "yesterday"], "write it as 2026-01-31"),
        (["--since", "2199-01-01"], "main has no commit since then"),
        (["--branch", "mian"], "did you mean main?"),
        (["--targets", "nowhere.json"], "no metrics file of main"),
        (["--output", "history.xlsx"], "the suffix does not tell the format"),
    ],
)
def test_what_is_not_there_is_said(branch: tuple[Path, list[str]], arguments: list[str], told: str) -> None:
    """A name, a day or a file that does not exist is one clear error with what to do."""
    answer = run_seatrial(branch[0], "history", *arguments)
    assert answer.code == 2
    assert told in answer.err
    assert answer.out == ""


def test_a_shallow_clone_says_that_it_is_one(branch: tuple[Path, list[str]], tmp_path: Path) -> None:
    """A history that is cut off is never told as the whole."""
    scratch = Scratch(tmp_path)
    scratch.git("clone", "--quiet", "--depth", "5", branch[0].as_uri(), "clone")
    facts = history(tmp_path / "clone", "--format", "json").facts
    assert facts["commits"] == 5
    assert "this clone is shallow" in facts["notes"][0]


def test_a_partial_clone_brings_all_at_once(branch: tuple[Path, list[str]], tmp_path: Path) -> None:
    """What a clone without contents lacks comes by one fetch, not one for each commit."""
    scratch = Scratch(tmp_path)
    Scratch(branch[0]).git("config", "uploadpack.allowFilter", "true")
    Scratch(branch[0]).git("config", "uploadpack.allowAnySHA1InWant", "true")
    scratch.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", branch[0].as_uri(), "clone")
    trace = tmp_path / "trace"
    answer = run_seatrial(
        tmp_path / "clone", "history", "recall", "--format", "csv", env={"GIT_TRACE2_EVENT": str(trace)}
    )
    assert answer.code == 0, answer.err
    assert answer.out == history(branch[0], "recall", "--format", "csv").out
    started = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    fetches = [event for event in started if event["event"] == "start" and "fetch" in event["argv"]]
    # One for the contents, and one for each of the four dvc.yaml that a reader meets on its way.
    assert len(fetches) <= 6


def test_what_dvc_keeps_is_read_where_it_is_here(tmp_path: Path) -> None:
    """Metrics in DVC's cache are read from it; a version that is not on this machine is a gap that says so."""
    here, gone = "a" * 2, "b" * 32
    content = b'{"recall": 0.5}'
    import hashlib

    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    lock = "schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n    - path: metrics.json\n      md5: {}\n"
    project = "stages:\n  train:\n    cmd: train\n    metrics:\n    - metrics.json\n"
    directory = tmp_path / "project"
    steps = [
        Step(files={"dvc.yaml": project, "dvc.lock": lock.format(digest), ".dvc/config": ""}),
        Step(files={"notes.md": here}),
        Step(files={"dvc.lock": lock.format(gone)}),
    ]
    grow(directory, steps)
    place = directory / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    facts = history(directory, "--format", "json").facts
    [series] = facts["metrics"]
    assert [(one["state"], one["value"], one["commits"]) for one in series["readings"]] == [
        ("measured", 0.5, 2),
        ("missing-cache", None, 1),
    ]
    assert "dvc fetch --all-commits metrics.json" in facts["notes"][0]


def test_names_from_a_stranger_stay_names(tmp_path: Path) -> None:
    """Keys and subjects that are made to be obeyed are text in every format."""
    directory = tmp_path / "project"
    key = "=1+1|<img src=x>\u202e\n/merge"
    files = {"dvc.yaml": declare("metrics.json"), "metrics.json": json.dumps({key: 1.5})}
    grow(directory, [Step(files=files, subject="</td><script>::error::")])
    rows = list(csv.DictReader(io.StringIO(history(directory, "--format", "csv").out)))
    assert [row["metric"] for row in rows] == [f"'{key}"]
    markdown = history(directory, "--format", "markdown").out
    assert "<img" not in markdown
    assert "<script" not in markdown
    assert not [line for line in markdown.splitlines() if line.startswith("/merge")]
    assert "\u202e" not in history(directory).out
