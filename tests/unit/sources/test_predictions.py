"""Predictions files: what is read, what is refused, and how two sides are paired."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seatrial.config.evaluations import Columns
from seatrial.errors import CompareError
from seatrial.sources.predictions import LABEL, SCORE, Pairs, Predictions, pair_predictions, read_predictions
from seatrial.sources.samples import build_samples, find_units, number_clusters
from seatrial.stats.estimates import estimate
from seatrial.stats.names import Measure, Task

COLUMNS = Columns(key=("flight",), label="late", score="probability")
CLUSTERED = Columns(key=("flight",), label="late", score="probability", group="tail")
ROWS = pl.DataFrame(
    {
        "carrier": ["AA", "UA", "AA", "B6"],
        "flight": [11, 7, 5, 9],
        "late": [0, 1, 0, 1],
        "probability": [0.1, 0.8, 0.4, 0.6],
        "tail": ["N1", "N2", "N1", "N3"],
    }
)


def parquet(table: pl.DataFrame) -> bytes:
    """The table as the bytes of a Parquet file."""
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def read(table: pl.DataFrame, columns: Columns = COLUMNS) -> Predictions:
    """The table after a way through Parquet."""
    return read_predictions(parquet(table), path="reports/predictions.parquet", task=Task.BINARY, columns=columns)


def labels(side: Predictions) -> list[bool]:
    """The true labels, in the order of the rows."""
    return side.table[LABEL].to_list()


def scores(side: Predictions) -> list[float]:
    """The scores, in the order of the rows."""
    return side.table[SCORE].to_list()


def clusters(pairs: Pairs) -> list[int]:
    """The number of each row's cluster."""
    found = number_clusters(find_units(pairs.head))
    assert found is not None
    return [int(code) for code in found]


def arrow(table: pl.DataFrame) -> bytes:
    """The table as the bytes of an Arrow file."""
    stream = io.BytesIO()
    table.write_ipc(stream)
    return stream.getvalue()


FORMATS = {
    "p.parquet": parquet(ROWS),
    "p.csv": ROWS.write_csv().encode(),
    "p.jsonl": ROWS.write_ndjson().encode(),
    "P.NDJSON": ROWS.write_ndjson().encode(),
    "p.arrow": arrow(ROWS),
}


class TestReading:
    """One side."""

    @pytest.mark.parametrize("path", FORMATS)
    def test_every_format_gives_the_same_rows(self, path: str) -> None:
        """Parquet, CSV and JSON lines hold the same labels and scores, in the order of the file."""
        found = read_predictions(FORMATS[path], path=path, task=Task.BINARY, columns=COLUMNS)
        assert labels(found) == [False, True, False, True]
        assert scores(found) == [0.1, 0.8, 0.4, 0.6]

    @pytest.mark.parametrize("path", FORMATS)
    def test_a_file_of_any_name_is_read_as_what_the_project_calls_it(self, path: str, tmp_path: Path) -> None:
        """DVC's cache names files by digest, and a glob in a name is no glob."""
        file = tmp_path / "[a]*?"
        file.write_bytes(FORMATS[path])
        (tmp_path / "ab").write_bytes(b"another file that the pattern would match")
        found = read_predictions(file, path=path, task=Task.BINARY, columns=COLUMNS)
        assert scores(found) == [0.1, 0.8, 0.4, 0.6]

    @pytest.mark.parametrize(
        "label",
        [
            pl.Series([False, True, False, True]),
            pl.Series([0.0, 1.0, 0.0, 1.0]),
            pl.Series([0, 1, 0, 1], dtype=pl.UInt8),
            pl.Series(["0", "1", "0", "1"]),
            pl.Series(["False", "True", "false", " TRUE "]),
        ],
    )
    def test_labels_of_every_writing(self, label: pl.Series) -> None:
        """Booleans, whole numbers and their text mean the same."""
        assert labels(read(ROWS.with_columns(late=label))) == [False, True, False, True]

    def test_single_precision_scores_are_read(self) -> None:
        """Scores in float32 become float64 without another loss."""
        found = read(ROWS.with_columns(pl.col("probability").cast(pl.Float32)))
        assert found.table[SCORE].dtype == pl.Float64
        assert scores(found) == np.array([0.1, 0.8, 0.4, 0.6], dtype=np.float32).tolist()


