"""Gates as test cases that any JUnit reader takes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.junit import render
from tests.golden.cases import CASES, finding


def read(report: Report) -> ET.Element:
    """The one suite of a report, read back."""
    root = ET.fromstring(render(report, RenderOptions()))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    return suite


def with_outcome(outcome: str, reason: str = "why") -> Report:
    """A report with one finding."""
    case = CASES["failed"]
    return replace(
        case, facts=replace(case.facts, findings=(finding("recall", "at_least", "≥ 1", outcome, "fail", reason),))
    )


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        ("passed", None),
        ("noted", None),
        ("failed", "failure"),
        ("warned", "failure"),
        ("inconclusive", "error"),
        ("not-judged", "skipped"),
        ("an outcome of tomorrow", "error"),
    ],
)
def test_each_outcome_has_its_element(outcome: str, tag: str | None) -> None:
    """Only what passed looks passed; what this version does not know is an error."""
    (case,) = read(with_outcome(outcome))
    assert [child.tag for child in case] == ([tag] if tag else [])
    if tag:
        assert "why" in case[0].attrib["message"]


def test_counts_are_those_of_the_cases() -> None:
    """Readers that trust the attributes see the same as those that count."""
    suite = read(CASES["failed"])
    assert suite.attrib == {"name": "seatrial", "tests": "4", "failures": "2", "errors": "1", "skipped": "0"}
    assert len(suite) == 4


@pytest.mark.parametrize(("verdict", "tag"), [("passed", None), ("failed", "failure")])
def test_a_report_without_gates_has_a_case(verdict: str, tag: str | None) -> None:
    """An empty suite is an error to Jenkins, and to a reader no answer: the verdict is a case of its own."""
    shown = CASES["no-change"]
    (only,) = read(replace(shown, facts=replace(shown.facts, findings=(), verdict=verdict)))
    assert only.attrib["name"] == "verdict"
    assert [child.tag for child in only] == ([tag] if tag else [])


@given(text=st.text())
def test_any_text_is_valid_xml(text: str) -> None:
    """Characters that XML forbids never leave, and no text becomes an element."""
    (case,) = read(with_outcome("failed", reason=text))
    assert len(case) == 1


def test_names_are_unique_per_check() -> None:
    """Two limits on one metric are two cases."""
    case = CASES["failed"]
    two = (finding("recall", "at_least", "≥ 0.8", "passed"), finding("recall", "max_decrease", "≥ −0.01", "passed"))
    names = [found.attrib["name"] for found in read(replace(case, facts=replace(case.facts, findings=two)))]
    assert len(set(names)) == 2
