"""Metrics that are measured more than once, and the use of the evaluation set, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from tests.integration.repositories import Answer, Scratch, run_seatrial

FOLDS = [0.80, 0.82, 0.79, 0.81, 0.83]


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch.create(tmp_path / "project")


def policy(scratch: Scratch, pattern: str, rule: str) -> None:
    """A policy of one gate, committed."""
    scratch.commit({"seatrial.yaml": f'version: 1\nmetrics:\n  "metrics.json:{pattern}": {{{rule}}}\n'})


def compare(scratch: Scratch, **values: Any) -> Answer:
    """Compare a candidate with these metrics in the work tree."""
    scratch.write({"metrics.json": json.dumps(values)})
    return run_seatrial(scratch.directory, "compare", "HEAD", "--format", "json")


def only(answer: Answer) -> dict[str, Any]:
    """What the one gate says; values that are gone beside it are told after it."""
    assert answer.code in {0, 1, 3}, answer.err
    found: dict[str, Any]
    found, *others = answer.facts["findings"]
    assert {each["check"] for each in others} <= {"kept"}
    return found


class TestFolds:
    """The corrected resampled t of Nadeau and Bengio."""

    RULE = "no_worse_than: 0.02, test: nadeau-bengio, test_train_ratio: 1/4"

    @pytest.mark.parametrize("nested", [False, True])
    def test_the_interval_allows_for_shared_rows(self, scratch: Scratch, nested: bool) -> None:
        """It is t of the paired differences, with their variance times 1/J + n_test/n_train."""

        def shape(values: list[float]) -> dict[str, Any]:
            return {"cv": {"folds": [{"auc": value} for value in values]}} if nested else {"cv": {"auc": values}}

        policy(scratch, "cv.folds.*.auc" if nested else "cv.auc", self.RULE)
        scratch.measure(**shape(FOLDS))
        moved = [0.803, 0.825, 0.791, 0.812, 0.836]
        answer = compare(scratch, **shape(moved))
        (told,) = answer.facts["evaluations"][0]["overall"]
        differences = [after - before for before, after in zip(FOLDS, moved, strict=True)]
        spread = stats.tstd(differences) * (1 / 5 + 1 / 4) ** 0.5
        reach = stats.t.ppf(0.975, 4) * spread
        mean = sum(differences) / 5
        assert (told["low"], told["high"]) == pytest.approx((mean - reach, mean + reach))
        assert (only(answer)["outcome"], answer.code) == ("passed", 0)

    def test_a_proven_fall_fails_and_doubt_can_t_tell(self, scratch: Scratch) -> None:
        """No number of folds is advised: they share their rows."""
        policy(scratch, "cv.auc", self.RULE)
        scratch.measure(cv={"auc": FOLDS})
        fallen = compare(scratch, cv={"auc": [value - 0.1 - 0.001 * at for at, value in enumerate(FOLDS)]})
        assert (only(fallen)["outcome"], fallen.code) == ("failed", 1)
        unsure = compare(scratch, cv={"auc": [0.70, 0.92, 0.69, 0.91, 0.83]})
        assert (only(unsure)["reason"], unsure.code) == ("inconclusive", 3)

    def test_folds_that_are_the_same_are_identical(self, scratch: Scratch) -> None:
        """Nothing was trained again."""
        policy(scratch, "cv.auc", self.RULE)
        scratch.measure(cv={"auc": FOLDS})
        assert only(compare(scratch, cv={"auc": FOLDS}, note=1))["reason"] == "identical"

    def test_other_folds_can_t_be_paired(self, scratch: Scratch) -> None:
        """Their number is told."""
        policy(scratch, "cv.auc", self.RULE)
        scratch.measure(cv={"auc": FOLDS})
        answer = compare(scratch, cv={"auc": FOLDS[:4]})
        assert only(answer)["reason"] == "insufficient: the baseline has 5 folds, the candidate 4"
        assert answer.code == 3

    def test_folds_by_name_are_paired_by_name(self, scratch: Scratch) -> None:
        """Whatever their order in the file."""
        policy(scratch, "cv.*.auc", self.RULE)
        named = {name: {"auc": value} for name, value in zip("abcde", FOLDS, strict=True)}
        scratch.measure(cv=named)
        moved = {name: {"auc": value["auc"] + 0.001 * at} for at, (name, value) in enumerate(named.items())}
        told = [
            compare(scratch, cv=order).facts["evaluations"][0]["overall"][0]
            for order in (moved, dict(reversed(moved.items())))
        ]
        assert told[0]["low"] == pytest.approx(told[1]["low"])
        other = {name.upper(): value for name, value in moved.items()}
        assert only(compare(scratch, cv=other))["reason"] == "insufficient: the two sides do not name the same folds"

    def test_a_metric_that_is_new_waits_for_a_baseline(self, scratch: Scratch) -> None:
        """It is neither passed nor failed; one that is gone fails."""
        policy(scratch, "cv.auc", self.RULE)
        scratch.measure(f1=0.5)
        new = compare(scratch, f1=0.5, cv={"auc": FOLDS})
        assert (only(new)["outcome"], new.code) == ("not-judged", 0)
        scratch.measure(f1=0.5, cv={"auc": FOLDS})
        gone = compare(scratch, f1=0.5)
        assert gone.code == 1
        assert "has no cv.auc" in [each["reason"] for each in gone.facts["findings"]]

    def test_a_rule_that_warns_only_warns(self, scratch: Scratch) -> None:
        """Also where the values are gone."""
        policy(scratch, "cv.auc", f"{self.RULE}, severity: warn")
        scratch.measure(f1=0.5, cv={"auc": FOLDS})
        answer = compare(scratch, f1=0.5)
        assert (answer.facts["verdict"], answer.code) == ("warned", 0)


class TestSeeds:
    """Welch's t of two sets of trainings."""

    def test_the_interval_is_welch_s(self, scratch: Scratch) -> None:
        """As scipy has it, with different numbers of trainings on the two sides."""
        policy(scratch, "seeds.auc", "no_worse_than: 0.05, test: welch")
        before, after = [0.80, 0.81, 0.79, 0.80], [0.80, 0.82, 0.81, 0.79, 0.80, 0.83]
        scratch.measure(seeds={"auc": before})
        answer = compare(scratch, seeds={"auc": after})
        (told,) = answer.facts["evaluations"][0]["overall"]
        oracle = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
        assert (told["low"], told["high"]) == pytest.approx((oracle.low, oracle.high))
        assert answer.code == 0

    def test_more_trainings_would_tell(self, scratch: Scratch) -> None:
        """Their number is advised in trainings, not in samples."""
        policy(scratch, "seeds.auc", "no_worse_than: 0.01, test: welch")
        scratch.measure(seeds={"auc": [0.80, 0.82, 0.78]})
        answer = compare(scratch, seeds={"auc": [0.81, 0.82, 0.78]})
        assert "trainings would tell" in only(answer)["reason"]

    def test_too_few_say_nothing(self, scratch: Scratch) -> None:
        """Three are needed."""
        policy(scratch, "seeds.auc", "no_worse_than: 0.01, test: welch")
        scratch.measure(seeds={"auc": [0.80, 0.82]})
        answer = compare(scratch, seeds={"auc": [0.81, 0.82, 0.78]})
        assert only(answer)["reason"] == "insufficient: it has 2 seeds, and 3 are needed"


