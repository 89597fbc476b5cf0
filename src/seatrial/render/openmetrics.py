"""A report's numbers in the text format of OpenMetrics 1.0, for Prometheus and for GitLab's metrics report.

https://prometheus.io/docs/specs/om/open_metrics_spec/. GitLab compares values as text, and so equal numbers have one
spelling here: 12 significant digits, without trailing zeros. There are no commits and no times among the labels, for
those would make every series new on every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from seatrial.core.evidence_facts import EstimateFacts
from seatrial.core.facts import ChangeFacts, FindingFacts, ReportFacts
from seatrial.core.metrics import MetricId, Value, is_finite
from seatrial.core.report import Report
from seatrial.core.verdict import Status
from seatrial.render import RenderOptions
from seatrial.render.characters import readable

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, Value]
_EXACT = 1e15
_NAMED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_CALM = frozenset({"unchanged", "changed"})


class _Family(NamedTuple):
    """The samples of one name; `suffix` is what its type adds to the name of a sample."""

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]
    unit: str = ""
    suffix: str = ""


def render(report: Report, options: RenderOptions) -> str:
    """Verdict, gates, both values and the change of every metric; an absent value has no sample but a state."""
    lines: list[str] = []
    for family in _list_families(report.facts):
        samples = list(_write_samples(family))
        if samples:
            lines.append(f"# TYPE {family.name} {family.kind}")
            lines += [f"# UNIT {family.name} {family.unit}"] if family.unit else []
            lines.append(f"# HELP {family.name} {family.help}")
            lines += samples
    return "\n".join([*lines, "# EOF"]) + "\n"


def _list_families(facts: ReportFacts) -> Iterator[_Family]:
    metrics = [(_label_change(change), change) for change in facts.metrics]
    estimates = [
        (_label_estimate(evaluation.name, estimate), estimate)
        for evaluation in facts.evaluations
        for estimate in (*evaluation.overall, *evaluation.slices)
    ]
    verdicts = [((("seatrial_verdict", status.value),), facts.verdict == status.value) for status in Status]
    yield _Family("seatrial_verdict", "stateset", "The answer to whether the change may merge.", verdicts)
    gates = [(_label_finding(finding), True) for finding in facts.findings]
    yield _Family("seatrial_gate", "info", "What each rule says of each metric.", gates, suffix="_info")
    states = [((*labels, ("state", change.state)), True) for labels, change in metrics if change.state not in _CALM]
    yield _Family(
        "seatrial_metric_state", "info", "Metrics that are no number on both sides, and why.", states, suffix="_info"
    )
    told: tuple[tuple[str, str, list[Sample]], ...] = (
        ("base", "The baseline's value.", _choose(metrics, estimates, "base", "base")),
        ("head", "The candidate's value.", _choose(metrics, estimates, "head", "head")),
        ("delta", "The candidate's value minus the baseline's.", _choose(metrics, estimates, "absolute", "delta")),
    )
    for name, words, samples in told:
        yield _Family(f"seatrial_metric_{name}", "gauge", words, samples)
    ends = [((*labels, ("level", _spell(level))), end) for labels, level, end in _list_ends(metrics, estimates, "low")]
    yield _Family("seatrial_metric_delta_low", "gauge", "Lower end of the change's confidence interval.", ends)
    ends = [((*labels, ("level", _spell(level))), end) for labels, level, end in _list_ends(metrics, estimates, "high")]
    yield _Family("seatrial_metric_delta_high", "gauge", "Upper end of the change's confidence interval.", ends)
    shares = [(labels, change.relative) for labels, change in metrics]
    words = "The change divided by the absolute value of the baseline."
    yield _Family("seatrial_metric_relative_change_ratio", "gauge", words, shares, unit="ratio")


def _choose(
    metrics: list[tuple[Labels, ChangeFacts]],
    estimates: list[tuple[Labels, EstimateFacts]],
    of_change: str,
    of_estimate: str,
) -> list[Sample]:
    return [
        *((labels, getattr(change, of_change)) for labels, change in metrics),
        *((labels, getattr(estimate, of_estimate)) for labels, estimate in estimates),
    ]


def _list_ends(
    metrics: list[tuple[Labels, ChangeFacts]], estimates: list[tuple[Labels, EstimateFacts]], end: str
) -> Iterator[tuple[Labels, float, float]]:
    for labels, change in metrics:
        if change.interval:
            yield labels, change.interval.level, getattr(change.interval, end)
    for labels, estimate in estimates:
        value = getattr(estimate, end)
        if value is not None and estimate.level is not None:
            yield labels, estimate.level, value


def _label_change(change: ChangeFacts) -> Labels:
    return (("file", change.file), ("key", MetricId(file=change.file, key=change.key).dotted))


def _label_estimate(evaluation: str, estimate: EstimateFacts) -> Labels:
    part = (("slice", estimate.slice),) if estimate.slice else ()
    return (("evaluation", evaluation), ("key", estimate.metric), *part)


def _label_finding(finding: FindingFacts) -> Labels:
    named = (("file", finding.file), ("key", MetricId(file=finding.file, key=finding.key).dotted))
    part = (("slice", finding.slice),) if finding.slice else ()
    return (*named, *part, ("check", finding.check), ("limit", finding.limit), ("outcome", finding.outcome))


def _write_samples(family: _Family) -> Iterator[str]:
    """One line for each value that is a number; series that only differ in hidden signs are numbered."""
    seen: dict[str, int] = {}
    for labels, value in family.samples:
        spelled = _spell(value)
        if not spelled:
            continue
        written = ",".join(f'{name}="{_escape(text)}"' for name, text in labels)
        seen[written] = number = seen.get(written, 0) + 1
        more = f',number="{number}"' if number > 1 else ""
        yield f"{family.name}{family.suffix}{{{written}{more}}} {spelled}"


def _spell(value: Value) -> str:
    """A number in its one spelling, flags as 0 and 1; nothing for what is no number."""
    number = _NAMED.get(value) if isinstance(value, str) else value
    if number is None:
        return ""
    if isinstance(number, int) and not is_finite(number) and not isinstance(number, bool):
        number = math.inf if number > 0 else -math.inf  # of more than 308 digits
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    if number == int(number) and abs(number) < _EXACT:
        return str(int(number))
    return f"{number:.12g}"


def _escape(value: str) -> str:
    return readable(value).replace("\\", "\\\\").replace('"', '\\"')
