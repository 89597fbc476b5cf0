"""Answers must equal DVC's wherever DVC has an answer: the real `dvc` is the oracle, on projects built here."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from seatrial.core.metrics import MetricSet, Snapshot
from seatrial.core.revision import WORK_TREE, Revision
from seatrial.errors import CompareError
from seatrial.sources.fetching import fetch_outs, list_missing
from seatrial.sources.snapshot import locate_out, read_snapshot
from seatrial.sources.staleness import find_stale
from tests.fakes.git_project import GitProject

Files = Mapping[str, "str | bytes | None"]
Table = dict[tuple[str, str], object]

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitProject:
    """A DVC project without stages, and the `dvc` of this environment on PATH."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    created = GitProject.create(tmp_path / "project")
    _dvc(created, "init", "--quiet")
    created.commit({".gitattributes": ""}, "init")
    return created


def _dvc(project: GitProject, *arguments: str) -> str:
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(project.root.parent / "site-cache")}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _ask_dvc(project: GitProject, what: str, base: str, head: str | None) -> Table:
    """`dvc WHAT diff` as {(file, dotted key): (old, new)}; what DVC calls None or leaves out is left out."""
    answer = _dvc(project, what, "diff", "--all", "--json", base, *([head] if head else []))
    table: Table = {}
    for file, keys in json.loads(answer or "{}").items():
        for key, change in keys.items():
            table[file, key] = (_plain(change.get("old")), _plain(change.get("new")))
    return table


def _plain(value: object) -> object:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _ask_seatrial(project: GitProject, what: str, base: str, head: str | None) -> Table:
    """The same table, out of two snapshots."""
    sides = []
    for name in (base, head):
        revision = Revision(name=WORK_TREE, sha=None) if name is None else project.revision(name)
        snapshot = read_snapshot(project.repository, revision)
        sides.append(dict(_leaves(snapshot.metrics if what == "metrics" else snapshot.params, what)))
    table: Table = {}
    for address in {**sides[0], **sides[1]}:
        table[address] = (sides[0].get(address), sides[1].get(address))
    return table


def _leaves(sets: tuple[MetricSet, ...], what: str) -> Iterator[tuple[tuple[str, str], object]]:
    for one in sets:
        lists: dict[tuple[str, ...], list[object]] = {}
        for key, value in one.values.items():
            index = next((number for number, part in enumerate(key) if part.isdigit()), None)
            if index is None or (key[index] != "0" and key[:index] not in lists):  # an item that a template uses
                if value is not None or what == "params":  # DVC drops nulls from metrics
                    yield (one.path, ".".join(key)), _plain(value)
            else:
                lists.setdefault(key[:index], []).append(value)
        # DVC drops lists from metrics, and writes those of parameters as text.
        if what == "params":
            yield from (((one.path, ".".join(key)), str(values)) for key, values in lists.items())


def _assert_equal(project: GitProject, base: str, head: str | None) -> None:
    for what in ("metrics", "params"):
        wanted = _ask_dvc(project, what, base, head)
        assert wanted, f"DVC has no {what} here: the test proves nothing"
        assert _ask_seatrial(project, what, base, head) == wanted


