"""Short names for metrics that stay unmistakable within one report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from seatrial.core.metrics import MetricId


def matches_name(name: str, pattern: str) -> bool:
    """Whether `*` (any text) and `?` (any character) make a pattern the name; brackets stand for themselves."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def label_metrics(ids: Iterable[MetricId]) -> Mapping[MetricId, str]:
    """Name each metric by its key alone where that is unique, else with the part of its path that tells it apart.

    `reports/boosting/metrics.json:recall` and `reports/network/metrics.json:recall` become
    `boosting: recall` and `network: recall`.
    """
    files: dict[str, dict[str, None]] = {}
    known = tuple(dict.fromkeys(ids))
    for identity in known:
        files.setdefault(identity.dotted, {})[identity.file] = None
    short = {dotted: shorten_paths(tuple(paths)) for dotted, paths in files.items() if len(paths) > 1}
    return {identity: _label(identity, short.get(identity.dotted)) for identity in known}


def _label(identity: MetricId, short: Mapping[str, str] | None) -> str:
    if not identity.dotted:
        return identity.file
    return identity.dotted if short is None else f"{short[identity.file]}: {identity.dotted}"


def shorten_paths(paths: tuple[str, ...]) -> Mapping[str, str]:
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
