"""Estimates from parts: those of all rows at once, however the rows are split and the sums are merged."""

from __future__ import annotations

import dataclasses
import math
import pickle
from functools import reduce
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from seatrial.stats.binary import BinarySample
from seatrial.stats.estimates import estimate
from seatrial.stats.names import Measure
from seatrial.stats.paired import Estimate, Insufficient
from seatrial.stats.partial import (
    Chunk,
    Partial,
    collect,
    collect_ranks,
    finish,
    make_tables,
    merge,
    merge_ranks,
    merge_slices,
)
from seatrial.stats.partial_ranks import PROBABILITY_EDGES
from seatrial.stats.regression import RegressionSample
from seatrial.stats.scores import ScoreSample

Floats = NDArray[np.float64]
Names = NDArray[np.generic]
Answers = dict[Measure, Estimate | Insufficient]
Part = tuple[Chunk, Chunk]
SampleT = TypeVar("SampleT", BinarySample, RegressionSample, ScoreSample)

DECISIONS = (
    *(Measure(name=name) for name in ("accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy")),
    *(Measure(name=name) for name in ("mcc", "kappa")),
    Measure(name="f_beta", beta=2.0),
    Measure(name="recall", at=0.25),
)
RANKS = (Measure(name="roc_auc"), Measure(name="average_precision"))
BINARY = (*DECISIONS, *RANKS, Measure(name="log_loss"), Measure(name="brier"))
REGRESSION = (
    *(Measure(name=name) for name in ("mse", "rmse", "mae", "mape", "wape", "r2")),
    Measure(name="pinball", quantile=0.9),
)
SCORES = (Measure(name="mean"),)


def binary(n: int, seed: int, *, levels: int = 64, apart: float = 0.4) -> tuple[BinarySample, BinarySample]:
    """Two models that err together, their probabilities on a grid that the bins tell apart."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < 0.4
    shared = 1.4 * label - 0.7 + rng.normal(size=n)
    base, head = (1 / (1 + np.exp(-shared - apart * rng.normal(size=n))) for _ in range(2))
    rounded = (np.round(score * levels) / levels for score in (base, head))
    one, two = (BinarySample.of(label, score) for score in rounded)
    return one, two


def regression(n: int, seed: int) -> tuple[RegressionSample, RegressionSample]:
    """Two models of one skewed truth that lies far from 0."""
    rng = np.random.default_rng(seed)
    truth = 20 + rng.gamma(2, 10, n)
    base = truth + rng.normal(size=n) * 3
    return RegressionSample.of(truth, base), RegressionSample.of(truth, base + rng.normal(0.2, 1, n))


def scores(n: int, seed: int, *, graded: bool) -> tuple[ScoreSample, ScoreSample]:
    """Grades from 0 to 1, or right and wrong alone."""
    rng = np.random.default_rng(seed)
    base, head = (np.round(rng.random(n), 1) if graded else rng.integers(0, 2, n) for _ in range(2))
    return ScoreSample.of(base), ScoreSample.of(head)


def cut(n: int, pieces: int, seed: int) -> list[NDArray[np.intp]]:
    """Rows shuffled and cut into pieces, of which some may be empty."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    return np.split(order, np.sort(rng.integers(0, n + 1, pieces - 1)))


def split(pair: tuple[SampleT, SampleT], pieces: int, seed: int) -> list[Part]:
    """The pieces of both samples."""
    return [(pair[0].select(rows), pair[1].select(rows)) for rows in cut(pair[0].size, pieces, seed)]


def in_parts(parts: list[Part], measures: tuple[Measure, ...], groups: list[Names] | None = None) -> Answers:
    """Both passes over the parts, the sums of the later half being merged first; `groups` name the rows' clusters."""
    half = len(parts) // 2
    names: list[Names | None] = [None] * len(parts) if groups is None else list(groups)

    def join(sums: list[Partial]) -> Partial:
        later = reduce(merge, reversed(sums[half:]))
        return reduce(merge, sums[:half], later)

    named = list(zip(parts, names, strict=True))
    whole = join([collect(*part, measures, centre=30.0, groups=of_part) for part, of_part in named])
    tables = make_tables(whole)
    ranks = reduce(merge_ranks, [collect_ranks(*part, tables, groups=of_part) for part, of_part in named])
    return finish(whole, ranks)


