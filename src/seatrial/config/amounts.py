"""Limits and tolerances as a policy spells them: `0.002`, `1%`."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from msgspec import UNSET, UnsetType

from seatrial.config.document import Document, Path
from seatrial.core.verdict import Margin

_MOST_DIGITS = 400


def read_limit(document: Document, path: Path, value: float | str | UnsetType) -> Decimal | None:
    """A limit in the metric's own unit; None where there is none."""
    if value is UNSET:
        return None
    return read_decimal(document, path, value, hint="write a number in the metric's own unit: 0.6")


def read_margin(document: Document, path: Path, value: float | str | UnsetType) -> Margin | None:
    """A tolerance, absolute or a share of the baseline; None where there is none."""
    return None if value is UNSET else read_tolerance(document, path, value)


def read_tolerance(document: Document, path: Path, value: float | str) -> Margin:
    """A tolerance that has to be there."""
    text = str(value).strip()
    relative = text.endswith("%")
    amount = read_decimal(document, path, text.removesuffix("%").strip())
    if amount < 0:
        raise document.fault(path, f"`{path[-1]}` is a tolerance and can't be negative: {text}")
    return Margin(amount=amount / 100 if relative else amount, relative=relative)


def read_count(document: Document, path: Path, value: float | str) -> Margin:
    """A number of rows, or a share of them; 0.02 rows are a share that lacks its sign."""
    margin = read_tolerance(document, path, value)
    if not margin.relative and margin.amount != margin.amount.to_integral_value():
        share = f"{(margin.amount * 100).normalize():f}%"
        raise document.fault(path, f"`{path[-1]}` is no count: {value}", hint=f"write {share} for a share")
    return margin


def read_decimal(document: Document, path: Path, value: float | str, *, hint: str = "") -> Decimal:
    """A finite number, or a ConfigError that names its line."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        hint = hint or "write a number (0.002) or a share (1%)"
        raise document.fault(path, f"`{path[-1]}` is not a number: {value}", hint=hint) from None
    if not amount.is_finite():
        raise document.fault(path, f"`{path[-1]}` must be a finite number, not {value}")
    if amount and abs(amount.adjusted()) > _MOST_DIGITS:
        raise document.fault(path, f"`{path[-1]}` has more than {_MOST_DIGITS} digits: no metric is like that")
    return amount


def read_share(document: Document, path: Path, value: float | str) -> float:
    """A share of a whole: 0.01, or 1%."""
    share = read_tolerance(document, path, value).amount
    if share > 1:
        raise document.fault(path, f"`{path[-1]}` is more than the whole: {value}", hint="write 0.01, or 1%")
    return float(share)
