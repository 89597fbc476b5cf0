"""What a release tells of its model: what judged it, what it was made of, whether its golden requests were judged."""

from __future__ import annotations

import math
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from seatrial import __version__
from seatrial.commands.answers import SidedError, seek_origin
from seatrial.commands.measure import Measurement
from seatrial.config import Config
from seatrial.config.evaluations import Evaluation
from seatrial.core.comparison import Comparison, Side
from seatrial.core.evidence import Evidence
from seatrial.core.metrics import Snapshot, StageRecord, Value, is_finite
from seatrial.core.release import (
    GOLDEN,
    GateRecord,
    GoldenPromise,
    Material,
    ScoreRecord,
    record_values,
)
from seatrial.core.revision import Revision
from seatrial.core.verdict import Verdict
from seatrial.deploy.packing import SourceFile
from seatrial.errors import CompareError, ReleaseError
from seatrial.git import Repository
from seatrial.sources.dvcfiles import Project
from seatrial.stats.names import Task

_TOLD = ("onnxruntime", "tensorflow", "tensorflow-cpu", "scikit-learn", "numpy", "dvc")
_SMALLEST = 1e-6  # what six written digits leave open
_MOST_SCORES = 500


class Lineage(Struct, frozen=True, kw_only=True):
    """What a manifest holds beside the model's files and its verdict."""

    description: str = ""
    source: str = ""
    policy: str = ""
    gates: tuple[GateRecord, ...] = ()
    scores: tuple[ScoreRecord, ...] = ()
    params: Mapping[str, Value] = {}
    commands: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
    environment: Mapping[str, str] = {}
    judged: tuple[Mapping[tuple[str, ...], float], ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()


def trace(
    repository: Repository, project: Project, config: Config, measurement: Measurement, *, artifact: str
) -> Lineage:
    """All that the commit says of one of its artifacts."""
    declared = next((each for each in project.artifacts if each.name == artifact), None)
    head = measurement.comparison.range.head
    stages = list(_find_makers(project.stages, declared.path)) if declared else []
    tables = [found for each in config.evaluations if (found := _read_judged(repository, each, head)) is not None]
    return Lineage(
        description=declared.desc if declared else "",
        source=_clean_address(repository.remote_url()),
        policy=config.source or "",
        gates=tuple(_record_gates(measurement.verdict)),
        scores=tuple(_record_scores(measurement.comparison, {each.name for each in config.evaluations}))[:_MOST_SCORES],
        params=record_values({str(change.id): change.head for change in measurement.comparison.params}),
        commands=tuple(stage.command for stage in stages),
        materials=tuple(_list_materials(stages)),
        environment=_describe_environment(),
        keys=tuple(keys for keys, _ in tables),
        judged=tuple(scores for _, scores in tables),
    )


def _find_makers(stages: Iterable[StageRecord], path: str) -> Iterator[StageRecord]:
    """The stages that made a path, and what they depend on, the last one first."""
    stages = tuple(stages)
    makers = {out.path: stage for stage in stages for out in stage.outs}
    wanted, seen = [path], set[str]()
    while wanted:
        stage = next((makers[above] for above in _list_above(wanted.pop(0)) if above in makers), None)
        if stage is not None and stage.address not in seen:
            seen.add(stage.address)
            wanted += [dep.path for dep in stage.deps]
            yield stage


def _list_above(path: str) -> list[str]:
    return [path, *(str(above) for above in PurePosixPath(path).parents)]


def _list_materials(stages: list[StageRecord]) -> Iterator[Material]:
    """Everything that the stages read, each once: what one of them made is told with the digest that it has."""
    found = {dep.path: dep.digest for stage in stages for dep in stage.deps}
    for path in sorted(found):
        yield Material(path=path, md5=found[path])


def _clean_address(address: str | None) -> str:
    """A remote's address without the user and the password that it may hold, empty for a path of this machine."""
    if not address:
        return ""
    parts = urlsplit(address)
    if parts.scheme in {"http", "https", "ssh", "git"} and parts.hostname:
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit((parts.scheme, parts.hostname + port, parts.path, "", ""))
    user, at, rest = address.partition("@")
    return f"ssh://{rest.replace(':', '/', 1)}" if at and ":" in rest and "/" not in user else ""


def _record_gates(verdict: Verdict) -> Iterator[GateRecord]:
    for finding in verdict.findings:
        yield GateRecord(
            metric=str(finding.id), limit=finding.limit, outcome=finding.outcome.value, reason=finding.reason
        )


def _record_scores(comparison: Comparison, names: Collection[str]) -> Iterator[ScoreRecord]:
    """What the predictions say; repeated measurements, such as folds, are none."""
    for result in comparison.evaluations:
        if result.name not in names:
            continue
        for evidence in (*result.overall, *result.slices):
            yield _record_score(result.name, evidence)


def _record_score(evaluation: str, evidence: Evidence) -> ScoreRecord:
    change = evidence.change
    low, high = evidence.own or (None, None)
    return ScoreRecord(
        evaluation=evaluation,
        metric=".".join(change.id.key),
        slice=change.id.slice,
        value=record_values({"": change.head})[""],
        low=low if is_finite(low) else None,
        high=high if is_finite(high) else None,
        n=evidence.n,
    )


def _describe_environment() -> dict[str, str]:
    told = {name: _find_version(name) for name in _TOLD}
    own = {"seatrial": __version__, "python": platform.python_version()}
    return own | {name: found for name, found in told.items() if found}


def _find_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _read_judged(
    repository: Repository, evaluation: Evaluation, head: Revision
) -> tuple[tuple[str, ...], Mapping[tuple[str, ...], float]] | None:
    """The columns of the key, and the scores that were judged by key; None where there are none to be had."""
    if evaluation.task is not Task.BINARY:
        return None
    try:
        origin = seek_origin(repository, evaluation, Snapshot(revision=head), Side.HEAD)
        if origin is None:
            return None
        predictions = origin.read()
    except (SidedError, CompareError, ModuleNotFoundError):
        return None  # whether that hinders the release is the verdict's to say
    rows = predictions.table.select(*predictions.keys, "score").iter_rows()
    return evaluation.columns.key, {tuple(map(str, row[:-1])): float(row[-1]) for row in rows}


def promise_golden(sources: Iterable[SourceFile], lineage: Lineage) -> GoldenPromise | None:
    """What the model's golden requests promise; None where it has none.

    Rows that carry the key of an evaluation are looked up in the predictions that were judged. Raises ReleaseError
    where their scores are others: the model would be proved by numbers that nobody judged.
    """
    source = next((each for each in sources if each.file.path == GOLDEN), None)
    if source is None:
        return None
    try:
        with source.open() as stream:
            said = msgspec.json.decode(stream.read())
        rows, tolerance = list(said["rows"]), float(said.get("tolerance", 1e-4))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None  # the check `golden` says what is wrong with it
    counts = [_count_judged(rows, keys, scores, tolerance) for keys, scores in _pair(lineage)]
    told = [found for found in counts if found is not None]
    problems = [found for found in told if isinstance(found, str)]
    if told and len(problems) == len(told):
        raise ReleaseError(
            f"{GOLDEN}: {problems[0]}", hint="write golden.json from the predictions that seatrial.yaml names"
        )
    judged = max((found for found in told if isinstance(found, int)), default=0)
    return GoldenPromise(rows=len(rows), judged=judged, tolerance=tolerance)


def _pair(lineage: Lineage) -> Iterator[tuple[tuple[str, ...], Mapping[tuple[str, ...], float]]]:
    return zip(lineage.keys, lineage.judged, strict=True)


def _count_judged(
    rows: list[Any], keys: tuple[str, ...], scores: Mapping[tuple[str, ...], float], tolerance: float
) -> int | str | None:
    """How many rows hold a score that was judged, or what is wrong; None where they don't carry the key."""
    if not all(isinstance(row, dict) and "probability" in row and all(key in row for key in keys) for row in rows):
        return None
    for row in rows:
        key = tuple(str(row[name]) for name in keys)
        if key not in scores:
            return f"{', '.join(key)} is not among the predictions that were judged"
        said, judged = row["probability"], scores[key]
        if not isinstance(said, (int, float)) or not math.isclose(said, judged, rel_tol=tolerance, abs_tol=_SMALLEST):
            return f"{', '.join(key)} has the score {said}, and {judged:.6g} was judged"
    return len(rows)
