"""Repositories as they are met: large, cut short, bare, nested, and with names that nobody would choose."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.repositories import Scratch, run_seatrial

GATED = "version: 1\nmetrics:\n  recall: {max_decrease: 0.05}\n"
PARTIAL = ("--filter=blob:none",)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """A repository with a DVC project."""
    return Scratch.create(tmp_path / "project")


def changes(facts: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Both values of every metric, by its place."""
    return {f"{row['file']}:{'.'.join(row['key'])}": (row["base"], row["head"]) for row in facts["metrics"]}


def compare(directory: Path, *arguments: str, before: tuple[str, ...] = ()) -> dict[str, tuple[Any, Any]]:
    """The metrics that a comparison which passes reports, unchanged ones included."""
    answer = run_seatrial(directory, *before, "compare", "--all", "--format", "json", *arguments)
    assert (answer.code, answer.err) == (0, "")
    return changes(answer.facts)


def clone(scratch: Scratch, to: Path, *options: str) -> Scratch:
    """A clone over git's own protocol, as CI makes one."""
    subprocess.run(["git", "clone", "-q", *options, scratch.directory.as_uri(), str(to)], check=True)
    return Scratch(to)


def two_measurements(scratch: Scratch) -> None:
    """0.1 on main, 0.2 on the branch that is checked out."""
    scratch.measure(recall=0.1)
    scratch.git("checkout", "-q", "-b", "feature")
    scratch.measure(recall=0.2)


RECALL = {"metrics.json:recall": (0.1, 0.2)}


# -- large


def test_a_project_like_the_tutorial_of_dvc(scratch: Scratch) -> None:
    """Stages with params, top-level metrics and plots, a directory in DVC's cache, a wdir, a nested metrics file."""
    pipeline = """\
stages:
  prepare:
    cmd: python src/prepare.py
    deps: [src/prepare.py]
    params: [prepare.seed]
    outs: [data/prepared]
  train:
    wdir: model
    cmd: python train.py
    params:
    - ../params.yaml: [train.depth]
  evaluate:
    cmd: python src/evaluate.py
    metrics:
    - eval/live/metrics.json: {cache: false}
params: [params.yaml]
metrics: [eval/scores]
plots:
- ROC: {x: fpr, y: {eval/roc.json: tpr}}
"""
    shared: dict[str, str | bytes] = {"dvc.yaml": pipeline, "params.yaml": "prepare: {seed: 1}\ntrain: {depth: 3}\n"}
    scratch.commit({**shared, "eval/live/metrics.json": '{"avg": {"p": 0.5}}', "eval/scores/a.yaml": "auc: 0.7\n"})
    scratch.write({"eval/live/metrics.json": '{"avg": {"p": 0.6}}', "params.yaml": "prepare: {seed: 2}\n"})
    answer = run_seatrial(scratch.directory, "compare", "--all", "--format", "json")
    expected = {"eval/live/metrics.json:avg.p": (0.5, 0.6), "eval/scores/a.yaml:auc": (0.7, 0.7)}
    assert changes(answer.facts) == expected
    params = {".".join(row["key"]): row["state"] for row in answer.facts["params"]}
    assert (params["prepare.seed"], params["train.depth"]) == ("changed", "removed")


def test_a_monorepo_of_two_hundred_projects(scratch: Scratch) -> None:
    """Each project counts; one that is broken is named and keeps no other from being compared."""
    files: dict[str, str | bytes] = {}
    for number in range(200):
        top = f"teams/t{number // 20}/p{number}"
        files |= {f"{top}/.dvc/config": "", f"{top}/dvc.yaml": "metrics: [m.json]\n", f"{top}/m.json": '{"r": 1}'}
    scratch.commit(files)
    scratch.write({"teams/t3/p77/m.json": '{"r": 2}', "teams/t0/p5/dvc.yaml": "metrics: [unclosed\n"})
    answer = run_seatrial(scratch.directory, "compare", "--all", "--format", "json")
    found = changes(answer.facts)
    assert found["teams/t3/p77/m.json:r"] == (1, 2)
    assert sum(values == (1, 1) for values in found.values()) == 198
    assert "teams/t0/p5/dvc.yaml" in json.dumps(answer.facts["problems"])


