"""Answers must equal DVC's wherever DVC has an answer: the real `dvc` is the oracle, on projects built here."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from seatrial.core.comparison import compare
from seatrial.core.metrics import Problem, Snapshot, State
from seatrial.core.revision import WORK_TREE, Revision, RevisionRange
from seatrial.sources.fetching import Wanted, list_missing
from seatrial.sources.snapshot import locate_out, read_declarations, read_snapshot
from seatrial.sources.staleness import find_stale
from tests.fakes.git_project import GitProject
from tests.integration.parity.differences import DIFFERENCES, Difference
from tests.integration.parity.generated import Generated, projects
from tests.integration.parity.oracle import (
    Answer,
    Oracle,
    Table,
    drop_silent,
    list_all,
    read_table,
    spread_lists,
    tabulate,
)
from tests.integration.parity.projects import PROJECTS, Case
from tests.integration.repositories import run_seatrial

pytestmark = pytest.mark.slow

CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
INITIAL = {".dvc/config": CONFIG, ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n"}
GENERATED = 250
DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "dvc-differences.md"
THROUGH_THE_EXECUTABLE = (
    "json",
    "default params",
    "cached metrics",
    "matrix",
    "foreach over a mapping",
    "a renamed file",
)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """DVC, started once for all questions."""
    started = Oracle(tmp_path_factory.mktemp("dvc-site"))
    yield started
    started.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitProject:
    """A DVC project without stages, and the `dvc` of this environment on PATH."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    created = GitProject.create(tmp_path / "project")
    created.commit({**INITIAL, ".gitattributes": ""}, "init")
    return created


def _dvc(project: GitProject, *arguments: str) -> str:
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(project.root.parent / "site-cache")}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _snapshots(project: GitProject, *names: str | None) -> tuple[Snapshot, Snapshot]:
    """Two sides; None is the work tree."""
    revisions = [Revision(name=WORK_TREE, sha=None) if name is None else project.revision(name) for name in names]
    base, head = (read_snapshot(project.repository, revision) for revision in revisions)
    return base, head


def _problems(*sides: Snapshot) -> list[Problem]:
    """All that is said to be wrong, of the project and of its files."""
    files = [file.problem for side in sides for file in (*side.metrics, *side.params) if file.problem]
    return [*(problem for side in sides for problem in side.problems), *files]


def _create(root: Path, case: Case) -> tuple[GitProject, str, str]:
    """A project of a case, and its two commits; the second one is checked out."""
    project = GitProject.create(root)
    top = f"{case.inside}/" if case.inside else ""
    project.write({f"{top}.dvc/cache/{path}": content for path, content in case.objects.items()})
    first = project.commit({f"{top}{path}": text for path, text in INITIAL.items()} | dict(case.before))
    return project, first, project.commit(case.after)


def _assert_equal(oracle: Oracle, project: GitProject, case: Case, base: str, head: str | None) -> None:
    sides = _snapshots(project, base, head)
    for what in ("metrics", "params"):
        table, answer = oracle.diff(project.root / case.inside, what, *filter(None, (base, head)))
        assert answer.code == 0, answer
        if case.inside:
            table = {(f"{case.inside}/{file}", key): values for (file, key), values in table.items()}
        assert table or case.about not in {what, "both"}, f"DVC has no {what} here: the test proves nothing"
        assert tabulate(*sides, what) == spread_lists(table), answer


@pytest.mark.parametrize("name", PROJECTS)
def test_a_change_is_what_dvc_says(oracle: Oracle, tmp_path: Path, name: str) -> None:
    """Between two commits, and between a commit and the work tree, every value equals DVC's."""
    case = PROJECTS[name]
    project, first, second = _create(tmp_path / "project", case)
    _assert_equal(oracle, project, case, first, second)
    project.git("checkout", "--quiet", first)
    project.write(case.after)
    _assert_equal(oracle, project, case, first, None)


