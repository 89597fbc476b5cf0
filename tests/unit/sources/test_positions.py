"""Where keys stand, in every format that parameters are written in, whatever the text is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.core.metrics import Key
from seatrial.sources.formats import FormatError, flatten, load
from seatrial.sources.positions import MAX_BYTES, find_lines

YAML = """\
# comment
train:
  lr: 0.05
  layers:
    - units: 64
    - {units: 128, kind: dense}
  "quoted key": 1
  1e-5: small
base: &base {a: 1}
derived:
  <<: *base
  b: 2
"""
TOML = '''\
title = "a # no comment"
[train]
lr = 0.05 # [not.a.table]
text = """
[fake]
key = 1
"""
grid = [
  [1, 2],
  [3, 4],
]
optimizer.name = "adam"
"quoted.key" = 1
[[layers]]
units = 64
[[layers]]
units = 128
[layers.inner]
x = 1
[train . "deep x"]
y = { a = 1 }
'''
PYTHON = """\
lr = 0.05
layers = [64,
          128]

class Train:
    rate: float = 0.1
    grid = {
        "a": 1,
        "b": {"c": 2},
    }

    def __init__(self):
        self.seed = 7
"""


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        (
            "params.yaml",
            YAML,
            {
                ("train",): 2,
                ("train", "lr"): 3,
                ("train", "layers", "0"): 5,
                ("train", "layers", "0", "units"): 5,
                ("train", "layers", "1", "kind"): 6,
                ("train", "quoted key"): 7,
                ("train", "1e-05"): 8,
                ("derived", "b"): 12,
            },
        ),
        (
            "params.toml",
            TOML,
            {
                ("title",): 1,
                ("train",): 2,
                ("train", "lr"): 3,
                ("train", "text"): 4,
                ("train", "grid"): 8,
                ("train", "optimizer", "name"): 12,
                ("train", "quoted.key"): 13,
                ("layers", "0"): 14,
                ("layers", "0", "units"): 15,
                ("layers", "1", "units"): 17,
                ("layers", "1", "inner", "x"): 19,
                ("train", "deep x", "y"): 21,
            },
        ),
        (
            "params.py",
            PYTHON,
            {
                ("lr",): 1,
                ("layers", "1"): 3,
                ("Train",): 5,
                ("Train", "rate"): 6,
                ("Train", "grid", "b", "c"): 9,
                ("Train", "seed"): 13,
            },
        ),
        (
            "params.json",
            '{\n "a": {"b\\n\\u00e9": [1,\n   {"c": 2}, [3,\n 4]]},\n "d": "{\\"x\\": 1}"\n}',
            {
                ("a",): 2,
                ("a", "b\né"): 2,
                ("a", "b\né", "0"): 2,
                ("a", "b\né", "1", "c"): 3,
                ("a", "b\né", "2", "1"): 4,
                ("d",): 5,
            },
        ),
        ("dvc.yaml", "stages:\r\n  train:\r\n    cmd: x\r\n", {("stages", "train"): 2}),
        ("conf", "a: 1\nb: 2\n", {("b",): 2}),
    ],
)
def test_keys_have_their_lines(path: str, text: str, lines: Mapping[Key, int]) -> None:
    """A key's line is the one that an editor shows."""
    found = find_lines(path, text.encode())
    assert {key: found.get(key) for key in lines} == lines


def test_what_stands_within_a_value_is_no_key() -> None:
    """Text that looks like a key, or a table, within a string or a list, has no line."""
    found = find_lines("params.toml", TOML.encode())
    assert ("fake",) not in found
    assert ("fake", "key") not in found
    assert ("not", "a", "table") not in found
    assert ("x",) not in find_lines("params.json", b'{"d": "{\\"x\\": 1}"}')


def test_what_is_brought_in_has_no_line() -> None:
    """An alias is not unfolded: what a merge brings in has the line of nothing."""
    assert ("derived", "a") not in find_lines("params.yaml", YAML.encode())


NAMES = st.text(min_size=1, max_size=8)
VALUES = st.recursive(
    st.integers() | st.text(max_size=5) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(values=st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_key_that_has_a_value_has_a_line(values: dict[str, Any]) -> None:
    """Lines are found under the same names as values are, in YAML and in JSON."""
    for path, text in (
        ("p.json", json.dumps(values, indent=1)),
        ("p.yaml", yaml.safe_dump(values, allow_unicode=True)),
    ):
        try:
            leaves = flatten(load(path, text.encode()))
        except FormatError:
            continue
        found = find_lines(path, text.encode())
        count = text.count("\n") + 1
        assert {key for key in leaves if key} <= found.keys()
        assert all(1 <= line <= count for line in found.values())


@settings(max_examples=300, deadline=None)
@given(
    suffix=st.sampled_from([".yaml", ".json", ".toml", ".py", ""]),
    data=st.binary(max_size=80) | st.text(alphabet="[]{}:,=#\"'.\n\t -&*?<ab1\\", max_size=80).map(str.encode),
)
def test_no_text_breaks_it(suffix: str, data: bytes) -> None:
    """Whatever stands in a file of a change, there are lines or there are none; nothing else happens."""
    count = data.decode(errors="replace").count("\n") + 1
    assert all(1 <= line <= max(count, 2) for line in find_lines(f"f{suffix}", data).values())


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("p.yaml", b"a: " + b"[" * 5_000),
        ("p.yaml", b"".join(b" " * at + b"a:\n" for at in range(700))),
        ("p.yaml", b"{a: " * 400),
        ("p.json", b"[" * 100_000),
        ("p.json", b'{"a":' * 100_000),
        ("p.py", b"a = " + b"[" * 100_000),
        ("p.py", b"-" * 200_000 + b"1"),
        ("p.toml", b"a." * 100_000 + b"b = 1"),
        ("p.toml", b"a = " + b"[" * 200_000),
        ("p.toml", b'a = """' + b'"\\' * 100_000),
        ("p.toml", b"[" * 300_000),
        ("p.toml", b"a" * 300_000),
        ("p.toml", b"a\n" * 200_000),
        ("p.toml", b" " * 500_000),
        ("p.json", b'"' * 500_000),
        ("p.json", b'"\\' * 300_000),
        ("p.yaml", b"a: 1\n" * (MAX_BYTES // 4)),
    ],
)
def test_what_is_made_to_take_long_ends(path: str, data: bytes) -> None:
    """Deep, long and endless texts are read or refused, with a bounded number of keys."""
    assert len(find_lines(path, data)) <= 100_000
