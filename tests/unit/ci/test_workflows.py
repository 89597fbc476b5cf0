"""CI files that are written and added to: nothing of what people wrote is lost."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.ci.job import System
from seatrial.ci.workflows import (
    Wiring,
    add_to_gitlab,
    find_replaced,
    guess_system,
    read_host,
    runs_pipeline,
    uses_seatrial,
    write_github,
    write_gitlab,
)
from seatrial.errors import UsageError

PLAIN = Wiring(branch="main")


def includes(text: str) -> list[Any]:
    """The entries of `include:`."""
    listed = yaml.safe_load(text)["include"]
    assert isinstance(listed, list)
    return listed


@pytest.mark.parametrize(
    ("url", "host", "system"),
    [
        ("git@github.com:octo/flights.git", "github.com", System.GITHUB),
        ("https://github.com/octo/flights", "github.com", System.GITHUB),
        ("https://ada:secret@acme.ghe.com/octo/flights", "acme.ghe.com", System.GITHUB),
        ("ssh://git@github.acme.com:2222/octo/flights", "github.acme.com", System.GITHUB),
        ("https://gitlab.com/group/sub/flights.git", "gitlab.com", System.GITLAB),
        ("https://gitlab-ci-token:secret@gitlab.acme.com:8443/gl/group/flights", "gitlab.acme.com", System.GITLAB),
        ("git@git-gitlab.acme.com:group/flights", "git-gitlab.acme.com", System.GITLAB),
        ("git@bitbucket.org:team/flights.git", "bitbucket.org", System.BITBUCKET),
        ("https://codeberg.org/octo/flights", "codeberg.org", System.GITEA),
        ("ssh://git@gitea.acme.com:222/octo/flights", "gitea.acme.com", System.GITEA),
        ("https://code.forgejo.org/octo/flights", "code.forgejo.org", System.GITEA),
        ("https://git.acme.com/group/flights", "git.acme.com", None),
        ("https://notgithub.example.org/a/b", "notgithub.example.org", None),
        ("/srv/git/flights.git", "", None),
        ("https://[broken/a", "", None),
    ],
)
def test_the_host_tells_the_forge(url: str, host: str, system: System | None) -> None:
    """Only the host counts, never a path or a name in it, and no password is in it."""
    assert (read_host(url), guess_system(url)) == (host, system)


EXISTING = {
    "none": "# ours\nstages: [build, test]\nbuild:\n  script: make # all\n",
    "list": "include:\n  - local: a.yml # one\n  - file:\n      - b.yml\n\n# after\nbuild:\n  script: make\n",
    "flush list": "include:\n- local: a.yml\nbuild:\n  script: make\n",
    "mapping": "include:\n  local: a.yml # one\n  rules:\n    - if: $X\nbuild:\n  script: make\n",
    "text": "include: a.yml # one\nbuild:\n  script: make\n",
    "flow mapping": "include: {local: a.yml}\nbuild:\n  script: make\n",
    "reference": "include: ['a.yml']\n",
    "header": "spec:\n  inputs:\n    x: {}\n---\nbuild:\n  script: [!reference [.a, script]]\n",
    "windows": "include:\r\n  - local: a.yml\r\nbuild:\r\n  script: make\r\n",
    "no end of line": "build:\n  script: make",
    "literal at the end": "build:\n  script: |\n    make\n    # not a comment\n",
}


class Loader(yaml.SafeLoader):
    """Reads GitLab's own tag as what stands behind it."""


def read_reference(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
    """The path of a reference."""
    assert isinstance(node, yaml.SequenceNode)
    return loader.construct_sequence(node)


Loader.add_constructor("!reference", read_reference)


@pytest.mark.parametrize("name", [name for name in EXISTING if name != "reference"])
def test_an_existing_pipeline_keeps_its_jobs_comments_and_includes(name: str) -> None:
    """All that was said is still said, and the include and the job are there as well."""
    text = EXISTING[name]
    after = add_to_gitlab(text, PLAIN)
    *_, before_values = yaml.load_all(text, Loader)
    *_, values = yaml.load_all(after, Loader)
    had = before_values.get("include", [])
    had = had if isinstance(had, list) else [had]
    assert values["include"][: len(had)] == had
    assert values["include"][len(had)]["remote"].endswith(".gitlab-ci-template.yml")
    assert len(values["include"]) == len(had) + 1
    assert values["seatrial"] == {"extends": ".seatrial"}
    assert values["build"] == before_values["build"]
    assert all(comment in after for comment in ("# ours", "# one", "# after", "# all") if comment in text)
    assert uses_seatrial(after)


def test_the_ends_of_lines_stay() -> None:
    """A file of Windows stays one."""
    after = add_to_gitlab(EXISTING["windows"], PLAIN)
    assert after.count("\n") == after.count("\r\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (EXISTING["reference"], "of a form that is left to you"),
        ("include:\nbuild: {script: x}\n", "of a form that is left to you"),
        ("seatrial:\n  script: x\n", "has a job `seatrial` of its own"),
        ("- a\n", "is not a mapping"),
        ("{build: {script: x}}\n", "is not a mapping of lines"),
        ("a: [\n", "is not YAML"),
        ("build:\n  script: x\n...\n", "ends its document"),
    ],
)
def test_what_can_not_be_added_to_is_left_to_people(text: str, reason: str) -> None:
    """An error says why, and what to paste."""
    with pytest.raises(UsageError, match=reason) as caught:
        add_to_gitlab(text, PLAIN)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("stages", "stage"), [("[build, test]", None), ("[build, check]", "check"), ("\n  - only", "only")]
)
def test_the_job_gets_a_stage_that_exists(stages: str, stage: str | None) -> None:
    """GitLab refuses a pipeline with a job of an unknown stage."""
    after = add_to_gitlab(f"stages: {stages}\nbuild:\n  script: x\n", PLAIN)
    assert includes(after)[0]["inputs"].get("stage") == stage


