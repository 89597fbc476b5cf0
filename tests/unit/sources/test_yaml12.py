"""YAML 1.2 as DVC reads it: the reader that DVC uses is the oracle."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sources import yaml12
from seatrial.sources.yaml12 import YAMLError

SCALARS = """
1e-5 1E5 1e+5 -1e5 1.5e3 1.e5 .5 .5e3 .5e+3 -.5 +.5 1. +1 -1 010 0o17 0x1F 0X1F 0b101 1_000 1_0.5_0 .inf -.Inf
+.INF .nan .NaN ~ null Null NULL nULL true True TRUE tRUE false yes no on off y n Yes 12:30 1:2:3 2020-01-01
1.2.3 1e e5 0x 0b 0o 0b2 08 09.5 1__0 + . .. -- =x a.b a#b 1,000 ½ 1e400 -0 -0.0 00 0.0 infinity nan NaN None
""".split()  # noqa: SIM905 — a list would be a column of seventy lines


def _oracle(text: str) -> object:
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("scalar", SCALARS)
def test_plain_scalars_mean_what_they_mean_to_dvc(scalar: str) -> None:
    """Numbers, booleans, nulls and texts are told apart as ruamel.yaml does; dates stay text."""
    want = _oracle(f"a: {scalar}\n")["a"]  # type: ignore[index]
    have = yaml12.load(f"a: {scalar}\n")["a"]  # type: ignore[index]
    if isinstance(want, float) and math.isnan(want):
        assert isinstance(have, float)
        assert math.isnan(have)
    elif hasattr(want, "isoformat"):
        assert have == want.isoformat()
    else:
        assert (type(have), have) == (type(want), want)


@given(st.from_regex(r"[-+]?[0-9a-fxo_.eE+-]{1,9}", fullmatch=True))
def test_number_like_scalars_mean_what_they_mean_to_dvc(scalar: str) -> None:
    """Whatever looks like a number is one exactly where ruamel.yaml takes it for one."""
    text = f'{{"a": {scalar}}}\n'
    try:
        want = _oracle(text)["a"]  # type: ignore[index]
    except Exception:  # noqa: BLE001 — where the oracle fails, there is no answer to equal
        return
    have = yaml12.load(text)["a"]  # type: ignore[index]
    if hasattr(want, "isoformat"):
        assert isinstance(have, str)
    else:
        assert (type(have), have) == (type(want), want)


DOCUMENTS = {
    "quoted": 'a: "1"\nb: \'yes\'\nc: ""\n',
    "blocks": "a: |\n  two\n  lines\nb: >-\n  folded\n  text\n",
    "flow": "{a: [1, {b: 2}], c: {}}\n",
    "anchors": "a: &x {p: 1, q: 2}\nb: *x\nc: [*x, *x]\n",
    "merge": "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n  r: 4\n",
    "merge of several": "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc:\n  <<: [*x, *y]\n",
    "keys": "1: a\n1.5: b\nfalse: c\n~: d\n",
    "tags": "a: !!str 1\nb: !!float 1\nc: !!int '7'\n",
    "comment": "# only\na: 1 # here\n",
    "windows": "a: 1\r\nb:\r\n  - x\r\n",
    "directive": "%YAML 1.2\n---\na: yes\n",
    "empty": "",
    "scalar": "0.5\n",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_mean_what_they_mean_to_dvc(name: str) -> None:
    """Structure, quoting, anchors, merges and tags are read as ruamel.yaml reads them."""
    assert yaml12.load(DOCUMENTS[name]) == _oracle(DOCUMENTS[name])


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' is there twice", 3),
        ("a: &x [*x]\n", "refers to what it is part of", 1),
        ("a: 1\nb: !mine 2\n", "unknown tag", 2),
        ("a:\n  <<: 3\n", "only mappings can be merged", 2),
        ("a: [1\nb: 2\n", "is not YAML", 2),
        ("a: 1\n---\nb: 2\n", "is not YAML", 2),
        ("a: *nowhere\n", "is not YAML", 1),
    ],
)
def test_errors_say_why_and_where(text: str, said: str, line: int) -> None:
    """What can't be read has a reason and a line."""
    with pytest.raises(YAMLError, match=said) as caught:
        yaml12.load(text)
    assert caught.value.line == line


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 200_000, "{a: " * 200_000, "? " * 200_000])
def test_depth_never_reaches_the_parser(text: str) -> None:
    """The parser would overflow the stack and end the process; the text is refused before."""
    with pytest.raises(YAMLError, match="too deeply"):
        yaml12.load(text)


