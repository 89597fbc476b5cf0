"""Metrics that are measured more than once: over folds, over seeds, or in one commit after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.config.scalars import Repeat, RepeatTest
from seatrial.core.comparison import Side
from seatrial.core.evidence import EvaluationResult, Evidence
from seatrial.core.metrics import Interval, Key, MetricId, Problem, Snapshot, State, Value, is_finite
from seatrial.git import Repository

if TYPE_CHECKING:
    from seatrial.stats.paired import Insufficient
    from seatrial.stats.repeats import RepeatedEstimate

_MOST_HISTORY = 30


def compare_repeats(
    repository: Repository, repeats: tuple[Repeat, ...], base: Snapshot | None, head: Snapshot
) -> tuple[EvaluationResult, ...]:
    """One result for each metric that the policy tests; nothing is compared where there is no baseline yet."""
    return tuple(_compare(repository, repeat, base, head) for repeat in repeats)


def _compare(repository: Repository, repeat: Repeat, base: Snapshot | None, head: Snapshot) -> EvaluationResult:
    after = _read(head, repeat)
    if isinstance(after, Problem):
        return EvaluationResult(name=repeat.name, problem=after, side=Side.HEAD)
    if base is None:
        return EvaluationResult(name=repeat.name, overall=(_first(repeat, after),))
    before = _read(base, repeat)
    if isinstance(before, Problem):
        return EvaluationResult(name=repeat.name, problem=before, side=Side.BASE)
    return EvaluationResult(name=repeat.name, overall=(_estimate(repository, repeat, base, before, after),))


def _read(side: Snapshot, repeat: Repeat) -> tuple[float, ...] | Problem:
    """The values of a list (`key.0`, `key.1`, …), or the one value of the key itself."""
    file = next((one for one in side.metrics if one.path == repeat.file), None)
    if file is not None and file.problem:
        return file.problem
    values = file.values if file else {}
    listed = [value for key, value in values.items() if _speaks_of(repeat.key, key)]
    if not listed:
        hint = "check its name in seatrial.yaml: FILE:KEY"
        return Problem(state=State.MISSING, path=repeat.file, message=f"has no {'.'.join(repeat.key)}", hint=hint)
    if not all(is_finite(value) for value in listed):
        words = f"{'.'.join(repeat.key)} holds what is no finite number"
        return Problem(state=State.NOT_FINITE, path=repeat.file, message=words, hint="mend the stage that writes it")
    return tuple(_as_float(value) for value in listed)


def _speaks_of(pattern: Key, key: Key) -> bool:
    """Whether a key is the pattern's own, or that of an entry of the list which it names."""
    within = len(key) in {len(pattern), len(pattern) + 1}
    return within and all(wanted in {"*", part} for wanted, part in zip(pattern, key, strict=False))


def _as_float(value: Value) -> float:
    return float(value or 0)


def _identify(repeat: Repeat) -> MetricId:
    return MetricId(file=repeat.file, key=repeat.key)


def _first(repeat: Repeat, values: tuple[float, ...]) -> Evidence:
    from seatrial.commands.stating import state_change

    mean = sum(values) / len(values)
    return Evidence(change=state_change(_identify(repeat), None, mean, repeat.direction), n=len(values))


def _estimate(
    repository: Repository, repeat: Repeat, base: Snapshot, before: tuple[float, ...], after: tuple[float, ...]
) -> Evidence:
    from seatrial.commands.stating import state_change, state_repeated
    from seatrial.stats.paired import Insufficient

    if before == after and repeat.test is not RepeatTest.HISTORY:
        return _state_identical(repeat, after)
    answer = _test(repository, repeat, base, before, after)
    if isinstance(answer, Insufficient):
        change = state_change(_identify(repeat), answer.base, answer.head, repeat.direction, reason=answer.reason)
        return Evidence(change=change, n=answer.n, reason=answer.reason)
    interval = Interval(low=answer.low, high=answer.high, level=answer.level, n=answer.n, method=answer.method)
    return state_repeated(_identify(repeat), answer, interval, repeat.direction)


def _state_identical(repeat: Repeat, values: tuple[float, ...]) -> Evidence:
    """The same values on both sides: nothing was trained again, and the difference is 0 for certain."""
    from seatrial.commands.stating import state_change

    nothing = Interval(low=0.0, high=0.0, level=0.95, n=len(values), method="identical")
    mean = _mean(values)
    change = state_change(_identify(repeat), mean, mean, repeat.direction, interval=nothing)
    return Evidence(change=change, n=len(values))


def _test(
    repository: Repository, repeat: Repeat, base: Snapshot, before: tuple[float, ...], after: tuple[float, ...]
) -> RepeatedEstimate | Insufficient:
    from seatrial.stats.paired import Insufficient
    from seatrial.stats.repeats import compare_folds, compare_seeds, compare_with_history

    match repeat.test:
        case RepeatTest.NADEAU_BENGIO if len(before) != len(after):
            reason = f"the baseline has {len(before)} folds, the candidate {len(after)}"
            return Insufficient(reason=reason, n=len(after), base=_mean(before), head=_mean(after))
        case RepeatTest.NADEAU_BENGIO:
            return compare_folds(before, after, test_train_ratio=repeat.ratio or 1.0)
        case RepeatTest.WELCH:
            return compare_seeds(before, after)
        case RepeatTest.HISTORY:
            return compare_with_history(_read_past(repository, repeat, base), _mean(after))


def _read_past(repository: Repository, repeat: Repeat, base: Snapshot) -> tuple[float, ...]:
    """The metric's values on the baseline's own line, the newest first."""
    from seatrial.sources.history import read_history

    if base.revision.sha is None:
        return ()
    found = read_history(repository, base.revision.sha, repeat.file, repeat.key, most=_MOST_HISTORY)
    return tuple(_as_float(value) for value in found if is_finite(value))


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