class TestRefusing:
    """One clear error that names file and column, and nothing read."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"flight": [11, 7, 5, 7]}, "the key flight is not unique in 2 of 4 rows, first at flight=7"),
            ({"flight": [11, None, 5, 9]}, "column 'flight' is empty in 1 of 4 rows, first at flight=None"),
            ({"flight": [1.5, 2.5, 3.5, 4.5]}, "the key column 'flight' holds Float64, which can't identify a row"),
            ({"flight": [[1], [2], [3], [4]]}, "the key column 'flight' holds List(Int64)"),
            ({"late": [0, 1, 2, 7]}, "column 'late' is neither 0 nor 1 (but 2, 7) in 2 of 4 rows, first at flight=5"),
            ({"late": ["no", "1", "0", "1"]}, "column 'late' is neither 0 nor 1 (but 'no') in 1 of 4 rows"),
            ({"late": [0.5, 1, 0, 1]}, "column 'late' is neither 0 nor 1 (but 0.5)"),
            ({"late": [0, 1, None, 1]}, "column 'late' is empty in 1 of 4 rows, first at flight=5"),
            ({"late": [0, 1, float("nan"), 1]}, "column 'late' is neither 0 nor 1 (but nan)"),
            ({"probability": [0.1, None, 0.4, 0.6]}, "column 'probability' is empty in 1 of 4 rows, first at flight=7"),
            ({"probability": [0.1, float("nan"), 0.4, 0.6]}, "column 'probability' is no finite number in 1 of 4 rows"),
            ({"probability": ["0.1", "high", "0.4", "0.6"]}, "column 'probability' is no finite number in 1 of 4 rows"),
            ({"probability": [0.1, 1.2, -0.4, 0.6]}, "it lies outside of 0 to 1 in 2 of 4 rows, first at flight=7"),
            ({"probability": [0.1, float("inf"), 0.4, 0.6]}, "column 'probability' is no finite number in 1 of 4 rows"),
        ],
    )
    def test_unusable_rows(self, change: dict[str, list[object]], message: str) -> None:
        """Rows that can't be used are counted, and the first one is named by its key."""
        table = ROWS.with_columns(**{name: pl.Series(values, strict=False) for name, values in change.items()})
        with pytest.raises(CompareError) as caught:
            read(table)
        assert caught.value.message.startswith("reports/predictions.parquet: ")
        assert message in caught.value.message

    @pytest.mark.parametrize("path", FORMATS)
    def test_missing_column(self, path: str) -> None:
        """A column that is not there is named, with the nearest one that is."""
        columns = Columns(key=("flight",), label="late", score="probabilty")
        with pytest.raises(CompareError) as caught:
            read_predictions(FORMATS[path], path=path, task=Task.BINARY, columns=columns)
        assert caught.value.message == f"{path} has no column 'probabilty'"
        assert caught.value.hint.startswith("did you mean 'probability'? it has 'carrier', 'flight', 'late', ")

    @pytest.mark.parametrize(
        "content", [b"", b"hello", b"\xff\xfe\x00", pickle.dumps({"flight": 1}), parquet(ROWS)[:-9]]
    )
    @pytest.mark.parametrize("path", FORMATS)
    def test_content_that_is_no_table(self, content: bytes, path: str) -> None:
        """Whatever the bytes are, the answer is one error that names the file."""
        with pytest.raises(CompareError, match=path):
            read_predictions(content, path=path, task=Task.BINARY, columns=COLUMNS)

    def test_damaged_parquet(self) -> None:
        """A file with any one byte flipped is read, or refused as that file; polars' panics do not get through."""
        whole = FORMATS["p.parquet"]
        messages: list[str] = []
        for place in range(0, len(whole), 3):
            damaged = bytearray(whole)
            damaged[place] ^= 0xFF
            try:
                read_predictions(bytes(damaged), path="p.parquet", task=Task.BINARY, columns=COLUMNS)
            except CompareError as error:
                messages.append(error.message)
        assert len(messages) > len(whole) // 6
        assert all(message.startswith("p.parquet") for message in messages)

    def test_no_rows(self) -> None:
        """An empty table is no evaluation."""
        with pytest.raises(CompareError, match=r"reports/predictions.parquet has no rows"):
            read(ROWS.clear())

    def test_unknown_suffix(self) -> None:
        """Other formats are refused by name, pickles among them, and the known ones are told."""
        with pytest.raises(CompareError, match=r"predictions.pkl: the suffix .pkl is of no format") as caught:
            read_predictions(b"", path="reports/predictions.pkl", task=Task.BINARY, columns=COLUMNS)
        assert caught.value.hint == "write them as .parquet, .csv, .jsonl, .ndjson, .arrow, .feather"

    def test_absent_file(self, tmp_path: Path) -> None:
        """A path that holds nothing is refused with the project's name of it."""
        with pytest.raises(CompareError, match=r"^p.csv can't be read as csv"):
            read_predictions(tmp_path / "absent", path="p.csv", task=Task.BINARY, columns=COLUMNS)

    def test_a_long_value_is_cut(self) -> None:
        """Text out of the file takes only so much of a message."""
        table = ROWS.with_columns(late=pl.Series(["x" * 10_000, "1", "0", "1"]))
        with pytest.raises(CompareError) as caught:
            read(table)
        assert len(caught.value.message) < 250