def test_a_thousand_stages_by_foreach(scratch: Scratch) -> None:
    """One metrics file of each round."""
    pipeline = (
        "stages:\n  t:\n    foreach: ${names}\n    do:\n      cmd: t ${item}\n      metrics: ['out/${item}.json']\n"
    )
    params = "names: [" + ", ".join(f"n{number}" for number in range(1000)) + "]\n"
    outs: dict[str, str | bytes] = {f"out/n{number}.json": f'{{"v": {number}}}' for number in range(1000)}
    scratch.commit({"dvc.yaml": pipeline, "params.yaml": params, **outs})
    scratch.write({"out/n999.json": '{"v": -1}'})
    found = compare(scratch.directory)
    assert len(found) == 1000
    assert found["out/n999.json:v"] == (999, -1)


def test_five_thousand_commits_of_history(scratch: Scratch) -> None:
    """The merge base, and how far main has moved, over a long history."""
    who = "Ada <ada@example.org> 1700000000 +0000"

    def write(branch: str, number: int, onto: str) -> str:
        content = json.dumps({"recall": number / 10_000})
        return (
            f"commit refs/heads/{branch}\ncommitter {who}\ndata 1\nx\n{onto}M 100644 inline metrics.json\n"
            f"data {len(content)}\n{content}\n"
        )

    scratch.commit({"dvc.yaml": "metrics: [metrics.json]\n"})
    start = [write("main", 1, "from refs/heads/main^0\n")]
    stream = "".join(start + [write("main", number, "") for number in range(2, 5001)])
    subprocess.run(["git", "fast-import", "--quiet"], cwd=scratch.directory, input=stream, text=True, check=True)
    scratch.git("checkout", "-q", "-f", "-b", "feature", "main~2500")
    scratch.measure(recall=0.5001)
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert changes(answer.facts) == {"metrics.json:recall": (0.25, 0.5001)}
    assert answer.facts["baseline_moved"] == 2500