def assert_alike(found: Answers, expected: Answers) -> None:
    """Every field is equal to 1e-9, but for what the bins add to the caution."""
    assert list(found) == list(expected)
    for measure, one in found.items():
        other = expected[measure]
        assert type(one) is type(other), (measure, one, other)
        for field in dataclasses.fields(other):
            here, there = getattr(one, field.name), getattr(other, field.name)
            if field.name == "caution":
                assert here.startswith(there), measure
            elif isinstance(there, float):
                scale = abs(other.delta) + other.se if isinstance(other, Estimate) else abs(there)
                assert here == pytest.approx(there, rel=1e-9, abs=1e-9 * scale), (measure, field.name)
            else:
                assert here == there, (measure, field.name)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(n=st.integers(1, 300), seed=st.integers(0, 99), pieces=st.integers(1, 7))
def test_binary_parts_are_the_whole(n: int, seed: int, pieces: int) -> None:
    """Any split of any rows, merged in another order, gives the estimate of all rows, or its reason for none."""
    pair = binary(n, seed)
    assert_alike(in_parts(split(pair, pieces, seed), BINARY), estimate(*pair, BINARY))


@settings(deadline=None, max_examples=25, derandomize=True)
@given(n=st.integers(0, 200), seed=st.integers(0, 99), pieces=st.integers(1, 7))
def test_regression_parts_are_the_whole(n: int, seed: int, pieces: int) -> None:
    """The same holds for all losses, for ratios of sums and for R²."""
    pair = regression(n, seed)
    assert_alike(in_parts(split(pair, pieces, seed), REGRESSION), estimate(*pair, REGRESSION))


@settings(deadline=None, max_examples=25, derandomize=True)
@given(n=st.integers(0, 200), seed=st.integers(0, 99), pieces=st.integers(1, 7), graded=st.booleans())
def test_parts_of_scores_are_the_whole(n: int, seed: int, pieces: int, *, graded: bool) -> None:
    """The same holds for the mean of grades, and of right and wrong, which is a proportion."""
    pair = scores(n, seed, graded=graded)
    assert_alike(in_parts(split(pair, pieces, seed), SCORES), estimate(*pair, SCORES))


@settings(deadline=None, max_examples=25, derandomize=True)
@given(seed=st.integers(0, 99), pieces=st.integers(1, 7), clusters=st.integers(2, 40), text=st.booleans())
def test_clusters_may_lie_in_many_parts(seed: int, pieces: int, clusters: int, *, text: bool) -> None:
    """With clusters, named by numbers or text and spread over all parts, the jackknife is that of all rows at once."""
    rng = np.random.default_rng(seed)
    group: Names = rng.integers(0, clusters, 260)
    group = group.astype(str) if text else group
    groups = [group[rows] for rows in cut(260, pieces, seed)]

    def check(pair: tuple[SampleT, SampleT], measures: tuple[Measure, ...]) -> None:
        found = in_parts(split(pair, pieces, seed), measures, groups)
        assert_alike(found, estimate(pair[0], pair[1], measures, groups=group))

    check(binary(260, seed), BINARY)
    check(regression(260, seed), REGRESSION)
    check(scores(260, seed, graded=False), SCORES)


def test_clusters_cost_the_same_however_many_metrics_share_a_threshold() -> None:
    """Ten metrics of one threshold keep one table of counts for each cluster, merged or not."""
    base, head = binary(500, 2)
    group = np.arange(500) // 5
    measures = tuple(measure for measure in DECISIONS if measure.at is None)
    part = collect(base, head, measures, groups=group)
    both = merge(part, collect(base, head, measures, groups=group + 50))
    for sums in (part.clusters, both.clusters):
        assert sums is not None
        assert len({id(one) for one in sums.sums.values()}) == 1
    assert both.clusters is not None
    assert both.clusters.names.tolist() == list(range(150))


def test_large_and_nearly_equal_models_keep_their_digits() -> None:
    """Of 50,000 rows on which the candidate differs by a millionth, the small difference is still exact to 1e-9."""
    rng = np.random.default_rng(3)
    truth = rng.normal(30, 5, 50_000)
    base = truth + rng.normal(size=truth.size)
    head = base + 1e-6 * rng.normal(1, 3, truth.size)
    pair = RegressionSample.of(truth, base), RegressionSample.of(truth, head)
    found, expected = in_parts(split(pair, 9, 1), REGRESSION), estimate(*pair, REGRESSION)
    for measure in REGRESSION:
        one, other = found[measure], expected[measure]
        assert isinstance(one, Estimate)
        assert isinstance(other, Estimate)
        assert one.se == pytest.approx(other.se, rel=1e-8)
        assert one.delta == pytest.approx(other.delta, abs=1e-6 * other.se)


