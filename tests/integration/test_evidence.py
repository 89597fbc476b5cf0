"""Evaluations of every task through the command line: what they say, what they refuse, and how the run ends."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as oracle

from seatrial.sources import streams
from tests.integration.repositories import Answer, Scratch, run_seatrial

PROJECT = "stages:\n  train:\n    cmd: train\n    metrics:\n    - metrics.json: {cache: false}\n"
ROWS = 1200
CARRIERS = ("AA", "DL", "UA")


def parquet(table: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def flights(noise: float, seed: int = 1, rows: int = ROWS) -> pl.DataFrame:
    """A model's probabilities for the same flights, worse the more noise there is."""
    truth = np.random.default_rng(7).random(rows) < 0.4
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "y": truth.astype(np.int64),
            "p": np.clip(0.3 + 0.4 * truth + draw.normal(0, noise, rows), 0.01, 0.99),
            "carrier": [CARRIERS[i % 3] for i in range(rows)],
            "origin": [("EWR", "JFK")[i // 3 % 2] for i in range(rows)],
            "hour": [i % 24 for i in range(rows)],
            "tail": [f"N{i % 150}" for i in range(rows)],
            "distance": [100.0 + i % 7 for i in range(rows)],
        }
    )


BINARY = "  task: binary\n  key: id\n  label: y\n  score: p\n"
SAFE = "  gates:\n  - accuracy: {no_worse_than: 0.1}\n"


class Project:
    """A repository whose main branch holds the baseline's predictions."""

    def __init__(self, directory: Path, *, path: str = "p.parquet") -> None:
        self.scratch = Scratch.create(directory)
        self.path = path

    def compare(
        self, base: pl.DataFrame | None, head: pl.DataFrame | None, policy: str, *, tail: str = "", form: str = "json"
    ) -> Answer:
        """Commit the baseline, write the candidate, and compare the two by the policy's one evaluation."""
        files = {
            "dvc.yaml": PROJECT,
            "metrics.json": '{"steps": 3}',
            "seatrial.yaml": f"version: 1\nevaluations:\n- name: e\n  predictions: {self.path}\n{policy}{tail}",
        }
        self.scratch.commit(files | ({} if base is None else {self.path: self.encode(base)}))
        (self.scratch.directory / self.path).unlink(missing_ok=True)
        if head is not None:
            self.scratch.write({self.path: self.encode(head)})
        return run_seatrial(self.scratch.directory, "compare", "--format", form)

    def encode(self, table: pl.DataFrame) -> bytes:
        """As the path's suffix says."""
        return table.write_csv().encode() if self.path.endswith(".csv") else parquet(table)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def evaluation(answer: Answer) -> dict[str, Any]:
    """The one evaluation of a report."""
    assert answer.code != 70, answer.err
    found: dict[str, Any]
    (found,) = answer.facts["evaluations"]
    found["by_metric"] = {each["metric"]: each for each in found["overall"]}
    return found


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    """The gates' answers, by what they check."""
    assert answer.code != 70, answer.err
    return {f"{'.'.join(each['key'])} {each['check']}".strip(): each for each in answer.facts["findings"]}


def check_values(found: dict[str, Any], expected: dict[str, tuple[float, float]]) -> None:
    """Both sides' values, and an interval of the difference around it."""
    for metric, (base, head) in expected.items():
        told = found["by_metric"][metric]
        assert (told["base"], told["head"]) == pytest.approx((base, head), rel=1e-9), metric
        assert told["low"] < told["delta"] < told["high"], metric


