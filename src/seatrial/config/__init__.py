"""seatrial.yaml: read, checked key by key with the line of every fault, and frozen into a `Config`.

What reads it is imported where there is one: a comparison without a policy does not wait for it.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from seatrial.core.policy import Policy, Waiver
from seatrial.core.verdict import Severity

if TYPE_CHECKING:
    from seatrial.config.document import Document, Path
    from seatrial.config.evaluations import Evaluation
    from seatrial.config.raw import RawWaiver
    from seatrial.config.scalars import Repeat
    from seatrial.config.tables import DataTable
    from seatrial.core.environment import Environment

DEFAULT_NAME = "seatrial.yaml"


class Config(Struct, frozen=True, kw_only=True):
    """A checked seatrial.yaml; `source` is its name, None where there is none and the defaults hold."""

    source: str | None = None
    policy: Policy = field(default_factory=Policy)
    evaluations: tuple[Evaluation, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    tables: tuple[DataTable, ...] = ()
    pickles: tuple[str, ...] = ()
    environments: tuple[Environment, ...] = ()


def parse_config(text: bytes, name: str = DEFAULT_NAME) -> Config:
    """Read a seatrial.yaml; every fault is a ConfigError that starts with `NAME:LINE`."""
    from seatrial.config.document import Document
    from seatrial.config.raw import RawConfig
    from seatrial.config.scalars import build_scalar

    document = Document.parse(text, name)
    if not isinstance(document.value, dict):
        raise document.fault((), "must be a mapping that starts with `version: 1`")
    if "version" not in document.value:
        raise document.fault((), "has no `version`", hint="add `version: 1` as its first line")
    metrics = _take_mapping(document, "metrics", "a metric's name to its gates")
    environments = _take_mapping(document, "environments", "an environment's name to where it is")
    listed, named = _take_list(document, "evaluations"), _take_list(document, "tables")
    top = {**document.value, "metrics": {}, "evaluations": [], "tables": [], "environments": {}}
    raw = document.convert((), top, RawConfig)
    built = [build_scalar(document, pattern, rule) for pattern, rule in metrics.items()]
    evaluations = _build_evaluations(document, listed) if listed else ()
    tables = _build_tables(document, named) if named else ()
    return Config(
        source=name,
        policy=Policy(
            rules=tuple(scalar.rule for scalar in built if scalar.rule),
            evidence=(
                *(rule for evaluation in evaluations for rule in evaluation.rules),
                *(scalar.tested for scalar in built if scalar.tested),
            ),
            tables=tuple(rule for table in tables for rule in table.rules),
            waivers=tuple(_build_waiver(document, index, waiver) for index, waiver in enumerate(raw.waivers)),
            stale=Severity(raw.stale),
            on_broken=Severity(raw.on_broken),
            on_inconclusive=Severity(raw.on_inconclusive),
        ),
        evaluations=evaluations,
        repeats=tuple(scalar.repeat for scalar in built if scalar.repeat),
        tables=tables,
        pickles=raw.releases.pickles,
        environments=_build_environments(document, environments) if environments else (),
    )


def _take_mapping(document: Document, key: str, words: str) -> dict[str, Any]:
    """What stands below a key by name; nothing is none, but `[]` and `false` are mistakes."""
    named = document.value.get(key)
    if named is not None and not isinstance(named, dict):
        raise document.fault((key,), f"`{key}` must map {words}")
    return named or {}


def _take_list(document: Document, key: str) -> list[Any]:
    """What stands below a key, one after the other; nothing is none."""
    listed = document.value.get(key)
    if listed is not None and not isinstance(listed, list):
        raise document.fault((key,), f"`{key}` must be a list")
    return listed or []


def _build_evaluations(document: Document, listed: list[Any]) -> tuple[Evaluation, ...]:
    from seatrial.config.evaluations import build_evaluations

    return build_evaluations(document, listed)


def _build_tables(document: Document, listed: list[Any]) -> tuple[DataTable, ...]:
    from seatrial.config.tables import build_tables

    return build_tables(document, listed)


def _build_environments(document: Document, named: dict[str, Any]) -> tuple[Environment, ...]:
    from seatrial.config.environments import build_environments

    return build_environments(document, named)


def build_schema() -> dict[str, Any]:
    """The JSON Schema of seatrial.yaml, for editors."""
    from seatrial.config.raw import RawConfig

    schema = msgspec.json.schema(RawConfig)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "seatrial.yaml", **schema}


def _build_waiver(document: Document, index: int, raw: RawWaiver) -> Waiver:
    path: Path = ("waivers", index)
    try:
        until = date.fromisoformat(raw.until)
    except ValueError:
        raise document.fault((*path, "until"), f"`until` is no day: {raw.until}", hint="write 2026-12-31") from None
    return Waiver(gate=raw.gate, reason=raw.reason, until=until, place=document.place(path))
