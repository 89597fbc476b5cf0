"""Tables that look like per-sample predictions, told by the names of their columns and by what is in them.

A guess is checked by the reader that will use it; what is not certain comes with its doubts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import polars as pl
from msgspec import Struct

from seatrial.config.evaluations import Columns
from seatrial.core.revision import Revision
from seatrial.errors import CompareError
from seatrial.git import Repository
from seatrial.sources.cache import Cache, open_cache
from seatrial.sources.frames import explain_damage, scan_table
from seatrial.sources.predictions import Predictions, read_predictions
from seatrial.sources.snapshot import open_revision
from seatrial.sources.tree import Tree, WorkTree
from seatrial.stats.names import Task

_SUFFIXES = frozenset({".parquet", ".csv", ".jsonl", ".ndjson", ".arrow", ".feather"})
_MAX_BYTES = 256 << 20
_MOST_FILES = 40
_MOST_CLASSES = 200
_TELLING = re.compile(r"pred|score|prob|eval|test|valid|infer|oof|out", re.IGNORECASE)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# In the order of how much they say.
_LABELS = _names("label y_true ytrue true_label target truth ground_truth groundtruth gt actual actuals y_test y class")
_SCORES = _names(
    "score probability proba prob y_prob y_proba y_score yprob yscore pred_proba pred_prob prediction_proba"
    " predicted_probability prob_1 proba_1 p_1 p1 probability_1"
)
_PREDICTIONS = _names("prediction y_pred ypred pred predicted predicted_label pred_label y_hat yhat forecast")
_KEYS = _names("id key uuid guid sample sample_id row_id example_id record_id")
_ROW_NUMBERS = _names("index idx row row_number unnamed: level_0 __index_level_0__")
_QUERIES = _names("query_id qid query session_id search_id")
_TRUTHS = frozenset(_names("0 1 0.0 1.0 true false"))
_WHOLE = re.compile(r"[-+]?\d+")


class Candidate(Struct, frozen=True, kw_only=True, eq=False):
    """A table that looks like predictions; `doubts` is empty where names and content leave none.

    `doubt_of_label` is apart: a metrics file that comes out of the table settles it.
    """

    path: str
    task: Task
    columns: Columns
    rows: int
    predictions: Predictions | None = None
    doubts: tuple[str, ...] = ()
    doubt_of_label: str = ""


def find_candidates(repository: Repository, revision: Revision) -> tuple[Candidate, ...]:
    """The prediction-like tables among a revision's outputs whose bytes are here, by their paths."""
    found = [_examine(path, place) for path, place in _list_tables(repository, revision)]
    return tuple(one for one in found if one is not None)


def _list_tables(repository: Repository, revision: Revision) -> list[tuple[str, Path]]:
    """Tables that are outputs or lie in one, those first whose names sound like predictions."""
    tree, project = open_revision(repository, revision)
    cache = open_cache(repository.root, project.roots)
    tables = {
        name: place
        for path, record in project.outs.items()
        for name, place in _list_files(tree, cache, path, record.digest)
        if PurePosixPath(name).suffix.lower() in _SUFFIXES and place.stat().st_size <= _MAX_BYTES
    }
    telling = sorted(tables, key=lambda name: (not _TELLING.search(name), name))
    return sorted((name, tables[name]) for name in telling[:_MOST_FILES])


def _list_files(tree: Tree, cache: Cache, path: str, digest: str) -> Iterator[tuple[str, Path]]:
    """An output's files and where they are: in the work tree, else in DVC's cache."""
    if isinstance(tree, WorkTree) and tree.locate(path):
        places = ((name, tree.locate(name)) for name in tree.expand(path))
        yield from ((name, place) for name, place in places if place and place.is_file())
        return
    try:
        out = cache.expand(path, digest) if digest else None
    except CompareError:
        return  # a damaged directory of the cache is told where it counts
    for file in out.files if out else ():
        if file.location:
            yield (f"{path}/{file.path}" if file.path else path), file.location


def _examine(path: str, place: Path) -> Candidate | None:
    try:
        with explain_damage(path):
            table = scan_table(place, path)
            roles = _Roles.find(table.collect_schema().names())
            if not (roles.score or roles.prediction):
                return None
            return _guess(path, place, table.collect(), roles)
    except CompareError:
        return None  # not a table, whatever its name says


class _Roles(Struct, frozen=True, kw_only=True):
    """The columns by their names; those that tell nothing are `others`."""

    label: str | None
    score: str | None
    prediction: str | None
    query: str | None
    others: tuple[str, ...]

    @classmethod
    def find(cls, columns: Sequence[str]) -> _Roles:
        """Sort columns by what their names say."""
        chosen = {
            "label": _first(columns, _LABELS),
            "score": _first(columns, _SCORES),
            "prediction": _first(columns, _PREDICTIONS),
            "query": _first(columns, _QUERIES),
        }
        return cls(**chosen, others=tuple(name for name in columns if name not in chosen.values()))