def test_identical_answers_are_identical_in_parts() -> None:
    """Where no score differs, every part says so, and one row that differs takes it back."""
    base, _ = binary(100, 5)
    assert_alike(in_parts(split((base, base), 4, 0), BINARY), estimate(base, base, BINARY))
    score = base.score.copy()
    score[17] = 1 - score[17]
    head = BinarySample.of(base.label, score)
    assert_alike(in_parts(split((base, head), 4, 0), BINARY), estimate(base, head, BINARY))


def test_reasons_survive_the_split() -> None:
    """A score that is no probability, a true value of 0, or labels of one kind, in one part refuse the whole."""
    base, head = binary(60, 1)
    wild = BinarySample.of(base.label, np.where(np.arange(60) == 40, 1.5, base.score))
    losses = (Measure(name="log_loss"), Measure(name="brier"))
    for pair in ((wild, head), (head, wild), (wild, wild)):
        assert_alike(in_parts(split(pair, 5, 2), losses), estimate(*pair, losses))
    truth = np.where(np.arange(50) < 3, 0.0, 2.0)
    zeros = RegressionSample.of(truth, truth + 1), RegressionSample.of(truth, truth - 2)
    mape = (Measure(name="mape"),)
    assert_alike(in_parts(split(zeros, 6, 3), mape), estimate(*zeros, mape))
    one = BinarySample.of(np.ones(30), base.score[:30]), BinarySample.of(np.ones(30), head.score[:30])
    assert_alike(in_parts(split(one, 3, 0), BINARY), estimate(*one, BINARY))
    constant = RegressionSample.of(np.zeros(20), np.ones(20)), RegressionSample.of(np.zeros(20), np.arange(20))
    assert_alike(in_parts(split(constant, 3, 0), REGRESSION), estimate(*constant, REGRESSION))


@pytest.mark.parametrize("n", [5, 30])
@pytest.mark.parametrize("shift", [0.0, 0.25, -2.0])
def test_differences_without_spread_are_told_alike(n: int, shift: float) -> None:
    """Equal losses of other answers, and a constant difference, are what they are on the whole."""
    truth = np.arange(n) * 2.0
    base, head = truth + 1, truth - 1 + shift
    pair = RegressionSample.of(truth, base), RegressionSample.of(truth, head)
    assert_alike(in_parts(split(pair, 3, 1), REGRESSION[:1]), estimate(*pair, REGRESSION[:1]))
    grades = ScoreSample.of(truth), ScoreSample.of(truth + shift)
    assert_alike(in_parts(split(grades, 3, 1), SCORES), estimate(*grades, SCORES))


def test_what_is_too_large_to_sum_is_told_alike() -> None:
    """Numbers that overflow as they are squared or summed have no mean, within a part or as parts are merged."""
    huge, other = ScoreSample.of([1.7e308] * 4), ScoreSample.of([1.6e308] * 4)
    assert_alike(finish(collect(huge, other, SCORES)), estimate(huge, other, SCORES))
    parts = split((ScoreSample.of([1e200, -1e200]), ScoreSample.of([2e200, -1e200])), 2, 5)
    found = in_parts(parts, SCORES)[SCORES[0]]
    assert isinstance(found, Insufficient)
    assert found.reason == "its scores are too large to be squared or summed"
    truth = np.zeros(4)
    wild = RegressionSample.of(truth, [1e200, 0, 1, 2]), RegressionSample.of(truth, [0, 0, 1, 2])
    assert_alike(finish(collect(*wild, REGRESSION[:2])), estimate(*wild, REGRESSION[:2]))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 999), bins=st.integers(2, 40))
def test_bins_falsify_ranks_by_no_more_than_their_bound(seed: int, bins: int) -> None:
    """With coarse bins, the AUC and the average precision are off by at most what their caution says."""
    pair = binary(80, seed, levels=10**9)
    edges = np.arange(1, bins) / bins
    found = make_tables(collect(*pair, RANKS, edges=edges))
    for measure, table in found.items():
        for side, sample in ((table.base, pair[0]), (table.head, pair[1])):
            exact = sample.measure(measure)
            assert hasattr(exact, "value")
            assert abs(side.value - exact.value) <= side.bound + 1e-12
            assert math.isfinite(side.bound)


