"""Predictions of single samples: read from the file that holds them, checked, and joined by key.

Only the columns that are needed are read. Whatever can't be used with certainty is an error that names the file and the
column; nothing is dropped or filled in silently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import polars as pl
from msgspec import Struct

from seatrial.config.evaluations import Columns
from seatrial.errors import CompareError
from seatrial.sources.frames import (
    Source,
    explain_damage,
    find_key_type,
    miss_column,
    refuse_rows,
    scan_table,
    show_keys,
    show_value,
)
from seatrial.stats.names import Task

# Names inside of the table, whatever the project calls its columns; key columns are key0, key1, …
LABEL, SCORE, PREDICTION, QUERY, WEIGHT, GROUP = "label", "score", "prediction", "query", "weight", "group"
PROBABILITY, SLICE, WHERE = "probability:", "slice:", "where:"
_BASE = ":base"
_TRUE, _FALSE = ("1", "1.0", "true"), ("0", "0.0", "false")
_MISSING = "(missing)"
_EXACT = 2**53  # up to here each whole number is a float of its own
_UNFINISHED = "every sample needs a value: mend the evaluation that writes the file"


class Cuts(Struct, frozen=True, kw_only=True):
    """What the evaluation set is cut by: columns, and named conditions in SQL's language of expressions."""

    columns: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()


class Predictions(Struct, frozen=True, kw_only=True, eq=False):
    """One side's checked rows, in the order of the file."""

    path: str
    task: Task
    table: pl.DataFrame

    @property
    def size(self) -> int:
        """How many rows there are."""
        return self.table.height

    @property
    def keys(self) -> list[str]:
        """The columns that identify a row."""
        return [name for name in self.table.columns if name.startswith("key")]


