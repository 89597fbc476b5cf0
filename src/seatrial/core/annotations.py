"""What a forge shows beside the lines of a change: changed parameters and stages, gates that did not pass.

A pure function of what is known already and of where things stand in the candidate's files; the words are raw, and
whoever prints them escapes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from msgspec import Struct

from seatrial.core.comparison import Change, Comparison, StageChange
from seatrial.core.metrics import Key, State
from seatrial.core.naming import label_metrics
from seatrial.core.numbers import spell_as_written
from seatrial.core.phrases import end_sentence, join_names
from seatrial.core.verdict import Finding, Outcome, Verdict
from seatrial.core.wording import tell_deciding

_ROOT = "dvc.yaml"
_LINE = re.compile(r":(\d{1,9}): ")


class Level(str, Enum):
    """How much an annotation matters."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


class Kind(str, Enum):
    """What an annotation is about."""

    GATE = "gate"
    PARAMETER = "parameter"
    STAGE = "stage"


class Annotation(Struct, frozen=True, kw_only=True):
    """A remark at a line (from 1) of a file of the candidate; `path` is from the repository's root.

    `title` says what it is about without a number that may differ between two runs; `message` tells the numbers.
    """

    path: str
    line: int
    kind: Kind
    level: Level
    title: str
    message: str


class Lines(Struct, frozen=True, kw_only=True):
    """Where things stand in the candidate's files.

    `keys` maps a file that is there to its keys with their lines, `gates` a gate's place in the policy that judged
    (`seatrial.yaml:7`) to the file and the line where the candidate has that gate.
    """

    keys: Mapping[str, Mapping[Key, int]]
    gates: Mapping[str, tuple[str, int]] = {}

    def find(self, file: str, key: Key) -> int | None:
        """The line of a key, or of the innermost one above that is there; None where the file is not."""
        known = self.keys.get(file)
        if known is None:
            return None
        while key and key not in known:
            key = key[:-1]
        return known.get(key, 1)


NO_LINES = Lines(keys={})


def list_paths(comparison: Comparison) -> tuple[str, ...]:
    """The files of the candidate whose lines are worth knowing, parameters first."""
    params = (change.id.file for change in comparison.params if change.state is not State.UNCHANGED)
    addresses = [*(change.address for change in comparison.stages), *(stage.address for stage in comparison.stale)]
    return tuple(dict.fromkeys([*params, *(_locate_stage(address)[0] for address in addresses)]))


def annotate(
    comparison: Comparison, verdict: Verdict, lines: Lines, *, precision: int | None = None
) -> tuple[Annotation, ...]:
    """Gates that did not pass, the worst first, then changed parameters, then changed stages.

    What has no line in the candidate, such as a parameter of a file that is gone, has no annotation.
    """
    beside = (*_tell_params(comparison, lines), *_tell_stages(comparison, lines))
    return (*_tell_gates(comparison, verdict, lines, beside, precision), *beside)


def _tell_params(comparison: Comparison, lines: Lines) -> Iterator[Annotation]:
    if comparison.is_first:
        return
    for change in comparison.params:
        line = lines.find(change.id.file, change.id.key)
        if change.state is State.UNCHANGED or line is None:
            continue
        name = change.id.dotted or change.id.file
        yield Annotation(
            path=change.id.file,
            line=line,
            kind=Kind.PARAMETER,
            level=Level.NOTICE,
            title=f"parameter {name} {_word_state(change)}",
            message=_tell_param(name, change),
        )


def _word_state(change: Change) -> str:
    return change.state.value if change.state in {State.ADDED, State.REMOVED} else "changed"


def _tell_param(name: str, change: Change) -> str:
    spelled = spell_as_written(change)
    if change.reason:
        return f"{name}: {change.reason}"
    if change.state is State.ADDED:
        return f"{name} is new: {spelled.head}"
    if change.state is State.REMOVED:
        return f"{name} is gone, it was {spelled.base}"
    return f"{name} {spelled.base} → {spelled.head}"


def _tell_stages(comparison: Comparison, lines: Lines) -> Iterator[Annotation]:
    """One annotation for the stages that one entry of dvc.yaml stands for."""
    groups: dict[tuple[str, Key], list[StageChange]] = {}
    for change in comparison.stages:
        groups.setdefault(_locate_stage(change.address), []).append(change)
    for (file, key), stages in groups.items():
        line = lines.find(file, key)
        if line is None:
            continue
        name = key[-1] if key else file
        states = {stage.state for stage in stages}
        state = _STAGE_WORDS.get(states.pop(), "changed") if len(states) == 1 else "changed"
        many = f" ×{len(stages)}" if len(stages) > 1 else ""
        causes = list(dict.fromkeys(cause for stage in stages for cause in stage.because))
        why = f": {join_names(causes)}" if causes else ""
        what = "ran again" if key and state == "changed" else f"was {state}"
        yield Annotation(
            path=file,
            line=line,
            kind=Kind.STAGE,
            level=Level.NOTICE,
            title=f"{'stage' if key else 'data'} {name} {state}",
            message=f"{name}{many} {what}{why}",
        )