def test_the_bound_is_told() -> None:
    """Scores that share bins carry a caution with the bound, and fine bins are near the exact answer."""
    pair = binary(20_000, 8, levels=10**9)
    parts = split(pair, 3, 0)
    whole = reduce(merge, [collect(*part, RANKS) for part in parts])
    tables = make_tables(whole)
    answers = finish(whole, reduce(merge_ranks, [collect_ranks(*part, tables) for part in parts]))
    for measure, expected in estimate(*pair, RANKS).items():
        found = answers[measure]
        assert isinstance(found, Estimate)
        assert isinstance(expected, Estimate)
        assert "scores were counted in bins: the value may be" in found.caution
        assert found.delta == pytest.approx(expected.delta, abs=0.02 * expected.se)
        assert found.se == pytest.approx(expected.se, rel=1e-3)


def test_slices_merge_by_their_key() -> None:
    """Slices that several parts know are summed, and one that a single part knows is kept."""
    pair = binary(300, 4)
    code = np.arange(300) % 3
    parts = []
    for rows in (np.arange(0, 100), np.arange(100, 300)):
        keys = code[rows] if rows[0] else np.minimum(code[rows], 1)
        chosen = {int(key): rows[keys == key] for key in np.unique(keys)}
        parts.append({key: collect(pair[0].select(at), pair[1].select(at), DECISIONS) for key, at in chosen.items()})
    merged = merge_slices(*parts)
    assert sorted(merged) == [0, 1, 2]
    third = np.flatnonzero((code == 2) & (np.arange(300) >= 100))
    expected = estimate(pair[0].select(third), pair[1].select(third), DECISIONS)
    assert_alike(finish(merged[2]), expected)
    assert merged[0].n + merged[1].n + merged[2].n == 300


def test_sums_are_small_and_travel() -> None:
    """A part can be sent to another process, and its size does not depend on its rows."""
    few, many = (collect(*binary(n, 1), BINARY) for n in (10, 20_000))
    sizes = [len(pickle.dumps(one)) for one in (few, many)]
    assert sizes[1] < sizes[0] + 200
    copy = pickle.loads(pickle.dumps(merge(many, few)))
    tables = make_tables(copy)
    ranks = reduce(merge_ranks, [collect_ranks(*binary(n, 1), tables) for n in (10, 20_000)])
    assert finish(copy, pickle.loads(pickle.dumps(ranks))) == finish(merge(many, few), ranks)


def test_what_does_not_fit_together_is_refused() -> None:
    """Other metrics, bins, centres, truths, lengths, weights, and a missing second pass are errors."""
    base, head = binary(30, 1)
    part = collect(base, head, BINARY)
    with pytest.raises(ValueError, match="other tasks, metrics or centres"):
        merge(part, collect(base, head, DECISIONS))
    with pytest.raises(ValueError, match="other tasks, metrics or centres"):
        merge(part, collect(base, head, BINARY, centre=1.0))
    with pytest.raises(ValueError, match="different bins"):
        merge(part, collect(base, head, BINARY, edges=PROBABILITY_EDGES[:5]))
    with pytest.raises(ValueError, match="second pass"):
        finish(part)
    with pytest.raises(ValueError, match="other metrics"):
        merge_ranks(collect_ranks(base, head, make_tables(part)), collect_ranks(base, head, {}))
    clustered = collect(base, head, BINARY, groups=np.arange(30))
    with pytest.raises(ValueError, match="clusters and sums without"):
        merge(part, clustered)
    with pytest.raises(ValueError, match="by text and by numbers"):
        merge(clustered, collect(base, head, BINARY, groups=np.arange(30).astype(str)))
    with pytest.raises(ValueError, match="one name for each unit"):
        collect(base, head, BINARY, groups=np.arange(29))
    with pytest.raises(ValueError, match="one name for each unit"):
        collect_ranks(base, head, make_tables(part), groups=np.arange(29))
    with pytest.raises(ValueError, match="second pass"):
        finish(clustered, collect_ranks(base, head, make_tables(part)))
    with pytest.raises(ValueError, match="same task and units"):
        collect(base, head.select(slice(0, 5)), BINARY)
    with pytest.raises(ValueError, match="other truths"):
        collect(base, BinarySample.of(~base.label, head.score), BINARY)
    with pytest.raises(ValueError, match="weighted"):
        collect(base, BinarySample.of(base.label, head.score, weight=np.ones(30)), BINARY)
    with pytest.raises(ValueError, match="unknown metric"):
        collect(base, head, REGRESSION)