def test_metrics_that_are_only_in_the_cache(scratch: Scratch) -> None:
    """Found by digest on both sides; where the bytes are gone, the state says so, with the command that brings them."""
    locks = []
    for content in ('{"recall": 0.1}', '{"recall": 0.2}'):
        digest = hashlib.md5(content.encode()).hexdigest()
        scratch.write({f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}": content, ".dvc/.gitignore": "/cache\n"})
        locks.append(f"schema: '2.0'\nstages:\n  train:\n    outs:\n    - {{path: m.json, hash: md5, md5: {digest}}}\n")
    pipeline = "stages:\n  train:\n    cmd: t\n    metrics: [m.json]\n"
    scratch.commit({"dvc.yaml": pipeline, "dvc.lock": locks[0], ".gitignore": "/m.json\n"})
    scratch.commit({"dvc.lock": locks[1]})
    assert compare(scratch.directory, "HEAD~1", "HEAD") == {"m.json:recall": (0.1, 0.2)}
    (scratch.directory / ".dvc" / "cache").rename(scratch.directory.parent / "cache")
    answer = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", "json")
    assert answer.code == 1
    assert answer.facts["metrics"][0]["state"] == "missing-cache"
    assert "dvc fetch" in run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD").out


# -- cut short


def trace_fetches(directory: Path, *arguments: str, trace: Path) -> tuple[dict[str, tuple[Any, Any]], int]:
    """What a comparison reports, and how often it made git fetch."""
    env = {"GIT_TRACE2_EVENT": str(trace)}
    answer = run_seatrial(directory, "compare", "--all", "--format", "json", *arguments, env=env)
    assert (answer.code, answer.err) == (0, "")
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    started = [event["argv"] for event in events if event["event"] == "start"]
    return changes(answer.facts), sum("fetch" in argv for argv in started)


def test_a_partial_clone_fetches_in_batches(scratch: Scratch, tmp_path: Path) -> None:
    """Its blobs are not fetched one by one, and not at all once they are here."""
    files: dict[str, str | bytes] = {f"m/{number}.json": f'{{"r": {number}}}' for number in range(50)}
    scratch.commit({"dvc.yaml": "metrics: [m]\n", **files})
    scratch.commit({f"m/{number}.json": f'{{"r": {number + 1}}}' for number in range(50)})
    scratch.git("config", "uploadpack.allowFilter", "true")
    scratch.git("config", "uploadpack.allowAnySHA1InWant", "true")
    partial = clone(scratch, tmp_path / "partial", *PARTIAL, "--no-checkout").directory
    found, fetches = trace_fetches(partial, "HEAD~1", "HEAD", trace=tmp_path / "trace")
    assert len(found) == 50
    assert found["m/7.json:r"] == (7, 8)
    assert fetches <= 4  # the DVC files and the metrics of either side
    _, fetches = trace_fetches(partial, "HEAD~1", "HEAD", trace=tmp_path / "again")
    assert fetches == 0


def test_a_partial_clone_without_its_remote_says_so(scratch: Scratch, tmp_path: Path) -> None:
    """Exit code 3, and what to do; not "no metrics"."""
    two_measurements(scratch)
    scratch.git("config", "uploadpack.allowFilter", "true")
    partial = clone(scratch, tmp_path / "partial", *PARTIAL, "--no-checkout").directory
    scratch.directory.rename(tmp_path / "gone")
    answer = run_seatrial(partial, "compare", "origin/main", "HEAD")
    assert answer.code == 3
    assert "partial clone" in answer.err


@pytest.mark.parametrize("depth", [1, 2])
def test_a_shallow_clone_finds_its_baseline(scratch: Scratch, tmp_path: Path, depth: int) -> None:
    """Of a branch of five commits, cut off after one or two."""
    scratch.measure(recall=0.1)
    scratch.git("checkout", "-q", "-b", "feature")
    for value in range(5):
        scratch.measure(recall=value + 1)
    shallow = clone(scratch, tmp_path / "shallow", f"--depth={depth}", "--no-single-branch").directory
    assert compare(shallow, "origin/main...HEAD") == {"metrics.json:recall": (0.1, 5)}


# -- nested and bare


def test_a_worktree_and_a_sub_directory(scratch: Scratch, tmp_path: Path) -> None:
    """`git worktree add` makes `.git` a file; a command may start anywhere below."""
    two_measurements(scratch)
    scratch.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "beside"))
    deep = tmp_path / "beside" / "deep" / "below"
    deep.mkdir(parents=True)
    Scratch(tmp_path / "beside").write({"metrics.json": '{"recall": 0.3}'})
    assert compare(deep) == {"metrics.json:recall": (0.1, 0.3)}
    assert compare(tmp_path, before=("-C", str(deep))) == {"metrics.json:recall": (0.1, 0.3)}


def test_inside_of_a_submodule(scratch: Scratch, tmp_path: Path) -> None:
    """The submodule is the repository there; for the one around it, it is no file."""
    two_measurements(scratch)
    scratch.git("checkout", "-q", "main")
    outer = Scratch.create(tmp_path / "outer")
    outer.measure(recall=7)
    outer.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", scratch.directory.as_uri(), "models")
    outer.git("commit", "-q", "-m", "Add a submodule")
    outer.write({"models/metrics.json": '{"recall": 0.2}'})
    assert compare(outer.directory / "models") == RECALL
    assert compare(outer.directory, "HEAD~1", "HEAD") == {"metrics.json:recall": (7, 7)}
    assert compare(outer.directory, "HEAD") == {"metrics.json:recall": (7, 7)}


