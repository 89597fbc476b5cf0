"""Values that a project declares, and the states that a value can be in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache

from msgspec import Struct

from seatrial.core.revision import Revision

Value = bool | int | float | str | None
Key = tuple[str, ...]


class State(str, Enum):
    """What is known of a value across two revisions; every state but the first four carries a reason."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    MISSING_CACHE = "missing-cache"
    NOT_FINITE = "not-finite"
    TYPE_CHANGED = "type-changed"
    NOT_COMPARABLE = "not-comparable"


class Direction(str, Enum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


class MetricId(Struct, frozen=True, kw_only=True, order=True):
    """One value's address: the file's path from the repository's root, and the keys down to the leaf.

    `slice` names the part of the evaluation set that it is of, and is empty for all of it.
    """

    file: str
    key: Key
    slice: str = ""

    @property
    def dotted(self) -> str:
        """The key as DVC prints it, except that a part which itself has a dot is quoted (`map@0.5` needs no quotes)."""
        dotted = ".".join(f'"{part}"' if "." in part.partition("@")[0] else part for part in self.key)
        return f"{dotted} [{self.slice}]" if self.slice else dotted

    def __str__(self) -> str:
        return f"{self.file}:{self.dotted}" if self.key else self.file


class Problem(Struct, frozen=True, kw_only=True):
    """Something that can't be read on one side: where, why, and what would mend it."""

    state: State
    path: str
    message: str
    hint: str = ""


class MetricSet(Struct, frozen=True, kw_only=True):
    """The leaves of one metrics or parameters file, or the problem that kept them from being read.

    Lists are spread by index (`key.0`, `key.1`); a file that is one scalar has the empty key.
    """

    path: str
    values: Mapping[Key, Value]
    problem: Problem | None = None


class FileRecord(Struct, frozen=True, kw_only=True):
    """What `dvc.lock` says of a dependency or output: digest (`md5` hex, `.dir` for directories), bytes, files."""

    path: str
    digest: str
    size: int | None = None
    files: int | None = None


class StageRecord(Struct, frozen=True, kw_only=True):
    """What `dvc.lock` says of one stage; `address` is `path/to/dvc.yaml:name`, or the name alone at the root."""

    address: str
    command: str
    deps: tuple[FileRecord, ...] = ()
    outs: tuple[FileRecord, ...] = ()
    params: Mapping[str, str] | None = None


class StaleStage(Struct, frozen=True, kw_only=True):
    """A stage whose record is not of what is there.

    `because` are the dependencies and parameters that are not what the stage ran with, `edited` the outputs
    that are not what it made.
    """

    address: str
    because: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


class Snapshot(Struct, frozen=True, kw_only=True):
    """All that one revision says of itself. Files are in the order of their paths."""

    revision: Revision
    metrics: tuple[MetricSet, ...] = ()
    params: tuple[MetricSet, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    stale: tuple[StaleStage, ...] = ()

    @property
    def holds_metrics(self) -> bool:
        """Whether this revision has been measured.

        What is there but can't be read counts, or a broken baseline would pass for a first measurement.
        """
        return bool(self.problems) or any(
            file.values or (file.problem and file.problem.state is not State.MISSING) for file in self.metrics
        )


class Interval(Struct, frozen=True, kw_only=True):
    """A confidence interval of a difference (candidate − baseline), in the metric's own unit."""

    low: float
    high: float
    level: float
    n: int
    method: str


def is_number(value: Value) -> bool:
    """Whether a value can be subtracted: an int or a float, finite or not, but no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Value) -> bool:
    """Whether a value is a number other than NaN and the infinities, within the range of a float."""
    if isinstance(value, float):
        return math.isfinite(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False  # an integer of more than 308 digits: no measurement of anything


def spell_not_finite(value: float) -> str:
    """The name of a number that `is_finite` refuses, as JSON writes it."""
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LOWER = _words(
    "loss logloss error err rmse mse mae mape wape smape brier perplexity latency seconds duration time drift ece wer"
    " cer missing nulls duplicates fpr fnr bytes size memory"
)
_HIGHER = _words(
    "accuracy acc auc auroc auprc f1 f2 fbeta precision recall sensitivity specificity map ndcg mrr kappa mcc r2 score"
    " iou dice bleu rouge tpr tnr throughput ap"
)
# A number that measures spread or distance has no better side, whatever it is the spread of.
_NEITHER = _words("gap std stdev variance var count n")
# These say how a metric was summed up, and the part before them says which metric it is.
_SUMMARIES = _words("mean avg average median value min max macro micro weighted overall train test val validation")
_WORD = re.compile(r"[a-z]+\d*")


@lru_cache(maxsize=1 << 14)
def guess_direction(key: Key) -> Direction | None:
    """Which way is better, judged by the usual names of metrics; None where the name does not tell.

    The last part of the key decides, or the one before it where the last is only a summary (`roc_auc.mean`).
    "Lower" wins within a part, so that `precision_error` is read right. A rule in seatrial.yaml overrides the guess.
    """
    words = [_WORD.findall(part.lower()) for part in key]
    if any(word in _NEITHER for part in words for word in part):
        return None
    telling = [part for part in words if part and not _SUMMARIES.issuperset(part)]
    named = telling[-1] if telling else []
    spelled = {*named, *(word.rstrip("0123456789") for word in named)}
    if spelled & _LOWER:
        return Direction.LOWER
    return Direction.HIGHER if spelled & _HIGHER else None
