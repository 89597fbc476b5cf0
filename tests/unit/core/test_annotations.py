"""What is said at lines of a change."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from seatrial.core.annotations import NO_LINES, Annotation, Kind, Level, Lines, annotate, list_paths
from seatrial.core.comparison import Comparison, compare
from seatrial.core.metrics import FileRecord, MetricSet, Problem, Snapshot, StageRecord, StaleStage, State
from seatrial.core.policy import Policy, Rule, evaluate
from seatrial.core.verdict import Margin
from tests.unit.core.snapshots import file, range_of, snapshot

RECALL = Rule(pattern="recall", place="seatrial.yaml:3", max_decrease=Margin(amount=Decimal("0.01"), relative=False))
LINES = Lines(
    keys={
        "params.yaml": {("train",): 1, ("train", "lr"): 4},
        "dvc.yaml": {("stages",): 1, ("stages", "train"): 7},
    },
    gates={"seatrial.yaml:3": ("seatrial.yaml", 12)},
)


def stage(address: str, digest: str) -> StageRecord:
    return StageRecord(address=address, command="x", deps=(FileRecord(path="src/train.py", digest=digest),))


def side(recall: float, *, digest: str = "a", address: str = "train", **params: Any) -> Snapshot:
    return snapshot(file("m.json", {"recall": recall}), params={"train": params}, stages=(stage(address, digest),))


def tell(base: Snapshot | None, head: Snapshot, lines: Lines = LINES, *rules: Rule) -> tuple[Annotation, ...]:
    comparison = compare(range_of(base is not None), base, head)
    return annotate(comparison, evaluate(Policy(rules=rules), comparison), lines)


def test_a_changed_parameter_is_told_at_its_line() -> None:
    """With what it was and what it is."""
    (annotation,) = tell(side(0.8, lr=0.1), side(0.8, lr=0.2))
    assert annotation == Annotation(
        path="params.yaml",
        line=4,
        kind=Kind.PARAMETER,
        level=Level.NOTICE,
        title="parameter train.lr changed",
        message="train.lr 0.1 → 0.2",
    )


def test_a_parameter_without_a_line_is_told_where_it_stood() -> None:
    """One that is gone, or that an alias brings in, is told at what is above it; nothing at all is line 1."""
    (gone,) = tell(side(0.8, lr=0.1, l2=3), side(0.8, lr=0.1))
    assert (gone.line, gone.title, gone.message) == (1, "parameter train.l2 removed", "train.l2 is gone, it was 3")
    (new,) = tell(side(0.8), side(0.8, l2=3), Lines(keys={"params.yaml": {}}))
    assert (new.line, new.message) == (1, "train.l2 is new: 3")


def test_a_file_that_is_not_there_has_no_lines() -> None:
    """No forge shows a remark in a file that the change has taken out."""
    assert tell(side(0.8, lr=0.1), side(0.8), NO_LINES) == ()


def test_a_changed_stage_is_told_at_its_line() -> None:
    """With what it ran again because of; those that one entry makes are told once."""
    (annotation,) = tell(side(0.8), side(0.8, digest="b"))
    assert (annotation.path, annotation.line) == ("dvc.yaml", 7)
    assert annotation.message == "train ran again: src/train.py"
    before = snapshot(stages=(stage("train@a", "1"), stage("train@b", "1")))
    after = snapshot(stages=(stage("train@a", "2"), stage("train@b", "2")))
    (both,) = tell(before, after)
    assert both.message == "train ×2 ran again: src/train.py"


def test_stages_are_told_in_the_files_that_declare_them() -> None:
    """A project below the root has a dvc.yaml of its own, and data have a `.dvc` file."""
    before = snapshot(stages=(stage("sub/dvc.yaml:train", "1"), stage("data/x.csv.dvc", "1")))
    after = snapshot(stages=(stage("sub/dvc.yaml:train", "2"), stage("data/x.csv.dvc", "2")))
    comparison = compare(range_of(), before, after)
    assert list_paths(comparison) == ("data/x.csv.dvc", "sub/dvc.yaml")
    lines = Lines(keys={"sub/dvc.yaml": {("stages", "train"): 2}, "data/x.csv.dvc": {("outs",): 1}})
    told = tell(before, after, lines)
    assert [(one.path, one.line, one.title) for one in told] == [
        ("data/x.csv.dvc", 1, "data data/x.csv.dvc changed"),
        ("sub/dvc.yaml", 2, "stage train changed"),
    ]


def test_a_gate_that_failed_comes_first_at_its_own_line() -> None:
    """The candidate's policy may have it at another line than the policy that judged."""
    first, second = tell(side(0.8, lr=0.1), side(0.7, lr=0.2), LINES, RECALL)
    assert (first.path, first.line, first.level) == ("seatrial.yaml", 12, Level.FAILURE)
    assert first.title == "recall: failed (max_decrease)"
    assert first.message == "recall 0.800 → 0.700 (−0.100), limit Δ ≥ −0.01: fell too far."
    assert second.path == "params.yaml"


