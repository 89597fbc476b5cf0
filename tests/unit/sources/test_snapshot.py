"""What one revision says of itself, on real repositories."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from seatrial.core.metrics import MetricSet, Snapshot, State
from seatrial.core.revision import WORK_TREE, Revision
from seatrial.sources.snapshot import locate_out, read_declarations, read_snapshot, read_text
from tests.fakes.git_project import GitProject

HERE = Revision(name=WORK_TREE, sha=None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitProject:
    """An empty repository, and a user without a configuration of DVC."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return GitProject.create(tmp_path / "project")


def _store(project: GitProject, data: bytes, suffix: str = "") -> str:
    digest = hashlib.md5(data).hexdigest()
    place = project.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / (digest[2:] + suffix)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return digest + suffix


def _store_directory(project: GitProject, files: dict[str, bytes]) -> str:
    entries = [{"md5": _store(project, data), "relpath": path} for path, data in sorted(files.items())]
    return _store(project, json.dumps(entries).encode(), ".dir")


def _lock(**outs: str) -> str:
    listed = "".join(f"    - {{path: {name.replace('__', '/')}, md5: {md5}}}\n" for name, md5 in outs.items())
    return f"schema: '2.0'\nstages:\n  train:\n    cmd: x\n    outs:\n{listed}"


def _read(project: GitProject, revision: Revision | None = None, *targets: str) -> Snapshot:
    return read_snapshot(project.repository, revision or project.revision("HEAD"), targets)


def _only(sets: tuple[MetricSet, ...]) -> MetricSet:
    (only,) = sets
    return only


def test_a_commit_and_the_work_tree_are_told_apart(project: GitProject) -> None:
    """The commit keeps its values; the work tree has what was just written."""
    project.commit({"dvc.yaml": "metrics: [m.json]", "m.json": '{"auc": 0.5}', "params.yaml": "lr: 1\n"})
    project.write({"m.json": '{"auc": 0.75}', "params.yaml": "lr: 2\n"})
    committed, here = _read(project), _read(project, HERE)
    assert (_only(committed.metrics).values, _only(here.metrics).values) == ({("auc",): 0.5}, {("auc",): 0.75})
    assert (_only(committed.params).values, _only(here.params).values) == ({("lr",): 1}, {("lr",): 2})
    assert committed.holds_metrics


def test_a_revision_before_dvc_holds_nothing(project: GitProject) -> None:
    """A repository without DVC is an empty snapshot, so that the baseline can be looked for further back."""
    project.commit({"README.md": ""})
    snapshot = _read(project)
    assert not snapshot.holds_metrics
    assert (snapshot.metrics, snapshot.params, snapshot.problems) == ((), (), ())


def test_a_declared_file_that_is_nowhere_is_missing(project: GitProject) -> None:
    """Declared and absent is a state with a reason, not an empty table."""
    project.commit({"dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json: {cache: false}]}}"})
    problem = _only(_read(project).metrics).problem
    assert problem is not None
    assert problem.state is State.MISSING
    assert "m.json" in problem.message
    assert "commit" in problem.hint


def test_an_unreadable_file_leaves_the_others(project: GitProject) -> None:
    """One corrupt metrics file is a problem of its own."""
    project.commit({"dvc.yaml": "metrics: [a.json, b.json]", "a.json": "{", "b.json": '{"x": 1}'})
    bad, good = _read(project).metrics
    assert bad.problem is not None
    assert bad.problem.state is State.UNREADABLE
    assert good.values == {("x",): 1}


@pytest.mark.parametrize(
    ("path", "content"), [("m.json", "{}"), ("m.json", "[]"), ("m.yaml", ""), ("m.yaml", "# nothing\n")]
)
def test_a_metrics_file_without_values_is_a_problem(project: GitProject, path: str, content: str) -> None:
    """No data is never "no change"."""
    project.commit({"dvc.yaml": f"metrics: [{path}]", path: content})
    problem = _only(_read(project).metrics).problem
    assert problem is not None
    assert problem.message == f"{path}: holds no values"


def test_cached_metrics_come_from_the_cache_by_digest(project: GitProject) -> None:
    """A metric that is not in git is read from DVC's cache, as the commit's dvc.lock names it."""
    stage = "stages: {train: {cmd: x, metrics: [m.json]}}"
    project.commit({"dvc.yaml": stage, "dvc.lock": _lock(**{"m.json": _store(project, b'{"auc": 0.5}')})})
    assert _only(_read(project).metrics).values == {("auc",): 0.5}
    assert _only(_read(project, HERE).metrics).values == {("auc",): 0.5}