class TestTasks:
    """Each task's values are scikit-learn's, on both sides, with intervals."""

    def test_binary(self, project: Project) -> None:
        """Scores of one class, decided at a threshold."""
        base, head = flights(0.2), flights(0.3, 2)
        policy = f"{BINARY}  threshold: 0.45\n  metrics: [roc_auc, log_loss, {{f1: {{at: 0.6}}}}]\n{SAFE}"
        found = evaluation(project.compare(base, head, policy))
        truth = base["y"].to_numpy()
        sides = [side["p"].to_numpy() for side in (base, head)]
        expected = {
            "roc_auc": oracle.roc_auc_score,
            "log_loss": oracle.log_loss,
            "f1@0.6": lambda y, p: oracle.f1_score(y, p >= 0.6),
            "accuracy": lambda y, p: oracle.accuracy_score(y, p >= 0.45),
        }
        check_values(found, {name: (f(truth, sides[0]), f(truth, sides[1])) for name, f in expected.items()})
        assert (found["n_base"], found["n_head"], found["n_common"]) == (ROWS, ROWS, ROWS)

    @pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.Float64, pl.Categorical])
    def test_classes_by_name(self, project: Project, kind: type[pl.DataType]) -> None:
        """The predicted class beside the true one, whatever type the file gives it."""
        label = np.random.default_rng(3).integers(0, 4, ROWS)

        def answers(seed: int, right: float) -> pl.DataFrame:
            draw = np.random.default_rng(seed)
            guess = np.where(draw.random(ROWS) < right, label, draw.integers(0, 4, ROWS))
            table = pl.DataFrame({"id": np.arange(ROWS), "kind": label, "guess": guess})
            first = pl.String if kind == pl.Categorical else kind
            return table.with_columns(pl.col("kind", "guess").cast(first).cast(kind))

        policy = "  task: multiclass\n  key: id\n  label: kind\n  prediction: guess\n  metrics: [f1_macro, kappa]\n"
        found = evaluation(project.compare(answers(1, 0.8), answers(2, 0.6), policy + SAFE))
        guesses = [answers(1, 0.8), answers(2, 0.6)]
        sides = [guess["guess"].cast(pl.String).cast(pl.Float64).to_numpy() for guess in guesses]
        expected = {
            "accuracy": oracle.accuracy_score,
            "f1_macro": lambda y, g: oracle.f1_score(y, g, average="macro"),
            "kappa": oracle.cohen_kappa_score,
        }
        check_values(found, {name: (f(label, sides[0]), f(label, sides[1])) for name, f in expected.items()})
        assert found["flips"]["newly_wrong"] == int(((sides[0] == label) & (sides[1] != label)).sum())

    def test_classes_by_probability(self, project: Project) -> None:
        """A column for each class; the likeliest is the decision."""
        names = ["cat", "dog", "owl"]
        label = np.random.default_rng(3).integers(0, 3, ROWS)

        def answers(seed: int, sharp: float) -> pl.DataFrame:
            logits = np.random.default_rng(seed).normal(size=(ROWS, 3)) + sharp * np.eye(3)[label]
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            columns = {f"p_{name}": shares[:, i] for i, name in enumerate(names)}
            return pl.DataFrame({"id": np.arange(ROWS), "kind": [names[i] for i in label], **columns})

        base, head = answers(1, 2.0), answers(2, 1.5)
        columns = ", ".join(f"{name}: p_{name}" for name in names)
        policy = (
            f"  task: multiclass\n  key: id\n  label: kind\n  probabilities: {{{columns}}}\n"
            "  metrics: [log_loss, roc_auc_macro, {top_k: {k: 2}}]\n"
        )
        found = evaluation(project.compare(base, head, policy + SAFE))
        sides = [side.select(f"p_{name}" for name in names).to_numpy() for side in (base, head)]
        expected = {
            "accuracy": lambda y, p: oracle.accuracy_score(y, p.argmax(axis=1)),
            "log_loss": oracle.log_loss,
            "roc_auc_macro": lambda y, p: oracle.roc_auc_score(y, p, multi_class="ovr"),
            "top_k@2": lambda y, p: oracle.top_k_accuracy_score(y, p, k=2),
        }
        check_values(found, {name: (f(label, sides[0]), f(label, sides[1])) for name, f in expected.items()})

    def test_regression(self, project: Project) -> None:
        """A predicted number beside the true one."""
        truth = np.random.default_rng(3).normal(30, 10, ROWS)

        def answers(seed: int, noise: float) -> pl.DataFrame:
            guess = truth + np.random.default_rng(seed).normal(0, noise, ROWS)
            return pl.DataFrame({"id": np.arange(ROWS), "late": truth, "guess": guess})

        base, head = answers(1, 3), answers(2, 4)
        policy = (
            "  task: regression\n  key: id\n  label: late\n  prediction: guess\n"
            "  metrics: [r2, {pinball: {quantile: 0.9}}]\n  gates:\n  - rmse: {no_worse_than: 5%}\n"
        )
        answer = project.compare(base, head, policy)
        sides = [side["guess"].to_numpy() for side in (base, head)]
        expected = {
            "rmse": oracle.root_mean_squared_error,
            "r2": oracle.r2_score,
            "pinball(0.9)": lambda y, g: oracle.mean_pinball_loss(y, g, alpha=0.9),
        }
        check_values(
            evaluation(answer), {name: (f(truth, sides[0]), f(truth, sides[1])) for name, f in expected.items()}
        )
        assert answer.code == 1
        assert findings(answer)["rmse no_worse_than"]["outcome"] == "failed"

    def test_ranking(self, project: Project) -> None:
        """Documents of queries: the query is the unit, for slices too."""
        queries, documents = 150, 10
        relevance = np.random.default_rng(3).integers(0, 3, (queries, documents)).astype(float)

        def answers(seed: int, noise: float) -> pl.DataFrame:
            score = relevance + np.random.default_rng(seed).normal(0, noise, relevance.shape)
            query = np.repeat(np.arange(queries), documents)
            return pl.DataFrame(
                {
                    "q": query,
                    "d": np.tile(np.arange(documents), queries),
                    "rel": relevance.ravel(),
                    "s": score.ravel(),
                    "lang": [("de", "en", "fr")[i % 3] for i in query],
                }
            ).sample(fraction=1, shuffle=True, seed=seed)

        base, head = answers(1, 0.5), answers(2, 1.5)
        policy = (
            "  task: ranking\n  key: [q, d]\n  query: q\n  label: rel\n  score: s\n  metrics: [mrr]\n"
            "  gates:\n  - ndcg: {k: 5, no_worse_than: 0.01}\n"
            "  slices: {by: [lang], min_n: 40, gates: [{ndcg: {k: 5, not_harmed: 0.01}}]}\n"
        )
        answer = project.compare(base, head, policy)
        found = evaluation(answer)

        def ndcg(side: pl.DataFrame) -> float:
            ordered = side.sort("q", "d")["s"].to_numpy().reshape(relevance.shape)
            return float(oracle.ndcg_score(relevance, ordered, k=5))

        check_values(found, {"ndcg@5": (ndcg(base), ndcg(head))})
        assert found["by_metric"]["ndcg@5"]["n"] == queries
        assert {each["slice"]: each["n"] for each in found["slices"]} == {"lang=de": 50, "lang=en": 50, "lang=fr": 50}
        assert answer.code == 1
        assert findings(answer)["ndcg@5 slices"]["reason"].startswith("3 of 3 slices worse")

    def test_scores_with_repeated_draws(self, project: Project) -> None:
        """Several answers to one prompt are one unit, whatever their number."""
        prompts, draws = 200, 5
        level = np.random.default_rng(3).normal(3, 1, prompts)

        def answers(seed: int, shift: float) -> pl.DataFrame:
            score = level[:, None] + shift + np.random.default_rng(seed).normal(0, 0.5, (prompts, draws))
            return pl.DataFrame(
                {
                    "prompt": np.repeat(np.arange(prompts), draws),
                    "draw": np.tile(np.arange(draws), prompts),
                    "grade": score.ravel(),
                }
            )

        base, head = answers(1, 0), answers(2, 0.3)
        policy = (
            "  task: scores\n  key: [prompt, draw]\n  query: prompt\n  score: grade\n"
            "  gates:\n  - mean: {better_by: 0.1}\n"
        )
        answer = project.compare(base, head, policy)
        found = evaluation(answer)
        check_values(found, {"mean": (float(base["grade"].to_numpy().mean()), float(head["grade"].to_numpy().mean()))})
        assert found["by_metric"]["mean"]["n"] == prompts
        assert answer.code == 0
        assert findings(answer)["mean better_by"]["reason"] == "improved"


