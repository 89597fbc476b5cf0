"""Values of one column on two sides, whatever type each side gave it: equal or not, as numbers, as categories."""

from __future__ import annotations

import polars as pl

_TRUE, _FALSE = ("true", "1"), ("false", "0")


def are_different(base: pl.Series, head: pl.Series) -> pl.Series:
    """Which rows (n,) differ; a missing value equals a missing one, and NaN equals NaN.

    Types that differ are brought together first, so that 1, 1.0 and the text of a CSV file "1" are equal.
    """
    try:
        before, after = _bring_together(base, head)
        different: pl.Series = before.ne_missing(after)
        # What did not fit into the other side's type became missing there.
        return different | (before.is_null() & base.is_not_null()) | (after.is_null() & head.is_not_null())
    except (pl.exceptions.PolarsError, TypeError, ValueError):
        return pl.repeat(value=True, n=base.len(), eager=True, dtype=pl.Boolean)


def _bring_together(base: pl.Series, head: pl.Series) -> tuple[pl.Series, pl.Series]:
    one, other = base.dtype, head.dtype
    if one == other and one not in (pl.Categorical, pl.Enum):
        return base, head
    if one.is_numeric() and other.is_numeric():
        common = _find_number_type(one, other)
        return base.cast(common, strict=False), head.cast(common, strict=False)
    if pl.Boolean in (one, other):
        return _as_truth(base), _as_truth(head)
    if one.is_temporal() and other.is_temporal() and pl.Time not in (one, other):
        return base.cast(pl.Datetime("us")), head.cast(pl.Datetime("us"))
    if one == pl.String and other.is_numeric():
        return _read_numbers(base, other), head
    if other == pl.String and one.is_numeric():
        return base, _read_numbers(head, one)
    return base.cast(pl.String), head.cast(pl.String)


def _find_number_type(one: pl.DataType, other: pl.DataType) -> type[pl.DataType]:
    """The coarser of two floating types, so that a table that was written in less precision does not differ by that."""
    if one.is_integer() and other.is_integer():
        return pl.Int128 if {pl.UInt64, pl.Int128} & {one.base_type(), other.base_type()} else pl.Int64
    return pl.Float32 if pl.Float32 in (one, other) else pl.Float64


def _read_numbers(text: pl.Series, kind: pl.DataType) -> pl.Series:
    """Text as numbers of a type; a whole number may be written `1.0`."""
    stripped = text.str.strip_chars()
    numbers: pl.Series = stripped.cast(kind, strict=False)
    if kind.is_integer():
        spelled = stripped.cast(pl.Float64, strict=False)
        whole = spelled.set(spelled != spelled.floor(), None).cast(kind, strict=False)
        return numbers.fill_null(whole)
    return numbers


def _as_truth(values: pl.Series) -> pl.Series:
    """True and false out of whatever spells them."""
    if values.dtype == pl.Boolean:
        return values
    if values.dtype.is_numeric():
        truth: pl.Series = values.replace_strict({0: False, 1: True}, default=None, return_dtype=pl.Boolean)
        return truth
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    known: pl.Series = text.replace_strict(
        dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False), default=None, return_dtype=pl.Boolean
    )
    return known


def as_numbers(values: pl.Series) -> pl.Series | None:
    """Numbers (n,) with missing ones as NaN; None where the column holds none, or text that is no number."""
    kind = values.dtype
    if kind.is_temporal():
        numbers = values.to_physical().cast(pl.Float64)
    elif kind.is_numeric():
        numbers = values.cast(pl.Float64, strict=False)
    elif kind == pl.String:
        numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
        if numbers.null_count() > values.null_count() or numbers.null_count() == numbers.len():
            return None
    else:
        return None
    filled: pl.Series = numbers.fill_null(float("nan"))
    return filled


def count_categories(values: pl.Series) -> tuple[dict[str, int], int]:
    """The rows of each category, and those that have none; TypeError for a column of lists or the like."""
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise TypeError(f"holds {values.dtype}")
    counts = values.cast(pl.String).rename("name").drop_nulls().value_counts(name="rows")
    return dict(counts.select("name", "rows").iter_rows()), values.null_count()
