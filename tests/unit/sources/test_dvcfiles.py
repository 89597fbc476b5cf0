"""What DVC's files declare, and how far one broken file reaches."""

from __future__ import annotations

import pytest

from seatrial.core.metrics import FileRecord, State
from seatrial.sources.dvcfiles import ParamsFile, Project, read_project
from tests.unit.sources.memory_tree import MemoryTree

MD5 = "0123456789abcdef0123456789abcdef"


def _read(files: dict[str, str]) -> Project:
    return read_project(MemoryTree(files))


def _problems(files: dict[str, str]) -> list[str]:
    project = _read(files)
    assert all(problem.state is State.UNREADABLE and problem.hint for problem in project.problems)
    return [problem.message for problem in project.problems]


def test_a_repository_without_dvc_declares_nothing() -> None:
    """No dvc.yaml is no problem."""
    assert _read({"README.md": ""}) == Project(outs={})


def test_a_pipeline_declares_metrics_params_plots_artifacts_and_stages() -> None:
    """Everything in a dvc.yaml and its lock, with paths from the repository's root."""
    project = _read(
        {
            "team/dvc.yaml": (
                "stages:\n"
                "  train:\n"
                "    cmd: x\n"
                "    params: [lr, conf.toml: [a.b]]\n"
                "    outs: [model]\n"
                "    metrics: [m.json, kept.json: {cache: false}]\n"
                "    plots: [roc.csv: {x: fpr, y: tpr}]\n"
                "metrics: [../top.json]\n"
                "plots:\n"
                "  - loss.tsv\n"
                "  - Both: {y: {a.csv: one, b.csv: two}}\n"
                "artifacts:\n"
                "  champion: {path: model, type: model, desc: The best}\n"
            ),
            "team/dvc.lock": (
                "schema: '2.0'\n"
                "stages:\n"
                "  train:\n"
                "    cmd: x\n"
                f"    deps: [{{path: ../data, hash: md5, md5: {MD5}.dir, size: 10, nfiles: 2}}]\n"
                "    params: {params.yaml: {lr: 0.1}, conf.toml: {a.b: [1]}}\n"
                f"    outs: [{{path: model, hash: md5, md5: {MD5}, size: 5}}]\n"
            ),
            "team/params.yaml": "lr: 0.1\n",
        }
    )
    assert project.metrics == ("team/kept.json", "team/m.json", "top.json")
    assert project.uncached == {"team/kept.json"}
    assert project.params == (
        ParamsFile(path="team/conf.toml", keys=("a.b",)),
        ParamsFile(path="team/params.yaml", keys=("lr",)),
    )
    assert [plot.path for plot in project.plots] == ["team/Both", "team/loss.tsv", "team/roc.csv"]
    assert project.plots[2].properties == {"x": "fpr", "y": "tpr"}
    (artifact,) = project.artifacts
    assert (artifact.name, artifact.path, artifact.type, artifact.desc) == (
        "champion",
        "team/model",
        "model",
        "The best",
    )
    (stage,) = project.stages
    assert (stage.address, stage.command) == ("team/dvc.yaml:train", "x")
    assert stage.deps == (FileRecord(path="data", digest=f"{MD5}.dir", size=10, files=2),)
    assert stage.params == {"team/params.yaml:lr": "0.1", "team/conf.toml:a.b": "[1]"}
    assert project.outs == {"team/model": FileRecord(path="team/model", digest=MD5, size=5)}
    assert not project.problems


def test_params_yaml_at_the_root_is_declared_as_a_whole() -> None:
    """DVC compares all of the default file, although a stage names one key."""
    files = {"dvc.yaml": "stages: {a: {cmd: x, params: [lr]}}", "params.yaml": "lr: 1\n", ".dvc/config": ""}
    assert _read(files).params == (ParamsFile(path="params.yaml", keys=None),)


def test_params_of_several_stages_come_together() -> None:
    """Keys are joined over stages; one stage that takes the whole file decides."""
    keys = "stages: {a: {cmd: x, params: [f.json: [p, q]]}, b: {cmd: x, params: [f.json: [q, r]]}}"
    assert _read({"dvc.yaml": keys}).params == (ParamsFile(path="f.json", keys=("p", "q", "r")),)
    whole = keys.replace("[q, r]", "")
    assert _read({"dvc.yaml": whole}).params == (ParamsFile(path="f.json", keys=None),)


