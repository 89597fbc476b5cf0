"""The facts of a report: what the JSON output holds, and what one job hands to another.

Every class here is part of the published schema (`docs/reference/report.schema.json`): a change that
takes something away, or alters its meaning, needs a new `SCHEMA_VERSION`.
Numbers are finite; a value that is not finite is the string `NaN`, `Infinity` or `-Infinity`.
"""

from __future__ import annotations

from msgspec import Struct

from seatrial.core.data_facts import TableFacts
from seatrial.core.evidence_facts import EvaluationFacts

SCHEMA_VERSION = 1


class RevisionFacts(Struct, frozen=True, kw_only=True):
    """One side: what people call it, and its commit (null for the work tree)."""

    name: str
    sha: str | None


class IntervalFacts(Struct, frozen=True, kw_only=True):
    """A confidence interval of the change, in the metric's own unit."""

    low: float
    high: float
    level: float
    n: int
    method: str


class ChangeFacts(Struct, frozen=True, kw_only=True):
    """One value on both sides; `relative` is the change divided by the absolute baseline value.

    `hint` says what mends a state of trouble; `moved_from` is the baseline's file where that had another name.
    `stale` says why the candidate's value was not made by its own code, data and parameters; it is empty otherwise.
    `side` is where a state of trouble lies, `base` or `head`.
    """

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
    hint: str = ""
    moved_from: str | None = None
    stale: str = ""
    side: str | None = None


class FindingFacts(Struct, frozen=True, kw_only=True):
    """One gate's answer: which rule, where it stands, what it demands, and whether the candidate meets it.

    `slice` is `slices` for one that speaks of all of them, and the slice's name where it is about one.
    """

    file: str
    key: tuple[str, ...]
    check: str
    limit: str
    outcome: str
    severity: str
    reason: str
    rule: str
    hint: str = ""
    slice: str = ""


class FileFacts(Struct, frozen=True, kw_only=True):
    """A dependency or output of the pipeline whose content differs.

    `added`, `removed` and `modified` count files of a directory, null where their lists are not at hand.
    """

    path: str
    state: str
    base_size: int | None
    head_size: int | None
    base_files: int | None
    head_files: int | None
    added: int | None
    removed: int | None
    modified: int | None


class StageFacts(Struct, frozen=True, kw_only=True):
    """A stage whose record in dvc.lock differs, and why: code, data, parameters, command."""

    stage: str
    state: str
    because: tuple[str, ...]


class StaleFacts(Struct, frozen=True, kw_only=True):
    """A stage of the candidate whose record is not of what is there.

    `because` are dependencies and parameters that changed since, `edited` outputs that it did not make.
    """

    stage: str
    because: tuple[str, ...]
    edited: tuple[str, ...]


class PlotFacts(Struct, frozen=True, kw_only=True):
    """A declared plot: whether its data differ. `reason` says what of it can't be read; its data are not told."""

    name: str
    title: str
    state: str
    reason: str = ""


class ProblemFacts(Struct, frozen=True, kw_only=True):
    """Something that could not be read, on which side, and what would mend it."""

    side: str
    state: str
    path: str
    message: str
    hint: str


class ReportFacts(Struct, frozen=True, kw_only=True):
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
    stale: tuple[StaleFacts, ...]
    problems: tuple[ProblemFacts, ...]
    evaluations: tuple[EvaluationFacts, ...]
    tables: tuple[TableFacts, ...] = ()
    plots: tuple[PlotFacts, ...] = ()