def test_a_lost_cache_is_named_with_the_command_that_mends_it(project: GitProject) -> None:
    """Bytes that are on no local disk are missing-cache, with `dvc fetch` for that path and revision."""
    project.commit(
        {"dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}", "dvc.lock": _lock(**{"m.json": "ab" * 16})}
    )
    for revision, command in ((None, "dvc fetch --all-commits m.json"), (HERE, "dvc fetch m.json")):
        problem = _only(_read(project, revision).metrics).problem
        assert problem is not None
        assert (problem.state, problem.hint) == (State.MISSING_CACHE, command)


def test_the_command_of_a_project_below_the_root_starts_there(project: GitProject) -> None:
    """DVC has to be started in the project that the file belongs to."""
    stage = "stages: {train: {cmd: x, metrics: [m x.json]}}"
    lock = _lock(**{"m x.json": "ab" * 16})
    project.commit({"team a/.dvc/config": "", "team a/sub/dvc.yaml": stage, "team a/sub/dvc.lock": lock})
    problem = _only(_read(project, HERE).metrics).problem
    assert problem is not None
    assert problem.hint == "cd 'team a' && dvc fetch 'sub/m x.json'"


def test_a_damaged_cache_is_unreadable(project: GitProject) -> None:
    """Bytes that do not fit their digest are no metric."""
    digest = _store(project, b'{"auc": 0.5}')
    project.commit(
        {"dvc.yaml": "stages: {train: {cmd: x, metrics: [m.json]}}", "dvc.lock": _lock(**{"m.json": digest})}
    )
    (project.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).write_bytes(b'{"auc": 0.9}')
    problem = _only(_read(project).metrics).problem
    assert problem is not None
    assert problem.state is State.UNREADABLE
    assert "another digest" in problem.message


def test_directories_of_metrics_are_expanded(project: GitProject) -> None:
    """A directory stands for its files, in git and in the cache."""
    digest = _store_directory(project, {"a.json": b'{"x": 1}', "deep/b.json": b'{"x": 2}'})
    project.commit(
        {
            "dvc.yaml": "stages: {train: {cmd: x, outs: [live]}}\nmetrics: [reports, live]",
            "dvc.lock": _lock(live=digest),
            "reports/m.json": '{"x": 0}',
        }
    )
    snapshot = _read(project)
    assert [one.path for one in snapshot.metrics] == ["live/a.json", "live/deep/b.json", "reports/m.json"]
    assert [one.values[("x",)] for one in snapshot.metrics] == [1, 2, 0]


def test_a_file_inside_of_a_cached_directory_is_found(project: GitProject) -> None:
    """A metric may be declared below an output that DVC caches as a whole."""
    digest = _store_directory(project, {"deep/m.json": b'{"x": 1}', "other": b"2"})
    dvc_yaml = "stages: {train: {cmd: x, outs: [live]}}\nmetrics: [live/deep/m.json, live/deep]"
    project.commit({"dvc.yaml": dvc_yaml, "dvc.lock": _lock(live=digest)})
    assert _only(_read(project).metrics) == MetricSet(path="live/deep/m.json", values={("x",): 1})


def test_targets_choose_files(project: GitProject) -> None:
    """Targets are metrics, declared or not, parameters where they are declared as such, and directories of both."""
    files = {
        "reports/a.json": '{"x": 1}',
        "reports/b.json": '{"x": 2}',
        "other.json": '{"y": 3}',
        "params.yaml": "lr: 1",
    }
    project.commit({"dvc.yaml": "metrics: [reports/a.json]", "loose/c.json": '{"z": 1}', **files})

    def chosen(*targets: str) -> tuple[list[str], list[str]]:
        snapshot = _read(project, None, *targets)
        return [one.path for one in snapshot.metrics], [one.path for one in snapshot.params]

    assert chosen("reports/a.json") == (["reports/a.json"], [])
    assert chosen("./reports/") == (["reports/a.json"], [])
    assert chosen("other.json", "params.yaml") == (["other.json"], ["params.yaml"])
    assert chosen("loose") == (["loose/c.json"], [])
    assert chosen("gone.json") == ([], [])
    assert chosen(".") == (["reports/a.json"], ["params.yaml"])


