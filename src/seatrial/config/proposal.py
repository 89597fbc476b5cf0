"""A first seatrial.yaml for a project, proposed from what is measured now: gates that the present state passes.

How much a metric may fall is for people to decide. A proposal takes round amounts by the kind of metric, says beside
each what the value is now, and tells what it left out and why.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec import Struct

from seatrial import __version__
from seatrial.config.evaluations import Columns
from seatrial.core.metrics import Direction, Key, MetricId, MetricSet, StaleStage, Value, guess_direction, is_finite
from seatrial.core.policy import Rule
from seatrial.stats.names import Task

_HOME = "https://github.com/seatrial/seatrial/blob/main/docs"
_SCHEMA = f"https://raw.githubusercontent.com/seatrial/seatrial/v{__version__}/docs/reference/seatrial.schema.json"
_MOST = 12
_MOST_OF_A_FILE = 8
_MOST_TOLD = 10
_MOST_DOUBTED = 3
_ENOUGH = "enough to start with"


def _listed(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = _listed("y n yes no on off true false null")
_WORD = re.compile(r"[a-z]+")
# What is timed or weighed is as noisy as the machine.
_OF_THE_MACHINE = _listed(
    "latency seconds duration time ms throughput bytes size memory rss cpu gpu fps elapsed runtime"
)
_OF_TRAINING = frozenset({"train", "training", "fit"})
# One part of a whole that is gated as well, or a number that says how something was done.
_PARTIAL = _listed("fold folds epoch step steps class classes slice slices support")
_ASKED_FOR = (
    *("auc", "auroc", "f1", "recall", "precision", "accuracy", "acc"),
    *("ndcg", "map", "loss", "rmse", "mae", "r2"),
)
_STEPS = 5
_GATED: Mapping[Task, tuple[tuple[str, str], ...]] = {
    Task.BINARY: (("roc_auc", "0.01"), ("log_loss", "2%")),
    Task.MULTICLASS: (("accuracy", "0.01"),),
    Task.REGRESSION: (("rmse", "2%"), ("mae", "2%")),
    Task.RANKING: (("ndcg", "0.01"),),
    Task.SCORES: (("mean", "1%"),),
}


class Predicted(Struct, frozen=True, kw_only=True):
    """A table that looks like per-sample predictions.

    `doubts` say why it is proposed as a comment only; with none it is proposed as it stands. `of_metrics` are the
    metrics of `metrics_file` that these predictions yield to the digit.
    """

    path: str
    task: Task
    columns: Columns
    rows: int
    threshold: float | str = 0.5
    metrics_file: str | None = None
    of_metrics: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


class Proposal(Struct, frozen=True, kw_only=True):
    """The text of a seatrial.yaml, in two parts, and how many metrics and evaluations it gates.

    `head` says what the file is, and ends with its version; `body` is all that it demands.
    """

    head: str
    body: str
    gates: int
    evaluations: int

    @property
    def text(self) -> str:
        """The whole file."""
        return self.head + self.body


class _Gate(Struct, frozen=True, kw_only=True):
    """A proposed rule; `note` tells the value that it was made from."""

    pattern: str
    limits: Mapping[str, str]
    note: str


def propose_policy(
    metrics: Sequence[MetricSet],
    *,
    stale: Sequence[StaleStage] = (),
    has_record: bool = False,
    reproduces: bool = False,
    predicted: Sequence[Predicted] = (),
) -> Proposal:
    """Propose a policy for a project as it is now.

    `has_record` says whether there is a dvc.lock to tell stale metrics by; `reproduces` that CI makes the metrics anew.
    """
    sure = [one for one in predicted if not one.doubts]
    taken = {(one.metrics_file, name) for one in sure for name, _ in _GATED[one.task]}
    values = [
        (MetricId(file=file.path, key=key), value)
        for file in metrics
        for key, value in file.values.items()
        if not (len(key) == 1 and (file.path, key[0]) in taken)
    ]
    rows = {
        MetricId(file=one.metrics_file, key=(name,)): one.rows
        for one in sure
        if one.metrics_file and one.task in {Task.BINARY, Task.MULTICLASS}
        for name in one.of_metrics
    }
    gates, left = _choose_gates(values, rows)
    parts = [
        _write_stale(stale, has_record=has_record, reproduces=reproduces),
        _write_gates(gates, left),
        _write_evaluations(predicted),
    ]
    return Proposal(head=_HEAD, body="".join(parts), gates=len(gates), evaluations=len(sure))


_HEAD = f"""\
# yaml-language-server: $schema={_SCHEMA}
# What a change may not do to the models of this repository. `seatrial init` proposed it from what is measured now: the
# tolerances are round numbers to start from, and say nothing yet of what your project can bear. Every key is told in
# {_HOME}/reference/seatrial-yaml.md
version: 1
"""


# -- stale metrics


def _write_stale(stale: Sequence[StaleStage], *, has_record: bool, reproduces: bool) -> str:
    if reproduces:
        return "\n# CI runs `dvc repro` before it judges, so nothing is stale then.\nstale: warn\n"
    if not has_record:
        return ""
    if stale:
        names = ", ".join(quote(stage.address) for stage in stale[:3]) + (" and others" if stale[3:] else "")
        return (
            f"\n# Stale now: {names}. After `dvc repro` and a commit, `fail` keeps metrics out that the\n"
            "# committed code, data and parameters did not make.\nstale: warn\n"
        )
    return "\n# Metrics that the committed code, data and parameters did not make fail.\nstale: fail\n"


# -- gates on values


def _choose_gates(
    values: Sequence[tuple[MetricId, Value]], rows: Mapping[MetricId, int]
) -> tuple[list[_Gate], list[tuple[str, str]]]:
    """Gates for the metrics that speak for themselves, and the others with the reason why they have none.

    `rows` is on how many samples a metric was measured, where that is known.
    """
    names = Counter(identity.dotted for identity, _ in values)
    gates: list[_Gate] = []
    left: list[tuple[str, str]] = []
    of_file: Counter[str] = Counter()
    for identity, value in sorted(values, key=_rank):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            continue
        limits, reason = _propose_limits(identity.key, value, rows.get(identity))
        pattern = _spell_pattern(identity, unique=names[identity.dotted] == 1)
        if not reason and not _means_only(pattern, identity, values):
            reason = "its name can't be written as a pattern that means it alone"
        if not reason and (len(gates) >= _MOST or of_file[identity.file] >= _MOST_OF_A_FILE):
            reason = _ENOUGH
        if reason:
            left.append((str(identity), reason))
            continue
        of_file[identity.file] += 1
        gates.append(_Gate(pattern=pattern, limits=limits, note=_describe(value, rows.get(identity))))
    return gates, sorted(left, key=lambda one: one[1] != _ENOUGH)


def _rank(item: tuple[MetricId, Value]) -> tuple[int, int, int, MetricId]:
    """Values of the test come first, those of a whole before those of its parts, and what people ask for first."""
    identity, _ = item
    words = _words(identity.key)
    part = 0 if words & {"test", "holdout"} else 2 if words & {"val", "valid", "validation"} else 1
    asked = next((at for at, name in enumerate(_ASKED_FOR) if name in words), len(_ASKED_FOR))
    return part, len(identity.key), asked, identity


def _words(key: Key) -> frozenset[str]:
    return frozenset(word for part in key for word in _WORD.findall(part.lower()))


def _propose_limits(key: Key, value: Value, rows: int | None) -> tuple[Mapping[str, str], str]:
    """What a metric must keep to, or why nothing is proposed for it."""
    if not is_finite(value) or not isinstance(value, (int, float)):
        return {}, "no finite number"
    words = _words(key)
    if any(part.isdigit() for part in key) or words & _PARTIAL:
        return {}, "a part of a whole"
    if words & _OF_TRAINING:
        return {}, "measured on training data"
    direction = guess_direction(key)
    if direction is None:
        return {}, "the name does not tell which side is better"
    number = Decimal(str(value))
    if words & _OF_THE_MACHINE:
        limit = "max_increase" if direction is Direction.LOWER else "max_decrease"
        return ({limit: "25%", "severity": "warn"}, "") if number else ({}, "0 has no shares")
    if direction is Direction.HIGHER:
        return _keep_high(number, _estimate_noise(value, rows)), ""
    return _keep_low(number, whole=isinstance(value, int))


def _estimate_noise(value: float, rows: int | None) -> Decimal:
    """The standard error of a share of so many samples, rounded up to one digit; 0 where it is not known."""
    if not rows or not 0 < value < 1:
        return Decimal(0)
    error = Decimal(str(math.sqrt(value * (1 - value) / rows)))
    return error.quantize(Decimal(1).scaleb(error.adjusted()), ROUND_CEILING)


def _describe(value: Value, rows: int | None) -> str:
    """The value that a gate was made from, and what chance does to it on so few samples."""
    noise = _estimate_noise(value, rows) if isinstance(value, (int, float)) else Decimal(0)
    chance = f"; on {rows:,} samples ±{noise:f} is chance" if rows and noise > _tolerate(Decimal(str(value))) else ""
    return f"now {_spell(value)}{chance}"


def _keep_high(value: Decimal, noise: Decimal) -> Mapping[str, str]:
    if 0 < value <= 1:
        fall = max(_tolerate(value), noise)
        floor = (value - _STEPS * fall).quantize(fall, ROUND_FLOOR)
        return {"max_decrease": f"{fall:f}", **({"at_least": f"{floor:f}"} if floor > 0 else {})}
    if 1 < value <= 100:
        return {"max_decrease": "1%", "at_least": _round(value * Decimal("0.95"), ROUND_FLOOR)}
    return {"max_decrease": "5%"} if value else {"max_decrease": "0.01"}


def _tolerate(value: Decimal) -> Decimal:
    """How far a share may fall: 0.01, or less where so little is left up to 1 that 0.01 would double the errors."""
    room = (1 - value) / 2
    return next((Decimal(step) for step in ("0.01", "0.005", "0.002") if Decimal(step) <= room), Decimal("0.001"))


def _keep_low(value: Decimal, *, whole: bool) -> tuple[Mapping[str, str], str]:
    if not value:
        return ({"at_most": "0"}, "") if whole else ({}, "0 has no shares: name what it may rise by")
    if value < 0:
        return {"max_increase": "5%"}, ""
    return {"max_increase": "5%", "at_most": _round(value * Decimal("1.25"), ROUND_CEILING)}, ""


def _round(value: Decimal, rounding: str) -> str:
    """Two digits that count, the last of them rounded away from the value."""
    return f"{value.quantize(Decimal(1).scaleb(value.adjusted() - 1), rounding):f}"


def _spell(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _spell_pattern(identity: MetricId, *, unique: bool) -> str:
    """A rule's name for one metric."""
    return identity.dotted if unique and ":" not in identity.dotted else f"{identity.file}:{identity.dotted}"