@pytest.mark.parametrize("name", THROUGH_THE_EXECUTABLE)
def test_the_oracle_says_what_the_executable_says(oracle: Oracle, tmp_path: Path, name: str) -> None:
    """DVC in one long-lived process answers as `dvc` does when it is started for one question."""
    case = PROJECTS[name]
    project, first, second = _create(tmp_path / "project", case)
    for what in ("metrics", "params"):
        executable = _dvc(project, what, "diff", "--all", "--json", first, second)
        assert oracle.diff(project.root, what, first, second)[0] == read_table(executable)


# The first has lists, which differ on purpose.
@pytest.mark.parametrize("name", THROUGH_THE_EXECUTABLE[1:])
def test_the_command_line_takes_the_place_of_dvc(tmp_path: Path, name: str) -> None:
    """`s/dvc metrics diff/seatrial compare/` gives a script the same values."""
    project, first, second = _create(tmp_path / "project", PROJECTS[name])
    for what, wanted in (("metrics", ()), ("params", ("--params",))):
        theirs = read_table(_dvc(project, what, "diff", "--all", "--json", first, second))
        ours = run_seatrial(project.root, "compare", "--all", "--json", *wanted, first, second)
        assert ours.code in {0, 1}, ours.err
        assert read_table(ours.out) == theirs


@pytest.mark.parametrize(
    ("what", "target"),
    [
        ("metrics", "d"),
        ("metrics", "d/seen.json"),
        ("metrics", "d/hidden.json"),
        ("metrics", "p.yaml"),
        ("metrics", "other.yaml"),
        ("params", "p.yaml"),
        ("params", "other.yaml"),
        ("params", "d/seen.json"),
    ],
)
def test_a_target_is_taken_for_what_is_asked(project: GitProject, what: str, target: str) -> None:
    """`--targets` reads metrics, or with `--params` parameters, whatever a file is declared as, and all keys of it."""
    declared = "metrics: [d]\nstages: {s: {cmd: x, params: [p.yaml: [a]]}}\n"
    commits = []
    for number in (1, 2):
        one = dict.fromkeys(("d/seen.json", "d/hidden.json", "p.yaml", "other.yaml"), f'{{"a": {number}, "b": 0}}')
        commits.append(project.commit({"dvc.yaml": declared, ".dvcignore": "hidden.json\n", **one}))
    theirs = read_table(_dvc(project, what, "diff", "--all", "--json", "--targets", target, "--", *commits))
    asked = ("--params",) if what == "params" else ()
    ours = run_seatrial(project.root, "compare", "--all", "--json", *asked, "--targets", target, *commits)
    assert ours.code == 0, ours.err
    assert theirs
    assert read_table(ours.out) == theirs


def test_the_named_projects_are_enough() -> None:
    """Every feature has a project of its own."""
    assert len(PROJECTS) >= 60


# -- generated projects


def test_generated_projects_compare_as_in_dvc(oracle: Oracle, tmp_path: Path) -> None:
    """Hundreds of projects that nobody wrote, with templating in all its forms, compare as in DVC.

    Where DVC can't read a side it has no answer; then something must be called a problem here too.
    """
    project = GitProject.create(tmp_path / "project")
    project.commit(INITIAL)
    repository = project.repository
    seen: Counter[str] = Counter()

    @settings(
        max_examples=GENERATED,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],  # a project is read by eye; making it smaller takes many minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(projects())
    def check(generated: Generated) -> None:
        base, head = _import(project, generated)
        sides = tuple(read_snapshot(repository, Revision(name=sha, sha=sha)) for sha in (base, head))
        for what in ("metrics", "params"):
            table, answer = oracle.diff(project.root, what, base, head)
            _compare_generated(seen, what, sides, table, answer)

    check()
    assert seen["answered"] >= 1.8 * GENERATED, seen
    assert seen["values"] >= 5 * GENERATED, seen
    assert seen["silent"] <= 0.05 * seen["files"], seen


