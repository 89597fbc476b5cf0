"""From predictions to samples: units, clusters, slices, classes, and which decisions are right."""

from __future__ import annotations

import io
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.config.evaluations import Columns
from seatrial.errors import CompareError
from seatrial.sources.predictions import SLICE, Cuts, Predictions, pair_predictions, read_predictions
from seatrial.sources.samples import build_samples, cut_units, find_right, find_units, number_clusters
from seatrial.stats.multiclass import MulticlassSample
from seatrial.stats.names import Measure, Task
from seatrial.stats.retrieval import RankingSample
from seatrial.stats.scores import ScoreSample

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=3)


def read(table: pl.DataFrame, task: Task, columns: Columns, cuts: Cuts | None = None) -> Predictions:
    """The table after a way through Parquet."""
    stream = io.BytesIO()
    table.write_parquet(stream)
    return read_predictions(stream.getvalue(), path="p.parquet", task=task, columns=columns, cuts=cuts)


SCORED = Columns(key=("prompt", "draw"), score="grade", query="prompt", group="topic", weight="w")
DRAWS = pl.DataFrame(
    {
        "prompt": ["b", "a", "b", "c", "a", "b"],
        "draw": [1, 1, 2, 1, 2, 3],
        "grade": [3.0, 1.0, 4.0, 9.0, 2.0, 5.0],
        "topic": ["x", "y", "x", "y", "y", "x"],
        "w": [1.0, 2.0, 1.0, 3.0, 2.0, 1.0],
        "lang": ["de", "en", "de", None, "en", "de"],
    }
)


class TestUnits:
    """A query's rows are one unit; what is said of it stands where the sample has it."""

    def test_units_stand_as_the_sample_has_them(self) -> None:
        """Means, weights, clusters and slices are of the same query, in one order."""
        side = read(DRAWS, Task.SCORES, SCORED, Cuts(columns=("lang",)))
        (sample,) = build_samples((side,), (0.5,))
        assert isinstance(sample, ScoreSample)
        units = find_units(side)
        assert sample.mean.tolist() == [1.5, 4.0, 9.0]
        assert sample.draws.tolist() == [2, 3, 1]
        assert sample.weight is not None
        assert sample.weight.tolist() == [2.0, 1.0, 3.0]
        assert units["query"].to_list() == ["a", "b", "c"]
        clusters = number_clusters(units)
        assert clusters is not None
        assert clusters.tolist() == [1, 0, 1]
        (cut,) = cut_units(units, [("lang",)], ())
        assert [cut.names[code] for code in cut.codes] == ["lang=en", "lang=de", "lang=(missing)"]

    def test_documents_of_a_ranking(self) -> None:
        """The queries of the sample are those of the units, whatever the order of the rows."""
        table = pl.DataFrame(
            {
                "q": [10, 9, 10, 9],
                "d": [1, 1, 2, 2],
                "rel": [0, 1, 1, 0],
                "s": [0.5, 0.9, 0.1, 0.2],
                "lang": [1, 2, 1, 2],
            }
        )
        columns = Columns(key=("q", "d"), label="rel", score="s", query="q")
        side = read(table, Task.RANKING, columns, Cuts(columns=("lang",)))
        (sample,) = build_samples((side,), (0.5,))
        assert isinstance(sample, RankingSample)
        units = find_units(side)
        # Both are in the order of the names, 10 before 9.
        assert units["query"].to_list() == ["10", "9"]
        (cut,) = cut_units(units, [("lang",)], ())
        by_language = {cut.names[code]: sample.select(np.array([i])) for i, code in enumerate(cut.codes)}
        values = {name: getattr(one.measure(Measure(name="mrr")), "value", None) for name, one in by_language.items()}
        assert values == {"lang=1": 0.5, "lang=2": 1.0}

    @pytest.mark.parametrize("column", ["w", "topic", "lang"])
    def test_a_query_that_is_split_is_refused(self, column: str) -> None:
        """Which of its rows would count is not for us to choose."""
        odd = DRAWS.with_columns(
            pl.when(pl.col("draw") == 3).then(pl.col(column).shift(2)).otherwise(column).alias(column)
        )
        with pytest.raises(
            CompareError, match=rf"'{column}' differs between rows of one prompt in 3 of 6 rows, first at"
        ):
            read(odd, Task.SCORES, SCORED, Cuts(columns=("lang",)))


