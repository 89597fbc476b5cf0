"""A report's gates as JUnit XML: one test case a finding, for GitLab's test widget, Jenkins and their like."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from seatrial.core.facts import ChangeFacts, FindingFacts, ReportFacts
from seatrial.core.report import Report
from seatrial.render import RenderOptions
from seatrial.render.characters import readable

_SUITE = "seatrial"


def render(report: Report, options: RenderOptions) -> str:
    """One suite. Failed and warned gates are failures, what could not be judged is an error or skipped.

    A report without gates has one case that carries the verdict, since an empty suite is an error to some readers.
    """
    facts = report.facts
    stale = {(one.file, one.key): one.stale for one in facts.metrics if one.stale}
    cases = [_write_finding(finding, stale.get((finding.file, finding.key), "")) for finding in facts.findings]
    cases = cases or [_write_verdict(facts)]
    judged = {(finding.file, finding.key) for finding in facts.findings}
    cases += [_write_doubt(one) for one in facts.metrics if one.reason and (one.file, one.key) not in judged]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    suites = ET.Element("testsuites", {"name": _SUITE, **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": _SUITE, **counts})
    suite.extend(cases)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _write_finding(finding: FindingFacts, stale: str) -> ET.Element:
    # The file is the class, so that viewers group by it; the limit is in the name, since a metric may have several.
    part = f" [{finding.slice}]" if finding.slice else ""
    name = readable(f"{'.'.join(finding.key)}{part} {finding.check} ({finding.limit})", 300).strip()
    case = ET.Element("testcase", {"classname": readable(finding.file, 300) or _SUITE, "name": name, "time": "0"})
    message = readable(f"{name}: {finding.reason or finding.outcome}", 1_000)
    tag, kind = _result(finding.outcome)
    if tag is not None:
        _add_result(case, tag, kind, message, details=_details(finding))
    if stale:
        ET.SubElement(case, "system-out").text = readable(f"stale: {stale}", 1_000)
    return case


def _write_doubt(change: ChangeFacts) -> ET.Element:
    """A value that no gate speaks of, and that can't be compared: a skipped case, so that it is seen."""
    name = readable(f"{'.'.join(change.key)} comparable", 300).strip()
    case = ET.Element("testcase", {"classname": readable(change.file, 300) or _SUITE, "name": name, "time": "0"})
    lines = [f"{change.state}: {change.reason}", *([f"next: {change.hint}"] if change.hint else [])]
    lines += [f"stale: {change.stale}"] if change.stale else []
    told = [readable(line, 1_000) for line in lines]
    _add_result(case, "skipped", change.state, told[0], details="\n".join(told))
    return case


def _result(outcome: str) -> tuple[str | None, str]:
    """The element and its `type`; an outcome that this version does not know is an error, never a silent pass."""
    results: dict[str, tuple[str | None, str]] = {
        "passed": (None, ""),
        "noted": (None, ""),
        "failed": ("failure", "failed"),
        "warned": ("failure", "warning"),
        "inconclusive": ("error", "inconclusive"),
        "not-judged": ("skipped", "not-judged"),
        "waived": ("skipped", "waived"),
    }
    return results.get(outcome, ("error", readable(outcome, 60) or "unknown"))


def _details(finding: FindingFacts) -> str:
    lines = [finding.reason, f"limit: {finding.limit}", f"severity: {finding.severity}", f"rule: {finding.rule}"]
    lines.append(f"next: {finding.hint}")
    return "\n".join(readable(line, 1_000) for line in lines if line and not line.endswith(": "))


def _write_verdict(facts: ReportFacts) -> ET.Element:
    case = ET.Element("testcase", {"classname": _SUITE, "name": "verdict", "time": "0"})
    tag, kind = _result(facts.verdict)
    if tag is not None:
        problems = "\n".join(readable(f"{p.path}: {p.message}", 1_000) for p in facts.problems)
        _add_result(case, tag, kind, readable(facts.headline, 1_000), details=problems)
    return case


def _add_result(case: ET.Element, tag: str, kind: str, message: str, *, details: str) -> None:
    attributes = {"message": message} if tag == "skipped" else {"type": kind, "message": message}
    ET.SubElement(case, tag, attributes).text = details or None
