"""seatrial.yaml: read, checked key by key with the line of every fault, and frozen into a `Config`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, field

from seatrial.config.amounts import read_limit, read_margin
from seatrial.config.document import Document, Path
from seatrial.config.raw import RawConfig, RawEvaluation, RawRule, RawThreshold
from seatrial.core.metrics import Direction
from seatrial.core.policy import Policy, Rule
from seatrial.core.verdict import Severity

DEFAULT_NAME = "seatrial.yaml"


class Evaluation(Struct, frozen=True, kw_only=True):
    """Where the per-sample predictions of a metrics file are, and how they are read."""

    predictions: str
    metrics: str
    key: str
    label: str
    score: str
    threshold: float | str
    group: str | None = None


class Config(Struct, frozen=True, kw_only=True):
    """A checked seatrial.yaml; `source` is its name, None where there is none and the defaults hold."""

    source: str | None = None
    policy: Policy = field(default_factory=Policy)
    evaluations: tuple[Evaluation, ...] = ()


def parse_config(text: bytes, name: str = DEFAULT_NAME) -> Config:
    """Read a seatrial.yaml; every fault is a ConfigError that starts with `NAME:LINE`."""
    document = Document.parse(text, name)
    if not isinstance(document.value, dict):
        raise document.fault((), "must be a mapping that starts with `version: 1`")
    if "version" not in document.value:
        raise document.fault((), "has no `version`", hint="add `version: 1` as its first line")
    # `metrics:` with nothing below is no gates; `metrics: []` and `metrics: false` are mistakes.
    metrics = {} if document.value.get("metrics") is None else document.value["metrics"]
    evaluations = [] if document.value.get("evaluations") is None else document.value["evaluations"]
    if not isinstance(metrics, dict):
        raise document.fault(("metrics",), "`metrics` must map a metric's name to its gates")
    if not isinstance(evaluations, list):
        raise document.fault(("evaluations",), "`evaluations` must be a list")
    top = {**document.value, "metrics": {}, "evaluations": []}
    raw = document.convert((), top, RawConfig)
    return Config(
        source=name,
        policy=Policy(
            rules=tuple(_build_rule(document, pattern, rule) for pattern, rule in metrics.items()),
            stale=Severity(raw.stale),
            on_broken=Severity(raw.on_broken),
            on_inconclusive=Severity(raw.on_inconclusive),
        ),
        evaluations=tuple(_build_evaluation(document, index, item) for index, item in enumerate(evaluations)),
    )


def build_schema() -> dict[str, Any]:
    """The JSON Schema of seatrial.yaml, for editors."""
    schema = msgspec.json.schema(RawConfig)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "seatrial.yaml", **schema}


def _build_rule(document: Document, pattern: str, value: Any) -> Rule:
    path: Path = ("metrics", pattern)
    raw = document.convert(path, value if value is not None else {}, RawRule)
    rule = Rule(
        pattern=pattern,
        place=f"{document.name}:{document.line(path)}",
        direction=None if raw.direction is UNSET else Direction(raw.direction),
        at_least=read_limit(document, (*path, "at_least"), raw.at_least),
        at_most=read_limit(document, (*path, "at_most"), raw.at_most),
        max_decrease=read_margin(document, (*path, "max_decrease"), raw.max_decrease),
        max_increase=read_margin(document, (*path, "max_increase"), raw.max_increase),
        max_change=read_margin(document, (*path, "max_change"), raw.max_change),
        severity=Severity(raw.severity),
    )
    if not rule.gates and rule.direction is None:
        hint = f"add {', '.join((*rule.bounds, *rule.margins))}, or a direction"
        raise document.fault(path, f"metrics.{pattern}: demands nothing", hint=hint)
    return rule


def _build_evaluation(document: Document, index: int, value: Any) -> Evaluation:
    raw = document.convert(("evaluations", index), value, RawEvaluation)
    threshold = raw.threshold.param if isinstance(raw.threshold, RawThreshold) else float(raw.threshold)
    return Evaluation(
        predictions=raw.predictions,
        metrics=raw.metrics,
        key=raw.key,
        label=raw.label,
        score=raw.score,
        threshold=threshold,
        group=raw.group,
    )