def _first(columns: Sequence[str], known: Sequence[str]) -> str | None:
    spelled = {re.sub(r"[\s.-]+", "_", name.strip().lower()): name for name in reversed(columns)}
    return next((spelled[name] for name in known if name in spelled), None)


def _guess(path: str, place: Path, table: pl.DataFrame, roles: _Roles) -> Candidate | None:
    doubts: list[str] = []
    doubt_of_label, label = "", roles.label
    if label is None:
        label = next((name for name in roles.others if _is_truth(table[name])), None)
        if label is None:
            return None
        doubt_of_label = f"is {label} the truth?"
    key, doubt = _find_key(table, [name for name in roles.others if name != label])
    doubts += [doubt] if doubt else []
    task = _find_task(table, label, roles)
    if task is None:
        return None
    if task is Task.RANKING:
        doubts.append("it is taken for a ranking because of the column of queries")
    columns = _pick_columns(task, key, label, roles)
    predictions = None
    if key:
        try:
            predictions = read_predictions(place, path=path, task=task, columns=columns)
        except CompareError as error:
            doubts.append(error.message)
    return Candidate(
        path=path,
        task=task,
        columns=columns,
        rows=table.height,
        predictions=predictions,
        doubts=tuple(doubts),
        doubt_of_label=doubt_of_label,
    )


def _find_task(table: pl.DataFrame, label: str, roles: _Roles) -> Task | None:
    if roles.query and roles.score:
        return Task.RANKING
    if roles.score and _is_truth(table[label]) and _is_share(table[roles.score]):
        return Task.BINARY
    if roles.prediction is None:
        return None
    answers, truth = table[roles.prediction], table[label]
    classes = set(truth.cast(pl.String).unique().to_list())
    if len(classes) <= _MOST_CLASSES and set(answers.cast(pl.String).unique().to_list()) <= classes:
        return Task.MULTICLASS
    return Task.REGRESSION if _is_number(truth) and _is_number(answers) else None


def _pick_columns(task: Task, key: str | None, label: str, roles: _Roles) -> Columns:
    asks = task in {Task.BINARY, Task.RANKING}
    named = (key or "THE_COLUMN_THAT_IDENTIFIES_A_ROW",)
    return Columns(
        key=(roles.query, *named) if task is Task.RANKING and roles.query and key != roles.query else named,
        label=label,
        score=roles.score if asks else None,
        prediction=None if asks else roles.prediction,
        query=roles.query if task is Task.RANKING else None,
    )


def _find_key(table: pl.DataFrame, columns: Sequence[str]) -> tuple[str | None, str]:
    """The column that identifies a row, and why that is doubted."""
    fit = [name for name in columns if _identifies(table[name])]
    spelled = {name: name.strip().lower() for name in fit}
    named = [name for name in fit if spelled[name] in _KEYS or spelled[name].endswith(("_id", "_key", "_uuid"))]
    if named:
        return named[0], ""
    if not fit:
        return None, "no single column identifies a row: rows of two versions could not be held against each other"
    numbers = [name for name in fit if spelled[name] in _ROW_NUMBERS or spelled[name].startswith("unnamed")]
    if fit[0] in numbers:
        return fit[0], f"{fit[0]} sounds like a row number, which is no key if rows move"
    return fit[0], f"does {fit[0]} identify a row for good?"


def _identifies(column: pl.Series) -> bool:
    if column.dtype.is_float() or column.dtype.is_nested() or column.null_count() or column.n_unique() != column.len():
        return False
    # Numbers of a CSV are text: one with decimals is a measurement.
    return column.dtype != pl.String or not _is_number(column) or _all(column, _WHOLE.fullmatch)


def _all(column: pl.Series, fits: Callable[[str], object]) -> bool:
    return all(fits(value) for value in column.head(10_000).to_list())


def _is_truth(column: pl.Series) -> bool:
    if column.dtype.is_nested() or column.null_count():
        return False
    values: Iterable[object] = column.cast(pl.String).unique().head(5).to_list()
    spelled = {str(value).strip().lower() for value in values}
    return spelled <= _TRUTHS and len(spelled) > 1


def _as_numbers(column: pl.Series) -> pl.Series | None:
    if column.dtype.is_nested() or column.dtype in {pl.Binary, pl.Object}:
        return None
    numbers: pl.Series = column.cast(pl.Float64, strict=False)
    return numbers


def _is_number(column: pl.Series) -> bool:
    numbers = _as_numbers(column)
    return numbers is not None and numbers.null_count() == 0


def _is_share(column: pl.Series) -> bool:
    numbers = _as_numbers(column)
    if numbers is None or numbers.null_count() or numbers.is_empty():
        return False
    return bool(((numbers >= 0) & (numbers <= 1)).all())