def test_every_project_of_a_repository_is_read() -> None:
    """Projects below the root have their own default parameters, and are read beside each other."""
    project = _read(
        {
            "a/.dvc/config": "",
            "a/dvc.yaml": "metrics: [m.json]",
            "a/params.yaml": "x: 1",
            "b/.dvc/config": "",
            "b/dvc.yaml": "metrics: [m.json]",
        }
    )
    assert project.roots == ("", "a", "b")
    assert project.metrics == ("a/m.json", "b/m.json")
    assert project.params == (ParamsFile(path="a/params.yaml", keys=None),)


def test_tracked_data_is_an_output_without_a_command() -> None:
    """A .dvc file is a stage of its own, so that changed data is seen."""
    project = _read({"data/raw.csv.dvc": f"outs:\n- md5: {MD5}\n  size: 3\n  path: raw.csv\n"})
    assert project.outs["data/raw.csv"] == FileRecord(path="data/raw.csv", digest=MD5, size=3)
    assert [(stage.address, stage.command) for stage in project.stages] == [("data/raw.csv.dvc", "")]


def test_metrics_of_the_oldest_format_are_found() -> None:
    """DVC 0.x declared metrics in .dvc stages, DVC 2 under `live:`; the values are in git all the same."""
    old = f"cmd: python train.py\nouts:\n- md5: {MD5}\n  path: auc.metric\n  cache: false\n  metric: true\n"
    live = "stages: {train: {cmd: x, live: {dvclive: {summary: true, html: true}}}}"
    project = _read({"train.dvc": old, "dvc.yaml": live})
    assert project.metrics == ("auc.metric", "dvclive.json")
    assert project.uncached == {"auc.metric"}


def test_a_lock_of_the_first_format_is_read() -> None:
    """Before DVC 2 the stages were the top level of dvc.lock."""
    lock = f"a:\n  cmd: x\n  outs:\n  - {{path: m.json, md5: {MD5}}}\n"
    assert _read({"dvc.yaml": "stages: {a: {cmd: x}}", "dvc.lock": lock}).outs.keys() == {"m.json"}


def test_a_broken_dvc_yaml_is_named_and_the_rest_counts() -> None:
    """One sub-directory that can't be read does not take the others with it."""
    files = {"bad/dvc.yaml": "stages:\n  a: [\n", "good/dvc.yaml": "metrics: [m.json]"}
    assert _read(files).metrics == ("good/m.json",)
    (message,) = _problems(files)
    assert message.startswith("bad/dvc.yaml:3: is not YAML")


def test_the_outputs_of_a_broken_pipeline_are_still_known() -> None:
    """Where dvc.yaml can't be read, its lock still says where the data is."""
    lock = f"schema: '2.0'\nstages:\n  a: {{cmd: x, outs: [{{path: model, md5: {MD5}}}]}}\n"
    assert _read({"dvc.yaml": "<<<<<<< HEAD\n", "dvc.lock": lock}).outs.keys() == {"model"}


