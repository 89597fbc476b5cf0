"""Metrics of rankings, held against scikit-learn's NDCG and against all orders of tied documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_rel
from sklearn.metrics import ndcg_score

from seatrial.stats.estimates import estimate, estimate_slices
from seatrial.stats.influence import Influence, Undefined
from seatrial.stats.names import SPECS, Measure, Task
from seatrial.stats.paired import Estimate
from seatrial.stats.retrieval import RankingSample
from tests.unit.stats.derivatives import influences

Floats = NDArray[np.float64]
Query = tuple[list[int], list[float]]
MEASURES = (
    Measure(name="ndcg", k=3),
    Measure(name="ndcg"),
    Measure(name="recall", k=2),
    Measure(name="precision", k=3),
    Measure(name="map"),
    Measure(name="mrr"),
)


def discounted(gains: Sequence[float], k: int) -> float:
    """DCG@k with linear gain."""
    return float(sum(gain / np.log2(rank + 1) for rank, gain in enumerate(gains[:k], start=1)))


def mean_precision(relevant: Sequence[float]) -> float:
    """Average precision of documents in a strict order."""
    ranks = [rank for rank, one in enumerate(relevant, start=1) if one > 0]
    return sum(found / rank for found, rank in enumerate(ranks, start=1)) / len(ranks)


# Of the relevances in a strict order, the best first.
ORDERED: dict[str, Callable[[Sequence[float], int], float]] = {
    "ndcg": lambda found, k: discounted(found, k) / discounted(sorted(found, reverse=True), k),
    "recall": lambda found, k: sum(one > 0 for one in found[:k]) / sum(one > 0 for one in found),
    "precision": lambda found, k: sum(one > 0 for one in found[:k]) / k,
    "map": lambda found, _: mean_precision(found),
    "mrr": lambda found, _: 1 / next(rank for rank, one in enumerate(found, start=1) if one > 0),
}


def by_all_orders(measure: Measure, query: Query) -> float:
    """The mean of the metric over all orders that the scores allow, by trying each."""
    relevance, score = query
    orders = [p for p in permutations(range(len(score))) if all(score[a] >= score[b] for a, b in pairwise(p))]
    k = measure.k or 10
    return float(np.mean([ORDERED[measure.name]([relevance[at] for at in order], k) for order in orders]))


def sample_of(queries: Sequence[Query], weight: Sequence[float] | None = None, seed: int = 0) -> RankingSample:
    """The queries as one sample, their rows shuffled."""
    names = np.repeat(np.arange(len(queries)), [len(score) for _, score in queries])
    relevance = np.concatenate([np.asarray(one, dtype=float) for one, _ in queries])
    score = np.concatenate([one for _, one in queries])
    mix = np.random.default_rng(seed).permutation(names.size)
    weights = None if weight is None else np.asarray(weight)[names][mix]
    return RankingSample.of(names[mix], relevance[mix], score[mix], weight=weights)


def values(found: Influence | Undefined) -> Influence:
    """The influence, where the metric is defined."""
    assert isinstance(found, Influence), found
    return found


@st.composite
def rankings(draw: st.DrawFn) -> list[Query]:
    """One to five queries of one to five documents, many tied; the first has a relevant one."""

    def query() -> Query:
        size = draw(st.integers(1, 5))
        relevance = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
        score = draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=size, max_size=size))
        return relevance, score

    queries = [query() for _ in range(draw(st.integers(1, 5)))]
    queries[0][0][0] = 2
    return queries


def test_every_metric_has_an_oracle() -> None:
    """What a configuration may name for rankings is what is tested here."""
    assert set(SPECS[Task.RANKING]) == set(ORDERED) == {measure.name for measure in MEASURES}


@pytest.mark.parametrize("measure", MEASURES, ids=str)
@settings(deadline=None, max_examples=40, derandomize=True)
@given(queries=rankings(), weighted=st.booleans(), seed=st.integers(0, 9))
def test_each_value_is_its_mean_over_all_orders_of_ties(
    measure: Measure, queries: list[Query], *, weighted: bool, seed: int
) -> None:
    """Value and ψ equal those of the mean over queries, each the mean over all orders of its tied documents."""
    weight = np.linspace(0.5, 2.5, len(queries)) if weighted else np.ones(len(queries))
    counted = np.array([any(relevance) for relevance, _ in queries])
    each = np.array([by_all_orders(measure, one) if any(one[0]) else 0.0 for one in queries])
    sample = sample_of(queries, weight=weight.tolist() if weighted else None, seed=seed)
    found = values(sample.measure(measure))

    def mean(weights: Floats) -> float:
        return float(weights @ each / (weights @ counted))

    assert found.value == pytest.approx(mean(weight), rel=1e-12)
    np.testing.assert_allclose(found.psi, influences(mean, weight), atol=1e-6)
    assert found.psi.sum() == pytest.approx(0, abs=1e-12 * found.psi.size)


@pytest.mark.parametrize("k", [1, 3, 10, 60])
def test_ndcg_is_that_of_scikit_learn(k: int) -> None:
    """Fifty queries of forty graded documents with coarse scores: the mean of scikit-learn's tie-averaged NDCG."""
    rng = np.random.default_rng(5)
    relevance, score = rng.integers(0, 4, (50, 40)), rng.integers(0, 12, (50, 40)) / 4
    sample = RankingSample.of(np.repeat(np.arange(50), 40), relevance.ravel(), score.ravel())
    assert values(sample.measure(Measure(name="ndcg", k=k))).value == pytest.approx(ndcg_score(relevance, score, k=k))


