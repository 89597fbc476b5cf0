"""The gates on metrics that are numbers in a file: plain tolerances, and tests on repeated measurements of them."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

from msgspec import UNSET, Struct

from seatrial.config.amounts import read_limit, read_margin
from seatrial.config.document import Document, Path
from seatrial.config.raw import RawRule
from seatrial.core.evidence_rules import EvidenceRule
from seatrial.core.metrics import Direction, guess_direction
from seatrial.core.policy import Rule
from seatrial.core.verdict import Severity


class RepeatTest(str, Enum):
    """What repeated values of one metric are, and so which test they allow."""

    NADEAU_BENGIO = "nadeau-bengio"
    WELCH = "welch"
    HISTORY = "history"


class Repeat(Struct, frozen=True, kw_only=True):
    """A metric that is measured more than once: a list over folds or seeds, or one value in each commit.

    A part of `key` that is `*` stands for every entry of a list (`cv.folds.*.auc`).
    `ratio` is that of the test part's size to the training part's, where folds share their training rows.
    """

    file: str
    key: tuple[str, ...]
    test: RepeatTest
    direction: Direction
    ratio: float | None = None

    @property
    def name(self) -> str:
        """What its results and rules are found by."""
        return f"{self.file}:{'.'.join(self.key)}"


class ScalarRules(Struct, frozen=True, kw_only=True):
    """What one entry below `metrics:` demands: of the numbers as they stand, and of their repeated measurement."""

    rule: Rule | None = None
    repeat: Repeat | None = None
    tested: EvidenceRule | None = None


def build_scalar(document: Document, pattern: str, value: Any) -> ScalarRules:
    """Check one entry below `metrics:`; an entry that demands nothing is a fault."""
    path: Path = ("metrics", pattern)
    raw = document.convert(path, value if value is not None else {}, RawRule)
    rule = _build_rule(document, path, pattern, raw)
    repeat = _build_repeat(document, path, pattern, raw)
    if repeat is None and not rule.gates and rule.direction is None:
        hint = f"add {', '.join((*rule.bounds, *rule.margins))}, or a direction"
        raise document.fault(path, f"metrics.{pattern}: demands nothing", hint=hint)
    plain = rule if rule.gates or rule.direction else None
    tested = _build_tested(document, path, repeat, raw) if repeat else None
    return ScalarRules(rule=plain, repeat=repeat, tested=tested)


def _build_rule(document: Document, path: Path, pattern: str, raw: RawRule) -> Rule:
    return Rule(
        pattern=pattern,
        place=document.place(path),
        direction=None if raw.direction is UNSET else Direction(raw.direction),
        at_least=read_limit(document, (*path, "at_least"), raw.at_least),
        at_most=read_limit(document, (*path, "at_most"), raw.at_most),
        max_decrease=read_margin(document, (*path, "max_decrease"), raw.max_decrease),
        max_increase=read_margin(document, (*path, "max_increase"), raw.max_increase),
        max_change=read_margin(document, (*path, "max_change"), raw.max_change),
        severity=Severity(raw.severity),
    )


def _build_repeat(document: Document, path: Path, pattern: str, raw: RawRule) -> Repeat | None:
    wants_proof = raw.no_worse_than is not UNSET or raw.better_by is not UNSET
    if raw.test is UNSET:
        if wants_proof:
            message = f"metrics.{pattern}: a single number proves nothing"
            hint = (
                "name a `test:` of repeated values (nadeau-bengio, welch, history), or use max_decrease, max_increase"
            )
            raise document.fault(path, message, hint=hint)
        if raw.test_train_ratio is not UNSET:
            message = f"metrics.{pattern}: `test_train_ratio` is for a test"
            raise document.fault((*path, "test_train_ratio"), message, hint="add test: nadeau-bengio")
        return None
    if not wants_proof:
        raise document.fault((*path, "test"), f"metrics.{pattern}: nothing is tested", hint="add no_worse_than")
    file, _, key = pattern.rpartition(":")
    parts = tuple(key.split("."))
    if not file or "*" in file or "?" in pattern or any("*" in part and part != "*" for part in parts):
        message = f"metrics.{pattern}: a test needs one metric of one file"
        raise document.fault(path, message, hint="write FILE:KEY; a part of the key may be *, as in cv.folds.*.auc")
    direction = guess_direction(parts) if raw.direction is UNSET else Direction(raw.direction)
    if direction is None:
        message = f"metrics.{pattern}: which way is better can't be told from its name"
        raise document.fault(path, message, hint="add direction: higher, or lower")
    ratio = None if raw.test_train_ratio is UNSET else _read_ratio(document, path, raw.test_train_ratio)
    test = RepeatTest(raw.test)
    if test is not RepeatTest.NADEAU_BENGIO and ratio is not None:
        message = f"metrics.{pattern}: {test.value} takes no `test_train_ratio`"
        raise document.fault((*path, "test_train_ratio"), message, hint="that is for folds: test: nadeau-bengio")
    if test is RepeatTest.NADEAU_BENGIO and ratio is None:
        message = f"metrics.{pattern}: this test needs `test_train_ratio`"
        raise document.fault(path, message, hint="of 10 folds it is 1/9")
    return Repeat(file=file, key=parts, test=test, direction=direction, ratio=ratio)


def _read_ratio(document: Document, path: Path, value: float | str) -> float:
    """A positive number, or a fraction such as 1/9."""
    above, slash, below = str(value).partition("/")
    try:
        ratio = float(Decimal(above.strip()) / (Decimal(below.strip()) if slash else 1))
    except ArithmeticError:
        ratio = 0.0
    if not 0 < ratio < float("inf"):
        raise document.fault((*path, "test_train_ratio"), f"`test_train_ratio` is no ratio: {value}", hint="write 1/9")
    return ratio


def _build_tested(document: Document, path: Path, repeat: Repeat, raw: RawRule) -> EvidenceRule:
    return EvidenceRule(
        evaluation=repeat.name,
        metric=repeat.key[-1],
        place=document.place(path),
        direction=repeat.direction,
        no_worse_than=read_margin(document, (*path, "no_worse_than"), raw.no_worse_than),
        better_by=read_margin(document, (*path, "better_by"), raw.better_by),
        severity=Severity(raw.severity),
    )