def test_problems_of_declarations_are_part_of_the_snapshot(project: GitProject) -> None:
    """A broken dvc.yaml is told, and what others declare is read."""
    project.commit({"bad/dvc.yaml": "stages: [", "dvc.yaml": "metrics: [m.json]", "m.json": '{"x": 1}'})
    snapshot = _read(project)
    assert [problem.path for problem in snapshot.problems] == ["bad/dvc.yaml"]
    assert snapshot.holds_metrics


def test_params_are_cut_to_their_declared_keys(project: GitProject) -> None:
    """Keys choose values by their dotted name, whole branches, and with a star."""
    text = '{"a": {"b": {"c": 1, "d": 2}, "e": 3}, "x.y": 4, "z": 5, "list": [6, 7]}'
    project.commit({"dvc.yaml": "stages: {s: {cmd: x, params: [p.json: [a.b, 'a.*.d', x.y, list]]}}", "p.json": text})
    values = _only(_read(project).params).values
    assert values == {("a", "b", "c"): 1, ("a", "b", "d"): 2, ("x.y",): 4, ("list", "0"): 6, ("list", "1"): 7}


@pytest.mark.parametrize(
    ("declared", "chosen"),
    [
        ("a", ["a.b.c", "a.b.d", "a.e"]),
        (".a.b", ["a.b.c", "a.b.d"]),
        ("?.e", ["a.e"]),
        ("[ab].b.[!c]", ["a.b.d"]),
        ("**.d", ["a.b.d"]),
        ("a.**.c", ["a.b.c"]),
        ("a.**.e", ["a.e"]),
        ("a.e.deeper", []),
    ],
)
def test_declared_keys_are_patterns_part_by_part(project: GitProject, declared: str, chosen: list[str]) -> None:
    """`*`, `?`, `[…]` and `**` mean what they mean to DVC."""
    text = '{"a": {"b": {"c": 1, "d": 2}, "e": 3}, "z": 5}'
    project.commit({"dvc.yaml": f"stages: {{s: {{cmd: x, params: [p.json: ['{declared}']]}}}}", "p.json": text})
    assert [".".join(key) for key in _only(_read(project).params).values] == chosen


def test_a_directory_of_metrics_is_without_dvcs_own_files(project: GitProject) -> None:
    """dvc.yaml, dvc.lock, .dvc files and .dvc/ are no metrics, wherever they lie."""
    own = {"r/dvc.yaml": "", "r/x.csv.dvc": "outs: []", "r/.dvc/config": "", "r/.dvcignore": "", "r/dvc.lock": ""}
    project.commit({"dvc.yaml": "metrics: [r]", "r/m.json": '{"x": 1}', **own})
    for side in (_read(project), _read(project, HERE)):
        assert [file.path for file in side.metrics] == ["r/m.json"]


def test_a_directory_may_hold_files_of_git_and_of_the_cache(project: GitProject) -> None:
    """No output is forgotten because git has files beside it; one whose bytes are lost is said to be."""
    lock = _lock(**{"r/c.json": _store(project, b'{"x": 1}'), "r/lost.json": "ab" * 16})
    project.commit({"dvc.yaml": "stages: {train: {cmd: x, outs: [r/c.json, r/lost.json]}}\nmetrics: [r]"})
    project.commit({"dvc.lock": lock, "r/g.json": '{"y": 2}'})
    found = {file.path: file.problem.state if file.problem else file.values for file in _read(project).metrics}
    assert found == {"r/c.json": {("x",): 1}, "r/g.json": {("y",): 2}, "r/lost.json": State.MISSING_CACHE}


def test_read_text_takes_one_file_of_either_side(project: GitProject) -> None:
    """The policy is read from the base branch, not from the disk."""
    project.commit({"seatrial.yaml": "a"})
    project.write({"seatrial.yaml": "b"})
    assert read_text(project.repository, project.revision("HEAD"), "seatrial.yaml") == b"a"
    assert read_text(project.repository, HERE, "seatrial.yaml") == b"b"
    assert read_text(project.repository, HERE, "gone") is None