def _compare_generated(
    seen: Counter[str], what: str, sides: tuple[Snapshot, ...], table: Table, answer: Answer
) -> None:
    base, head = sides
    if answer.code != 0 or f"failed to load {what} in revision" in answer.complained:
        assert _problems(*sides), answer
        return
    table, ours = spread_lists(table), tabulate(base, head, what)
    if answer.failed:
        ours, silent = drop_silent(ours, table)
        seen["silent"] += silent
    assert ours == table, answer
    assert not base.problems + head.problems
    seen.update(answered=1, values=len(table), files=len({file for file, _ in table}))


def _import(project: GitProject, generated: Generated) -> tuple[str, str]:
    """Both sides as commits, by one process of git."""
    stream: list[str] = []
    for mark, files in enumerate((generated.before, generated.after), start=1):
        stream.append(f"commit refs/heads/generated\nmark :{mark}\ncommitter Ada <ada@example.org> 0 +0000\ndata 0\n")
        stream.append("deleteall\n")
        for path, text in {**INITIAL, **files}.items():
            name = json.dumps(path, ensure_ascii=False)
            stream.append(f"M 100644 inline {name}\ndata {len(text.encode())}\n{text}\n")
        stream.append(f"get-mark :{mark}\n")
    done = subprocess.run(
        ["git", "fast-import", "--quiet", "--force"],
        cwd=project.root,
        input="".join(stream).encode(),
        capture_output=True,
        check=True,
    )
    base, head = done.stdout.decode().split()
    return base, head


# -- differences on purpose


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_on_purpose(oracle: Oracle, tmp_path: Path, name: str) -> None:
    """DVC still answers what the documentation says it does, and seatrial says more."""
    difference = DIFFERENCES[name]
    project = GitProject.create(tmp_path / "project")
    for path, target in difference.links.items():
        (project.root / path).symlink_to(target)
        project.git("add", path)
    configs = [f"{below}/.dvc/config" for below in filter(None, [difference.subproject])]
    first = project.commit({**INITIAL, **dict.fromkeys(configs, CONFIG), **difference.before})
    second = project.commit(difference.after)

    table, answer = oracle.diff(project.root, difference.about, first, second)
    assert _outcome(answer, table) == difference.outcome, answer
    assert table == difference.dvc

    base, head = _snapshots(project, first, second)
    assert list_all(base, head, difference.about) == difference.seatrial
    _assert_problems(difference, base, head)


def _outcome(answer: Answer, table: Table) -> str:
    if answer.code != 0:
        return "crashes"
    if "in revision" in answer.complained:
        return "loses the revision"
    return "loses the file" if answer.failed and not table else "answers"


def _assert_problems(difference: Difference, *sides: Snapshot) -> None:
    found = {problem.message: problem for problem in _problems(*sides)}
    assert all(problem.hint for problem in found.values())
    for text, state in difference.problems.items():
        (message,) = (message for message in found if text in message)
        assert found.pop(message).state is State(state)
    assert not found


def test_every_difference_is_documented() -> None:
    """The documentation has a row for every difference that is tested, and none besides."""
    lines = DOCUMENTED.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert sorted(row for row in rows if row not in {"what", "---"}) == sorted(DIFFERENCES)


def test_two_names_of_one_commit_are_unchanged(oracle: Oracle, project: GitProject) -> None:
    """DVC says nothing at all; here every value is there, and the same."""
    project.commit({"dvc.yaml": "metrics: [m.json]\n", "m.json": '{"a": 1}'})
    project.git("tag", "release")
    assert oracle.diff(project.root, "metrics", "HEAD", "release")[0] == {}
    assert tabulate(*_snapshots(project, "HEAD", "release"), "metrics") == {("m.json", "a"): ("1", "1")}


# -- what only real runs of DVC make


