"""What leaves a renderer is visible, in one line and in one form."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.render.characters import join_ranges, keep_order, readable, shorten_middle


@pytest.mark.parametrize(
    "name", ["train.loss_2", "mAP50-95(B)", "carrier=F9", "scripts/a_b.py", "Größe 漢字 λ", "95 % CI −0.1…+0.2", "≥ 3"]
)
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    """A name without hidden characters is not touched."""
    assert readable(name) == name


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x00b\x1b[31mc\x7f\x9b", "ab[31mc"),
        ("safe\u202egnp.exe\u2066\u200b\u200d\ufeff\xad", "safegnp.exe"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("e\u0301", "é"),
        ("x\u3164\u115f\u2800y", "xy"),
        ("tag \U000e0041\U000e0042", "tag "),
        ("z" + "\u0335" * 50, "z" + "\u0335" * 4),
        ("end \ufffe\uffff", "end "),
    ],
)
def test_hidden_characters_are_dropped(raw: str, shown: str) -> None:
    """Control, format, private and surrogate code points never leave, and white space is one space."""
    assert readable(raw) == shown


@given(st.text(st.characters(), max_size=80))
def test_readable_text_can_always_be_written(value: str) -> None:
    """Whatever comes in, what leaves is UTF-8 of one line, and reading it again changes nothing."""
    shown = readable(value)
    shown.encode()
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for char in shown)
    assert readable(shown) == shown


@given(st.text(max_size=60), st.integers(min_value=2, max_value=40))
def test_limits_hold(value: str, limit: int) -> None:
    """A limit is never exceeded, and what is cut says so."""
    for shown in (readable(value, limit), shorten_middle(value, limit)):
        assert len(shown) <= limit
    if len(value) > limit:
        assert "…" in shorten_middle(value, limit)


def test_a_long_path_keeps_its_end() -> None:
    """Paths differ at their ends, so the middle gives way."""
    short = shorten_middle("data/" + "x" * 300 + "/report.json", 40)
    assert short.startswith("data/")
    assert short.endswith("/report.json")


def test_a_range_does_not_break() -> None:
    """The ellipsis of a range holds both numbers together; any other is left alone."""
    assert join_ranges("−0.1…+0.2 and so on… or a…b") == "−0.1…\u2060+0.2 and so on… or a…b"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("recall 0.9 → 0.1", "recall 0.9 → 0.1"),
        ("Größe 0.9 → 0.1", "Größe 0.9 → 0.1"),
        ("\u05d3\u05d9 \u05d5 0.9 → 0.1", "\u200e\u05d3\u05d9 \u05d5\u200e 0.9 → 0.1"),
        ("\u062f → \u0661", "\u200e\u062f\u200e → \u200e\u0661\u200e"),
    ],
)
def test_a_word_from_right_to_left_turns_only_itself(raw: str, shown: str) -> None:
    """What stands behind it keeps its order, and words of other scripts are not touched."""
    assert keep_order(raw) == shown


def test_every_letter_from_right_to_left_is_known() -> None:
    """No script is left out that Unicode counts as such."""
    turning = [char for char in map(chr, range(0x110000)) if unicodedata.bidirectional(char) in {"R", "AL", "AN"}]
    assert [char for char in turning if readable(char) and keep_order(char) == char] == []