@pytest.mark.parametrize("directory", ["", "ml", "we ird/on"])
@pytest.mark.parametrize("install", ["", "-r requirements.txt 'dvc[s3]'", "-r 'a: b #c.txt'"])
def test_a_workflow_is_what_it_was_asked_to_be(directory: str, install: str) -> None:
    """Names of directories and files stay single values, whatever they hold."""
    wiring = Wiring(branch="on", directory=directory, install=install, remote="s3", reproduce="yes")
    workflow = yaml.load(write_github(wiring), yaml.BaseLoader)
    assert workflow["on"]["push"]["branches"] == ["on"]
    steps = workflow["jobs"]["measure"]["steps"]
    [step] = [step for step in steps if step.get("id") == "seatrial"]
    assert step["with"].get("working-directory", "") == directory
    assert step["with"]["reproduce"] == "yes"
    assert [step["run"] for step in steps if "run" in step] == ([f"python -m pip install {install}"] if install else [])
    pipeline = yaml.safe_load(write_gitlab(wiring))
    assert pipeline["include"][0]["inputs"].get("working-directory", "") == directory
    assert pipeline["seatrial"].get("before_script", []) == (
        [f"python -m pip install --quiet {install}"] if install else []
    )


CML = """\
on: push
jobs:
  run:
    steps:
      - uses: iterative/setup-cml@v1
      - run: |
          # cml in a comment is none
          dvc repro
          git fetch --depth=1 origin main:main
          dvc metrics diff main >> report.md
          cml send-comment report.md
          cml runner launch
"""


def test_what_stands_in_for_cml_is_said_line_by_line() -> None:
    """Each line that falls away is named with what replaces it, and what stays is said to stay."""
    replaced = {one.line: one.by for one in find_replaced(CML)}
    assert sorted(replaced) == [5, 9, 10, 11, 12]
    assert "baseline" in replaced[9]
    assert "keep this" in replaced[12]
    assert runs_pipeline(CML)


@pytest.mark.parametrize("text", ["", "steps:\n- run: git fetch origin main\n", "# cml comment create\n# dvc repro\n"])
def test_what_is_not_cml_is_not_replaced(text: str) -> None:
    """A fetch alone, or a comment, is nobody's report."""
    assert find_replaced(text) == ()
    assert not runs_pipeline(text)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("      - uses: seatrial/seatrial@v0.1.0\n", True),
        ("      # - uses: seatrial/seatrial@v0.1.0\n", False),
        ("      - uses: octo/seatrial@v0.1.0\n", False),
        (write_github(PLAIN), True),
        (write_gitlab(PLAIN), True),
    ],
)
def test_a_file_that_runs_seatrial_is_known(text: str, runs: bool) -> None:
    """What is commented out does not run."""
    assert uses_seatrial(text) is runs


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)
ENTRIES = st.one_of(
    NAMES, st.dictionaries(st.sampled_from(["local", "file"]), NAMES | st.lists(NAMES, max_size=2), min_size=1)
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    include=ENTRIES | st.lists(ENTRIES, max_size=3) | st.none(),
    jobs=st.dictionaries(NAMES.filter(lambda name: name not in {"include", "seatrial", ".seatrial"}), ENTRIES),
    indent=st.sampled_from([2, 4]),
    flow=st.sampled_from([False, None]),
)
def test_any_pipeline_is_added_to_or_refused(
    include: Any, jobs: dict[str, Any], indent: int, flow: bool | None
) -> None:
    """However it is written: what was there is there, or nothing is done. A plain list is always added to."""
    text = yaml.safe_dump({"include": include, **jobs}, indent=indent, default_flow_style=flow, allow_unicode=True)
    try:
        values = yaml.safe_load(add_to_gitlab(text, PLAIN))
    except UsageError:
        plain = isinstance(include, list) and include and flow is False
        assert not plain
        return
    had = include if isinstance(include, list) else [include]
    assert values["include"][:-1] == had
    assert {name: values[name] for name in jobs} == jobs