def test_conflict_markers_in_a_lock_are_named_and_metrics_still_count() -> None:
    """A half-finished merge of dvc.lock is a problem of dvc.lock alone."""
    files = {"dvc.yaml": "metrics: [m.json]", "dvc.lock": "<<<<<<< HEAD\nx\n=======\ny\n>>>>>>> z\n"}
    assert _read(files).metrics == ("m.json",)
    (message,) = _problems(files)
    assert "dvc.lock:" in message
    assert "conflict markers" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "stages:\n  a:\n    cmd: x\n    metrics: ['${gone}.json']\n",
            "dvc.yaml:2: stage 'a': metrics: could not find 'gone'",
        ),
        ("stages:\n  a: 3\n", "dvc.yaml:2: stage 'a' is not a mapping"),
        ("stages: [a]\n", "dvc.yaml: 'stages' is not a mapping"),
        ("vars: [gone.yaml]\n", "dvc.yaml:1: vars: gone.yaml does not exist"),
        ("vars: [p.json:absent]\n", "dvc.yaml:1: vars: p.json has no 'absent'"),
        ("vars: [list.json]\n", "dvc.yaml:1: vars: list.json is not a mapping"),
        ("vars: [3]\n", "dvc.yaml:1: vars: 3 is neither a file nor a mapping"),
        ("vars: [{x: [{y: '${z}'}]}]\n", "dvc.yaml:1: vars: a template can't stand in vars themselves"),
        ("vars: [{x: 1}, {x: 2}]\n", "dvc.yaml:1: vars: 'x' already has a value"),
        ("metrics: [/etc/passwd]\n", "dvc.yaml:1: metrics: '/etc/passwd' is not a path in the repository"),
        ("metrics: [../../x.json]\n", "dvc.yaml:1: metrics: '../../x.json' is not a path in the repository"),
        ("metrics: [s3://bucket/m.json]\n", "is not a path in the repository"),
        ("metrics: {m.json: }\n", "dvc.yaml:1: metrics: is not a list"),
        ("params: [3]\n", "dvc.yaml:1: params: 3 is not a path"),
        ("stages:\n  a:\n    foreach: 3\n    do: {cmd: x}\n", "dvc.yaml:2: stage 'a': foreach needs a list"),
        ("artifacts:\n  m: {type: model}\n", "dvc.yaml:2: artifact 'm' has no path"),
        ("[1]", "dvc.yaml: is not a mapping"),
    ],
)
def test_every_mistake_has_its_file_line_and_name(text: str, said: str) -> None:
    """What is wrong in a dvc.yaml is said with its place."""
    messages = _problems({"dvc.yaml": text, "p.json": '{"a": 1}', "list.json": "[1]"})
    assert len(messages) == 1
    assert said in messages[0]


def test_a_mistake_in_a_loop_is_told_once() -> None:
    """A thousand rounds with the same mistake are one problem."""
    text = "stages:\n  a:\n    foreach: [1, 2, 3]\n    do: {cmd: x, metrics: ['${gone}']}\n"
    assert len(_problems({"dvc.yaml": text})) == 1


def test_one_bad_stage_leaves_the_others() -> None:
    """A stage that can't be resolved does not take its neighbours with it."""
    text = "stages:\n  a: {cmd: '${gone}', metrics: [a.json]}\n  b: {cmd: x, metrics: [b.json]}\n"
    assert _read({"dvc.yaml": text}).metrics == ("a.json", "b.json")


def test_what_dvcignore_hides_declares_nothing() -> None:
    """DVC does not look into ignored directories, and neither do we."""
    hidden = {
        "tests/fixtures/dvc.yaml": "metrics: [m.json]",
        "tests/fixtures/x.dvc": f"outs: [{{path: x, md5: {MD5}}}]",
    }
    project = _read({".dvcignore": "/tests/\n", "dvc.yaml": "metrics: [m.json]", **hidden})
    assert project.metrics == ("m.json",)
    assert not project.outs


def test_data_outside_of_the_repository_is_dvcs_own_affair() -> None:
    """Addresses and absolute paths of outputs are left out without a word."""
    project = _read({"d.dvc": f"outs:\n- {{md5: {MD5}, path: s3://b/x}}\n- {{md5: {MD5}, path: /data/y}}\n"})
    assert not project.outs
    assert not project.problems


def test_a_stage_may_name_a_variables_file_again() -> None:
    """What dvc.yaml has loaded, a stage may name too; the params.yaml of its own directory is another file."""
    text = (
        "vars: [v.yaml, params.yaml]\nstages:\n  a: {cmd: '${x}', vars: [v.yaml], metrics: ['${x}.json']}\n"
        "  b: {cmd: x, wdir: w, vars: [params.yaml], metrics: ['${own}.json']}\n"
    )
    project = _read({"dvc.yaml": text, "v.yaml": "x: m", "params.yaml": "lr: 1", "w/params.yaml": "own: n"})
    assert not project.problems
    assert project.metrics == ("m.json", "w/n.json")


def test_the_default_variables_file_must_be_there_where_it_is_named() -> None:
    """`params.yaml` is taken where it is, and missed where `vars` asks for it."""
    assert _problems({"dvc.yaml": "vars: [params.yaml]"}) == ["dvc.yaml:1: vars: params.yaml does not exist"]