class TestRows:
    """Weights, clusters and keys."""

    def test_weights_count(self, project: Project) -> None:
        """A sample counts as much as its weight says."""
        base, head = flights(0.2), flights(0.3, 2)
        found = evaluation(project.compare(base, head, f"{BINARY}  weight: distance\n{SAFE}"))
        right = [(side["p"] >= 0.5) == (side["y"] == 1) for side in (base, head)]
        weight = base["distance"].to_numpy()
        expected = [float(np.average(side.to_numpy(), weights=weight)) for side in right]
        check_values(found, {"accuracy": (expected[0], expected[1])})

    def test_clusters_widen_the_interval(self, project: Project) -> None:
        """Rows that err together tell less than their number."""
        base, head = (flights(0.05, seed) for seed in (1, 2))
        bad_luck = np.random.default_rng(9).random(150) < 0.2
        head = head.with_columns(
            p=pl.when(pl.Series(bad_luck[np.arange(ROWS) % 150])).then(1 - pl.col("p")).otherwise("p")
        )
        plain = evaluation(project.compare(base, head, BINARY + SAFE))["by_metric"]["accuracy"]
        grouped = evaluation(project.compare(base, head, f"{BINARY}  group: tail\n{SAFE}"))["by_metric"]["accuracy"]
        assert grouped["method"] == "cluster jackknife, t"
        assert grouped["high"] - grouped["low"] > 2 * (plain["high"] - plain["low"])

    def test_several_key_columns(self, project: Project) -> None:
        """Columns that identify a row only together."""
        base, head = (
            flights(0.2, seed).with_columns(day=pl.col("id") // 100, id=pl.col("id") % 100) for seed in (1, 2)
        )
        shuffled = head.sample(fraction=1, shuffle=True, seed=3)
        answer = project.compare(base, shuffled, BINARY.replace("key: id", "key: [day, id]") + SAFE)
        assert evaluation(answer)["n_common"] == ROWS
        alone = project.compare(base, shuffled, BINARY + SAFE)
        assert findings(alone)["readable"]["reason"].startswith("the key id is not unique in 1,200 of 1,200 rows")


class TestSlices:
    """Parts of the evaluation set."""

    POLICY = (
        f'{BINARY}  slices:\n    by: [carrier, [carrier, origin]]\n    where: {{night: "hour >= 22 or hour < 5"}}\n'
        "    min_n: 150\n    gates: [{accuracy: {not_harmed: 0.05}}]\n"
    )

    def test_columns_crosses_and_conditions(self, project: Project) -> None:
        """Each is a slice of its own, with as many samples as there are."""
        found = evaluation(project.compare(flights(0.2), flights(0.2, 2), self.POLICY))
        sizes = {each["slice"]: each["n"] for each in found["slices"]}
        crosses = {f"carrier={carrier}, origin={origin}": 200 for carrier in CARRIERS for origin in ("EWR", "JFK")}
        assert sizes == {f"carrier={carrier}": 400 for carrier in CARRIERS} | crosses | {"night": 350}

    def test_a_harmed_slice_blocks_though_the_whole_is_fine(self, project: Project) -> None:
        """It is named, with the interval that proves it."""
        base = flights(0.2)
        hurt = pl.col("carrier") == "DL"
        head = base.with_columns(p=pl.when(hurt & (pl.col("id") % 4 == 0)).then(1 - pl.col("p")).otherwise("p"))
        answer = project.compare(base, head, self.POLICY)
        assert answer.code == 1
        reason = findings(answer)["accuracy slices"]["reason"]
        assert "carrier=DL" in reason
        slices = {each["slice"]: each for each in evaluation(answer)["slices"]}
        assert slices["carrier=DL"]["high"] < -0.05
        assert slices["carrier=AA"]["delta"] == 0

    def test_slices_below_min_n_are_counted(self, project: Project) -> None:
        """They are not tested, and not forgotten."""
        policy = self.POLICY.replace("min_n: 150", "min_n: 300")
        found = evaluation(project.compare(flights(0.2), flights(0.2, 2), policy))
        assert found["untested_slices"] == 6
        assert {each["n"] for each in found["slices"]} == {350, 400}

    def test_a_required_slice_must_be_there(self, project: Project) -> None:
        """Whoever drops the rows that hurt does not get through."""
        policy = (
            self.POLICY.replace("    min_n", "    required: [carrier=UA, night]\n    min_n")
            + "  same_eval_set: intersect\n"
        )
        rows = flights(0.2, 2).filter(pl.col("carrier") != "UA")
        answer = project.compare(flights(0.2), rows, policy)
        assert answer.code == 1
        missed = findings(answer)["samples required"]
        assert missed["reason"] == "the policy requires this slice, and it has 0 samples"
        assert project.compare(flights(0.2), flights(0.2, 2), policy).code == 0

    def test_a_required_slice_is_a_demand_without_any_gate(self, project: Project) -> None:
        """Predictions that can't be read, or hold other rows, do not pass it."""
        policy = f"{BINARY}  slices: {{by: [carrier], required: [carrier=UA]}}\n"
        assert project.compare(flights(0.2), flights(0.2, 2), policy).code == 0
        assert project.compare(flights(0.2), flights(0.2, 2).drop("p"), policy).code == 1
        assert project.compare(flights(0.2), flights(0.2, 2).head(900), policy).code == 1

    def test_missing_values_are_a_slice(self, project: Project) -> None:
        """An empty cell is no reason to leave the row out."""
        rows = [
            flights(0.2, seed).with_columns(carrier=pl.when(pl.col("id") % 3 > 0).then("carrier")) for seed in (1, 2)
        ]
        found = evaluation(project.compare(rows[0], rows[1], self.POLICY))
        assert "carrier=(missing)" in {each["slice"] for each in found["slices"]}

    @pytest.mark.slow
    def test_ten_thousand_slices(self, project: Project) -> None:
        """All are corrected for, twenty are shown, the rest is counted."""
        rows = 120_000
        users = [flights(0.2, seed, rows).with_columns(user=pl.col("id") % 10_000) for seed in (1, 2)]
        policy = f"{BINARY}  slices: {{by: [user], min_n: 12, gates: [{{accuracy: {{not_harmed: 0.05}}}}]}}\n"
        answer = project.compare(users[0], users[1], policy)
        assert answer.code == 0
        assert len(evaluation(answer)["slices"]) == 10_000
        text = run_seatrial(project.scratch.directory, "compare")
        assert "none of 10,000 proven worse" in text.out
        assert "9,980 more slices" in text.out

    @pytest.mark.parametrize(
        ("condition", "reason"),
        [
            ("hour >", "slices.where.night: 'hour >' can't be read"),
            ("carier = 'AA'", "has no column 'carier'"),
            ("hour", "slices.where.night: 'hour' is not true or false, but Int64"),
            ("(select 1) = 1", "slices.where.night: '(select 1) = 1' can't be read"),
        ],
    )
    def test_a_condition_that_is_none(self, project: Project, condition: str, reason: str) -> None:
        """The policy's own words are in the answer."""
        policy = self.POLICY.replace("hour >= 22 or hour < 5", condition)
        answer = project.compare(flights(0.2), flights(0.2, 2), policy)
        assert answer.code == 1
        assert findings(answer)["readable"]["reason"].startswith(reason)


class TestWaivers:
    """A gate that may fail for a while."""

    @pytest.mark.parametrize(("until", "code", "outcome"), [("2999-12-31", 0, "waived"), ("2001-01-01", 1, "failed")])
    def test_a_waiver_holds_until_its_day(self, project: Project, until: str, code: int, outcome: str) -> None:
        """It is said in the report; once it has ended, the gate counts again."""
        tail = f'waivers:\n- {{gate: "accuracy", reason: "known, being mended", until: {until}}}\n'
        answer = project.compare(flights(0.05), flights(0.4, 2), BINARY + SAFE, tail=tail)
        assert answer.code == code, answer.err
        found = findings(answer)["accuracy no_worse_than"]
        assert found["outcome"] == outcome
        told = found["reason"] + found["hint"]
        assert ("known, being mended" if code == 0 else "its waiver ended on 2001-01-01") in told


class TestEvaluationSets:
    """What is done where the two sides were not evaluated on the same samples."""

    @staticmethod
    def moved(by: int) -> pl.DataFrame:
        """A candidate whose samples have later keys."""
        return flights(0.2, 2).with_columns(pl.col("id") + by)

    def test_required_to_be_the_same(self, project: Project) -> None:
        """Rows that are missing or new fail the run, and are counted and named."""
        answer = project.compare(flights(0.2), self.moved(200), BINARY + SAFE)
        assert answer.code == 1
        found = findings(answer)["same_eval_set"]
        assert "200 samples are the candidate's alone (first 1200)" in found["reason"]
        assert "200 samples are the baseline's alone (first 0)" in found["reason"]
        assert "same_eval_set: intersect" in found["hint"]

    def test_changed_labels_are_another_set(self, project: Project) -> None:
        """The same keys with other truths."""
        answer = project.compare(
            flights(0.2),
            flights(0.2, 2).with_columns(y=pl.when(pl.col("id") < 5).then(1 - pl.col("y")).otherwise("y")),
            BINARY + SAFE,
        )
        assert answer.code == 1
        assert findings(answer)["same_eval_set"]["reason"].endswith("5 labels differ")

    def test_intersect_pairs_what_both_hold(self, project: Project) -> None:
        """The rest is left out, and the report says how much."""
        policy = f"{BINARY}  same_eval_set: intersect\n{SAFE}"
        answer = project.compare(flights(0.2), self.moved(200), policy)
        assert answer.code == 0
        assert evaluation(answer)["by_metric"]["accuracy"]["n"] == ROWS - 200
        text = run_seatrial(project.scratch.directory, "compare").out
        assert "paired on the 1,000 samples that both sides hold (baseline 1,200, candidate 1,200)" in text

    @pytest.mark.parametrize("by", [200, 5000])
    def test_unpaired_compares_two_samples(self, project: Project, by: int) -> None:
        """All rows of both sides count, intervals are longer than of pairs, and the small print says so."""
        policy = (
            f"{BINARY}  same_eval_set: unpaired\n  metrics: [roc_auc]\n{SAFE}"
            "  slices: {by: [carrier], min_n: 100, gates: [{accuracy: {not_harmed: 0.1}}]}\n"
            "  gaps: [{metric: recall, by: carrier, max_gap_increase: 0.3}]\n"
        )
        base = flights(0.2)
        head = self.moved(by).with_columns(
            p=(flights(0.2)["p"] + flights(0.01, 3)["p"] - flights(0.01, 4)["p"]).clip(0, 1)
        )
        answer = project.compare(base, head, policy)
        assert answer.code == 0, answer.out
        found = evaluation(answer)
        assert found["by_metric"]["accuracy"]["method"] == "unpaired, Newcombe score"
        assert found["by_metric"]["roc_auc"]["method"] == "unpaired, Welch t"
        assert {each["slice"]: each["n"] for each in found["slices"]} == {f"carrier={one}": 400 for one in CARRIERS}
        assert all(each["method"].startswith("unpaired") for each in found["slices"])
        assert found["gaps"][0]["low"] < 0 < found["gaps"][0]["high"]
        assert found["flips"] is None
        text = run_seatrial(project.scratch.directory, "compare").out
        assert "intervals: unpaired on n = 1,200 samples" in text
        assert f"(baseline 1,200, candidate 1,200, {max(1200 - by, 0):,} in common)" in text
        paired = evaluation(project.compare(base, head.with_columns(pl.col("id") - by), policy))
        assert paired["by_metric"]["roc_auc"]["method"] == "DeLong, t"
        width = [each["by_metric"]["roc_auc"]["high"] - each["by_metric"]["roc_auc"]["low"] for each in (found, paired)]
        assert width[0] > 5 * width[1]

    def test_flips_can_t_be_counted_unpaired(self, project: Project) -> None:
        """A gate that can't be judged says so, and does not pass."""
        policy = f"{BINARY}  same_eval_set: unpaired\n  flips: {{max_newly_wrong: 50%}}\n"
        answer = project.compare(flights(0.2), self.moved(5000), policy)
        assert answer.code == 3
        assert findings(answer)["newly wrong max_newly_wrong"]["outcome"] == "inconclusive"
        assert project.compare(flights(0.2), self.moved(0), policy).code == 0

    def test_the_first_measurement(self, tmp_path: Path) -> None:
        """Without a baseline, absolute gates are judged and the others wait."""
        scratch = Scratch.create(tmp_path / "first")
        policy = (
            f"version: 1\nevaluations:\n- name: e\n  predictions: p.csv\n{BINARY}  metrics: [roc_auc]\n"
            "  gates:\n  - accuracy: {at_least: 0.9, bound: lower}\n  - log_loss: {no_worse_than: 0.01}\n"
            "  flips: {max_newly_wrong: 1%}\n  gaps: [{metric: recall, by: carrier, max_gap_increase: 0.1}]\n"
            "  slices: {by: [carrier], min_n: 100, gates: [{accuracy: {not_harmed: 0.1}}]}\n"
        )
        scratch.write(
            {
                "dvc.yaml": PROJECT,
                "metrics.json": '{"steps": 3}',
                "seatrial.yaml": policy,
                "p.csv": flights(0.2).write_csv(),
            }
        )
        scratch.git("commit", "--quiet", "--allow-empty", "--message", "nothing yet")
        answer = run_seatrial(scratch.directory, "compare", "--format", "json")
        outcomes = {name: each["outcome"] for name, each in findings(answer).items()}
        assert outcomes["accuracy at_least"] == "failed"
        assert {outcomes[name] for name in outcomes if name != "accuracy at_least"} == {"not-judged"}
        assert answer.code == 1
        accuracy = evaluation(answer)["by_metric"]["accuracy"]
        assert accuracy["base"] is None
        assert accuracy["low"] is None
        assert accuracy["own_low"] < accuracy["head"] < accuracy["own_high"]


Change = Callable[[pl.DataFrame], pl.DataFrame]


def with_column(**values: Any) -> Change:
    """The rows with other columns."""
    return lambda rows: rows.with_columns(**values)


FIRST = pl.col("id") == 7
BAD: dict[str, tuple[Change, str, str]] = {
    "keys that do not match": (
        with_column(id=pl.col("id") + 9000),
        "no row of the candidate has a key of the baseline",
        "lasting keys",
    ),
    "duplicate keys": (
        with_column(id=pl.col("id") // 2),
        "the key id is not unique in 1,200 of 1,200 rows, first at id=0",
        "`key:`",
    ),
    "probabilities out of range": (
        with_column(p=pl.when(FIRST).then(1.5).otherwise("p")),
        "column 'p' is no probability: it lies outside of 0 to 1 in 1 of 1,200 rows, first at id=7",
        "not its logit",
    ),
    "NaN": (
        with_column(p=pl.when(FIRST).then(float("nan")).otherwise("p")),
        "column 'p' is no finite number in 1 of 1,200 rows, first at id=7",
        "mend the evaluation",
    ),
    "an empty cell": (
        with_column(p=pl.when(~FIRST).then("p")),
        "column 'p' is empty in 1 of 1,200 rows, first at id=7",
        "mend the evaluation",
    ),
    "string labels": (
        with_column(y=pl.when(pl.col("y") == 1).then(pl.lit("late")).otherwise(pl.lit("on time"))),
        "column 'y' is neither 0 nor 1 (but 'late', 'on time') in 1,200 of 1,200 rows",
        "task: multiclass",
    ),
    "text for a score": (
        with_column(p=pl.lit("high")),
        "column 'p' is no finite number in 1,200 of 1,200 rows",
        "mend the evaluation",
    ),
    "a missing column": (lambda rows: rows.drop("p"), "has no column 'p'", "it has 'id', 'y', 'carrier'"),
    "a misspelt column": (lambda rows: rows.rename({"y": "Y"}), "has no column 'y'", "did you mean 'Y'?"),
    "no rows": (lambda rows: rows.clear(), "has no rows", "empty set"),
    "lists for scores": (
        with_column(p=pl.concat_list("p", "p")),
        "column 'p' holds List(Float64), which is neither a number nor a name",
        "one value to each row",
    ),
}


class TestBadInput:
    """One clear answer that names file and column and what to do; never a traceback, never a pass."""

    @pytest.mark.parametrize("name", BAD)
    def test_of_the_candidate(self, project: Project, name: str) -> None:
        """The run fails."""
        change, reason, hint = BAD[name]
        answer = project.compare(flights(0.2), change(flights(0.2, 2)), BINARY + SAFE)
        assert answer.code == 1, answer.err
        (found,) = answer.facts["findings"]
        assert found["file"] == "p.parquet"
        assert found["reason"].startswith(reason)
        assert hint in found["hint"]
        text = run_seatrial(project.scratch.directory, "compare")
        assert "Traceback" not in text.out + text.err
        assert "p.parquet" in text.out

    @pytest.mark.parametrize("name", [name for name in BAD if name != "keys that do not match"])
    def test_of_the_baseline(self, project: Project, name: str) -> None:
        """It is not the candidate's fault, and no pass either: it can't be told."""
        change, reason, _ = BAD[name]
        answer = project.compare(change(flights(0.2)), flights(0.2, 2), BINARY + SAFE)
        assert answer.facts["verdict"] == "inconclusive"
        (found,) = answer.facts["findings"]
        assert found["reason"].startswith("of the baseline, p.parquet")
        assert reason in found["reason"]

    def test_an_absent_file(self, project: Project) -> None:
        """Predictions that the candidate does not have are missing, and nothing passes."""
        answer = project.compare(flights(0.2), None, BINARY + SAFE)
        (found,) = answer.facts["findings"]
        assert found["outcome"] == "failed"
        assert "is not there at" in found["reason"]

    def test_a_baseline_that_never_had_predictions(self, project: Project) -> None:
        """The first ones have nothing to be compared with: that is told, and judged once they are on main."""
        answer = project.compare(None, flights(0.2), BINARY + SAFE)
        (found,) = answer.facts["findings"]
        assert found["outcome"] == "not-judged"
        text = run_seatrial(project.scratch.directory, "compare").out
        assert "First measurement: the baseline has nothing for 1 gate to compare with" in text
        assert "p.parquet: the baseline has none" in text

    @pytest.mark.parametrize("value", [0, 1])
    def test_one_class_only(self, project: Project, value: int) -> None:
        """Metrics that need both classes have no value; the others do."""
        sides = [flights(0.2, seed).with_columns(y=pl.lit(value)) for seed in (1, 2)]
        policy = f"{BINARY}  metrics: [accuracy]\n  gates:\n  - roc_auc: {{no_worse_than: 0.01}}\n"
        answer = project.compare(sides[0], sides[1], policy)
        assert answer.facts["verdict"] == "inconclusive"
        kind = "positive" if value == 0 else "negative"
        assert findings(answer)["roc_auc no_worse_than"]["reason"] == f"insufficient: there is no {kind} row"
        assert evaluation(answer)["by_metric"]["accuracy"]["low"] is not None

    def test_constant_scores(self, project: Project) -> None:
        """They order nothing: ROC AUC is one half, and that is proven worse."""
        policy = f"{BINARY}  gates:\n  - roc_auc: {{no_worse_than: 0.01}}\n"
        answer = project.compare(flights(0.2), flights(0.2).with_columns(p=pl.lit(0.5)), policy)
        assert answer.code == 1
        assert evaluation(answer)["by_metric"]["roc_auc"]["head"] == 0.5
        assert findings(answer)["roc_auc no_worse_than"]["reason"] == "worse"

    def test_constant_scores_on_both_sides_are_no_proof(self, project: Project) -> None:
        """No row tells the two apart, which leaves an interval around 0."""
        policy = f"{BINARY}  gates:\n  - roc_auc: {{no_worse_than: 0.0001}}\n"
        sides = [flights(0.2).with_columns(p=pl.lit(value)) for value in (0.4, 0.6)]
        answer = project.compare(sides[0], sides[1], policy)
        assert answer.facts["verdict"] == "inconclusive"
        told = evaluation(answer)["by_metric"]["roc_auc"]
        assert told["low"] < 0 < told["high"]

    def test_one_row(self, project: Project) -> None:
        """One sample proves nothing, and says so."""
        sides = [flights(noise).head(1) for noise in (0.2, 0.3)]
        answer = project.compare(sides[0], sides[1], BINARY + SAFE)
        assert answer.facts["verdict"] == "inconclusive"
        assert findings(answer)["accuracy no_worse_than"]["reason"].startswith("insufficient: it rests on 1 row")

    @pytest.mark.parametrize("pairing", ["require", "intersect", "unpaired"])
    def test_labels_of_another_type(self, tmp_path: Path, pairing: str) -> None:
        """1 on one side and 1.0 on the other would make all answers of the baseline wrong, and any candidate better."""
        project = Project(tmp_path, path="p.csv")
        label = np.random.default_rng(3).integers(0, 3, 300)
        table = pl.DataFrame({"id": np.arange(300), "kind": label, "guess": (label + (np.arange(300) % 5 == 0)) % 3})
        policy = (
            f"  task: multiclass\n  key: id\n  label: kind\n  prediction: guess\n  same_eval_set: {pairing}\n{SAFE}"
        )
        other = table.with_columns(pl.col("kind", "guess").cast(pl.Float64))
        answer = project.compare(table, other, policy)
        assert answer.code == 1
        assert findings(answer)["readable"]["reason"] == "a class is written '0' here and '0.0' there"
        mixed = project.compare(table, table.with_columns(pl.col("guess").cast(pl.Float64)), policy)
        assert mixed.code == 1
        renamed = table.with_columns(pl.format("kind {}", pl.col("kind", "guess")))
        answer = project.compare(table, renamed, policy)
        assert answer.code == 1
        assert "the baseline's classes ('0', '1', '2') are none of" in findings(answer)["readable"]["reason"]

    def test_binary_labels_of_another_type(self, tmp_path: Path) -> None:
        """Of two classes, 1 and 1.0 and true mean the same."""
        project = Project(tmp_path, path="p.csv")
        head = flights(0.2, 2)
        for label in (pl.col("y").cast(pl.Float64), pl.col("y").cast(pl.Boolean)):
            answer = project.compare(flights(0.2), head.with_columns(y=label), BINARY + SAFE)
            assert answer.code == 0
            assert evaluation(answer)["labels_changed"] == 0

    @pytest.mark.parametrize(
        ("column", "told"),
        [("weight: w", "'w' differs"), ("group: w", "'w' differs"), ("slices: {by: [w]}", "'w' differs")],
    )
    def test_a_query_has_one_weight(self, project: Project, column: str, told: str) -> None:
        """What is said of a query must be the same in all of its rows."""
        rows = pl.DataFrame({"q": [1, 1, 2, 2], "d": [1, 2, 1, 2], "s": [0.1, 0.2, 0.3, 0.4], "w": [1, 2, 3, 3]})
        task = "  task: scores\n  key: [q, d]\n  query: q\n  score: s\n"
        policy = f"{task}  {column}\n  gates:\n  - mean: {{no_worse_than: 1}}\n"
        answer = project.compare(rows, rows.with_columns(pl.col("s") + 0.1), policy)
        assert answer.code == 1, answer.err
        found = findings(answer)["readable"]
        assert told in found["reason"]
        assert found["reason"].endswith("in 2 of 4 rows, first at q=1, d=1")


class TestLargeFiles:
    """Predictions that are not held in memory, and such that lie in many files."""

    POLICY = (
        f"{BINARY}  metrics: [log_loss, brier]\n{SAFE}  flips: {{max_newly_wrong: 50%}}\n"
        "  slices: {by: [carrier], min_n: 100, gates: [{accuracy: {not_harmed: 0.1}}]}\n"
        "  gaps: [{metric: recall, by: carrier, max_gap: 0.9}]\n"
    )

    def test_the_same_report(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """But for the last digits, and for the digest of an evaluation set that nobody sorted."""
        outs = PROJECT.replace("    metrics:", "    outs: [p.parquet]\n    metrics:")
        files = {
            "dvc.yaml": outs,
            "metrics.json": '{"steps": 3}',
            "seatrial.yaml": f"version: 1\nevaluations:\n- name: e\n  predictions: p.parquet\n{self.POLICY}",
            ".gitignore": "/p.parquet\n/.dvc/cache\n",
        }
        base = keep(project.scratch, {"p.parquet": parquet(flights(0.2))})
        project.scratch.commit(files | {"dvc.lock": lock("p.parquet", base)})
        project.scratch.write({"p.parquet": parquet(flights(0.25, 2).reverse())})

        def measure() -> dict[str, Any]:
            from seatrial.commands.compare import compare_revisions
            from seatrial.commands.measure import Selection
            from seatrial.render import RENDERERS, RenderOptions

            done = compare_revisions(
                project.scratch.directory, base=None, head=None, config_path=None, selection=Selection()
            )
            (found,) = json.loads(RENDERERS["json"](done.report, RenderOptions()))["evaluations"]
            assert len(found.pop("digest")) == 64
            return dict(found)

        held = measure()
        monkeypatch.setattr(streams, "MOST_ROWS", 100)
        monkeypatch.setattr(streams, "ROWS_OF_PART", 150)
        summed = measure()
        assert held["n_common"] == ROWS
        check_alike(summed, held)

    def test_a_directory_of_files(self, project: Project) -> None:
        """Together they are the evaluation set, as DVC holds them, whatever else lies beside them."""
        outs = PROJECT.replace("    metrics:", "    outs: [preds]\n    metrics:")
        files = {
            "dvc.yaml": outs,
            "metrics.json": '{"steps": 3}',
            "seatrial.yaml": f"version: 1\nevaluations:\n- name: e\n  predictions: preds\n{BINARY}{SAFE}",
            ".gitignore": "/preds\n/.dvc/cache\n",
        }
        base = keep(project.scratch, scatter(flights(0.2)))
        project.scratch.commit(files | {"dvc.lock": lock("preds", base)})
        project.scratch.write({f"preds/{name}": content for name, content in scatter(flights(0.25, 2)).items()})
        answer = run_seatrial(project.scratch.directory, "compare", "--format", "json")
        found = evaluation(answer)
        assert (answer.code, found["n_base"], found["n_head"], found["n_common"]) == (0, ROWS, ROWS, ROWS)
        project.scratch.write({"preds/other.csv": "id,y,p\n"})
        mixed = run_seatrial(project.scratch.directory, "compare", "--format", "json")
        assert findings(mixed)["readable"]["reason"] == "holds files of several formats: .csv, .parquet"


def scatter(table: pl.DataFrame) -> dict[str, bytes]:
    """The rows in five files, with the marker that Spark leaves."""
    parts = {f"part-{i}.parquet": parquet(table.filter(pl.col("id") % 5 == i)) for i in range(5)}
    return parts | {"_SUCCESS": b""}


def keep(scratch: Scratch, files: dict[str, bytes]) -> str:
    """Put files into DVC's cache; the digest of the one, or of the directory."""
    digests = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    kept = {digests[name]: content for name, content in files.items()}
    (digest,) = [*kept][:1]
    if len(files) > 1:
        listing = json.dumps([{"md5": digests[name], "relpath": name} for name in sorted(files)]).encode()
        digest = f"{hashlib.md5(listing).hexdigest()}.dir"
        kept[digest] = listing
    scratch.write({f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}": content for md5, content in kept.items()})
    return digest


def lock(path: str, digest: str) -> str:
    """A dvc.lock of the one stage."""
    out = f"    - path: {path}\n      hash: md5\n      md5: {digest}\n"
    return f"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n{out}"


def check_alike(one: object, other: object) -> None:
    """The same facts, numbers to 1e-9."""
    if isinstance(other, dict):
        assert isinstance(one, dict)
        assert one.keys() == other.keys()
        for key, value in other.items():
            check_alike(one[key], value)
    elif isinstance(other, list):
        assert isinstance(one, list)
        assert len(one) == len(other)
        for mine, value in zip(one, other, strict=True):
            check_alike(mine, value)
    elif isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
    else:
        assert one == other
