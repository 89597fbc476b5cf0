"""seatrial.yaml: read, checked key by key with the line of every fault, and frozen into a `Config`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from seatrial.core.metrics import Direction
from seatrial.core.policy import Policy, Rule
from seatrial.core.verdict import Margin, Severity
from seatrial.errors import ConfigError

if TYPE_CHECKING:
    import yaml

DEFAULT_NAME = "seatrial.yaml"
_MOST_BYTES = 1_000_000
_SIXTIES = re.compile(r"[-+]?[0-9_]+(:[0-9_.]+)+")
_DEEPEST = 20
_MOST_DIGITS = 400

Limit = Annotated[int | float | str, Meta(description="A limit on the candidate's value, in the metric's own unit.")]
Tolerance = Annotated[
    int | float | str,
    Meta(description="A tolerance: 0.002 is in the metric's own unit, 1% is a share of the baseline's value."),
]
Level = Literal["fail", "warn", "info"]
Pattern = Annotated[
    str,
    Meta(description="`FILE:KEY`, or KEY alone for any file; * and ? match: `reports/*/metrics.json:recall`."),
]


class RawRule(Struct, forbid_unknown_fields=True):
    """Gates on a scalar metric."""

    direction: Annotated[
        Literal["higher", "lower"] | UnsetType,
        Meta(description="Which way is better; guessed by name if absent."),
    ] = UNSET
    at_least: Limit | UnsetType = UNSET
    at_most: Limit | UnsetType = UNSET
    max_decrease: Tolerance | UnsetType = UNSET
    max_increase: Tolerance | UnsetType = UNSET
    max_change: Tolerance | UnsetType = UNSET
    severity: Annotated[Level, Meta(description="What a breach does.")] = "fail"


class RawThreshold(Struct, forbid_unknown_fields=True):
    """A threshold that is a parameter of the project, read on each side."""

    param: Annotated[str, Meta(description="`FILE:KEY` of the parameter, such as params.yaml:evaluate.threshold.")]


class RawEvaluation(Struct, forbid_unknown_fields=True):
    """Per-sample predictions of a binary classifier, from which the uncertainty of its metrics is known."""

    predictions: Annotated[str, Meta(description="Path of the predictions table (parquet, CSV or JSON lines).")]
    metrics: Annotated[str, Meta(description="Path of the metrics file that was computed from these predictions.")]
    key: Annotated[str, Meta(description="Column that identifies a sample.")]
    label: Annotated[str, Meta(description="Column with the true label, 0 or 1.")]
    score: Annotated[str, Meta(description="Column with the predicted probability of label 1.")]
    threshold: Annotated[
        int | float | RawThreshold, Meta(description="Score from which on a sample is predicted positive.")
    ] = 0.5
    group: Annotated[
        str | None,
        Meta(description="Column of what samples have in common (a user, an aircraft); they err together then."),
    ] = None


class RawConfig(Struct, forbid_unknown_fields=True):
    """What a seatrial.yaml may say."""

    version: Annotated[Literal[1], Meta(description="Version of this file's format.")]
    metrics: Annotated[dict[Pattern, RawRule], Meta(description="Gates by metric.")] = {}
    evaluations: Annotated[tuple[RawEvaluation, ...], Meta(description="Where intervals come from.")] = ()
    stale: Annotated[
        Level,
        Meta(description="What it does that the metrics were not made by this revision's code, data and parameters."),
    ] = "warn"
    on_broken: Annotated[
        Level,
        Meta(description="What a candidate's metric does that is missing, unreadable or not finite, gated or not."),
    ] = "fail"
    on_inconclusive: Annotated[Level, Meta(description="What a gate does that can't be judged.")] = "fail"


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
    document = _Document.parse(text, name)
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


Path = tuple[str | int, ...]
T = TypeVar("T")
_AT = re.compile(r" - at `\$(?P<path>.*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>.*)`")


class _Document(Struct, frozen=True):
    """A YAML file as plain values, with the line of every key."""

    name: str
    value: Any
    lines: Mapping[Path, int]

    @classmethod
    def parse(cls, text: bytes, name: str) -> _Document:
        import yaml

        if len(text) > _MOST_BYTES:
            raise ConfigError(f"{name}: is larger than 1 MB", hint="a policy is a short file; is this the right one?")
        try:
            words = text.decode("utf-8-sig")
            _refuse_depth(words, name)
            loader = _choose_loader()(words)
            node = loader.get_single_node()
            lines: dict[Path, int] = {(): 1}
            value = None if node is None else _plain(loader, node, (), lines, name, set())
        except UnicodeDecodeError as error:
            raise ConfigError(f"{name}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigError(
                f"{name}:{line}: is not YAML: {error.problem}", hint="check quotes and indents"
            ) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{name}: is not YAML: {error}") from error
        return cls(name, value, lines)

    def line(self, path: Path) -> int:
        """The line of the innermost known part of a path."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def fault(self, path: Path, message: str, *, hint: str = "") -> ConfigError:
        return ConfigError(f"{self.name}:{self.line(path)}: {message}", hint=hint)

    def convert(self, path: Path, value: Any, kind: type[T]) -> T:
        """Check a value against a struct; a fault is told with the key that it is about."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise self._explain(path, str(error), kind) from error

    def _explain(self, path: Path, message: str, kind: type) -> ConfigError:
        from difflib import get_close_matches

        within = _AT.search(message)
        inner = tuple(part for part in within["path"].strip(".").split(".") if part) if within else ()
        where = ".".join(str(part) for part in (*path, *inner)) or "the file"
        words = _AT.sub("", message)
        if unknown := _UNKNOWN.search(words):
            known = () if inner else tuple(field.encode_name for field in msgspec.structs.fields(kind))
            near = get_close_matches(unknown["name"], known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}" if known else ""
            return self.fault((*path, *inner, unknown["name"]), f"{where} has no key `{unknown['name']}`", hint=hint)
        return self.fault((*path, *inner), f"{where}: {words[0].lower()}{words[1:]}")


def _choose_loader() -> type[Any]:
    """The loader of libyaml where that is built in, else its twin in Python."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refuse_depth(words: str, name: str) -> None:
    """Refuse deep nesting before composing: libyaml's composer recurses in C and would end the process."""
    import yaml

    depth = 0
    for event in yaml.parse(words, Loader=_choose_loader()):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ConfigError(f"{name}: is nested more than {_DEEPEST} levels deep", hint="a policy has few levels")


