"""Metrics that are measured more than once: over folds, over seeds, or in one commit after another."""

from __future__ import annotations

from collections.abc import Mapping
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
# What more of would make the difference surer: folds share their rows, and a new value varies as it does.
_UNITS: Mapping[RepeatTest, str] = {
    RepeatTest.NADEAU_BENGIO: "",
    RepeatTest.WELCH: "training",
    RepeatTest.HISTORY: "",
}

Values = Mapping[Key, float]


def compare_repeats(
    repository: Repository, repeats: tuple[Repeat, ...], base: Snapshot | None, head: Snapshot
) -> tuple[EvaluationResult, ...]:
    """One result for each metric that the policy tests; nothing is compared where there is no baseline yet."""
    return tuple(_compare(repository, repeat, base, head) for repeat in repeats)


def _compare(repository: Repository, repeat: Repeat, base: Snapshot | None, head: Snapshot) -> EvaluationResult:
    after = _read(head, repeat)
    if isinstance(after, Problem):
        return EvaluationResult(name=repeat.name, problem=after, side=Side.HEAD)
    if not after:
        hint = "check its name in seatrial.yaml: FILE:KEY"
        words = f"has no {'.'.join(repeat.key)}"
        problem = Problem(state=State.MISSING, path=repeat.file, message=words, hint=hint)
        return EvaluationResult(name=repeat.name, problem=problem, side=Side.HEAD)
    before = _read(base, repeat) if base else {}
    if isinstance(before, Problem):
        return EvaluationResult(name=repeat.name, problem=before, side=Side.BASE)
    if base is None or not before:
        return EvaluationResult(name=repeat.name, overall=(_first(repeat, after),))
    return EvaluationResult(name=repeat.name, overall=(_estimate(repository, repeat, base, before, after),))


def _read(side: Snapshot, repeat: Repeat) -> Values | Problem:
    """The values of a list (`key.0`, `key.1`, …) or the one value of the key itself; none where neither is there."""
    file = next((one for one in side.metrics if one.path == repeat.file), None)
    if file is not None and file.problem:
        return file.problem
    listed = {key: value for key, value in (file.values if file else {}).items() if _speaks_of(repeat.key, key)}
    if not all(is_finite(value) for value in listed.values()):
        words = f"{'.'.join(repeat.key)} holds what is no finite number"
        return Problem(state=State.NOT_FINITE, path=repeat.file, message=words, hint="mend the stage that writes it")
    return {key: _as_float(value) for key, value in listed.items()}


def _speaks_of(pattern: Key, key: Key) -> bool:
    """Whether a key is the pattern's own, or that of an entry of the list which it names."""
    entry = key[len(pattern) :]
    within = not entry or (len(entry) == 1 and entry[0].isdigit())
    return len(key) >= len(pattern) and within and all(w in {"*", part} for w, part in zip(pattern, key, strict=False))


def _as_float(value: Value) -> float:
    return float(value or 0)


def _identify(repeat: Repeat) -> MetricId:
    return MetricId(file=repeat.file, key=repeat.key)


def _first(repeat: Repeat, values: Values) -> Evidence:
    from seatrial.commands.stating import state_change

    return Evidence(change=state_change(_identify(repeat), None, _mean(values), repeat.direction), n=len(values))


def _estimate(repository: Repository, repeat: Repeat, base: Snapshot, before: Values, after: Values) -> Evidence:
    from seatrial.commands.stating import state_evidence

    if before == after and repeat.test is not RepeatTest.HISTORY:
        return _state_identical(repeat, after)
    answer = _test(repository, repeat, base, before, after)
    return state_evidence(_identify(repeat), answer, repeat.direction, unit=_UNITS[repeat.test])


def _state_identical(repeat: Repeat, values: Values) -> Evidence:
    """The same values on both sides: nothing was trained again, and the difference is 0 for certain."""
    from seatrial.commands.stating import state_change

    nothing = Interval(low=0.0, high=0.0, level=0.95, n=len(values), method="identical")
    mean = _mean(values)
    change = state_change(_identify(repeat), mean, mean, repeat.direction, interval=nothing)
    return Evidence(change=change, n=len(values), unit=_UNITS[repeat.test])


def _test(
    repository: Repository, repeat: Repeat, base: Snapshot, before: Values, after: Values
) -> RepeatedEstimate | Insufficient:
    from seatrial.stats.paired import Insufficient
    from seatrial.stats.repeats import compare_folds, compare_seeds, compare_with_history

    match repeat.test:
        case RepeatTest.NADEAU_BENGIO if before.keys() != after.keys():
            told = f"the baseline has {len(before)} folds, the candidate {len(after)}"
            reason = told if len(before) != len(after) else "the two sides do not name the same folds"
            return Insufficient(reason=reason, n=len(after), base=_mean(before), head=_mean(after))
        case RepeatTest.NADEAU_BENGIO:
            pairs = [(before[fold], value) for fold, value in after.items()]
            folds = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            return compare_folds(*folds, test_train_ratio=repeat.ratio or 1.0)
        case RepeatTest.WELCH:
            return compare_seeds([*before.values()], [*after.values()])
        case RepeatTest.HISTORY:
            return compare_with_history(_read_past(repository, repeat, base), _mean(after))


def _read_past(repository: Repository, repeat: Repeat, base: Snapshot) -> tuple[float, ...]:
    """The metric's values on the baseline's own line, the newest first."""
    from seatrial.sources.history import read_history

    if base.revision.sha is None:
        return ()
    found = read_history(repository, base.revision.sha, repeat.file, repeat.key, most=_MOST_HISTORY)
    return tuple(_as_float(value) for value in found if is_finite(value))


def _mean(values: Values) -> float:
    return sum(values.values()) / len(values)