class Overlap(Struct, frozen=True, kw_only=True, eq=False):
    """What two evaluation sets have in common.

    `digest` (SHA-256) is of the common keys and labels: the evaluation set without the models. `only_base` and
    `only_head` are the first few keys that one side alone holds.
    """

    n_base: int
    n_head: int
    n_common: int
    labels_changed: int
    digest: str
    only_base: tuple[str, ...] = ()
    only_head: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many rows both sides hold."""
        return self.n_common

    @property
    def same_keys(self) -> bool:
        """Whether both sides hold the same keys."""
        return self.n_base == self.n_common == self.n_head

    @property
    def same_evaluation_set(self) -> bool:
        """Whether both sides hold the same keys with the same labels."""
        return self.same_keys and not self.labels_changed


class Pairs(Overlap, frozen=True, kw_only=True, eq=False):
    """The rows that both sides hold, in the order of their keys.

    `base` and `head` are tables of one shape: the answers of each side beside the truth, the weights, the clusters and
    the slices, which are the candidate's on both, so that both models are held against the newest truth.
    """

    base: Predictions
    head: Predictions

    @property
    def overlap(self) -> Overlap:
        """The same without the rows."""
        return Overlap(**{name: getattr(self, name) for name in Overlap.__struct_fields__})


def read_predictions(
    source: Source, *, path: str, task: Task, columns: Columns, cuts: Cuts | None = None
) -> Predictions:
    """Read and check one side; `path` is the file's name in the project, and tells its format.

    `source` is the content, or the file or files that hold it under any name (DVC's cache names files by digest).
    Raises CompareError if the file can't be read, lacks a column, or holds a row that can't be used.
    """
    cut = cuts or Cuts()
    with explain_damage(path):
        raw = select_columns(source, path, columns, cut).collect()
    if raw.is_empty():
        raise miss_rows(path)
    return check_rows(raw, path=path, task=task, columns=columns, cuts=cut)


def find_answers(table: pl.DataFrame) -> list[str]:
    """The columns of what the model says."""
    return [name for name in table.columns if name in {SCORE, PREDICTION} or name.startswith(PROBABILITY)]


def miss_pairs(path: str) -> CompareError:
    """The error for two sides that share no key."""
    return CompareError(
        f"{path}: no row of the candidate has a key of the baseline",
        hint="both sides need one evaluation set with lasting keys; a row number is none if rows move",
    )


def miss_rows(path: str) -> CompareError:
    """The error for a file without rows."""
    return CompareError(f"{path} has no rows", hint="look whether the evaluation ran on an empty set")


def check_rows(
    raw: pl.DataFrame, *, path: str, task: Task, columns: Columns, cuts: Cuts, among: int = 0
) -> Predictions:
    """Check the rows that `select_columns` gives; CompareError for one that can't be used.

    `among` is the number of all rows where these are a part of them.
    """
    cut = cuts
    check = _Check(path=path, raw=raw, columns=columns, among=among)
    for name in dict.fromkeys(_list_columns(columns)):
        check.refuse(raw[name].is_null(), f"column {name!r} is empty", hint=_UNFINISHED)
    keys = [_as_key(raw[name], path).alias(f"key{i}") for i, name in enumerate(columns.key)]
    _refuse_duplicates(check, keys)
    slices = [check.text(name).fill_null(_MISSING).alias(f"{SLICE}{name}") for name in cut.columns]
    wheres = [raw[f"{WHERE}{name}"].fill_null(value=False) for name, _ in cut.where]
    table = pl.DataFrame([*keys, *_READERS[task](check), *_read_common(check), *slices, *wheres])
    if QUERY in table.columns:
        _refuse_split_units(check, table)
    return Predictions(path=path, task=task, table=table)


def pair_predictions(base: Predictions, head: Predictions, *, needed: bool = True) -> Pairs:
    """Join two sides by key; raises CompareError if they share none though a pair is `needed`."""
    keys = head.keys
    before, after = _with_same_key_types(base.table, head.table, keys)
    answers = find_answers(after)
    truth = [LABEL] if LABEL in after.columns else []
    absent = [name for name in answers if name not in before.columns]
    if absent:
        raise CompareError(f"{base.path}: the baseline has no {absent[0]}, which the candidate has")
    renamed = before.select(*keys, *(pl.col(name).alias(f"{name}{_BASE}") for name in (*truth, *answers)))
    rows = _join(after, renamed, keys)
    if rows.is_empty() and needed:
        raise miss_pairs(head.path)
    if head.task is Task.MULTICLASS and rows.height:
        _refuse_other_classes(rows[f"{LABEL}{_BASE}"], rows[LABEL], head.path)
    shared = rows.select(after.columns)
    changed = int((rows[LABEL] != rows[f"{LABEL}{_BASE}"]).sum()) if truth else 0
    whole = before.height == rows.height == after.height
    return Pairs(
        base=Predictions(
            path=base.path,
            task=base.task,
            table=shared.with_columns(rows[f"{name}{_BASE}"].alias(name) for name in answers),
        ),
        head=Predictions(path=head.path, task=head.task, table=shared),
        n_base=before.height,
        n_head=after.height,
        n_common=rows.height,
        labels_changed=changed,
        digest=_digest(rows.select(*keys, *truth)),
        only_base=() if whole else show_keys(before.join(rows, on=keys, how="anti"), keys),
        only_head=() if whole else show_keys(after.join(rows, on=keys, how="anti"), keys),
    )


def _join(one: pl.DataFrame, other: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The rows that both hold, by key, with the columns of both; keys are unique on either side.

    Mostly both hold the same keys. Once sorted, such rows stand side by side: of millions, a search for each one's
    partner would take several times as long.
    """
    if one.height == other.height:
        one, other = one.sort(keys), other.sort(keys)
        if one.select(keys).equals(other.select(keys)):
            return one.hstack(other.drop(keys))
    return one.join(other, on=keys, how="inner").sort(keys)


def _digest(rows: pl.DataFrame) -> str:
    return hashlib.sha256(rows.write_csv().encode()).hexdigest()


def _list_columns(columns: Columns) -> tuple[str, ...]:
    single = (columns.label, columns.score, columns.prediction, columns.query, columns.weight, columns.group)
    probabilities = (column for _, column in columns.probabilities)
    return (*columns.key, *(name for name in single if name), *probabilities)


def select_columns(source: Source, path: str, columns: Columns, cuts: Cuts) -> pl.LazyFrame:
    """What is needed of a file, as it stands there; call it, and read from it, within `explain_damage`."""
    return select_from(scan_table(source, path), path, columns, cuts)


def select_from(table: pl.LazyFrame, path: str, columns: Columns, cuts: Cuts) -> pl.LazyFrame:
    """What is needed of some rows of a file."""
    present = table.collect_schema().names()
    names = dict.fromkeys((*_list_columns(columns), *cuts.columns))
    for name in names:
        if name not in present:
            raise miss_column(name, present, path)
    return table.select(*names, *(_parse_condition(table, name, text, path) for name, text in cuts.where))


def _parse_condition(table: pl.LazyFrame, name: str, text: str, path: str) -> pl.Expr:
    """A condition of the policy as an expression on the table's columns; text columns of a CSV count as numbers."""
    hint = "a condition compares columns: hour >= 22 or carrier = 'UA'"
    known = table.collect_schema()
    try:
        parsed = pl.sql_expr(text)
        for column in parsed.meta.root_names():
            if column not in known:
                raise miss_column(column, known.names(), path)
        condition = parsed.alias(f"{WHERE}{name}")
        kind = table.select(condition).collect_schema().dtypes()[0]
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().partition("\n")[0]
        raise CompareError(f"{path}: slices.where.{name}: {text!r} can't be read: {reason}", hint=hint) from None
    if kind != pl.Boolean:
        raise CompareError(f"{path}: slices.where.{name}: {text!r} is not true or false, but {kind}", hint=hint)
    return condition


class _Check(Struct, frozen=True, kw_only=True, eq=False):
    path: str
    raw: pl.DataFrame
    columns: Columns
    among: int = 0

    def refuse(self, mask: pl.Series, what: str, *, hint: str = "") -> None:
        """Raise if the mask (n,) marks any row, naming how many and the first one's key."""
        refuse_rows(mask, self.raw, self.columns.key, what, self.path, hint=hint, among=self.among)

    def number(self, name: str | None) -> pl.Series:
        """A column of finite numbers."""
        column = self.raw[name or ""]
        self._refuse_parts(column)
        values: pl.Series = column.cast(pl.Float64, strict=False)
        what = f"column {name!r} is no finite number"
        self.refuse(~values.is_finite().fill_null(value=False), what, hint=_UNFINISHED)
        return values

    def probability(self, name: str | None) -> pl.Series:
        """A column of numbers from 0 to 1."""
        values = self.number(name)
        what = f"column {name!r} is no probability: it lies outside of 0 to 1"
        hint = "write the probability of the class, not its logit, margin or percentage"
        self.refuse((values < 0) | (values > 1), what, hint=hint)
        return values

    def text(self, name: str | None) -> pl.Series:
        """A column of names; whole numbers read alike, however a file stores them."""
        column = self.raw[name or ""]
        self._refuse_parts(column)
        whole = column.dtype.is_float() and bool(((column == column.round()) & (column.abs() < _EXACT)).all())
        text: pl.Series = (column.cast(pl.Int64, strict=False) if whole else column).cast(pl.String)
        return text

    def _refuse_parts(self, column: pl.Series) -> None:
        if column.dtype.is_nested() or column.dtype in {pl.Object, pl.Binary}:
            raise CompareError(
                f"{self.path}: column {column.name!r} holds {column.dtype}, which is neither a number nor a name",
                hint="write one value to each row, as a number or as text",
            )


def _as_key(column: pl.Series, path: str) -> pl.Series:
    key: pl.Series = column.cast(find_key_type(column.name, column.dtype, path))
    return key


def _refuse_duplicates(check: _Check, keys: list[pl.Series]) -> None:
    """CompareError for a key that two rows have; a single column is counted first, which is faster than marking."""
    if len(keys) == 1 and keys[0].n_unique() == keys[0].len():
        return
    several = "list all columns that identify a row under `key:`"
    what = f"the key {', '.join(check.columns.key)} is not unique"
    check.refuse(pl.DataFrame(keys).is_duplicated(), what, hint=several)


def _as_truth(check: _Check, name: str | None) -> pl.Series:
    column = check.raw[name or ""]
    if column.dtype == pl.Boolean:
        return column
    if column.dtype.is_integer():
        truth, others = column == 1, (column != 0) & (column != 1)
    else:
        text = check.text(name).str.strip_chars().str.to_lowercase()
        truth = text.is_in(_TRUE)
        others = ~(truth | text.is_in(_FALSE))
    seen = ", ".join(show_value(value) for value in check.raw[name or ""].filter(others).unique().sort()[:3])
    hint = "write the truth as 0 and 1, or name the task: multiclass or regression"
    check.refuse(others, f"column {name!r} is neither 0 nor 1 (but {seen})", hint=hint)
    return truth


def _read_binary(check: _Check) -> list[pl.Series]:
    columns = check.columns
    return [_as_truth(check, columns.label).alias(LABEL), check.probability(columns.score).alias(SCORE)]


def _read_multiclass(check: _Check) -> list[pl.Series]:
    columns = check.columns
    answers = [check.text(columns.prediction).alias(PREDICTION)] if columns.prediction else []
    probabilities = [check.probability(column).alias(f"{PROBABILITY}{name}") for name, column in columns.probabilities]
    label = check.text(columns.label)
    _refuse_twins(label, *([answers[0]] if answers else []), path=check.path)
    if probabilities:
        known = pl.Series([name for name, _ in columns.probabilities], dtype=pl.String)
        what = f"column {columns.label!r} holds a class without a probability"
        check.refuse(
            ~label.is_in(known.implode()), what, hint="name each class under `probabilities:` as it is written"
        )
    return [label.alias(LABEL), *answers, *probabilities]


def _refuse_twins(*columns: pl.Series, path: str) -> None:
    """CompareError for one number in two writings: as names, 1 and 1.0 are two classes, and every answer is wrong."""
    names = pl.concat([column.unique().rename("name") for column in columns]).unique().sort().to_frame()
    numbers = names.with_columns(number=pl.col("name").cast(pl.Float64, strict=False)).drop_nulls()
    twins = numbers.filter(pl.col("number").is_duplicated()).sort("number", "name").head(2)
    if twins.height:
        one, other = map(show_value, twins["name"])
        raise CompareError(
            f"{path}: a class is written {one} here and {other} there",
            hint="write the classes alike in every column and on both sides, best as text or as whole numbers",
        )


def _read_regression(check: _Check) -> list[pl.Series]:
    columns = check.columns
    return [check.number(columns.label).alias(LABEL), check.number(columns.prediction).alias(PREDICTION)]


def _read_ranking(check: _Check) -> list[pl.Series]:
    columns = check.columns
    relevance = check.number(columns.label)
    check.refuse(relevance < 0, f"column {columns.label!r} is a relevance below 0")
    query = check.text(columns.query).alias(QUERY)
    return [relevance.alias(LABEL), check.number(columns.score).alias(SCORE), query]


def _read_scores(check: _Check) -> list[pl.Series]:
    columns = check.columns
    query = [check.text(columns.query).alias(QUERY)] if columns.query else []
    return [check.number(columns.score).alias(SCORE), *query]


_READERS: dict[Task, Callable[[_Check], list[pl.Series]]] = {
    Task.BINARY: _read_binary,
    Task.MULTICLASS: _read_multiclass,
    Task.REGRESSION: _read_regression,
    Task.RANKING: _read_ranking,
    Task.SCORES: _read_scores,
}


def _read_common(check: _Check) -> list[pl.Series]:
    found = []
    if check.columns.weight:
        weight = check.number(check.columns.weight)
        check.refuse(weight <= 0, f"column {check.columns.weight!r} is a weight that is not above 0")
        found.append(weight.alias(WEIGHT))
    if check.columns.group:
        found.append(check.text(check.columns.group).alias(GROUP))
    return found


def _refuse_split_units(check: _Check, table: pl.DataFrame) -> None:
    """CompareError where what is said of a query, as its weight or its slice, differs from row to row of it."""
    told = [name for name in table.columns if name in {WEIGHT, GROUP} or name.startswith((SLICE, WHERE))]
    counts = table.group_by(QUERY).agg(pl.col(told).n_unique())
    for name in told:
        split = table[QUERY].is_in(counts.filter(pl.col(name) > 1)[QUERY].implode())
        given = {WEIGHT: check.columns.weight, GROUP: check.columns.group}.get(name, name.partition(":")[2])
        what = f"{given!r} differs between rows of one {check.columns.query}"
        check.refuse(
            split, what, hint="weights, groups and slices belong to the query as a whole: give its rows one value"
        )


def _refuse_other_classes(base: pl.Series, head: pl.Series, path: str) -> None:
    """CompareError where the two sides name their classes differently."""
    _refuse_twins(base, head, path=path)
    before, after = base.unique().sort(), head.unique().sort()
    if before.is_in(after.implode()).any():
        return
    raise CompareError(
        f"{path}: the baseline's classes ({_list(before)}) are none of the candidate's ({_list(after)})",
        hint="write the classes alike on both sides, or compare from the commit on that renamed them",
    )


def _list(names: pl.Series) -> str:
    return ", ".join(show_value(name) for name in names.head(3)) + ("…" if names.len() > 3 else "")


def _with_same_key_types(base: pl.DataFrame, head: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Integers on one side and text on the other (Parquet against CSV) meet as text."""
    differing = [name for name in keys if base[name].dtype != head[name].dtype]
    as_text = [pl.col(name).cast(pl.String) for name in differing]
    return base.with_columns(as_text), head.with_columns(as_text)
