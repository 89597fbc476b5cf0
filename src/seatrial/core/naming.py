"""Short names for metrics that stay unmistakable within one report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from seatrial.core.metrics import MetricId


def label_metrics(ids: Iterable[MetricId]) -> Mapping[MetricId, str]:
    """Name each metric by its key alone where that is unique, else with the part of its path that tells it apart.

    `reports/boosting/metrics.json:recall` and `reports/network/metrics.json:recall` become
    `boosting: recall` and `network: recall`.
    """
    known = tuple(dict.fromkeys(ids))
    shared = Counter(identity.dotted for identity in known)
    files = _shorten_paths(tuple(dict.fromkeys(i.file for i in known if shared[i.dotted] > 1 or not i.key)))
    return {
        identity: _label(identity, files.get(identity.file) if shared[identity.dotted] > 1 else None)
        for identity in known
    }


def _label(identity: MetricId, file: str | None) -> str:
    if not identity.key or not identity.dotted:
        return identity.file
    return f"{file}: {identity.dotted}" if file else identity.dotted


def _shorten_paths(paths: tuple[str, ...]) -> Mapping[str, str]:
    """Drop the leading and trailing path parts that all have in common, unless nothing would be left."""
    split = [path.split("/") for path in paths]
    head = _common(split)
    tail = _common([parts[::-1] for parts in split])
    return {path: "/".join(parts[head : len(parts) - tail]) or path for path, parts in zip(paths, split, strict=True)}


def _common(paths: list[list[str]]) -> int:
    """How many leading parts all paths share."""
    count = 0
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        count += 1
    return count