def _plain(loader: Any, node: yaml.Node, path: Path, lines: dict[Path, int], name: str, seen: set[int]) -> Any:
    """Turn nodes into values, keeping lines; aliases are refused, since a policy must read as it stands."""
    import yaml

    line = node.start_mark.line + 1
    if id(node) in seen:
        raise ConfigError(f"{name}:{line}: is used again by an alias", hint="write the value out where it is meant")
    seen.add(id(node))
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(loader, node, path, lines, name, seen)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*path, index), lines, name, seen) for index, item in enumerate(node.value)]
    if _SIXTIES.fullmatch(node.value):
        return node.value  # YAML 1.1 would read 1:30 as 90
    try:
        value = loader.construct_object(node)
        str(value)  # a hexadecimal number is read at any length, and only then found too long to be spelled
    # `!!int` alone or with `abc`, `!!timestamp x`, the thirteenth month, a number of 5,000 digits
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise ConfigError(f"{name}:{line}: `{node.value[:40]}` is not the value that it looks like") from None
    return value


def _plain_mapping(
    loader: Any, node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str, seen: set[int]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = key_node.value, key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ConfigError(f"{name}:{line}: a key must be text")
        if key in result:
            raise ConfigError(f"{name}:{line}: `{key}` stands twice", hint="keep one of the two")
        here: Path = (*path, key)
        lines[here] = line
        result[key] = _plain(loader, value_node, here, lines, name, seen)
    return result


def _build_rule(document: _Document, pattern: str, value: Any) -> Rule:
    path: Path = ("metrics", pattern)
    raw = document.convert(path, value if value is not None else {}, RawRule)
    rule = Rule(
        pattern=pattern,
        place=f"{document.name}:{document.line(path)}",
        direction=None if raw.direction is UNSET else Direction(raw.direction),
        at_least=_read_limit(document, (*path, "at_least"), raw.at_least),
        at_most=_read_limit(document, (*path, "at_most"), raw.at_most),
        max_decrease=_read_margin(document, (*path, "max_decrease"), raw.max_decrease),
        max_increase=_read_margin(document, (*path, "max_increase"), raw.max_increase),
        max_change=_read_margin(document, (*path, "max_change"), raw.max_change),
        severity=Severity(raw.severity),
    )
    if not rule.gates and rule.direction is None:
        hint = f"add {', '.join((*rule.bounds, *rule.margins))}, or a direction"
        raise document.fault(path, f"metrics.{pattern}: demands nothing", hint=hint)
    return rule


def _read_limit(document: _Document, path: Path, value: float | str | UnsetType) -> Decimal | None:
    if value is UNSET:
        return None
    return _read_decimal(document, path, value)


def _read_margin(document: _Document, path: Path, value: float | str | UnsetType) -> Margin | None:
    if value is UNSET:
        return None
    text = str(value).strip()
    relative = text.endswith("%")
    amount = _read_decimal(document, path, text.removesuffix("%").strip())
    if amount < 0:
        raise document.fault(path, f"`{path[-1]}` is a tolerance and can't be negative: {text}")
    return Margin(amount=amount / 100 if relative else amount, relative=relative)


def _read_decimal(document: _Document, path: Path, value: float | str) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        hint = "write a number (0.002) or a share of the baseline (1%)"
        raise document.fault(path, f"`{path[-1]}` is not a number: {value}", hint=hint) from None
    if not amount.is_finite():
        raise document.fault(path, f"`{path[-1]}` must be a finite number, not {value}")
    if amount and abs(amount.adjusted()) > _MOST_DIGITS:
        raise document.fault(path, f"`{path[-1]}` has more than {_MOST_DIGITS} digits: no metric is like that")
    return amount


def _build_evaluation(document: _Document, index: int, value: Any) -> Evaluation:
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
