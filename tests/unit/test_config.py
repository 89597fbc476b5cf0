"""seatrial.yaml: each fault is one error with file, line and key."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from seatrial.config import Config, build_schema, parse_config
from seatrial.core.evidence_rules import Bound, BudgetRule, Correction, EvidenceRule, FlipRule, GapRule
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
        (b"version: 2", "seatrial.yaml:1: version can't be 2", "write 1"),
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
        (b"version: 1\nmetrics:\n  a: 3", "seatrial.yaml:3: metrics.a: expected a mapping, got a whole number", ""),
        (b"version: 1\nmetrics:\n  a:\n    at_leest: 3", "seatrial.yaml:4: metrics.a has no key `at_leest`", "least"),
        (b"version: 1\nmetrics:\n  a:\n    at_least: x", "seatrial.yaml:4: `at_least` is not a number: x", ""),
        (b"version: 1\nmetrics:\n  a: {at_least: 1:30}", "seatrial.yaml:3: `at_least` is not a number: 1:30", ""),
        (b"version: 1\nmetrics:\n  a: {at_least: .nan}", "seatrial.yaml:3: `at_least` must be a finite number", ""),
        (b"version: 1\nmetrics:\n  a: {max_decrease: 1 %x}", "seatrial.yaml:3: `max_decrease` is not a number", "1%"),
        (b"version: 1\nmetrics:\n  a: {max_decrease: -1}", "seatrial.yaml:3: `max_decrease` is a tolerance", ""),
        (
            b"version: 1\nmetrics:\n  a: {severity: bad}",
            "seatrial.yaml:3: metrics.a.severity can't be 'bad'",
            "write fail or warn or info",
        ),
        (b"version: 1\nmetrics: {a: &x {at_least: 1}, b: *x}", "seatrial.yaml:2: is used again", "write the value out"),
        (
            b"version: 1\nevaluations:\n- {predictions: a}",
            "seatrial.yaml:3: evaluations.0 needs `key`",
            "columns, that identify",
        ),
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
        "releases",
        "environments",
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


EVALUATION = """\
version: 1
evaluations:
- predictions: p.parquet
  key: id
  label: y
  score: p
"""


def parse_evaluation(tail: str, head: str = EVALUATION) -> Config:
    return parse_config((head + tail).encode())


EVERYTHING = """\
  name: delays
  threshold: 0.4
  metrics: [accuracy, {f1: {at: 0.3}}, f_beta]
  gates:
  - roc_auc: {no_worse_than: 0.002, at_most_better_by: 0.05}
  - log_loss: {not_harmed: 1%, severity: warn}
  - recall: {at: 0.4, at_least: 0.6, bound: lower, better_by: 0}
  slices:
    by: [carrier, [carrier, origin]]
    where: {night: hour >= 22}
    min_n: 50
    correction: holm
    q: 0.1
    gates: [{recall: {not_harmed: 0.03}}]
    required: [carrier=UA, "carrier=UA, origin=EWR", night]
  flips: {max_newly_wrong: 2%, severity: info}
  gaps:
  - {metric: recall, at: 0.4, by: origin, min_n: 30, max_gap: 0.2, max_gap_increase: 10%, bound: upper}
  - {metric: recall, at: 0.4, by: origin, min_n: 30, max_gap: 0.1, severity: warn}
  budget: {data: data/test, max: 20}