class TestSlices:
    """Each unit is in one part of each slicing."""

    @settings(max_examples=60, deadline=None)
    @given(rows=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=30))
    def test_crosses_say_what_each_row_says(self, rows: list[tuple[str, str]]) -> None:
        """The name of a row's part is made of its own values, whatever characters these have."""
        units = pl.DataFrame({f"{SLICE}a": [a for a, _ in rows], f"{SLICE}b": [b for _, b in rows]})
        single, cross = cut_units(units, [("a",), ("a", "b")], ())
        assert [single.names[code] for code in single.codes] == [f"a={a}" for a, _ in rows]
        assert [cross.names[code] for code in cross.codes] == [f"a={a}, b={b}" for a, b in rows]
        assert len(cross.names) == len({cross.names[code] for code in cross.codes})

    def test_many_values(self) -> None:
        """Ten thousand by ten: only the crosses that are there get a number."""
        pairs = list(product(range(10_000), range(10)))[::3]
        units = pl.DataFrame({f"{SLICE}u": [str(u) for u, _ in pairs], f"{SLICE}v": [str(v) for _, v in pairs]})
        (cut,) = cut_units(units, [("u", "v")], ())
        assert len(cut.names) == len(pairs)
        assert sorted(cut.codes.tolist()) == list(range(len(pairs)))

    def test_conditions(self) -> None:
        """A row is in or out; where the condition can't tell, it is out."""
        table = pl.DataFrame({"id": [1, 2, 3], "y": [0, 1, 0], "p": [0.1, 0.2, 0.3], "hour": [23, None, 3]})
        cuts = Cuts(where=(("night", "hour >= 22"), ("early", "hour < 5")))
        side = read(table, Task.BINARY, Columns(key=("id",), label="y", score="p"), cuts)
        night, early = cut_units(find_units(side), (), ["night", "early"])
        assert (night.names, night.codes.tolist()) == (("night",), [0, -1, -1])
        assert (early.names, early.codes.tolist()) == (("early",), [-1, -1, 0])


class TestDecisions:
    """Which rows were decided right."""

    def test_binary(self) -> None:
        """A score that reaches the threshold decides for the positive class."""
        table = pl.DataFrame({"id": [1, 2, 3, 4], "y": [0, 1, 0, 1], "p": [0.4, 0.4, 0.3, 0.3]})
        side = read(table, Task.BINARY, Columns(key=("id",), label="y", score="p"))
        found = find_right(side, 0.4)
        assert found is not None
        assert found.tolist() == [False, True, True, False]

    def test_classes(self) -> None:
        """By the predicted name, or else by the likeliest class; both agree with the accuracy."""
        table = pl.DataFrame(
            {
                "id": [1, 2, 3],
                "y": ["a", "b", "c"],
                "g": ["a", "c", "c"],
                "pa": [0.5, 0.1, 0.2],
                "pb": [0.3, 0.2, 0.2],
                "pc": [0.2, 0.7, 0.6],
            }
        )
        chances = (("a", "pa"), ("b", "pb"), ("c", "pc"))
        for columns in (
            Columns(key=("id",), label="y", prediction="g"),
            Columns(key=("id",), label="y", probabilities=chances),
        ):
            side = read(table, Task.MULTICLASS, columns)
            found = find_right(side, 0.5)
            assert found is not None
            assert found.tolist() == [True, False, True]
            (sample,) = build_samples((side,), (0.5,))
            assert getattr(sample.measure(Measure(name="accuracy")), "value", None) == pytest.approx(2 / 3)

    def test_a_number_is_no_decision(self) -> None:
        """Regression has none."""
        table = pl.DataFrame({"id": [1, 2], "y": [1.0, 2.0], "g": [1.0, 2.0]})
        assert find_right(read(table, Task.REGRESSION, Columns(key=("id",), label="y", prediction="g")), 0.5) is None


def test_classes_have_one_number_on_both_sides() -> None:
    """A class that only one model predicts does not shift the others."""
    columns = Columns(key=("id",), label="y", prediction="g")
    base = pl.DataFrame({"id": [1, 2, 3], "y": ["b", "c", "b"], "g": ["b", "c", "c"]})
    head = base.with_columns(g=pl.Series(["a", "c", "b"]))
    pairs = pair_predictions(*(read(side, Task.MULTICLASS, columns) for side in (base, head)))
    samples = build_samples((pairs.base, pairs.head), (0.5, 0.5))
    assert all(isinstance(sample, MulticlassSample) for sample in samples)
    accuracy = Measure(name="accuracy")
    assert [getattr(sample.measure(accuracy), "value", None) for sample in samples] == pytest.approx([2 / 3, 2 / 3])