def test_a_bare_repository_compares_commits(scratch: Scratch, tmp_path: Path) -> None:
    """With `--git-dir`; its policy is that of its HEAD, and there is no work tree to measure."""
    scratch.commit({"seatrial.yaml": GATED})
    two_measurements(scratch)
    scratch.measure(recall=0.0)
    scratch.git("checkout", "-q", "main")
    clone(scratch, tmp_path / "bare.git", "--bare")
    named = ("--git-dir", "bare.git")
    assert compare(tmp_path, "main", "feature~1", before=named) == RECALL
    assert run_seatrial(tmp_path, *named, "compare", "main", "feature").code == 1
    for arguments in (("main",), ()):
        answer = run_seatrial(tmp_path, *named, "compare", *arguments)
        assert answer.code == 2
        assert "no work tree" in answer.err
        assert "Traceback" not in answer.err


def test_git_dir_means_what_git_means(scratch: Scratch, tmp_path: Path) -> None:
    """Seen from `-C`; the directory is the work tree; what is no repository is told."""
    two_measurements(scratch)
    named = ("-C", str(scratch.directory), "--git-dir", ".git")
    assert compare(tmp_path, "main", before=named) == RECALL
    answer = run_seatrial(tmp_path, "--git-dir", "nowhere", "compare", "main", "feature")
    assert answer.code == 2
    assert "is not a git repository" in answer.err


def test_a_sha256_repository(tmp_path: Path) -> None:
    """Names of 64 digits."""
    (tmp_path / "new").mkdir()
    scratch = Scratch(tmp_path / "new")
    scratch.git("init", "-q", "--initial-branch=main", "--object-format=sha256")
    scratch.write({"dvc.yaml": "metrics: [metrics.json]\n"})
    two_measurements(scratch)
    assert len(scratch.git("rev-parse", "HEAD")) == 64
    assert compare(scratch.directory) == RECALL
    assert compare(scratch.directory, "main", "feature") == RECALL


# -- revisions


def test_no_commit_yet(scratch: Scratch) -> None:
    """One error that says what to do."""
    answer = run_seatrial(scratch.directory, "compare")
    assert answer.code == 2
    assert "no commit yet" in answer.err


def test_a_detached_head(scratch: Scratch) -> None:
    """The work tree against where it left main."""
    two_measurements(scratch)
    scratch.git("checkout", "-q", "--detach")
    assert compare(scratch.directory) == RECALL


@pytest.mark.parametrize("tag", ["exp#1", "a=b", "v@2", "team/x/1.0", "@me", "ünïcode", "50%", "a,b;c&d", "$(id)"])
def test_odd_tags_as_baseline(scratch: Scratch, tag: str) -> None:
    """What git takes as a name is a name."""
    two_measurements(scratch)
    scratch.git("tag", tag, "main")
    assert compare(scratch.directory, tag) == RECALL
    assert compare(scratch.directory, f"{tag}..HEAD") == RECALL


def test_an_ambiguous_name_is_read_as_git_reads_it(scratch: Scratch) -> None:
    """A tag before a branch of the same name; a branch before a commit's abbreviation."""
    two_measurements(scratch)
    scratch.git("tag", "same", "main")
    scratch.git("branch", "same", "feature")
    assert compare(scratch.directory, "same") == RECALL
    assert compare(scratch.directory, "heads/same") == {"metrics.json:recall": (0.2, 0.2)}


def test_the_default_branch_need_not_be_main(scratch: Scratch, tmp_path: Path) -> None:
    """origin/HEAD tells it, though there is a main too."""
    scratch.measure(recall=0.0)
    scratch.git("checkout", "-q", "-b", "develop")
    scratch.measure(recall=0.1)
    cloned = clone(scratch, tmp_path / "cloned")
    cloned.git("branch", "main", "origin/main")
    cloned.git("checkout", "-q", "-b", "feature")
    cloned.write({"metrics.json": '{"recall": 0.2}'})
    assert compare(cloned.directory) == RECALL