def test_outputs_are_located_by_the_commits_digest(project: GitProject) -> None:
    """A commit's model is what its lock names, wherever the work tree has moved on to."""
    digest = _store_directory(project, {"a/model.onnx": b"old", "card.md": b"text"})
    dvc_yaml = "stages: {train: {cmd: x, outs: [model]}}\nartifacts: {champion: {path: model}}"
    project.commit({"dvc.yaml": dvc_yaml, "dvc.lock": _lock(model=digest)})
    project.write({".gitignore": "/model", "model/a/model.onnx": "new"})
    out = locate_out(project.repository, project.revision("HEAD"), "model")
    assert out is not None
    assert (out.path, out.digest, out.missing) == ("model", digest, ())
    assert [(file.path, file.location.read_bytes()) for file in out.files if file.location] == [
        ("a/model.onnx", b"old"),
        ("card.md", b"text"),
    ]
    here = locate_out(project.repository, HERE, "model")
    assert here is not None
    assert [(file.path, file.digest) for file in here.files] == [("a/model.onnx", hashlib.md5(b"new").hexdigest())]
    inner = locate_out(project.repository, project.revision("HEAD"), "model/card.md")
    assert inner is not None
    assert inner.digest == hashlib.md5(b"text").hexdigest()
    assert locate_out(project.repository, project.revision("HEAD"), "nothing") is None
    declared = read_declarations(project.repository, HERE).artifacts
    assert [(artifact.name, artifact.path) for artifact in declared] == [("champion", "model")]


def test_a_large_output_is_hashed_once_while_it_stays_as_it_is(
    project: GitProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run asks for it several times; what is written anew, by a stage or by hand, has its own digest."""
    read: list[Path] = []

    def count(place: Path) -> str:
        read.append(place)
        return hashlib.md5(place.read_bytes()).hexdigest()

    monkeypatch.setattr("seatrial.sources.snapshot.hash_file", count)
    project.commit({"dvc.yaml": "stages: {train: {cmd: x, outs: [p.csv]}}"})
    for letter in (b"a", b"b"):
        (project.root / "p.csv").write_bytes(letter * (1 << 24))
        told = [locate_out(project.repository, HERE, "p.csv") for _ in range(3)]
        assert {out.digest for out in told if out} == {hashlib.md5(letter * (1 << 24)).hexdigest()}
    assert len(read) == 2


def test_one_side_takes_a_handful_of_processes(project: GitProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred metrics files cost no git process more than one."""
    import subprocess

    many: dict[str, str | bytes | None] = {f"m/{number}.json": '{"x": 1}' for number in range(100)}
    project.commit({"dvc.yaml": "metrics: [m]", "params.yaml": "a: 1", **many})
    repository, revision = project.repository, project.revision("HEAD")
    started: list[object] = []
    start = subprocess.Popen.__init__

    def count(self: object, *arguments: object, **options: object) -> None:
        started.append(arguments)
        start(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", count)
    assert len(read_snapshot(repository, revision).metrics) == 100
    assert not started  # the process that gives content has been running since the name was resolved


def test_a_sparse_checkout_has_what_it_leaves_off_the_disk(project: GitProject) -> None:
    """The index tells it; a file that was deleted is missing all the same."""
    files = {"a/m.json": '{"x": 1}', "b/m.json": '{"x": 2}', "b/dir/n.json": '{"y": 3}', "top.json": '{"z": 4}'}
    declared = "metrics: [a/m.json, b/m.json, b/dir, top.json]\n"
    project.commit({".dvc/config": "", "dvc.yaml": declared, **files})
    project.git("sparse-checkout", "set", "a")
    assert not (project.root / "b").exists()
    work_tree = Revision(name=WORK_TREE, sha=None)
    whole = {"a/m.json": {("x",): 1}, "b/dir/n.json": {("y",): 3}, "b/m.json": {("x",): 2}, "top.json": {("z",): 4}}
    assert {file.path: file.values for file in _read(project, work_tree).metrics} == whole
    (project.root / "a" / "m.json").unlink()
    lost = {file.path: file.problem.state for file in _read(project, work_tree).metrics if file.problem}
    assert lost == {"a/m.json": State.MISSING}


def test_what_a_cloud_store_versions_is_missing_by_that_reason(project: GitProject) -> None:
    """A directory without a digest is not taken for one that nobody has made."""
    entry = "outs:\n- path: d\n  hash: md5\n  files:\n  - {relpath: m.json, md5: x, cloud: {s: {version_id: v1}}}\n"
    project.commit({".dvc/config": "", "dvc.yaml": "metrics: [d]\n", "d.dvc": entry})
    (file,) = _read(project).metrics
    assert file.problem
    assert file.problem.state is State.MISSING_CACHE
    assert "version_aware" in file.problem.message
    assert "dvc pull" in file.problem.hint