waivers:
- {gate: "recall [slices]", reason: known, until: 2026-12-31}
- {gate: f1, reason: known, until: "2027-01-01"}
"""


def test_an_evaluation_with_everything_is_understood() -> None:
    """Every key has its place in the rules, every rule knows its line."""
    config = parse_evaluation(EVERYTHING)
    (one,) = config.evaluations
    assert [measure.name for measure in one.measures] == ["accuracy", "f1", "f_beta", "roc_auc", "log_loss", "recall"]
    roc_auc, log_loss, recall, sliced, wide, warned, newly_wrong, budget = config.policy.evidence
    assert isinstance(roc_auc, EvidenceRule)
    assert (roc_auc.place, roc_auc.direction) == ("seatrial.yaml:11", Direction.HIGHER)
    assert set(roc_auc.margins) == {"no_worse_than", "at_most_better_by"}
    assert isinstance(log_loss, EvidenceRule)
    assert (log_loss.direction, log_loss.severity) == (Direction.LOWER, Severity.WARN)
    assert isinstance(recall, EvidenceRule)
    assert (recall.metric, recall.bound, recall.bounds) == ("recall@0.4", Bound.CONFIDENT, {"at_least": Decimal("0.6")})
    assert recall.better_by == Margin(amount=Decimal(0), relative=False)
    assert isinstance(sliced, EvidenceRule)
    assert (sliced.sliced, sliced.q, sliced.correction, sliced.place) == (
        True,
        0.1,
        Correction.HOLM,
        "seatrial.yaml:20",
    )
    assert isinstance(wide, GapRule)
    assert (wide.metric, wide.max_gap, wide.bound, wide.place) == (
        "recall@0.4",
        Decimal("0.2"),
        Bound.CONFIDENT,
        "seatrial.yaml:24",
    )
    assert isinstance(warned, GapRule)
    assert isinstance(newly_wrong, FlipRule)
    assert newly_wrong.max_newly_wrong == Margin(amount=Decimal("0.02"), relative=True)
    assert isinstance(budget, BudgetRule)
    assert (budget.data, budget.most, budget.severity) == ("data/test", 20, Severity.WARN)
    assert one.slicing is not None
    assert one.slicing.by == (("carrier",), ("carrier", "origin"))
    assert (one.slicing.where, one.slicing.min_n) == ((("night", "hour >= 22"),), 50)
    assert [(gap.by, gap.min_n) for gap in one.gaps] == [("origin", 30)]
    assert [waiver.until for waiver in config.policy.waivers] == [date(2026, 12, 31), date(2027, 1, 1)]


def test_the_smallest_evaluation_has_the_documented_defaults() -> None:
    """Half for a threshold, the predictions' path for a name, the same samples required."""
    (one,) = parse_evaluation("").evaluations
    assert (one.name, one.threshold, one.pairing.value, one.rules) == ("p.parquet", 0.5, "require", ())
    (one,) = parse_evaluation("  slices: {by: [c], gates: [recall: {at_least: 0.5}]}\n").evaluations
    assert one.slicing is not None
    assert (one.slicing.min_n, one.slicing.q, one.slicing.correction) == (200, 0.05, Correction.BENJAMINI_HOCHBERG)