NAMED = Columns(key=("id",), label="kind", prediction="guess")
KINDS = pl.DataFrame({"id": [1, 2, 3], "kind": [0, 1, 2], "guess": [0, 2, 2]})


def read_named(table: pl.DataFrame, path: str = "p.parquet") -> Predictions:
    """Classes by name, after a way through a file."""
    content = table.write_csv().encode() if path.endswith(".csv") else parquet(table)
    return read_predictions(content, path=path, task=Task.MULTICLASS, columns=NAMED)


class TestClasses:
    """Names of classes: what is one class, and what would only look like another."""

    @pytest.mark.parametrize("kind", [pl.Int8, pl.UInt64, pl.Float32, pl.Float64, pl.String])
    def test_whole_numbers_are_one_name_whatever_their_type(self, kind: type[pl.DataType]) -> None:
        """Many a tool makes floats of whole numbers as soon as one is missing."""
        found = read_named(KINDS.with_columns(pl.col("kind", "guess").cast(kind)))
        assert found.table[LABEL].to_list() == ["0", "1", "2"]

    def test_large_and_broken_numbers_keep_their_digits(self) -> None:
        """Only what is exactly a whole number is written as one."""
        table = KINDS.with_columns(kind=pl.Series([0.5, 1.0, 1e200]), guess=pl.Series([0.5, 1.0, 1e200]))
        assert [float(name) for name in read_named(table).table[LABEL]] == [0.5, 1.0, 1e200]

    def test_one_number_in_two_writings(self) -> None:
        """Text keeps its letters: 1 and 1.0 in one CSV would be two classes."""
        table = KINDS.with_columns(pl.col("guess").cast(pl.Float64))
        with pytest.raises(CompareError, match=r"^p.csv: a class is written '0' here and '0.0' there") as caught:
            read_named(table, "p.csv")
        assert caught.value.hint.startswith("write the classes alike")
        sides = (
            read_named(KINDS, "p.csv"),
            read_named(KINDS.with_columns(pl.col("kind", "guess").cast(pl.Float64)), "p.csv"),
        )
        with pytest.raises(CompareError, match=r"a class is written '0' here and '0.0' there"):
            pair_predictions(*sides)

    def test_other_names_on_both_sides(self) -> None:
        """Sides without a common class were not measured on the same truth."""
        renamed = KINDS.with_columns(pl.format("kind {}", pl.col("kind", "guess")))
        with pytest.raises(CompareError, match=r"the baseline's classes \('0', '1', '2'\) are none of the candidate's"):
            pair_predictions(read_named(KINDS), read_named(renamed))

    @pytest.mark.parametrize("column", ["kind", "guess"])
    def test_values_that_are_no_names(self, column: str) -> None:
        """A list in a cell is refused by the column's name."""
        with pytest.raises(
            CompareError, match=rf"column '{column}' holds List\(Int64\), which is neither a number nor a name"
        ):
            read_named(KINDS.with_columns(pl.concat_list(column).alias(column)))


class TestManyFiles:
    """The files of a directory, as one table."""

    @pytest.mark.parametrize("path", FORMATS)
    def test_their_rows_follow_each_other(self, path: str, tmp_path: Path) -> None:
        """In the order in which they are given, whatever their names."""
        for name, part in (("a", ROWS.head(1)), ("[b]*", ROWS.tail(3))):
            content = {
                ".parquet": parquet(part), ".csv": part.write_csv().encode(), ".arrow": arrow(part)
            }.get(Path(path).suffix, part.write_ndjson().encode())  # fmt: skip
            (tmp_path / name).write_bytes(content)
        files = (tmp_path / "[b]*", tmp_path / "a")
        found = read_predictions(files, path=f"preds/*{Path(path).suffix}", task=Task.BINARY, columns=COLUMNS)
        assert scores(found) == [0.8, 0.4, 0.6, 0.1]