PROJECTS: dict[str, tuple[Files, Files]] = {
    "formats": (
        {
            "dvc.yaml": (
                "stages:\n"
                "  train:\n"
                "    cmd: python train.py\n"
                "    params:\n"
                "      - lr\n"
                "      - conf/options.toml:\n"
                "          - train.epochs\n"
                "      - settings.py:\n"
                "          - Train.seed\n"
                "          - layers\n"
                "      - more.json:\n"
                "    metrics:\n"
                "      - eval.json:\n"
                "          cache: false\n"
                "      - eval.yaml: {cache: false}\n"
                "      - eval.toml: {cache: false}\n"
                "      - plain.metric: {cache: false}\n"
            ),
            "params.yaml": "lr: 1e-5\nyes: on\nold: 010\nnest: {deep: [1, 2], flag: true}\nnothing:\n",
            "conf/options.toml": "[train]\nepochs = 5\nother = 1\n",
            "settings.py": "import os\nlayers = [1, 2]\nclass Train:\n    seed = 7\n    other = 8\n",
            "more.json": '{"a": {"b": "text"}, "c": false}',
            "eval.json": '{"auc": 0.5, "by": {"AA": 0.1, "UA": 0.2}, "n": 10, "name": "x", "ok": true, "none": null}',
            "eval.yaml": "loss: 1e-5\nbig: 1_000\n",
            "eval.toml": "f1 = 0.25\n[inner]\nvalue = 1\n",
            "plain.metric": "0.75\n",
        },
        {
            "params.yaml": "lr: 2e-5\nyes: on\nold: 010\nnest: {deep: [1, 3], flag: false}\nadded: 1\n",
            "conf/options.toml": "[train]\nepochs = 6\nother = 2\n",
            "settings.py": "import os\nlayers = [1, 2, 3]\nclass Train:\n    seed = 8\n    other = 9\n",
            "eval.json": '{"auc": 0.625, "by": {"AA": 0.1, "DL": 0.3}, "n": 12, "name": "y", "ok": false, "nan": NaN}',
            "eval.yaml": "loss: 2e-5\nbig: 1_001\n",
            "eval.toml": "f1 = 0.5\n[inner]\nvalue = 2\n",
            "plain.metric": "0.5\n",
        },
    ),
    "templates": (
        {
            "dvc.yaml": (
                "vars:\n"
                "  - models: [linear, boosted]\n"
                "  - conf/vars.yaml\n"
                "  - conf/part.json:chosen\n"
                "stages:\n"
                "  each:\n"
                "    foreach: ${models}\n"
                "    do:\n"
                "      cmd: python each.py ${item} ${depth}\n"
                "      metrics:\n"
                "        - out/${item}.json: {cache: false}\n"
                "  named:\n"
                "    foreach: ${sets}\n"
                "    do:\n"
                "      cmd: python named.py ${key} ${item.rate} ${item.sizes[1]}\n"
                "      params: ['${key}.${item.field}']\n"
                "      metrics:\n"
                "        - named/${key}-${item.rate}.yaml: {cache: false}\n"
                "  literal:\n"
                "    foreach:\n"
                "      - {us: 1, label: one}\n"
                "      - {us: 2, label: two}\n"
                "    do:\n"
                "      cmd: echo ${item.us}\n"
                "      metrics:\n"
                "        - literal/${item.label}.json: {cache: false}\n"
                "  grid:\n"
                "    matrix:\n"
                "      model: ${models}\n"
                "      size: [1, 2]\n"
                "      option: [{a: 1}, {a: 2}]\n"
                "    cmd: python grid.py ${item.model} ${item.size} ${chosen.value}\n"
                "    metrics:\n"
                "      - grid/${item.model}/${item.size}/${item.option.a}.json: {cache: false}\n"
                "  moved:\n"
                "    wdir: ${place}\n"
                "    vars: [{own: 3}, local.yaml]\n"
                "    cmd: run --flag ${flag} ${own} ${local_value}\n"
                "    params: [depth]\n"
                "    metrics:\n"
                "      - ../moved.json: {cache: false}\n"
                "metrics:\n"
                "  - top/${place}.json\n"
            ),
            "params.yaml": "depth: 3\nflag: false\nfirst: {lr: 0.1}\nsecond: {lr: 0.2, other: 1}\nplace: sub\n",
            "conf/vars.yaml": (
                "sets:\n  first: {rate: 0.5, sizes: [1, 2], field: lr}\n  second: {rate: 2, sizes: [3, 4], field: lr}\n"
            ),
            "conf/part.json": '{"chosen": {"value": 5}, "hidden": 1}',
            "sub/params.yaml": "depth: 7\nunused: 1\n",
            "sub/local.yaml": "local_value: here\n",
            **{f"out/{name}.json": '{"auc": 0.5}' for name in ("linear", "boosted")},
            "named/first-0.5.yaml": "auc: 0.25\n",
            "named/second-2.yaml": "auc: 0.75\n",
            **{f"literal/{name}.json": '{"auc": 0.5}' for name in ("one", "two")},
            **{
                f"grid/{model}/{size}/{option}.json": f'{{"auc": 0.{size}{option}}}'
                for model in ("linear", "boosted")
                for size in (1, 2)
                for option in (1, 2)
            },
            "moved.json": '{"auc": 0.125}',
            "top/sub.json": '{"auc": 0.375}',
        },
        {
            "conf/vars.yaml": (
                "sets:\n  first: {rate: 0.5, sizes: [1, 5], field: lr}\n  third: {rate: 1, sizes: [3, 4], field: lr}\n"
            ),
            "conf/part.json": '{"chosen": {"value": 6}, "hidden": 2}',
            "params.yaml": "depth: 4\nflag: true\nfirst: {lr: 0.3}\nthird: {lr: 0.2}\nplace: sub\n",
            "sub/params.yaml": "depth: 8\nunused: 2\n",
            "named/third-1.yaml": "auc: 0.875\n",
            "out/linear.json": '{"auc": 0.625}',
            "grid/linear/2/1.json": '{"auc": 0.9}',
            "moved.json": '{"auc": 0.25}',
            "top/sub.json": '{"auc": 0.5}',
        },
    ),
    "several pipelines": (
        {
            "dvc.yaml": "metrics: [all.json, reports]\nparams: [extra.yaml]\n",
            ".dvcignore": "# nothing from here\n/ignored/\n*.bak\n",
            "ignored/dvc.yaml": "metrics: [m.json]\n",
            "ignored/m.json": '{"auc": 0.5}',
            "teams/a.bak/dvc.yaml": "metrics: [m.json]\n",
            "teams/a.bak/m.json": '{"auc": 0.5}',
            "all.json": '{"auc": 0.5}',
            "extra.yaml": "a: 1\n",
            "reports/one.json": '{"x": 1}',
            "reports/deep/two.yaml": "y: 2\n",
            "teams/a/dvc.yaml": (
                "stages:\n  train:\n    cmd: x\n    params: [lr, sub/other.yaml: [k.*]]\n"
                "    metrics: [m.json: {cache: false}]\n"
                "metrics: [../shared.json]\n"
            ),
            "teams/a/params.yaml": "lr: 1\nhidden: 2\n",
            "teams/a/sub/other.yaml": "k: {a: {b: 1}, c: 2}\nz: 3\n",
            "teams/a/m.json": '{"auc": 0.25}',
            "teams/shared.json": '{"auc": 0.75}',
            "teams/b/dvc.yaml": (
                "stages:\n  train:\n    cmd: x\n    wdir: ..\n    metrics: [b/m.json: {cache: false}]\n"
            ),
            "teams/b/m.json": '{"auc": 0.125}',
            "params.yaml": "root: 1\n",
        },
        {
            "all.json": '{"auc": 0.625}',
            "extra.yaml": "a: 2\n",
            "reports/deep/two.yaml": "y: 3\n",
            "reports/three.json": '{"z": 3}',
            "teams/a/params.yaml": "lr: 2\nhidden: 3\n",
            "teams/a/sub/other.yaml": "k: {a: {b: 2}, c: 2}\nz: 4\n",
            "teams/a/m.json": '{"auc": 0.5}',
            "teams/b/m.json": None,
        },
    ),
}


