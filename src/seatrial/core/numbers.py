"""How numbers are spelled: as precise as their noise, and never so short that a change looks like none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from seatrial.core.comparison import Change
from seatrial.core.metrics import Value, is_finite, spell_not_finite

MINUS = "\N{MINUS SIGN}"
_MOST_DECIMALS = 6
_SCIENTIFIC_BELOW = 1e-3
_SCIENTIFIC_FROM = 1e12


class Spelling(Struct, frozen=True, kw_only=True):
    """A change in words: both values, the difference, and its interval where there is one."""

    base: str
    head: str
    delta: str
    interval: str


def spell_change(change: Change, *, precision: int | None = None) -> Spelling:
    """Spell both values with the digits that their difference, or its interval, makes meaningful.

    `precision` is a fixed number of decimals, as DVC's `--precision` means it.
    """
    decimals = choose_decimals(change) if precision is None else precision
    return Spelling(
        base=spell_value(change.base, decimals),
        head=spell_value(change.head, decimals),
        delta=_spell_delta(change, decimals),
        interval=_spell_interval(change, decimals),
    )


def spell_as_written(change: Change) -> Spelling:
    """Spell a parameter: somebody chose its digits, so they stay as they are."""
    base, head = (_sign_minus(repr(v)) if isinstance(v, float) else spell_value(v) for v in (change.base, change.head))
    amount = change.delta.absolute if change.delta else None
    return Spelling(base=base, head=head, delta=_sign_minus(f"{amount:+}") if amount else "", interval="")


def spell_value(value: Value, decimals: int | None = None) -> str:
    """One value; None is a dash, a float without given decimals has up to four significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if not is_finite(value):
        return _sign_minus(spell_not_finite(value))
    if isinstance(value, int):
        return _sign_minus(f"{value:,}") if abs(value) < 10**15 else _sign_minus(f"{value:.3e}")
    return _spell_float(value, decimals if decimals is not None else _decimals_for(value, digits=4))


def spell_bytes(size: int) -> str:
    """A file size in the units that people use: `812 B`, `1.2 MB`."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def choose_decimals(change: Change) -> int:
    """Decimals that show two significant digits of the interval's half width, or of the difference.

    Never fewer than three significant digits of the values; at most six decimals, since beyond that the
    difference is spelled on its own (`+2.0e-10`).
    """
    values = [float(v) for v in (change.base, change.head) if is_finite(v) and v is not None]
    least = max((_decimals_for(value, digits=3) for value in values if value), default=3)
    if change.interval and change.interval.high > change.interval.low:
        wanted = _decimals_for((change.interval.high - change.interval.low) / 2, digits=2)
    elif change.delta and change.delta.absolute:
        wanted = _decimals_for(float(change.delta.absolute), digits=2)
    else:
        wanted = least
    return max(0, min(max(least, wanted), _MOST_DECIMALS))


def choose_series_decimals(values: Iterable[float]) -> int:
    """Decimals for a column of values: two significant digits of their spread, three of the largest; at most six."""
    known = list(values)
    low, high = min(known, default=0.0), max(known, default=0.0)
    least = _decimals_for(max(abs(low), abs(high)), digits=3)
    return min(max(least, _decimals_for(high - low, digits=2)), _MOST_DECIMALS)


def spell_step(before: float, after: float, decimals: int) -> str:
    """The difference of two values of a series, never spelled as 0 unless it is."""
    if before == after:
        return "0"
    whole = isinstance(before, int) and isinstance(after, int)
    return _spell_signed(Decimal(str(after)) - Decimal(str(before)), 0 if whole else decimals)


def _decimals_for(value: float, *, digits: int) -> int:
    if not value or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


def _spell_delta(change: Change, decimals: int) -> str:
    if change.delta is None:
        return ""
    amount = change.delta.absolute
    if not amount:
        return "0"
    whole = isinstance(change.base, int) and isinstance(change.head, int)
    return _spell_signed(amount, 0 if whole else decimals)


def _spell_interval(change: Change, decimals: int) -> str:
    if change.interval is None or change.interval.low == change.interval.high == 0:
        return ""  # identical predictions: the difference is 0, and certain
    low, high = (_spell_signed(Decimal(str(end)), decimals) for end in (change.interval.low, change.interval.high))
    return f"{low}…{high}"


def _spell_signed(amount: Decimal, decimals: int) -> str:
    if abs(amount) >= _SCIENTIFIC_FROM:  # before rounding, which has no more than 28 digits
        return _sign_minus(f"{amount:+.3e}")
    rounded = round(amount, decimals)
    if amount and not rounded:
        return _sign_minus(f"{float(amount):+.1e}")
    return _sign_minus(f"{rounded:+,}")


def _spell_float(value: float, decimals: int) -> str:
    small = 0 < abs(value) < _SCIENTIFIC_BELOW and round(value, decimals) != value
    if small or abs(value) >= _SCIENTIFIC_FROM:
        return _sign_minus(f"{value:.2g}" if small else f"{value:.4g}")
    return _sign_minus(f"{value:,.{decimals}f}")


def _sign_minus(text: str) -> str:
    return MINUS + text[1:] if text.startswith("-") else text