class TestHistory:
    """One value a commit, held against those of the main branch."""

    @staticmethod
    def past(scratch: Scratch, *values: float) -> None:
        policy(scratch, "seconds", "no_worse_than: 0, test: history, direction: lower")
        for value in values:
            scratch.measure(seconds=value)

    @pytest.mark.parametrize(("seconds", "outcome"), [(20.0, "failed"), (10.1, "inconclusive"), (1.0, "passed")])
    def test_what_is_unlike_the_past_is_told(self, scratch: Scratch, seconds: float, outcome: str) -> None:
        """By the prediction interval of one more value."""
        self.past(scratch, 10.0, 10.2, 9.8, 10.1, 9.9, 10.0)
        answer = compare(scratch, seconds=seconds)
        assert only(answer)["outcome"] == outcome
        (told,) = answer.facts["evaluations"][0]["overall"]
        values = [10.0, 10.2, 9.8, 10.1, 9.9, 10.0]
        reach = stats.t.ppf(0.975, 5) * stats.tstd(values) * (1 + 1 / 6) ** 0.5
        assert told["base"] == pytest.approx(10.0)
        assert told["high"] - told["delta"] == pytest.approx(reach)

    def test_a_short_past_says_nothing(self, scratch: Scratch) -> None:
        """Five values are needed."""
        self.past(scratch, 10.0, 10.2, 9.8, 10.1)
        answer = compare(scratch, seconds=10.0)
        assert only(answer)["reason"] == "insufficient: it has 4 values of the past, and 5 are needed"
        assert answer.code == 3


class TestBudget:
    """An evaluation set wears out as models are chosen by it."""

    POLICY = (
        "version: 1\nevaluations:\n- name: e\n  predictions: p.csv\n  key: id\n  label: y\n  score: p\n"
        "  budget: {data: test.csv, max: 2}\n"
    )

    @staticmethod
    def model(seed: int) -> dict[str, str]:
        rows = "".join(f"{row},{row % 2},{0.2 + 0.5 * (row % 2) + (row * seed % 7) / 50}\n" for row in range(200))
        outs = f"    - path: test.csv\n      md5: {'a' * 32}\n    - path: p.csv\n      md5: {seed:032x}\n"
        lock = f"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n{outs}"
        return {"p.csv": f"id,y,p\n{rows}", "metrics.json": f'{{"seed": {seed}}}', "dvc.lock": lock}

    def test_uses_of_the_main_branch_are_counted(self, scratch: Scratch) -> None:
        """Up to the limit it passes, beyond it warns, and the number stands in the table."""
        outcomes = []
        for seed in (1, 2, 3):
            scratch.commit({"seatrial.yaml": self.POLICY, **self.model(seed)})
            scratch.write(self.model(9))
            answer = run_seatrial(scratch.directory, "compare", "HEAD", "--format", "json")
            found = [each for each in answer.facts["findings"] if each["check"] == "budget"]
            outcomes.append((found[0]["outcome"], answer.facts["evaluations"][0]["reused"], answer.code))
        assert outcomes == [("passed", 1, 0), ("passed", 2, 0), ("warned", 3, 0)]
        text = run_seatrial(scratch.directory, "compare", "HEAD").out
        assert "worn out" in text
        assert "draw a new evaluation set" in text

    def test_a_set_that_no_lock_records_can_t_be_counted(self, scratch: Scratch) -> None:
        """That is said; it only warns, as the budget does."""
        other = self.POLICY.replace("test.csv", "other.csv")
        scratch.commit({"seatrial.yaml": other, **self.model(1)})
        scratch.write(self.model(9))
        answer = run_seatrial(scratch.directory, "compare", "HEAD", "--format", "json")
        found = next(each for each in answer.facts["findings"] if each["check"] == "budget")
        assert found["reason"] == "no dvc.lock of the baseline records other.csv and the predictions"
        assert (found["outcome"], answer.code) == ("inconclusive", 0)