def test_indentation_a_column_at_a_time_is_refused() -> None:
    """Depth by indentation is bounded as well."""
    with pytest.raises(YAMLError, match="deep"):
        yaml12.load("".join(" " * level + f"k{level}:\n" for level in range(600)))


def _bomb(levels: int, link: str) -> str:
    lines = ["a0: &a0 {x: 1}" if "<<" in link else "a0: &a0 [1]"]
    for level in range(1, levels):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} {link.format(aliases)}")
    return "\n".join(lines)


def test_aliases_cannot_unfold_into_a_flood() -> None:
    """Twelve lines that stand for 10**12 values are refused at once."""
    with pytest.raises(YAMLError, match="unfolds into more than"):
        yaml12.load(_bomb(12, "[{}]"))


@pytest.mark.parametrize(
    "text",
    [
        _bomb(12, "[{}]") + "\n? *a11\n: 1\n",
        "? " * 60 + "1\n",
        "a: &a " + "x" * 100_000 + "\n? [" + "*a, " * 1000 + "1]\n: 1\n",
    ],
    ids=["aliases", "keys within keys", "long texts"],
)
def test_containers_that_are_keys_cannot_unfold_into_a_flood(text: str) -> None:
    """A key is text in the end: one that would be long is refused before it is written."""
    with pytest.raises(YAMLError, match="too long"):
        yaml12.load(text)


def test_a_container_that_is_a_key_is_its_text() -> None:
    """A short one is written as Python writes it."""
    assert yaml12.load("? [1, 2]\n: x\n") == {"[1, 2]": "x"}


def test_merges_cannot_unfold_into_a_flood() -> None:
    """Merge keys add nothing that is there already, however often they are nested."""
    value = yaml12.load(_bomb(12, "{{<<: [{}]}}"))
    assert value["a11"] == {"x": 1}  # type: ignore[index]


@given(st.text(alphabet="ab:-[]{}&*<>!|'\"#%@,? \n\t1.", max_size=60))
def test_any_text_is_a_value_or_a_yaml_error(text: str) -> None:
    """No text ends in anything but a value or a reason."""
    with contextlib.suppress(YAMLError):
        yaml12.load(text)


def test_a_chain_of_merges_is_bounded() -> None:
    """Each merge copies what it brings in, so that 1 MB of them would fill 14 GB."""
    chain = [f"a{number}: &a{number} {{<<: *a{number - 1}, k{number}: 1}}" for number in range(1, 2000)]
    with pytest.raises(YAMLError, match="merges more than"):
        yaml12.load("\n".join(["a0: &a0 {x: 1}", *chain]))
    value = yaml12.load("\n".join(["a0: &a0 {x: 1}", *chain[:100]]))
    assert isinstance(value, dict)
    assert len(value["a100"]) == 101


def test_sets_and_ordered_mappings_are_read() -> None:
    """The two containers that YAML has besides lists and mappings; a tag on something else is an error."""
    assert yaml12.load("a: !!omap [x: 1, y: {z: 2}]\nb: !!set {p, q}\n") == {
        "a": {"x": 1, "y": {"z": 2}},
        "b": ["p", "q"],
    }
    for text in ("a: !!omap {x: 1}", "a: !!set [x]", "a: !!omap [1]"):
        with pytest.raises(yaml12.YAMLError, match="does not fit"):
            yaml12.load(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (r'"\uD83D\uDE00!"', "\N{GRINNING FACE}!"),
        (r'"\\\ud83d\ude00"', "\\\N{GRINNING FACE}"),
        (r'"\\ud83d\\ude00"', r"\ud83d\ude00"),
    ],
)
def test_characters_that_json_writes_as_two_are_one(text: str, value: str) -> None:
    """JSON is YAML, and spells a character beyond the basic plane by two escapes."""
    assert yaml12.load(text) == value