@pytest.mark.parametrize(
    ("tail", "message", "hint"),
    [
        ("  metrics: [roc_ac]", "7: a binary evaluation has no metric `roc_ac`", "did you mean `roc_auc`?"),
        ("  metrics: [zzzzzz]", "7: a binary evaluation has no metric `zzzzzz`", "known metrics: accuracy"),
        ("  metrics: metrics.json", "7: `metrics` is a list of metrics' names", "metrics_file: metrics.json"),
        ("  metrics: {recall: {}}", "7: `metrics` must be a list", "`- `"),
        ("  metrics:\n  - {a: {}, b: {}}", "8: must be a metric's name", ""),
        ("  gates:\n  - rmse: {at_most: 1}", "8: a binary evaluation has no metric `rmse`", "known metrics"),
        ("  gates:\n  - recal: {at_least: 1}", "8: a binary evaluation has no metric", "did you mean `recall`?"),
        ("  gates:\n  - roc_auc:\n      at: 0.5\n      at_least: 1", "9: roc_auc has no setting `at`", "no settings"),
        ("  gates:\n  - recall:\n      k: 3\n      at_least: 1", "9: recall has no setting `k`", "it takes at"),
        (
            "  gates:\n  - recall: {k: 0, at_least: 1}",
            "8: evaluations.0.gates.0.recall.k: expected a whole",
            "how many",
        ),
        ("  gates:\n  - recall: {}", "8: recall: demands nothing", "add one of no_worse_than"),
        ("  gates:\n  - recall:", "8: recall: demands nothing", ""),
        (
            "  gates:\n  - recall: {no_worse_then: 1}",
            "8: evaluations.0.gates.0.recall has no key `no_worse_then`",
            "did you mean `no_worse_than`?",
        ),
        ("  gates:\n  - recall: {no_worse_than: -1}", "8: `no_worse_than` is a tolerance", ""),
        (
            "  gates:\n  - recall: {no_worse_than: [1]}",
            "8: evaluations.0.gates.0.recall.no_worse_than: expected a",
            "0.002 is in",
        ),
        (
            "  gates:\n  - recall: {at_least: 60%}",
            "8: `at_least` is not a number: 60%",
            "in the metric's own unit: 0.6",
        ),
        (
            "  gates:\n  - recall: {at_least: 1, bound: upper}",
            "8: recall: this limit has no upper bound",
            "bound: lower",
        ),
        (
            "  gates:\n  - recall: {at_most: 1, bound: lower}",
            "8: recall: this limit has no lower bound",
            "bound: upper",
        ),
        (
            "  gates:\n  - recall: {not_harmed: 1, bound: lower}",
            "8: recall: only at_least and at_most have a bound",
            "",
        ),
        (
            "  gates:\n  - recall: {at_least: 1, bound: lowr}",
            "8: evaluations.0.gates.0.recall.bound can't be",
            "`lower`?",
        ),
        ("  gates: {recall: {at_least: 1}}", "7: `gates` must be a list", "`- `"),
        ("  slices: {}", "7: slices: nothing is cut", "add `by:`"),
        ("  slices: {by: [c]}", "7: slices: nothing is measured", "add `gates:`"),
        ("  slices: {by: c}", "7: evaluations.0.slices.by: expected a list, got text", "columns, or lists of columns"),
        ("  slices:\n    bye: [c]", "8: evaluations.0.slices has no key `bye`", "did you mean `by`?"),
        (
            "  slices: {by: [c], min_n: 1}",
            "7: evaluations.0.slices.min_n: expected a whole number >= 2",
            "fewer samples",
        ),
        ("  slices: {by: [c], q: 1}", "7: evaluations.0.slices.q: expected a number < 1.0", "rate of false alarms"),
        ("  slices: {by: [c], correction: bonferroni}", "7: evaluations.0.slices.correction can't be", "or holm or"),
        ("  slices: {by: [c], where: {a: 3}}", "7: evaluations.0.slices.where: expected text, got a whole", ""),
        (
            "  slices:\n    by: [c]\n    gates:\n    - recall: {not_harmd: 1}",
            "10: evaluations.0.slices.gates.0.recall has no key `not_harmd`",
            "did you mean `not_harmed`?",
        ),
        (
            "  slices:\n    by: [carrier]\n    required:\n    - carier=UA",
            "10: slices.required: no slice is called 'carier=UA'",
            "did you mean `carrier=…`?",
        ),
        (
            "  slices:\n    by: [carrier]\n    where: {night: h > 1}\n    required: [nigt]",
            "10: slices.required: no slice is called 'nigt'",
            "did you mean `night`?",
        ),
        ("  gaps: {metric: recall}", "7: `gaps` must be a list", ""),
        ("  gaps:\n  - {metric: recall, by: c}", "8: gaps: demands nothing", "add max_gap"),
        (
            "  gaps:\n  - {metric: recal, by: c, max_gap: 1}",
            "8: a binary evaluation has no metric `recal`",
            "`recall`?",
        ),
        ("  gaps:\n  - metric: roc_auc\n    by: c\n    at: 1\n    max_gap: 1", "10: roc_auc has no setting `at`", ""),
        ("  gaps:\n  - {metric: recall, max_gap: 1}", "8: evaluations.0.gaps.0 needs `by`", "column of the groups"),
        (
            "  gaps:\n  - {metric: recall, by: c, max_gpa: 1}",
            "8: evaluations.0.gaps.0 has no key `max_gpa`",
            "did you mean `max_gap`?",
        ),
        ("  gaps:\n  - {metric: recall, by: c, max_gap_increase: 1, bound: upper}", "8: gaps: only max_gap has", ""),
        (
            "  gaps:\n  - {metric: recall, by: c, max_gap: 1}\n  - {metric: recall, by: c, min_n: 9, max_gap: 1}",
            "9: gaps: recall by c stands twice, with another min_n",
            "keep one",
        ),
        ("  flips: {max_newly_wrong: 0.02}", "7: `max_newly_wrong` is no count: 0.02", "write 2% for a share"),
        ("  flips: {newly_wrong: 2}", "7: evaluations.0.flips has no key `newly_wrong`", "`max_newly_wrong`?"),
        ("  flips: {}", "7: evaluations.0.flips needs `max_newly_wrong`", "a count, or a share"),
        ("  budget: {data: d}", "7: evaluations.0.budget needs `max`", "so many models"),
        ("  budget: {data: d, max: 0}", "7: evaluations.0.budget.max: expected a whole number >= 1", ""),
        ("  threshold: {parm: a}", "7: evaluations.0.threshold has no key `parm`", "did you mean `param`?"),
        ("  threshold: {param: a.b}", "7: `param` names no parameter: a.b", "params.yaml:threshold"),
        (
            "  threshold: high",
            "7: evaluations.0.threshold: expected a number or a mapping, got text",
            "predicted positive",
        ),
        ("  task: binry", "7: evaluations.0.task can't be 'binry'", "did you mean `binary`?"),
        ("  same_eval_set: paired", "7: evaluations.0.same_eval_set can't be 'paired'", "unpaired"),
        ("  task: regression", "3: evaluations.0: a regression evaluation needs `prediction`", ""),
        ("  task: multiclass", "3: evaluations.0: a multiclass evaluation needs `prediction` or `probabilities`", ""),
        (
            "- {predictions: p.parquet, key: i, label: y, score: p}",
            "7: evaluations.1: another evaluation is called",
            "name",
        ),
        ("waivers: {a: b}", "7: waivers: expected a list, got a mapping", "fail for a while"),
        ("waivers:\n- {gate: a, reson: b}", "8: waivers.0 has no key `reson`", "did you mean `reason`?"),
        ("waivers:\n- {gate: a, reason: b}", "8: waivers.0 needs `until`", "the last day"),
        ("waivers:\n- {gate: a, reason: '', until: 2026-12-31}", "8: waivers.0.reason: expected text of length", "why"),
        ("waivers:\n- gate: a\n  reason: b\n  until: soon", "10: waivers.0.until: is not of this form", "2026-12-31"),
        ("waivers:\n- gate: a\n  reason: b\n  until: 2026-02-30", "10: `2026-02-30` is not the value", ""),
        ("waivers:\n- gate: a\n  reason: b\n  until: '2026-02-30'", "10: `until` is no day: 2026-02-30", "2026-12-31"),
        ("waivers:\n- gate: a\n  reason: b\n  until: 20261231", "10: waivers.0.until: expected text", "2026-12-31"),
    ],
)
def test_a_fault_of_an_evaluation_names_file_line_and_key(tail: str, message: str, hint: str) -> None:
    """With the nearest name that is known, or what would stand there."""
    with pytest.raises(ConfigError) as caught:
        parse_evaluation(tail)
    assert caught.value.message.startswith(f"seatrial.yaml:{message}")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("rule", "message", "hint"),
    [
        ("m.json:auc: {no_worse_than: 0.1}", "metrics.m.json:auc: a single number proves nothing", "name a `test:`"),
        ("m.json:auc: {test: welch}", "metrics.m.json:auc: nothing is tested", "add no_worse_than"),
        ("m.json:auc: {test: welsh, no_worse_than: 1}", "metrics.m.json:auc.test can't be 'welsh'", "`welch`?"),
        ("auc: {test: welch, no_worse_than: 1}", "metrics.auc: a test needs one metric of one file", "FILE:KEY"),
        ('"*.json:auc": {test: welch, no_worse_than: 1}', "metrics.*.json:auc: a test needs one metric", "FILE:KEY"),
        ('"m.json:au*": {test: welch, no_worse_than: 1}', "metrics.m.json:au*: a test needs one metric", "cv.folds.*"),
        ('"m.json:auc?": {test: welch, no_worse_than: 1}', "metrics.m.json:auc?: a test needs one metric", ""),
        ("m.json:thing: {test: welch, no_worse_than: 1}", "metrics.m.json:thing: which way is better", "direction:"),
        ("m.json:auc: {test: nadeau-bengio, no_worse_than: 1}", "metrics.m.json:auc: this test needs", "1/9"),
        (
            "m.json:auc: {test: nadeau-bengio, no_worse_than: 1, test_train_ratio: 0/9}",
            "`test_train_ratio` is no ratio: 0/9",
            "1/9",
        ),
        (
            "m.json:auc: {test: nadeau-bengio, no_worse_than: 1, test_train_ratio: 1e999999/1e-999999}",
            "`test_train_ratio` is no ratio",
            "1/9",
        ),
        (
            "m.json:auc: {test: welch, no_worse_than: 1, test_train_ratio: 1/9}",
            "metrics.m.json:auc: welch takes no",
            "",
        ),
        ("m.json:auc: {max_decrease: 1, test_train_ratio: 1/9}", "metrics.m.json:auc: `test_train_ratio` is for a", ""),
    ],
)
def test_a_fault_of_a_tested_metric_names_file_line_and_key(rule: str, message: str, hint: str) -> None:
    """What a test needs, and what it can't do."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"version: 1\nmetrics:\n  {rule}\n".encode())
    assert caught.value.message.startswith(f"seatrial.yaml:3: {message}")
    assert hint in caught.value.hint


@pytest.mark.parametrize(("spelled", "ratio"), [("1/9", 1 / 9), ("0.25", 0.25), ("1 / 2", 0.5), ('"1/9"', 1 / 9)])
def test_a_tested_metric_is_understood(spelled: str, ratio: float) -> None:
    """A test beside plain tolerances of the same metric."""
    rule = f"{{test: nadeau-bengio, test_train_ratio: {spelled}, no_worse_than: 0.01, max_decrease: 0.2}}"
    config = parse_config(f'version: 1\nmetrics:\n  "m.json:cv.*.auc": {rule}\n'.encode())
    (repeat,), (plain,), (tested,) = config.repeats, config.policy.rules, config.policy.evidence
    assert (repeat.file, repeat.key) == ("m.json", ("cv", "*", "auc"))
    assert repeat.ratio == pytest.approx(ratio)
    assert plain.margins["max_decrease"] == Margin(amount=Decimal("0.2"), relative=False)
    assert isinstance(tested, EvidenceRule)
    assert (tested.evaluation, tested.direction) == ("m.json:cv.*.auc", Direction.HIGHER)