@pytest.mark.parametrize("name", PROJECTS)
def test_two_commits_compare_as_in_dvc(project: GitProject, name: str) -> None:
    """Between two commits, and between a commit and the work tree, every value equals DVC's."""
    before, after = PROJECTS[name]
    first = project.commit(before, "before")
    project.write(after)
    _assert_equal(project, "HEAD", None)
    second = project.commit(after, "after")
    _assert_equal(project, first, second)


def test_cached_metrics_compare_as_in_dvc(project: GitProject) -> None:
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
    _assert_equal(project, first, None)
    project.git("add", "--all")
    second = project.commit({})
    _assert_equal(project, first, second)

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
    """With an empty cache the hint's own command, and `fetch_outs`, bring the metrics of an older commit."""
    _dvc(project, "remote", "add", "--default", "--quiet", "shelf", str(tmp_path / "shelf"))
    pipeline = "stages:\n  train:\n    cmd: cp params.yaml m.yaml\n    deps: [params.yaml]\n    metrics: [m.yaml]\n"
    for number in (1, 2):
        project.write({"dvc.yaml": pipeline, "params.yaml": f"auc: {number}\n"})
        _dvc(project, "repro")
        project.git("add", "--all")
        project.commit({})
    _dvc(project, "push", "--all-commits")

    older = project.revision("HEAD~1")
    for bring in (
        lambda hint: _dvc(project, *shlex.split(hint)[1:]),
        lambda _hint: fetch_outs(project.repository, older, ["m.yaml"]),
    ):
        shutil.rmtree(project.root / ".dvc" / "cache")
        lost = read_snapshot(project.repository, older)
        (metrics,) = lost.metrics
        assert metrics.problem is not None
        assert list_missing(lost) == ("m.yaml",)
        bring(metrics.problem.hint)
        assert read_snapshot(project.repository, older).metrics[0].values == {("auc",): 1}


def test_a_failed_fetch_is_an_error_with_dvcs_reason(project: GitProject) -> None:
    """Where DVC can't bring a file, its own reason is passed on with the command."""
    with pytest.raises(CompareError, match=r"dvc fetch --all-commits absent.json` failed: .*"):
        fetch_outs(project.repository, project.revision("HEAD"), ["absent.json"])


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
        stale = find_stale(project.repository, project.revision("HEAD"))
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