def test_documented_value_of_ndcg() -> None:
    """The example of scikit-learn's documentation, 0.69…, comes out."""
    sample = RankingSample.of([0] * 5, [10, 0, 0, 1, 5], [0.1, 0.2, 0.3, 4, 70])
    assert values(sample.measure(Measure(name="ndcg"))).value == pytest.approx(0.6956940443813076)


@pytest.mark.parametrize("name", ["map", "mrr"])
def test_long_ties_stay_exact(name: str) -> None:
    """The one relevant document in a tie of a thousand is at each of their ranks with the same probability."""
    score, relevance = np.arange(1100) < 100, np.arange(1100) == 500
    found = values(RankingSample.of(np.zeros(1100, dtype=int), relevance, score).measure(Measure(name=name)))
    assert found.value == pytest.approx(np.mean(1 / np.arange(101, 1101)), rel=1e-12)


def test_mrr_of_a_tie_that_is_all_relevant() -> None:
    """Where each document of a long tie is relevant, its first rank is certain."""
    relevance = np.arange(1100) >= 100
    found = RankingSample.of(np.zeros(1100, dtype=int), relevance, ~relevance).measure(Measure(name="mrr"))
    assert values(found).value == pytest.approx(1 / 101, rel=1e-12)


def test_mrr_of_many_ties_is_that_of_chance() -> None:
    """Where all scores are equal, MRR is the mean that shuffling gives."""
    rng = np.random.default_rng(3)
    relevance = np.arange(300) < 7
    found = values(RankingSample.of(np.zeros(300, dtype=int), relevance, np.zeros(300)).measure(Measure(name="mrr")))
    shuffled = [1 / (1 + int(np.argmax(rng.permutation(relevance)))) for _ in range(20_000)]
    assert found.value == pytest.approx(np.mean(shuffled), rel=0.05)


def test_queries_without_a_relevant_document_do_not_count() -> None:
    """Such a query changes neither value nor support, has no influence, and alone is no value."""
    good: Query = ([1, 0], [0.2, 0.7])
    without = sample_of([good, ([1], [0.5])])
    with_one = sample_of([good, ([0, 0], [0.1, 0.2]), ([1], [0.5])])
    for measure in MEASURES:
        few, many = values(without.measure(measure)), values(with_one.measure(measure))
        assert (many.value, many.support, many.psi[1]) == (few.value, few.support, 0.0)
    nothing = sample_of([([0, 0], [0.1, 0.2])]).measure(Measure(name="mrr"))
    assert nothing == Undefined(reason="no query has a relevant document")


