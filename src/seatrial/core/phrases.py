"""Small words of the report: counts, lists, what a change means, signs beside a name."""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.core.comparison import Change, Effect, FileChange, Side
from seatrial.core.document import Code, Inline, Line, Text
from seatrial.core.metrics import Direction, State
from seatrial.core.numbers import Spelling

NO_BREAK = "\N{NO-BREAK SPACE}"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 gate`, `4,812 samples`."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def end_sentence(words: str) -> str:
    """The words with a full stop, unless they end as a question: `did you mean recall?`."""
    return words if words.endswith(("?", ".", "!")) else f"{words}."


def join_names(names: list[str], most: int = 4) -> str:
    """Names in a row, the rest of a long row counted."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def tally(changes: Iterable[Change]) -> str:
    """Count by effect: `2 worse, 3 better, 1 added`."""
    words: dict[str, int] = {}
    for change in changes:
        told = change.effect.value if change.state in {State.CHANGED, State.UNCHANGED} else change.state.value
        word = "unchanged" if told == "same" else told
        words[word] = words.get(word, 0) + 1
    order = ("worse", "better", "changed")
    ranked = sorted(words, key=lambda word: (order.index(word) if word in order else len(order), word))
    return ", ".join(f"{words[word]} {word}" for word in ranked)


def gather_stages(stages: Iterable[str]) -> list[str]:
    """Stages by name, those of one `foreach` or `matrix` counted: `evaluate ×4`."""
    names: dict[str, list[str]] = {}
    for stage in stages:
        names.setdefault(stage.partition("@")[0], []).append(stage)
    return [group[0] if len(group) == 1 else f"{name} ×{len(group)}" for name, group in names.items()]


def list_names(names: Iterable[str]) -> Line:
    """Names set as code, with commas between them."""
    line: list[Inline] = []
    for name in names:
        line += [Text(", "), Code(name)] if line else [Code(name)]
    return tuple(line)


def arrow(change: Change | None) -> str:
    """Which way is better, as a sign that stays on the line of the name."""
    if change is None or change.direction is None:
        return ""
    return f"{NO_BREAK}↑" if change.direction is Direction.HIGHER else f"{NO_BREAK}↓"


def cell_delta(spelled: Spelling | None) -> str:
    """The difference, with its interval where there is one."""
    if spelled is None or not spelled.delta:
        return ""
    return f"{spelled.delta} ({spelled.interval})" if spelled.interval else spelled.delta


def word_effect(change: Change) -> str:
    """Better or worse, with what the interval allows to say; nothing where the numbers say it all."""
    if change.effect is Effect.UNKNOWN:
        return f"{_name_base(change)}{change.reason}" if change.reason else change.state.value
    if change.effect not in {Effect.BETTER, Effect.WORSE}:
        return ""
    unsure = change.interval and change.interval.low <= 0 <= change.interval.high
    return f"{change.effect.value}, within noise" if unsure else change.effect.value


def word_change(change: Change) -> str:
    """What became of a value: better or worse, or its state with the reason; and whether a stale stage made it."""
    return ", ".join(part for part in (_word_state(change), "stale" if change.stale else "") if part)


def _word_state(change: Change) -> str:
    if change.state in {State.CHANGED, State.UNCHANGED}:
        told = word_effect(change)
        return ", ".join(part for part in (told, change.moved_from and f"moved from {change.moved_from}") if part)
    return f"{change.state.value}: {_name_base(change)}{change.reason}" if change.reason else change.state.value


def _name_base(change: Change) -> str:
    """Whose trouble it is, where it is not the candidate's."""
    return "baseline: " if change.side is Side.BASE else ""


def word_file(change: FileChange) -> str:
    """The state, and of a directory how many of its files it is about."""
    if change.contents is None:
        return change.state.value
    counts = {name: len(getattr(change.contents, name)) for name in ("added", "removed", "modified")}
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{change.state.value}: {told}" if told else change.state.value