# -- names and bytes


@pytest.mark.parametrize(
    "name",
    [
        b"a\nb.json",
        b'quo"te.json',
        b"tab\there.json",
        b"latin-\xe9.json",
        b"-dash.json",
        b" space .json",
        b"\x1b[31m.json",
    ],
)
@pytest.mark.parametrize("report", ["json", "markdown", "terminal", "html", "junit"])
def test_odd_file_names_are_reported(scratch: Scratch, name: bytes, report: str) -> None:
    """A metrics directory holds what it holds; the report is UTF-8, on one line, without a terminal's commands."""
    directory = os.fsencode(scratch.directory) + b"/m/"
    os.mkdir(directory)  # noqa: PTH102 - the name is bytes
    for value in ("0.1", "0.2"):
        with open(directory + name, "w") as file:  # noqa: PTH123 - the name is bytes
            file.write(f'{{"recall": {value}}}')
        scratch.commit({"dvc.yaml": "metrics: [m]\n"})
    answer = run_seatrial(scratch.directory, "compare", "HEAD~1", "HEAD", "--format", report)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out
    assert "\x1b" not in answer.out
    if report == "json":
        assert list(changes(answer.facts).values()) == [(0.1, 0.2)]


def test_crlf_and_bom(scratch: Scratch) -> None:
    """Windows line ends and a byte order mark, in every file that is read."""
    bom = b"\xef\xbb\xbf"
    files: dict[str, str | bytes] = {
        "dvc.yaml": bom
        + b"stages:\r\n  t:\r\n    cmd: t\r\n    metrics:\r\n    - m.json\r\n    - m.yaml\r\n    - m.toml\r\n",
        "params.yaml": bom + b"depth: 3\r\n",
        "m.json": bom + b'{"a": 1}\r\n',
        "m.yaml": bom + b"b: 2\r\n",
        "m.toml": bom + b"c = 3\r\n",
        "seatrial.yaml": bom + GATED.replace("recall", "a").replace("\n", "\r\n").encode(),
    }
    scratch.commit(files)
    assert compare(scratch.directory, "HEAD") == {"m.json:a": (1, 1), "m.toml:c": (3, 3), "m.yaml:b": (2, 2)}


def test_symbolic_links_in_the_tree(scratch: Scratch) -> None:
    """On disk and in a commit one counts as what it leads to."""
    scratch.commit({"real.json": '{"recall": 0.1}'})
    (scratch.directory / "metrics.json").symlink_to("real.json")
    scratch.commit({})
    scratch.write({"real.json": '{"recall": 0.2}'})
    answer = run_seatrial(scratch.directory, "compare", "HEAD", "--format", "json")
    assert changes(answer.facts)["metrics.json:recall"] == (0.1, 0.2)


@pytest.mark.slow
def test_a_project_that_dvc_made_below_the_root(scratch: Scratch) -> None:
    """`dvc init --subdir` and `dvc repro`: what DVC wrote is read, its cache included."""
    top = scratch.directory / "models" / "a"
    top.mkdir(parents=True)
    stage = "import json, sys; json.dump({'auc': float(open('in.txt').read())}, open('m.json', 'w'))"
    scratch.write(
        {
            "models/a/make.py": stage,
            "models/a/in.txt": "0.5",
            "models/a/dvc.yaml": "stages:\n  t:\n    cmd: python make.py\n    deps: [in.txt]\n    metrics: [m.json]\n",
        }
    )
    (scratch.directory / "dvc.yaml").unlink()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "-q", "--subdir"], cwd=top, env=env, check=True)
    for value in ("0.5", "0.75"):
        scratch.write({"models/a/in.txt": value})
        subprocess.run([*dvc, "repro", "-q"], cwd=top, env=env, check=True)
        scratch.commit({})
    (top / "m.json").unlink()
    assert compare(scratch.directory, "HEAD~1", "HEAD") == {"models/a/m.json:auc": (0.5, 0.75)}
