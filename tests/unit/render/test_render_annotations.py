"""Remarks at lines: GitHub's workflow commands, GitLab's code-quality report, and its link on the job's page."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.core.annotations import Annotation, Kind, Level
from seatrial.core.report import Report
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.characters import readable
from tests.golden.cases import CASES, HOSTILE_NAMES

# What GitLab itself demands of an entry (app/validators/json_schemas/codeclimate.json of its source), and what its
# documentation says beyond that of severities, paths and fingerprints.
CODE_QUALITY = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": {"type": "string", "minLength": 1},
            "check_name": {"type": "string", "minLength": 1},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {
                "type": "object",
                "required": ["path", "lines"],
                "properties": {
                    "path": {"type": "string", "pattern": r"^(?!\./)"},
                    "lines": {
                        "type": "object",
                        "required": ["begin"],
                        "properties": {"begin": {"type": "integer", "minimum": 1}},
                        "additionalProperties": False,
                    },
                },
                "additionalProperties": False,
            },
        },
        "additionalProperties": False,
    },
}
# ci_job_annotation_data.json and ci_job_external_link_data.json of GitLab's source.
LINKS = {
    "type": "object",
    "additionalProperties": {
        "type": "array",
        "maxItems": 1000,
        "items": {
            "type": "object",
            "properties": {
                "external_link": {
                    "type": "object",
                    "required": ["label", "url"],
                    "properties": {"label": {"type": "string"}, "url": {"type": "string"}},
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
    },
}
TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE_NAMES), st.sampled_from(["a::b", "%0A", "x,y=z:1"]))
ANNOTATIONS = st.builds(
    Annotation,
    path=TEXTS,
    line=st.integers(min_value=1, max_value=10**6),
    kind=st.sampled_from(Kind),
    level=st.sampled_from(Level),
    title=TEXTS,
    message=TEXTS,
)
COMMAND = re.compile(r"::(error|warning|notice) (?:file=([^,:]*),line=(\d+),)?title=([^,:]*)::(.*)")


def remark(title: str = "recall: failed", **given: Any) -> Annotation:
    values: dict[str, Any] = {
        "path": "params.yaml", "line": 4, "kind": Kind.GATE, "level": Level.FAILURE, "message": "recall fell",
    }  # fmt: skip
    return Annotation(title=title, **{**values, **given})


def write(form: str, *annotations: Annotation, case: str = "failed", url: str | None = None) -> str:
    shown = CASES[case]
    report = Report(facts=shown.facts, lay_out=lambda: shown.document, annotate=lambda: annotations)
    return RENDERERS[form](report, RenderOptions(full_report_url=url))


def read_commands(text: str) -> list[tuple[str, ...]]:
    """The commands as the runner reads them: level, file, line, title, message."""
    found = [COMMAND.fullmatch(line) for line in text.splitlines()]
    assert all(found)
    return [tuple(_unescape(part or "") for part in match.groups()) for match in found if match]


def _unescape(text: str) -> str:
    for code, sign in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def test_a_remark_is_a_command() -> None:
    """After the verdict, which belongs to no line."""
    text = write("annotations", remark("recall, and more: failed", message="fell 100 %: too far"))
    assert read_commands(text) == [
        ("error", "", "", "seatrial", "Do not merge: 1 of 4 gates failed"),
        ("error", "params.yaml", "4", "recall, and more: failed", "fell 100 %: too far"),
    ]


@pytest.mark.parametrize(
    ("case", "level"), [("passed", "notice"), ("warned", "warning"), ("failed", "error"), ("inconclusive", "error")]
)
def test_the_verdict_is_told_first(case: str, level: str) -> None:
    """Also where there is nothing to say of any line."""
    ((told, _, _, _, message),) = read_commands(write("annotations", case=case))
    assert (told, message) == (level, CASES[case].facts.headline)


def test_what_github_would_drop_is_counted() -> None:
    """It shows ten of a level, in silence about the others."""
    many = tuple(remark(f"gate {at}") for at in range(30)) + tuple(
        remark(f"p{at}", level=Level.NOTICE) for at in range(10)
    )
    commands = read_commands(write("annotations", *many))
    errors = [command for command in commands if command[0] == "error"]
    assert len(errors) == 10
    assert errors[-1][-1] == "and 22 more: the report has them all"
    assert sum(command[0] == "notice" for command in commands) == 10


@settings(max_examples=200, deadline=None)
@given(annotations=st.lists(ANNOTATIONS, max_size=9))
def test_no_name_makes_a_command_of_its_own(annotations: list[Annotation]) -> None:
    """What the runner reads is what was meant: no text ends its line, its property or its command."""
    commands = read_commands(write("annotations", *annotations))
    assert len(commands) == len(annotations) + 1
    told = {(file, title) for _, file, _, title, _ in commands[1:]}
    assert told == {(readable(one.path, 250), readable(one.title, 250)) for one in annotations} or "##[" in str(told)


@settings(max_examples=200, deadline=None)
@given(annotations=st.lists(ANNOTATIONS, max_size=6))
def test_code_quality_has_gitlabs_shape(annotations: list[Annotation]) -> None:
    """Whatever the names; one entry that GitLab does not take would lose all that follow."""
    usable = [one for one in annotations if not readable(one.path).startswith("./")]
    entries = json.loads(write("code-quality", *usable))
    jsonschema.validate(entries, CODE_QUALITY)
    assert len({entry["fingerprint"] for entry in entries}) == len(entries) == len(usable)


def test_code_quality_tells_where_and_how_bad() -> None:
    """In GitLab's own words."""
    (gate, param) = json.loads(
        write("code-quality", remark(), remark("lr changed", kind=Kind.PARAMETER, level=Level.NOTICE))
    )
    assert gate["location"] == {"path": "params.yaml", "lines": {"begin": 4}}
    assert (gate["severity"], gate["check_name"]) == ("critical", "seatrial/gate")
    assert gate["description"] == "recall: failed: recall fell"
    assert (param["severity"], param["check_name"]) == ("info", "seatrial/parameter")


def test_a_fingerprint_follows_what_is_told() -> None:
    """Equal on every run and wherever the line moves to, another where the numbers are others."""

    def print_of(annotation: Annotation) -> str:
        (entry,) = json.loads(write("code-quality", annotation))
        return str(entry["fingerprint"])

    assert print_of(remark(line=4)) == print_of(remark(line=40))
    assert print_of(remark()) != print_of(remark(message="recall fell further"))


def test_no_remarks_are_an_empty_list() -> None:
    """GitLab takes that for a report without findings."""
    assert json.loads(write("code-quality")) == []


def test_the_job_links_to_the_report() -> None:
    """With the verdict as the label, in the shape that GitLab's own schema demands."""
    links = json.loads(write("gitlab-annotations", url="https://gitlab.example/-/jobs/5/artifacts/file/r.html"))
    jsonschema.validate(links, LINKS)
    assert links == {
        "seatrial": [
            {
                "external_link": {
                    "label": "Model report: Do not merge: 1 of 4 gates failed",
                    "url": "https://gitlab.example/-/jobs/5/artifacts/file/r.html",
                }
            }
        ]
    }


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "/etc/passwd"])
def test_what_is_no_address_is_no_link(url: str | None) -> None:
    """The report is then without links, and still has its shape."""
    assert json.loads(write("gitlab-annotations", url=url)) == {"seatrial": []}