def test_cached_metrics_compare_as_in_dvc(oracle: Oracle, project: GitProject) -> None:
    """Metrics that only DVC's cache holds, as files and inside of directories, equal DVC's."""
    script = (
        "import json, pathlib, yaml\n"
        "rate = yaml.safe_load(open('params.yaml'))['rate']\n"
        "json.dump({'auc': rate}, open('cached.json', 'w'))\n"
        "pathlib.Path('live/plots').mkdir(parents=True, exist_ok=True)\n"
        "json.dump({'loss': rate * 2}, open('live/metrics.json', 'w'))\n"
        "json.dump({'inner': rate * 4}, open('live/plots/other.json', 'w'))\n"
    )
    pipeline = (
        "stages:\n"
        "  train:\n"
        f"    cmd: {sys.executable} make.py\n"
        "    deps: [make.py]\n"
        "    params: [rate]\n"
        "    metrics: [cached.json]\n"
        "    outs: [live]\n"
        "metrics: [live/metrics.json]\n"
    )
    project.write({"dvc.yaml": pipeline, "make.py": script, "params.yaml": "rate: 0.5\n"})
    _dvc(project, "repro")
    project.git("add", "--all")
    first = project.commit({})
    project.write({"params.yaml": "rate: 0.25\n"})
    _dvc(project, "repro")
    case = Case(before={}, after={}, about="both")
    _assert_equal(oracle, project, case, first, None)
    project.git("add", "--all")
    second = project.commit({})
    _assert_equal(oracle, project, case, first, second)

    out = locate_out(project.repository, project.revision(first), "live")
    assert out is not None
    assert [(file.path, file.location is not None) for file in out.files] == [
        ("metrics.json", True),
        ("plots/other.json", True),
    ]
    here = locate_out(project.repository, Revision(name=WORK_TREE, sha=None), "live")
    committed = locate_out(project.repository, project.revision(second), "live")
    assert here is not None
    assert committed is not None
    assert here.digest == committed.digest != out.digest


def test_what_is_missing_comes_back_by_the_command_of_the_hint(project: GitProject, tmp_path: Path) -> None:
    """With an empty cache the hint's own command brings the metrics of an older commit."""
    _dvc(project, "remote", "add", "--default", "--quiet", "shelf", str(tmp_path / "shelf"))
    pipeline = "stages:\n  train:\n    cmd: cp params.yaml m.yaml\n    deps: [params.yaml]\n    metrics: [m.yaml]\n"
    for number in (1, 2):
        project.write({"dvc.yaml": pipeline, "params.yaml": f"auc: {number}\n"})
        _dvc(project, "repro")
        project.git("add", "--all")
        project.commit({})
    _dvc(project, "push", "--all-commits")

    older = project.revision("HEAD~1")
    shutil.rmtree(project.root / ".dvc" / "cache")
    lost = read_snapshot(project.repository, older)
    (metrics,) = lost.metrics
    assert metrics.problem is not None
    assert list_missing(lost) == (Wanted(revision=older, path="m.yaml"),)
    _dvc(project, *shlex.split(metrics.problem.hint)[1:])
    assert read_snapshot(project.repository, older).metrics[0].values == {("auc",): 1}


def test_stale_stages_are_those_that_dvc_status_calls_changed(project: GitProject) -> None:
    """What `dvc status` says of dependencies and parameters is seen from git alone."""
    pipeline = (
        "stages:\n"
        "  first: {cmd: cp in.txt mid.txt, deps: [code.py, in.txt], params: [lr], outs: [mid.txt]}\n"
        "  second: {cmd: cp mid.txt out.txt, deps: [mid.txt, package], outs: [out.txt]}\n"
    )
    files = {"code.py": "", "in.txt": "1", "package/a.py": "", "params.yaml": "lr: 0.1\nother: 1\n"}
    project.write({"dvc.yaml": pipeline, **files})
    _dvc(project, "repro")
    project.git("add", "--all")
    project.commit({})
    changes: tuple[dict[str, str | bytes | None], ...] = (
        {},
        {"in.txt": "2"},
        {"params.yaml": "lr: 0.1\nother: 2\n"},
        {"package/a.py": "x", "params.yaml": "lr: 1\n"},
    )
    for changed in changes:
        project.commit({**files, **changed})
        status = json.loads(_dvc(project, "status", "--json"))
        stale = find_stale(project.repository, project.revision("HEAD")).stages
        assert {stage.address for stage in stale} == set(status)


