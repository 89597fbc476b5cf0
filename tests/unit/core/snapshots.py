"""A small language for test data: snapshots from plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.core.comparison import Comparison, compare
from seatrial.core.metrics import Key, MetricSet, Problem, Snapshot, StageRecord, State, Value
from seatrial.core.revision import WORK_TREE, Revision, RevisionRange

BASE = Revision(name="main", sha="5b174c2" + "0" * 33)
HEAD = Revision(name=WORK_TREE, sha=None)


def flatten(values: Mapping[str, Any], prefix: Key = ()) -> dict[Key, Value]:
    """Nested dictionaries as keys of tuples."""
    flat: dict[Key, Value] = {}
    for name, value in values.items():
        key: Key = (*prefix, name)
        flat |= flatten(value, key) if isinstance(value, dict) else {key: value}
    return flat


def file(path: str, values: Mapping[str, Any] | None = None, broken: State | None = None) -> MetricSet:
    """A metrics file with values, or a broken one."""
    problem = Problem(state=broken, path=path, message=f"{path} is {broken.value}", hint="mend it") if broken else None
    return MetricSet(path=path, values=flatten(values or {}), problem=problem)


def snapshot(
    *files: MetricSet,
    params: Mapping[str, Any] | None = None,
    stages: tuple[StageRecord, ...] = (),
    problems: tuple[Problem, ...] = (),
    revision: Revision = HEAD,
) -> Snapshot:
    """One side."""
    sets = (MetricSet(path="params.yaml", values=flatten(params)),) if params else ()
    return Snapshot(revision=revision, metrics=files, params=sets, stages=stages, problems=problems)


def range_of(base: bool = True) -> RevisionRange:
    """Main against the work tree, or a first measurement."""
    return RevisionRange(base=BASE if base else None, head=HEAD, reason="merge base with main")


def compare_values(base: Mapping[str, Any] | None, head: Mapping[str, Any], **how: Any) -> Comparison:
    """Compare one metrics.json of both sides."""
    before = None if base is None else snapshot(file("metrics.json", base))
    return compare(range_of(base is not None), before, snapshot(file("metrics.json", head)), **how)
