"""Block YAML read line by line: the same values as libyaml's, or no answer."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from seatrial.sources import blockyaml, yaml12
from seatrial.sources.blockyaml import NotPlainError

_LOCK = """\
schema: '2.0'
stages:
  train:
    cmd: python train.py --rate 0.1 --out
      models/a.json
    deps:
    - path: train.py
      hash: md5
      md5: 0ec0a1a1b2e34a5f6c7d8e9f0a1b2c3d
      size: 120
    params:
      params.yaml:
        rate: 1e-05
        layers:
        - 64
        - 32
        tuned: true
        seed:
    outs:
    - path: models/a.json
      md5: '1234e567890123456789012345678901'
  evaluate@a-b.1:   # by hand
    deps: [train.py, "b c"]
    plots: {cache: false}
    cmd: echo "a#b" && true
"""
_FRAGMENTS = st.sampled_from(
    [
"a", "b", "a b", "key:", "key: v", "a: 1", "1", "0x1F", "1e-5", "-1.5", "-", "- ", "- a", "- - b", "- a: 1",
        "-a", "true", "~", "null:", "<<: x", "'q'", "'q", '"d"', "\"d\\n\"", "a: 'x'", "a: 'x' y", "a: b: c",
        "a: b # c", "# c", " # c", "a:b", "a #b", "a#b", "[1, 2]", "a: [1, 2]", "{a: 1}", "a: {}", "| x", "a: |",
        "a: >-", "a: &x 1", "*x", "!!str 1", "a: !t 1", "---", "...", "? a", ": b", "%YAML", "@a", "a: ${b}",
        "a:  c ", "a: -", "a: - b", "a: .5e3", "2024-01-01", "a: 010", "é", "a: é", "\ta", "a: \tb", "a:\r", "a: ?b",
        "a: b:", "a,b: c", "a: `b", "a: +", "a: 12:30", "a: 1_0", "a: _", "a: 0x_", "a: '' ''", "a: ~/x", ".inf: 1",
        "a: =", "a: <<", "a: %b", "- # c", "a: # c",
        "a: [b, 'c', 1e3]", "a: {b: 1, c: 'x, y'}", '- ["a", 2]', "a: []", "a: [b,c]", "a: [b, [c]]", "a: {b: 1, b: 2}",
        "a: {b: 1} # c", "a: [b] c", 'a: {"b": true}', "a: [b, ]", "a: [b", "a: {b}", "a: {b:1}", 'a: ["b #c", d]',
        "[a]: b",        "{a: 1}: b", "- {a: b}", "a: ['b' 'c']", "a: [null, ~]", "a: {null: 1}", "a: {1: a, true: b}",
        "a: [-1]", "a: [b: c]",
    ]
)  # fmt: skip
_LINES = st.tuples(st.integers(0, 6), _FRAGMENTS).map(lambda line: " " * line[0] + line[1])
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.text("ab -:#'", max_size=9)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.-1 ", min_size=1), inner, max_size=4),
)


def _read_both(text: str) -> None:
    try:
        answer = blockyaml.load(text)
    except NotPlainError:
        return
    assert repr(answer) == repr(yaml12.load(text))  # by spelling: 1 is not True, and NaN is NaN


@given(st.lists(_LINES, max_size=8).map("\n".join))
@example("k:\n- a\n b\nm: 1")
@example("a: 1\n  2\n\n  b: 3")
def test_whatever_is_answered_is_what_libyaml_answers(text: str) -> None:
    """Lines in any order and at any indent, valid or not: no answer is another one."""
    _read_both(text)


@given(_VALUES, st.sampled_from([20, 80]))
def test_what_a_program_writes_is_read_the_same(value: object, width: int) -> None:
    """Dumped values, wrapped or not, are read as by libyaml."""
    _read_both(yaml.safe_dump(value, default_flow_style=False, width=width))


def test_a_lock_is_read_without_libyaml() -> None:
    """A dvc.lock has an answer, and the right one: else its speed would be lost unseen."""
    assert blockyaml.load(_LOCK) == yaml12.load(_LOCK)


@pytest.mark.parametrize(
    "text", ["", "# remark", "0.5", "a: [1, [2]]", "a: 1\na: 2", "a: &x 1", "a: |\n  b", "é: 1", "\ta: 1"]
)
def test_what_is_not_plain_is_left_to_libyaml(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(NotPlainError):
        blockyaml.load(text)


def test_deep_nesting_is_left_to_libyaml() -> None:
    """Its limits, and its words for them, hold."""
    with pytest.raises(NotPlainError):
        blockyaml.load("- " * 60 + "a")


def test_a_text_of_many_lines_is_left_to_libyaml() -> None:
    """Folding line by line would cost the square of its length."""
    with pytest.raises(NotPlainError):
        blockyaml.load("a: b\n" + " c\n" * 10_000)