def _means_only(pattern: str, identity: MetricId, values: Iterable[tuple[MetricId, Value]]) -> bool:
    if not pattern.isprintable() or "*" in pattern or "?" in pattern:
        return False
    rule = Rule(pattern=pattern, place="")
    return [other for other, _ in values if rule.matches(other)] == [identity]


def _write_gates(gates: Sequence[_Gate], left: Sequence[tuple[str, str]]) -> str:
    lines = [""]
    if gates:
        lines += [
            "# `max_decrease` and `max_increase` hold a change against the baseline, `at_least` and `at_most` stop",
            "# what many small steps add up to. 0.01 is in the metric's own unit, 1% a share of the baseline's value.",
        ]
    lines.append("metrics:" if gates else "# No gate suggests itself. One reads: `accuracy: {max_decrease: 0.01}`")
    if not gates:
        lines.append("metrics: {}")
    for gate in gates:
        limits = ", ".join(f"{name}: {amount}" for name, amount in gate.limits.items())
        lines.append(f"  {quote(gate.pattern)}: {{{limits}}} # {gate.note}")
    if left:
        lines.append("  # Not gated:")
        lines += [
            f"  #   {name if name.isprintable() else quote(name)}: {reason}" for name, reason in left[:_MOST_TOLD]
        ]
    if left[_MOST_TOLD:]:
        lines.append(f"  #   and {len(left) - _MOST_TOLD:,} more: `seatrial compare --all` lists them")
    return "\n".join(lines) + "\n"


