"""The proposed policy: valid, met by the present state, honest about what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.config import parse_config
from seatrial.config.evaluations import Columns
from seatrial.config.proposal import Predicted, Proposal, propose_policy, quote
from seatrial.core.comparison import compare
from seatrial.core.metrics import MetricSet, Snapshot, StaleStage, Value
from seatrial.core.policy import evaluate
from seatrial.core.revision import Revision, RevisionRange
from seatrial.core.verdict import Outcome, Status
from seatrial.stats.names import Task

BASE, HEAD = Revision(name="main", sha="1" * 40), Revision(name="work tree", sha=None)


def propose(values: Mapping[str, Value], **options: object) -> Proposal:
    """The proposal for one file of metrics."""
    file = MetricSet(path="metrics.json", values={tuple(name.split("/")): value for name, value in values.items()})
    return propose_policy((file,), **options)  # type: ignore[arg-type]


def predict(**changes: object) -> Predicted:
    """A table of predictions with no doubt about it."""
    columns = Columns(key=("id",), label="label", score="score")
    known: dict[str, object] = {"path": "p.csv", "task": Task.BINARY, "columns": columns, "rows": 500}
    return Predicted(**known | changes)  # type: ignore[arg-type]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12) | st.sampled_from(["auc", "loss", "recall", "latency_ms", "rows", "missing"]),
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12) | st.text(max_size=5),
        max_size=8,
    )
)
def test_the_present_state_passes_what_is_proposed_for_it(values: dict[str, Value]) -> None:
    """Whatever the metrics are called and are worth: the file is valid, and no gate of it fails on them."""
    file = MetricSet(path="metrics.json", values={(name,): value for name, value in values.items()})
    policy = parse_config(propose_policy((file,)).text.encode()).policy
    sides = [Snapshot(revision=revision, metrics=(file,)) for revision in (BASE, HEAD)]
    verdict = evaluate(policy, compare(RevisionRange(base=BASE, head=HEAD, reason=""), *sides))
    assert {finding.outcome for finding in verdict.findings} <= {Outcome.PASSED}
    assert verdict.status is Status.PASSED


@pytest.mark.parametrize(
    ("name", "value", "limits"),
    [
        ("accuracy", 0.91, "{max_decrease: 0.01, at_least: 0.86}"),
        ("accuracy", 0.983, "{max_decrease: 0.005, at_least: 0.958}"),
        ("auc", 1.0, "{max_decrease: 0.001, at_least: 0.995}"),
        ("accuracy", 93.25, "{max_decrease: 1%, at_least: 88}"),
        ("log_loss", 0.0988, "{max_increase: 5%, at_most: 0.13}"),
        ("rmse", 3.4, "{max_increase: 5%, at_most: 4.3}"),
        ("missing", 0, "{at_most: 0}"),
        ("r2", -0.2, "{max_decrease: 5%}"),
        ("latency_ms", 41.0, "{max_increase: 25%, severity: warn}"),
        ('"accuracy[late]"', 0.91, "{max_decrease: 0.01, at_least: 0.86}"),
    ],
)
def test_a_tolerance_fits_the_kind_of_metric(name: str, value: float, limits: str) -> None:
    """Shares fall by hundredths, losses rise by percents, counts of faults stay at 0, times only warn."""
    assert f"  {name}: {limits} # now " in propose({name.strip('"'): value}).text


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"widgets": 3}, "the name does not tell which side is better"),
        ({"train/auc": 0.9}, "measured on training data"),
        ({"cv/folds/0/auc": 0.9}, "a part of a whole"),
        ({"auc": float("nan")}, "no finite number"),
        ({"loss": 0.0}, "0 has no shares"),
        ({"accuracy*": 0.9}, "its name can't be written as a pattern that means it alone"),
        ({f"auc_{number}": 0.5 for number in range(9)}, "enough to start with"),
    ],
)
def test_what_is_not_gated_is_named_with_the_reason(values: dict[str, Value], reason: str) -> None:
    """Nobody takes a metric for gated that is not."""
    assert reason in propose(values).text


def test_one_name_in_two_files_is_gated_by_its_file() -> None:
    """A rule means the one metric that it was made from."""
    files = [MetricSet(path=f"{name}/m.json", values={("auc",): 0.8}) for name in ("a", "b")]
    text = propose_policy(files).text
    assert '"a/m.json:auc": {' in text
    assert '"b/m.json:auc": {' in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"has_record": True}, "stale: fail"),
        ({"has_record": True, "stale": (StaleStage(address="train"),)}, "stale: warn"),
        ({"has_record": True, "reproduces": True}, "stale: warn"),
    ],
)
def test_stale_metrics_fail_where_there_are_none_now(options: dict[str, object], line: str) -> None:
    """A project that is fresh stays so; one that is not is not stopped by its past."""
    assert f"\n{line}\n" in propose({"auc": 0.8}, **options).text


def test_sure_predictions_are_an_evaluation() -> None:
    """Its gates are of the task, and its metrics are not gated a second time as plain numbers."""
    known = predict(metrics_file="metrics.json", of_metrics=("roc_auc",), threshold="params.yaml:t")
    proposal = propose({"roc_auc": 0.8, "recall": 0.7}, predicted=(known,))
    config = parse_config(proposal.text.encode())
    assert (proposal.gates, proposal.evaluations) == (1, 1)
    [evaluation] = config.evaluations
    assert (evaluation.threshold, evaluation.metrics_file) == ("params.yaml:t", "metrics.json")
    assert [rule.pattern for rule in config.policy.rules] == ["recall"]


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_an_evaluation_of_every_task_is_valid(task: Task) -> None:
    """Each task gets the columns and metrics that it has."""
    columns = Columns(key=("id",), label="label", prediction="pred")
    proposal = propose({}, predicted=(predict(task=task, columns=columns),))
    assert parse_config(proposal.text.encode()).evaluations[0].task is task


def test_a_tolerance_is_not_finer_than_the_samples_tell() -> None:
    """On 100 samples a share moves by hundredths by chance alone; on a million it does not."""
    few, many = (predict(metrics_file="metrics.json", of_metrics=("recall",), rows=rows) for rows in (100, 10**6))
    text = propose({"recall": 0.9}, predicted=(few,)).text
    assert "recall: {max_decrease: 0.03, at_least: 0.75} # now 0.9; on 100 samples ±0.03 is chance" in text
    assert (
        "recall: {max_decrease: 0.01, at_least: 0.85} # now 0.9\n" in propose({"recall": 0.9}, predicted=(many,)).text
    )


def test_doubtful_predictions_are_a_comment_that_can_be_taken_out_of_it() -> None:
    """The doubts stand above; without its signs the comment is a valid evaluation."""
    proposal = propose({"auc": 0.8}, predicted=(predict(doubts=("is x the truth?",)),))
    assert "# Not sure of this one: is x the truth?" in proposal.text
    assert parse_config(proposal.text.encode()).evaluations == ()
    shown = "\n".join(
        line.replace("# ", "", 1) if line.startswith(("# evaluations:", "  #")) and "Not sure" not in line else line
        for line in proposal.text.splitlines()
    )
    assert parse_config(shown.encode()).evaluations[0].columns.key == ("id",)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_a_quoted_text_is_that_text(text: str) -> None:
    """Any name comes out of YAML as it went in, on one line."""
    import yaml

    written = quote(text)
    assert "\n" not in written
    assert yaml.safe_load(f"- {written}") == [text]


def test_of_many_doubtful_tables_a_few_are_written_out() -> None:
    """Those whose metrics are known first; the rest is named."""
    tables = [predict(path=f"p{number}.csv", doubts=("?",)) for number in range(5)]
    tables.append(predict(path="known.csv", doubts=("?",), metrics_file="metrics.json"))
    text = propose({}, predicted=tables).text
    assert text.index("known.csv") < text.index("p0.csv")
    assert "# These look like predictions, too: p2.csv, p3.csv, p4.csv" in text
    assert parse_config(text.encode()).evaluations == ()