_STAGE_WORDS = {State.ADDED: "added", State.REMOVED: "removed"}


def _locate_stage(address: str) -> tuple[str, Key]:
    """The file that declares a stage, and its key there; data of a `.dvc` file have none."""
    if address.endswith(".dvc") or address.rpartition("/")[2] == "Dvcfile":
        return address, ()
    file, separator, name = address.rpartition(":")
    return file if separator else _ROOT, ("stages", name.partition("@")[0])


_LEVELS = {
    Outcome.FAILED: Level.FAILURE,
    Outcome.INCONCLUSIVE: Level.WARNING,
    Outcome.WARNED: Level.WARNING,
}


def _tell_gates(
    comparison: Comparison, verdict: Verdict, lines: Lines, beside: tuple[Annotation, ...], precision: int | None
) -> Iterator[Annotation]:
    labels = label_metrics([finding.id for finding in verdict.findings])
    files = tuple(dict.fromkeys(change.id.file for change in comparison.metrics))
    worst = [gate.worst for gate in verdict.gates if gate.worst.outcome in _LEVELS]
    for reason, among in _group_unreadable(worst).items():
        first = among[0]
        yield _tell_unreadable(reason, first, [labels[finding.id] for finding in among])
    for finding in worst:
        if _find_fault(finding):
            continue
        spot = _locate_gate(finding, comparison, lines) or _stand_in(finding, beside, files)
        if spot is None:
            continue
        label = labels[finding.id]
        yield Annotation(
            path=spot[0],
            line=spot[1],
            kind=Kind.GATE,
            level=_LEVELS[finding.outcome],
            title=f"{label}: {finding.outcome.value} ({finding.check})",
            message=_tell_gate(finding, label, precision),
        )


def _group_unreadable(findings: Iterable[Finding]) -> Mapping[str, list[Finding]]:
    """The gates that one fault in a file keeps from being judged, by its words."""
    faults: dict[str, list[Finding]] = {}
    for finding in findings:
        if _find_fault(finding):
            faults.setdefault(finding.reason, []).append(finding)
    return faults


def _find_fault(finding: Finding) -> int | None:
    """The line where the metric's own file can't be read any further."""
    file = finding.id.file
    found = _LINE.match(finding.reason, len(file)) if file and finding.reason.startswith(file) else None
    return max(1, int(found.group(1))) if found else None


def _tell_unreadable(reason: str, finding: Finding, names: list[str]) -> Annotation:
    hint = f" Next: {end_sentence(finding.hint)}" if finding.hint else ""
    whom = "" if names == [finding.id.file] else f", which keeps {join_names(names)} from being judged"
    return Annotation(
        path=finding.id.file,
        line=_find_fault(finding) or 1,
        kind=Kind.GATE,
        level=_LEVELS[finding.outcome],
        title=f"{finding.id.file} can't be read",
        message=f"{reason}{whom}.{hint}",
    )


def _locate_gate(finding: Finding, comparison: Comparison, lines: Lines) -> tuple[str, int] | None:
    """The stage that is stale, or the gate's own line in the policy."""
    if finding.check == "fresh" and comparison.stale:
        path, key = _locate_stage(comparison.stale[0].address)
        line = lines.find(path, key)
        return (path, line) if line else None
    return lines.gates.get(finding.place)


def _stand_in(finding: Finding, beside: tuple[Annotation, ...], files: tuple[str, ...]) -> tuple[str, int] | None:
    """What changed first, else the file of the metric, where the candidate has no line for a gate."""
    file = finding.id.file
    if finding.check in {"readable", "kept"}:
        return file, 1  # the finding is about the file itself
    if beside:
        return beside[0].path, beside[0].line
    named = (file,) if file in files else files
    return (named[0], 1) if named else None


def _tell_gate(finding: Finding, label: str, precision: int | None) -> str:
    told = tell_deciding(finding, label, precision)
    reason = f": {finding.reason}" if finding.reason and finding.reason not in told else ""
    hint = f" Next: {end_sentence(finding.hint)}" if finding.hint else ""
    return f"{told}{reason}.{hint}"
