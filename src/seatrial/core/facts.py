"""The facts of a report: what the JSON output holds, and what one job hands to another.

Every class here is part of the published schema (`docs/reference/report.schema.json`): a change that
takes something away, or alters its meaning, needs a new `SCHEMA_VERSION`.
Numbers are finite; a value that is not finite is the string `NaN`, `Infinity` or `-Infinity`.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionFacts:
    """One side: what people call it, and its commit (null for the work tree)."""

    name: str
    sha: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalFacts:
    """A confidence interval of the change, in the metric's own unit."""

    low: float
    high: float
    level: float
    n: int
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFacts:
    """One value on both sides; `relative` is the change divided by the absolute baseline value."""

    file: str
    key: tuple[str, ...]
    state: str
    base: bool | int | float | str | None
    head: bool | int | float | str | None
    absolute: float | None
    relative: float | None
    direction: str | None
    effect: str
    interval: IntervalFacts | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingFacts:
    """One gate's answer: which rule, where it stands, what it demands, and whether the candidate meets it."""

    file: str
    key: tuple[str, ...]
    check: str
    limit: str
    outcome: str
    severity: str
    reason: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A dependency or output of the pipeline whose content differs."""

    path: str
    state: str
    base_size: int | None
    head_size: int | None
    base_files: int | None
    head_files: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFacts:
    """A stage whose record in dvc.lock differs, and why: code, data, parameters, command."""

    stage: str
    state: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemFacts:
    """Something that could not be read, on which side, and what would mend it."""

    side: str
    state: str
    path: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """The whole report as data."""

    schema_version: int
    seatrial_version: str
    verdict: str
    headline: str
    base: RevisionFacts | None
    head: RevisionFacts
    baseline_reason: str
    baseline_moved: int | None
    baseline_older: int
    policy: str | None
    findings: tuple[FindingFacts, ...]
    metrics: tuple[ChangeFacts, ...]
    params: tuple[ChangeFacts, ...]
    files: tuple[FileFacts, ...]
    stages: tuple[StageFacts, ...]
    problems: tuple[ProblemFacts, ...]
