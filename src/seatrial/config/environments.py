"""The environments of a policy: where models are deployed to, and what they have to show on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict

from seatrial.config.amounts import read_share
from seatrial.config.document import Document, Path
from seatrial.config.raw_environments import RawCanary, RawChecks, RawEnvironment, RawPrometheus, RawShadow
from seatrial.config.registries import build_registries
from seatrial.core.environment import (
    Canary,
    Checks,
    Doubt,
    Environment,
    LatencyLimits,
    QueryLimit,
    ShadowLimits,
    TrafficLimits,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/ -]{0,127}\Z")
_PARTS = ("checks", "canary", "settings", "registries")


def build_environments(document: Document, named: Mapping[str, Any]) -> tuple[Environment, ...]:
    """Check every environment; what it does not say has the defaults of the command line."""
    return tuple(_build(document, name, value) for name, value in named.items())


def _build(document: Document, name: str, value: Any) -> Environment:
    path: Path = ("environments", name)
    if not _NAME.match(name):
        raise document.fault(path, f"{name!r} is no name of an environment", hint="letters, digits, and . _ / -")
    parts = value if isinstance(value, dict) else {}
    plain = {key: each for key, each in parts.items() if key not in _PARTS} if parts else value
    raw = document.convert(path, {} if plain is None else plain, RawEnvironment)
    canary = _build_canary(document, (*path, "canary"), parts.get("canary"))
    checks = _build_checks(document, (*path, "checks"), parts.get("checks"), canary)
    if canary and not checks.prometheus:
        hint = "add `checks: {prometheus: {max_errors: 1%}}`"
        raise document.fault((*path, "canary"), f"environments.{name}.canary: nothing would judge it", hint=hint)
    return Environment(
        name=name,
        target=raw.target,
        to=raw.to,
        address=raw.address,
        keep=raw.keep,
        settings=_take_settings(document, (*path, "settings"), parts.get("settings")),
        verify_key=raw.verify_key,
        registries=build_registries(document, (*path, "registries"), name, parts.get("registries")),
        checks=checks,
        canary=canary,
    )


def _take_settings(document: Document, path: Path, value: Any) -> Mapping[str, Any]:
    """A mapping of which only the target knows what may stand in it."""
    if value is not None and not isinstance(value, dict):
        raise document.fault(path, f"{_spell(path)}: must be a mapping", hint="its keys are those of the target")
    return value or {}


def _build_checks(document: Document, path: Path, value: Any, canary: Canary | None) -> Checks:
    if value is None:
        return Checks()
    raw = document.convert(path, value, RawChecks)
    latency = LatencyLimits(**asdict(raw.latency)) if raw.latency else None
    if latency and latency.p50_ms is latency.p95_ms is latency.p99_ms is None:
        here = (*path, "latency")
        raise document.fault(here, f"{_spell(here)}: demands nothing", hint="add p50_ms, p95_ms or p99_ms")
    return Checks(
        latency=latency,
        shadow=_build_shadow(document, (*path, "shadow"), raw.shadow) if raw.shadow else None,
        prometheus=_build_traffic(document, (*path, "prometheus"), raw.prometheus, canary) if raw.prometheus else None,
    )


def _build_shadow(document: Document, path: Path, raw: RawShadow) -> ShadowLimits:
    most = read_share(document, (*path, "max_mismatch"), raw.max_mismatch)
    return ShadowLimits(max_mismatch=most, min_requests=raw.min_requests, seconds=raw.seconds)


def _build_traffic(document: Document, path: Path, raw: RawPrometheus, canary: Canary | None) -> TrafficLimits:
    if raw.max_errors is raw.p95_ms is None and not raw.queries:
        raise document.fault(path, f"{_spell(path)}: demands nothing", hint="add max_errors, p95_ms or queries")
    if raw.queries and not raw.url:
        hint = "add `url:`; without one, max_errors and p95_ms are read from the server itself"
        raise document.fault((*path, "queries"), f"{_spell(path)}.queries: need a Prometheus", hint=hint)
    for index, query in enumerate(raw.queries):
        if query.at_most is query.at_least is None:
            here = (*path, "queries", index)
            raise document.fault(here, f"{_spell(here)}: demands nothing", hint="add at_most or at_least")
    errors = raw.max_errors
    return TrafficLimits(
        url=raw.url.rstrip("/"),
        token_env=raw.token_env,
        labels=raw.labels,
        timeout=raw.timeout,
        window=raw.window or (canary.seconds if canary else 60.0),
        min_requests=raw.min_requests,
        max_errors=None if errors is None else read_share(document, (*path, "max_errors"), errors),
        p95_ms=raw.p95_ms,
        queries=tuple(QueryLimit(**asdict(query)) for query in raw.queries),
    )


def _build_canary(document: Document, path: Path, value: Any) -> Canary | None:
    if value is None:
        return None
    raw = document.convert(path, value, RawCanary)
    if list(raw.weights) != sorted(set(raw.weights)):
        here = (*path, "weights")
        raise document.fault(here, f"{_spell(here)}: each must be larger than the one before", hint="write [5, 25]")
    return Canary(weights=raw.weights, seconds=raw.seconds, on_inconclusive=Doubt(raw.on_inconclusive))


def _spell(path: Path) -> str:
    return ".".join(str(part) for part in path)
