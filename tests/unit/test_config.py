"""seatrial.yaml: each fault is one error with file, line and key."""

from __future__ import annotations

from decimal import Decimal

import pytest

from seatrial.config import Config, build_schema, parse_config
from seatrial.core.metrics import Direction
from seatrial.core.verdict import Margin, Severity
from seatrial.errors import ConfigError, ExitCode

WHOLE = b"""\
version: 1
on_inconclusive: warn
metrics:
  "reports/*/metrics.json:recall": {direction: higher, at_least: 0.6, max_decrease: 1%}
  seconds:
    max_increase: 2.5
    severity: warn
evaluations:
  - predictions: p.parquet
    metrics_file: m.json
    key: id
    label: y
    score: p
    threshold: {param: "params.yaml:evaluate.threshold"}
"""


def test_a_whole_file_is_understood() -> None:
    """Limits are decimal, shares are told from amounts, and each rule knows its line."""
    config = parse_config(WHOLE)
    recall, seconds = config.policy.rules
    assert (recall.direction, recall.at_least, recall.place) == (Direction.HIGHER, Decimal("0.6"), "seatrial.yaml:4")
    assert recall.max_decrease == Margin(amount=Decimal("0.01"), relative=True)
    assert (seconds.max_increase, seconds.severity) == (Margin(amount=Decimal("2.5"), relative=False), Severity.WARN)
    assert config.policy.on_inconclusive is Severity.WARN
    assert config.evaluations[0].threshold == "params.yaml:evaluate.threshold"


def test_a_number_may_be_written_as_engineers_write_it() -> None:
    """YAML 1.1 takes 1e-3 for text."""
    (rule,) = parse_config(b"version: 1\nmetrics:\n  loss: {at_most: 1e-3}").policy.rules
    assert rule.at_most == Decimal("0.001")


def test_a_file_with_a_version_alone_sets_no_gates() -> None:
    """The smallest policy, or one whose gates are all commented out."""
    assert parse_config(b"version: 1\n") == Config(source="seatrial.yaml")
    assert parse_config(b"version: 1\nmetrics:\n  # recall: {at_least: 0.5}\n") == Config(source="seatrial.yaml")


def test_a_rule_may_name_a_direction_alone() -> None:
    """It demands nothing, but tells better from worse."""
    (rule,) = parse_config(b"version: 1\nmetrics:\n  a: {direction: lower}\n").policy.rules
    assert not rule.gates


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (b"", "seatrial.yaml:1: must be a mapping", ""),
        (b"- a", "seatrial.yaml:1: must be a mapping", ""),
        (b"metrics: {}", "seatrial.yaml:1: has no `version`", "add `version: 1`"),
        (b"version: 2", "seatrial.yaml:1: version: invalid enum value 2", ""),
        (b"version: 1\nversion: 1", "seatrial.yaml:2: `version` stands twice", "keep one"),
        (b"version: 1\nmetric: {}", "seatrial.yaml:2: the file has no key `metric`", "did you mean `metrics`?"),
        (b"version: 1\nmetrics: [a]", "seatrial.yaml:2: `metrics` must map", ""),
        (b"version: 1\nmetrics: []", "seatrial.yaml:2: `metrics` must map", ""),
        (b"version: 1\nmetrics: false", "seatrial.yaml:2: `metrics` must map", ""),
        (b"version: 1\nevaluations: {}", "seatrial.yaml:2: `evaluations` must be a list", ""),
        (b"version: 1\nmetrics:\n  a:\n", "seatrial.yaml:3: metrics.a: demands nothing", "add at_least"),
        (b"version: 1\nmetrics:\n  a: {severity: warn}", "seatrial.yaml:3: metrics.a: demands nothing", "direction"),
        (b"version: 1\nmetrics:\n  a: {at_least: !!int b}", "seatrial.yaml:3: `b` is not the value", ""),
        (b"version: 1\nmetrics:\n  a: {max_change: 2001-99-99}", "seatrial.yaml:3: `2001-99-99` is not", ""),
        (b"version: 1\nmetrics:\n  a: {at_least: " + b"9" * 5000 + b"}", "seatrial.yaml:3: `999", ""),
        (b"version: 1\nmetrics:\n  a: {at_least: 0x" + b"f" * 5000 + b"}", "seatrial.yaml:3: `0xfff", ""),
        (b"version: 1\nmetrics:\n  a: {max_change: 1e9999999%}", "seatrial.yaml:3: `max_change` has more than", ""),
        (b"version: 1\nmetrics:\n  a: 3", "seatrial.yaml:3: metrics.a: expected `object`", ""),
        (b"version: 1\nmetrics:\n  a:\n    at_leest: 3", "seatrial.yaml:4: metrics.a has no key `at_leest`", "least"),
        (b"version: 1\nmetrics:\n  a:\n    at_least: x", "seatrial.yaml:4: `at_least` is not a number: x", ""),
        (b"version: 1\nmetrics:\n  a: {at_least: 1:30}", "seatrial.yaml:3: `at_least` is not a number: 1:30", ""),
        (b"version: 1\nmetrics:\n  a: {at_least: .nan}", "seatrial.yaml:3: `at_least` must be a finite number", ""),
        (b"version: 1\nmetrics:\n  a: {max_decrease: 1 %x}", "seatrial.yaml:3: `max_decrease` is not a number", "1%"),
        (b"version: 1\nmetrics:\n  a: {max_decrease: -1}", "seatrial.yaml:3: `max_decrease` is a tolerance", ""),
        (b"version: 1\nmetrics:\n  a: {severity: bad}", "seatrial.yaml:3: metrics.a.severity: invalid enum", ""),
        (b"version: 1\nmetrics: {a: &x {at_least: 1}, b: *x}", "seatrial.yaml:2: is used again", "write the value out"),
        (b"version: 1\nevaluations:\n- {predictions: a}", "seatrial.yaml:3: evaluations.0: object missing", ""),
        (b"version: 1\n a: [", "seatrial.yaml:2: is not YAML", "check quotes"),
        (b"version: 1\n? [a]\n: 1", "seatrial.yaml:2: a key must be text", ""),
        (b"\xff\xfe", "seatrial.yaml: is not UTF-8 text", ""),
        (b"a: &a [*a]", "seatrial.yaml:1: is used again", ""),
        (b"a: " + b"[" * 100_000, "seatrial.yaml: is nested more than", ""),
        (b"#" * 1_000_001, "seatrial.yaml: is larger than 1 MB", ""),
    ],
)
def test_a_fault_names_file_line_and_key(text: bytes, message: str, hint: str) -> None:
    """One clear error each, and what to do next."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    """Editors are told the same rules."""
    schema = build_schema()
    assert schema["$defs"]["RawRule"]["additionalProperties"] is False
    assert set(schema["$defs"]["RawConfig"]["properties"]) == {
        "version",
        "metrics",
        "evaluations",
        "tables",
        "waivers",
        "on_broken",
        "stale",
        "on_inconclusive",
    }


@pytest.mark.parametrize(
    "value", ["!!int", "!!int x", "!!float", "!!timestamp x", "!!bool x", "!!python/object:os.system x"]
)
def test_a_value_that_does_not_fit_its_tag_is_told(value: str) -> None:
    """As a fault with its line, whatever the reader of YAML makes of it."""
    with pytest.raises(ConfigError, match=r"seatrial\.yaml:2"):
        parse_config(f"version: 1\nstale: {value}\n".encode())
