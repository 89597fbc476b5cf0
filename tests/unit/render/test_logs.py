"""No report that is printed in GitHub Actions commands its runner, and every reader reads what it read before."""

from __future__ import annotations

import html
import json
import re
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from seatrial.core.annotations import Annotation, Kind, Level
from seatrial.core.report import Report
from seatrial.render import RENDERERS, RenderOptions
from seatrial.render.logs import disarm
from tests.golden.cases import CASES

HOSTILE = "::add-mask::a ##[group]b \\##[c"
ANNOTATIONS = tuple(
    Annotation(path=HOSTILE, line=1, kind=Kind.GATE, level=level, title=HOSTILE, message=f"a\n{HOSTILE}\r\n{HOSTILE}")
    for level in Level
)
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)


def _written(form: str) -> str:
    report = CASES["failed"]
    findings = tuple(replace(one, reason=HOSTILE, file=HOSTILE, limit=HOSTILE) for one in report.facts.findings)
    metrics = tuple(replace(one, file=HOSTILE) for one in report.facts.metrics)
    facts = replace(report.facts, headline=HOSTILE, findings=findings, metrics=metrics)
    return RENDERERS[form](
        Report(facts=facts, lay_out=lambda: report.document, annotate=lambda: ANNOTATIONS),
        RenderOptions(full_report_url="https://forge.example/1"),
    )


JSON = ("json", "dvc-json", "code-quality", "gitlab-annotations")


@pytest.mark.parametrize("form", [form for form in RENDERERS if form != "annotations"])
def test_no_line_is_a_command(form: str) -> None:
    """Neither the runner's own form at a line's beginning nor the old one anywhere."""
    assert not COMMAND.search(
        disarm(f"{_written(form)}\n  ::warning::x\n" if form not in JSON else _written(form), form)
    )


def test_annotations_are_our_own_commands() -> None:
    """Every line is a remark, whatever stands in it; nothing else is a command, in neither spelling."""
    text = disarm(_written("annotations"), "annotations")
    assert "##[" not in text
    assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in text.splitlines())
    assert text.count("\n") == 1 + len(ANNOTATIONS)


@pytest.mark.parametrize("form", JSON)
def test_json_says_the_same(form: str) -> None:
    """Escapes are read as the signs that they stand for."""
    text = _written(form)
    assert COMMAND.search(text)
    assert json.loads(disarm(text, form)) == json.loads(text)


def test_junit_says_the_same() -> None:
    """Entities are read as the signs that they stand for, in attributes and in texts."""
    text = _written("junit")
    assert COMMAND.search(text)
    assert ET.canonicalize(disarm(text, "junit")) == ET.canonicalize(text)


def test_a_page_says_the_same() -> None:
    """Nothing but entities is different, and the page's own style and script are left as they are."""
    text = RENDERERS["html"](CASES["hostile-names"], RenderOptions())
    assert html.unescape(disarm(text, "html")) == html.unescape(text)
    plain = RENDERERS["html"](CASES["failed"], RenderOptions())
    assert disarm(plain, "html") == plain