# -- gates on predictions


def _write_evaluations(predicted: Sequence[Predicted]) -> str:
    if not predicted:
        return ""
    sure = [one for one in predicted if not one.doubts]
    lines = [
        "",
        "# Predictions tell how sure a difference is. `not_harmed` stops a change whose harm is proven at 95 %;",
        "# `no_worse_than` asks for proof that there is none: `seatrial plan` says whether so many rows can give it.",
        "evaluations:" if sure else "# evaluations:",
    ]
    lines += [line for one in sure for line in _write_evaluation(one)]
    # Those whose metrics are known come first, and a few of the others show how it is written.
    doubted = sorted((one for one in predicted if one.doubts), key=lambda one: not one.metrics_file)
    for one in doubted[:_MOST_DOUBTED]:
        lines += [f"  # Not sure of this one: {doubt}" for doubt in one.doubts]
        lines += [f"  # {line[2:]}" for line in _write_evaluation(one)]
    if more := doubted[_MOST_DOUBTED:]:
        lines.append(f"  # These look like predictions, too: {', '.join(quote(one.path) for one in more)}")
    return "\n".join(lines) + "\n"


def _write_evaluation(one: Predicted) -> list[str]:
    columns = one.columns
    key = quote(columns.key[0]) if len(columns.key) == 1 else f"[{', '.join(map(quote, columns.key))}]"
    entries = {
        "task": "" if one.task is Task.BINARY else one.task.value,
        "metrics_file": quote(one.metrics_file) if one.metrics_file else "",
        "key": key,
        "query": quote(columns.query) if columns.query else "",
        "label": quote(columns.label) if columns.label else "",
        "score": quote(columns.score) if columns.score else "",
        "prediction": quote(columns.prediction) if columns.prediction else "",
        "threshold": f"{{param: {quote(one.threshold)}}}" if isinstance(one.threshold, str) else "",
    }
    lines = [f"  - predictions: {quote(one.path)} # {one.rows:,} rows"]
    lines += [f"    {name}: {value}" for name, value in entries.items() if value]
    lines.append("    gates:")
    return [*lines, *(f"      - {name}: {{not_harmed: {amount}}}" for name, amount in _GATED[one.task])]


def quote(text: str) -> str:
    """A text as a scalar of YAML that stands for just that text, on one line."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    escaped = "".join(_escape(char) for char in text)
    return f'"{escaped}"'


def _escape(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable() and char != "\ufeff":
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