class TestPairing:
    """Two sides."""

    def test_rows_meet_by_key(self) -> None:
        """Whatever the order of the files, each row's two scores stand side by side, in the order of the keys."""
        other = ROWS.reverse().with_columns(probability=pl.Series([0.65, 0.45, 0.85, 0.15]))
        pair = pair_predictions(read(ROWS), read(other))
        assert labels(pair.head) == [False, True, True, False]
        assert scores(pair.base) == [0.4, 0.8, 0.6, 0.1]
        assert scores(pair.head) == [0.45, 0.85, 0.65, 0.15]
        assert (pair.n_base, pair.n_head, pair.size, pair.labels_changed) == (4, 4, 4, 0)
        assert pair.same_evaluation_set
        assert number_clusters(find_units(pair.head)) is None

    def test_other_rows_are_counted(self) -> None:
        """Rows of one side alone are left out of the arrays and counted, and the set is not the same."""
        pair = pair_predictions(read(ROWS.head(3)), read(ROWS.tail(3)))
        assert (pair.n_base, pair.n_head, pair.size) == (3, 3, 2)
        assert not pair.same_evaluation_set

    def test_changed_labels_are_counted_and_the_newest_count(self) -> None:
        """A label that differs is told, and both models are held against the candidate's."""
        pair = pair_predictions(read(ROWS), read(ROWS.with_columns(late=pl.Series([1, 1, 0, 1]))))
        assert pair.labels_changed == 1
        assert labels(pair.head) == [False, True, True, True]
        assert not pair.same_evaluation_set

    def test_several_key_columns(self) -> None:
        """Columns that identify a row only together are joined together."""
        columns = Columns(key=("carrier", "flight"), label="late", score="probability")
        table = ROWS.with_columns(flight=pl.Series([1, 1, 2, 1]))
        pair = pair_predictions(read(table, columns), read(table.reverse(), columns))
        assert scores(pair.head) == [0.1, 0.4, 0.6, 0.8]
        with pytest.raises(CompareError, match="the key flight is not unique in 3 of 4 rows"):
            read(table)

    def test_formats_meet(self) -> None:
        """Whole-number keys in Parquet find their text in CSV, and a leading zero is another key."""
        csv = read_predictions(
            FORMATS["p.csv"].replace(b",7,", b",007,"), path="p.csv", task=Task.BINARY, columns=COLUMNS
        )
        pair = pair_predictions(read(ROWS), csv)
        assert sorted(scores(pair.head)) == [0.1, 0.4, 0.6]

    def test_no_common_key(self) -> None:
        """Two sides without a common key can't be compared."""
        with pytest.raises(CompareError, match="no row of the candidate has a key of the baseline"):
            pair_predictions(read(ROWS), read(ROWS.with_columns(pl.col("flight") + 100)))

    def test_groups_are_numbered(self) -> None:
        """Rows with the same text in the group column have the same number, and others have others."""
        pair = pair_predictions(read(ROWS, CLUSTERED), read(ROWS, CLUSTERED))
        by_flight = dict(zip([5, 7, 9, 11], clusters(pair), strict=True))
        assert by_flight[5] == by_flight[11]
        assert len(set(by_flight.values())) == 3

    def test_the_digest_is_of_the_evaluation_set(self) -> None:
        """Neither the order of rows nor a score alters the digest; a label or a key does."""
        digest = pair_predictions(read(ROWS), read(ROWS)).digest
        rescored = ROWS.reverse().with_columns(probability=pl.lit(0.5))
        relabelled = ROWS.with_columns(late=pl.lit(1))
        assert pair_predictions(read(ROWS), read(rescored)).digest == digest
        assert pair_predictions(read(relabelled), read(relabelled)).digest != digest
        assert pair_predictions(read(ROWS), read(ROWS.head(3))).digest != digest

    def test_pairs_go_straight_into_the_estimates(self) -> None:
        """The arrays are what the statistics take, whatever the types were in the file."""
        rng = np.random.default_rng(3)
        table = pl.DataFrame(
            {
                "flight": [f"F{i}" for i in range(200)],
                "late": rng.integers(0, 2, 200),
                "probability": rng.random(200).astype(np.float32),
                "tail": rng.integers(0, 40, 200),
            }
        )
        other = table.with_columns(probability=pl.Series(rng.random(200)))
        pair = pair_predictions(read(table, CLUSTERED), read(other, CLUSTERED))
        base, head = build_samples((pair.base, pair.head), (0.5, 0.5))
        found = estimate(base, head, [Measure(name="roc_auc")], groups=np.array(clusters(pair)))
        assert found[Measure(name="roc_auc")].n == 200