def test_stages_are_those_that_dvc_locked(project: GitProject) -> None:
    """Addresses and outputs of stages, in loops and sub-directories, are those that DVC lists."""
    loops = (
        "stages:\n"
        "  each:\n"
        "    foreach: [a, b]\n"
        "    do:\n"
        "      cmd: echo ${item} > ${item}.txt\n"
        "      outs: ['${item}.txt']\n"
    )
    below = "stages:\n  one:\n    cmd: echo 1 > one.json\n    metrics: [one.json: {cache: false}]\n"
    project.write({"dvc.yaml": loops, "sub/dvc.yaml": below})
    _dvc(project, "repro", "--all-pipelines", "--quiet")
    project.git("add", "--all")
    project.commit({})
    listed = {line.split()[0] for line in _dvc(project, "stage", "list", "--all", "--name-only").splitlines()}
    snapshot = read_snapshot(project.repository, project.revision("HEAD"))
    assert {stage.address for stage in snapshot.stages} == listed
    assert _outs(snapshot) == {"a.txt", "b.txt", "sub/one.json"}


def _outs(snapshot: Snapshot) -> set[str]:
    return {out.path for stage in snapshot.stages for out in stage.outs}


@pytest.mark.parametrize("name", ["metrics in a cached directory", "parameters in the cache", "tracked data"])
def test_changed_data_is_what_dvc_lists(oracle: Oracle, tmp_path: Path, name: str) -> None:
    """`dvc diff` of two commits names the outputs that are named here, and in which way they differ."""
    project, first, second = _create(tmp_path / "project", PROJECTS[name])
    listed = json.loads(oracle.ask(project.root, "diff", "--json", first, second).said)
    sides = _snapshots(project, first, second)
    outs = {out.path for side in sides for stage in side.stages for out in stage.outs}
    base, head = (project.revision(sha) for sha in (first, second))
    files = compare(RevisionRange(base=base, head=head, reason=""), *sides).files
    states = {"added": State.ADDED, "deleted": State.REMOVED, "modified": State.CHANGED}
    wanted = {(entry["path"].rstrip("/"), states[how]) for how in states for entry in listed[how]}
    assert {(file.path, file.state) for file in files} == {(path, state) for path, state in wanted if path in outs}
    assert files


def test_declared_plots_are_those_that_dvc_shows(oracle: Oracle, tmp_path: Path) -> None:
    """The names of plots, of stages and of the top level, are DVC's, templates filled in."""
    pipeline = (
        "vars: [{d: out}]\nstages:\n  s:\n    foreach: [a, b]\n    do:\n      cmd: x\n      plots:\n"
        "        - ${item}.csv: {x: i, cache: false}\n"
        "plots:\n  - ${d}/loss.tsv: {x: step}\n  - Both: {y: {a.csv: j, b.csv: j}}\n  - curve.json\n"
    )
    tables = {f"{name}.csv": "i,j\n1,2\n" for name in "ab"} | {"out/loss.tsv": "step\tloss\n1\t2\n"}
    case = Case(before={"dvc.yaml": pipeline, "curve.json": '[{"y": 1}]', **tables}, after={"a.csv": "i,j\n1,3\n"})
    project, first, second = _create(tmp_path / "project", case)
    shown = json.loads(oracle.ask(project.root, "plots", "diff", "--json", first, second).said)
    declared = read_declarations(project.repository, project.revision("HEAD")).plots
    assert {plot.path for plot in declared} == set(shown["data"])