def test_select_takes_whole_queries() -> None:
    """A sub-sample of queries measures like a sample of these queries alone, in the order asked for."""
    queries: list[Query] = [([1, 0, 2], [0.1, 0.7, 0.1]), ([0, 3], [0.4, 0.5]), ([1], [1.0])]
    sample = sample_of(queries, weight=[1, 2, 3], seed=4)
    for units in (np.array([2, 0]), slice(0, 3, 2), slice(1, 3), slice(None, None, -1)):
        chosen = sample.select(units)
        order = np.arange(3)[units]
        direct = sample_of([queries[at] for at in order], weight=[[1.0, 2.0, 3.0][at] for at in order])
        assert chosen.queries.tolist() == order.tolist()
        for measure in MEASURES:
            np.testing.assert_allclose(values(chosen.measure(measure)).psi, values(direct.measure(measure)).psi)


def test_queries_are_estimated_like_rows() -> None:
    """The engine takes rankings as samples: the interval is that of the paired t of each query's value."""
    rng = np.random.default_rng(12)
    query, relevance = np.repeat(np.arange(80), 10), rng.integers(0, 3, 800)
    scores = [relevance + rng.normal(size=800) * noise for noise in (2.0, 1.5)]
    base, head = (RankingSample.of(query, relevance, score) for score in scores)
    measure = Measure(name="ndcg", k=5)
    sides = [[one.select(slice(at, at + 1)).measure(measure) for at in range(80)] for one in (base, head)]
    before, after = ([values(found).value for found in side] for side in sides)
    expected = ttest_rel(after, before).confidence_interval(0.95)
    for found in (
        estimate(base, head, [measure]),
        estimate_slices(base, head, [measure], np.zeros(80, int), min_n=5)[0],
    ):
        one = found[measure]
        assert isinstance(one, Estimate)
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high))


def test_no_queries_have_no_value() -> None:
    """An empty sample, and an empty selection, are Undefined."""
    for sample in (RankingSample.of([], [], []), sample_of([([1], [1.0])]).select(slice(0, 0))):
        assert sample.measure(Measure(name="map")) == Undefined(reason="there are no queries")


def test_answers_are_alike_only_if_each_document_is() -> None:
    """Two documents of equal relevance that swap their scores are another answer, though no metric moves."""
    one = RankingSample.of([0, 0, 0], [1, 1, 0], [0.9, 0.5, 0.1])
    same = RankingSample.of([0, 0, 0], [1, 1, 0], [0.9, 0.5, 0.1])
    swapped = RankingSample.of([0, 0, 0], [1, 1, 0], [0.5, 0.9, 0.1])
    weighted = RankingSample.of([0, 0, 0], [1, 1, 0], [0.9, 0.5, 0.1], weight=[2, 2, 2])
    mrr = Measure(name="mrr")
    assert one.answers_like(same, mrr)
    assert not one.answers_like(swapped, mrr)
    assert not one.answers_like(weighted, mrr)


@pytest.mark.parametrize(
    ("relevance", "score", "reason"),
    [
        ([1, -1], [0.5, 0.5], "0 or above"),
        ([1, 0], [0.5, np.nan], "scores are not one finite"),
        ([1], [0.5, 0.5], "relevances are not one finite"),
    ],
)
def test_bad_arrays_are_refused(relevance: list[float], score: list[float], reason: str) -> None:
    """Negative relevances, NaN and unequal lengths are errors."""
    with pytest.raises(ValueError, match=reason):
        RankingSample.of([0, 0], relevance, score)


@pytest.mark.parametrize("measure", [Measure(name="auc"), Measure(name="map", k=3), Measure(name="ndcg", k=0)])
def test_unknown_names_and_settings_are_refused(measure: Measure) -> None:
    """A metric of another task, a setting that it does not take, or a cutoff of 0 is a ValueError."""
    with pytest.raises(ValueError, match=r"unknown metric|takes no|below 1"):
        sample_of([([1], [1.0])]).measure(measure)