def test_a_gate_without_a_line_is_told_at_what_changed() -> None:
    """At the first parameter, else at the first stage, else at the metric's own file."""
    nowhere = Lines(keys=LINES.keys)
    assert tell(side(0.8, lr=0.1), side(0.7, lr=0.2), nowhere, RECALL)[0].line == 4
    assert tell(side(0.8), side(0.7, digest="b"), nowhere, RECALL)[0].line == 7
    (only,) = tell(side(0.8), side(0.7), nowhere, RECALL)
    assert (only.path, only.line) == ("m.json", 1)


def test_what_can_not_be_read_is_told_where_reading_stopped() -> None:
    """The reader's own line beats the gate's."""
    problem = Problem(state=State.UNREADABLE, path="m.json", message="m.json:3: is not JSON", hint="mend it")
    head = snapshot(MetricSet(path="m.json", values={}, problem=problem))
    (told,) = tell(snapshot(file("m.json", {"recall": 0.8})), head, LINES)
    assert (told.path, told.line, told.level) == ("m.json", 3, Level.FAILURE)
    assert told.title == "m.json can't be read"
    assert told.message == "m.json:3: is not JSON, which keeps recall from being judged. Next: mend it."


def test_one_fault_is_told_once() -> None:
    """However many values it hides."""
    problem = Problem(state=State.UNREADABLE, path="m.json", message="m.json:3: is not JSON", hint="mend it")
    head = snapshot(MetricSet(path="m.json", values={}, problem=problem))
    (told,) = tell(snapshot(file("m.json", {"recall": 0.8, "loss": 1, "auc": 2})), head, LINES, RECALL)
    assert "keeps recall, loss, auc from being judged" in told.message


def test_what_could_not_be_judged_warns() -> None:
    """It is no proof of harm."""
    base = snapshot(file("m.json", {"recall": float("nan")}))
    (told,) = tell(base, snapshot(file("m.json", {"recall": 0.8})), LINES, RECALL)
    assert (told.level, told.title) == (Level.WARNING, "recall: inconclusive (max_decrease)")


def test_a_stale_stage_is_told_in_its_file() -> None:
    """Beside the entry that has to run again."""
    comparison = Comparison(
        range=range_of(), metrics=(), params=(), files=(), stages=(), problems=(),
        stale=(StaleStage(address="train", because=("src/train.py",)),),
    )  # fmt: skip
    (told,) = annotate(comparison, evaluate(Policy(), comparison), LINES)
    assert (told.path, told.line, told.level) == ("dvc.yaml", 7, Level.WARNING)


def test_a_first_measurement_tells_no_parameters() -> None:
    """All of them would be new."""
    assert tell(None, side(0.8, lr=0.1)) == ()


def test_names_that_want_to_be_paths_lead_nowhere() -> None:
    """A stage's name comes with the change; one that names no file of the candidate has no line."""
    before, after = snapshot(), snapshot(stages=(stage("../../etc/passwd.dvc", "1"), stage(":x:", "1"), stage("", "1")))
    assert [one.path for one in tell(before, after)] == ["dvc.yaml"]


def test_a_broken_project_file_is_told_in_itself() -> None:
    """Whatever else changed."""
    problem = Problem(state=State.UNREADABLE, path="dvc.yaml", message="dvc.yaml: is not YAML", hint="mend it")
    base, head = snapshot(file("m.json", {"recall": 0.8})), snapshot(params={"lr": 1}, problems=(problem,))
    told = tell(base, head)
    assert ("dvc.yaml", 1, Level.FAILURE) in [(one.path, one.line, one.level) for one in told]
