"""What the bytes of a metrics or parameters file mean, and what is said where they mean nothing."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.metrics import State
from seatrial.sources import formats
from seatrial.sources.formats import FormatError, flatten, load, read_values


def _values(path: str, text: str) -> dict[tuple[str, ...], object]:
    found = read_values(path, text.encode())
    assert found.problem is None, found.problem
    return dict(found.values)


def _problem(path: str, data: str | bytes) -> str:
    found = read_values(path, data if isinstance(data, bytes) else data.encode())
    assert found.problem is not None
    assert found.problem.state is State.UNREADABLE
    assert found.problem.hint
    assert not found.values
    return found.problem.message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("m.json", '{"auc": 0.5, "by": {"AA": [1, 2]}}'),
        ("m.yaml", "auc: 0.5\nby:\n  AA: [1, 2]\n"),
        ("m.yml", "auc: 0.5\nby: {AA: [1, 2]}\n"),
        ("m.metrics", "auc: 0.5\nby: {AA: [1, 2]}\n"),
        ("no_suffix", '{"auc": 0.5, "by": {"AA": [1, 2]}}'),
        ("m.toml", "auc = 0.5\n[by]\nAA = [1, 2]\n"),
        ("m.py", "auc = 0.5\nclass by:\n    AA = [1, 2]\n"),
        ("m.JSON", '{"auc": 0.5, "by": {"AA": [1, 2]}}'),
    ],
)
def test_every_format_gives_the_same_values(path: str, text: str) -> None:
    """The suffix chooses the parser, anything unknown is YAML, and lists are spread by index."""
    assert _values(path, text) == {("auc",): 0.5, ("by", "AA", "0"): 1, ("by", "AA", "1"): 2}


def test_a_file_may_be_one_scalar() -> None:
    """DVC turns a bare 0 into nothing; here it is the value with the empty key."""
    assert _values("m.json", "0") == {(): 0}
    assert _values("auc.metric", "0.73\n") == {(): 0.73}


def test_a_file_may_be_a_list_of_records() -> None:
    """Records get their index as the first part of the key."""
    assert _values("m.json", '[{"a": 1}, {"a": 2}]') == {("0", "a"): 1, ("1", "a"): 2}


def test_dots_in_keys_do_not_collide() -> None:
    """`a.b` and `a: {b}` are two keys, which DVC mixes up."""
    assert _values("m.json", '{"a.b": 1, "a": {"b": 2}}') == {("a.b",): 1, ("a", "b"): 2}


def test_null_bool_and_text_stay_what_they_are() -> None:
    """Nothing is dropped or converted silently."""
    assert _values("m.json", '{"a": null, "b": true, "c": "0.5"}') == {("a",): None, ("b",): True, ("c",): "0.5"}
    assert _values("m.json", '{"b": true}')[("b",)] is True


def test_not_finite_numbers_are_kept() -> None:
    """NaN and the infinities are read in JSON, YAML and TOML; what they mean is for the comparison to say."""
    for path, text in (
        ("m.json", '{"a": NaN, "b": -Infinity}'),
        ("m.yaml", "a: .nan\nb: -.inf\n"),
        ("m.toml", "a = nan\nb = -inf\n"),
    ):
        values = read_values(path, text.encode()).values
        assert math.isnan(float(str(values[("a",)])))
        assert values[("b",)] == -math.inf


def test_byte_order_mark_and_windows_lines_are_read() -> None:
    """Files written on Windows are files."""
    assert _values("m.json", '\ufeff{"a": 1}\r\n') == {("a",): 1}
    assert _values("m.yaml", "\ufeffa: 1\r\nb: x\r\n") == {("a",): 1, ("b",): "x"}
    assert _values("m.toml", "a = 1\r\nb = 2\r\n") == {("a",): 1, ("b",): 2}


def test_the_last_of_duplicate_keys_wins_in_json_as_in_dvc() -> None:
    """JSON leaves the meaning open; DVC's answer is the last one."""
    assert _values("m.json", '{"a": 1, "a": 2}') == {("a",): 2}


def test_python_parameters_are_literals_and_never_run() -> None:
    """Modules, classes and self-assignments count; what is computed is left out, and nothing is executed."""
    text = (
        "import os\n"
        "lr = 1e-3\n"
        "layers: list = [64, 32]\n"
        "computed = os.getpid()\n"
        "a = b = 1\n"
        "class Train:\n"
        "    epochs = 5\n"
        "    def __init__(self):\n"
        "        self.seed = 7\n"
        "        local = 1\n"
        "options = {'deep': {'er': True}}\n"
        "raise SystemExit(3)\n"
    )
    assert _values("params.py", text) == {
        ("lr",): 0.001,
        ("layers", "0"): 64,
        ("layers", "1"): 32,
        ("Train", "epochs"): 5,
        ("Train", "seed"): 7,
        ("options", "deep", "er"): True,
    }


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("m.json", "{", "m.json:1: is not JSON"),
        ("m.json", "", "m.json:1: is empty"),
        ("m.json", '{"a": 1}\n{"a": 2}\n', "m.json:2: holds more than one JSON value"),
        ("m.json", '{"a": 1,\n "b": oops}', "m.json:2: is not JSON"),
        ("m.json", "1" * 5000, "is not JSON"),
        ("m.yaml", "a: 1\nb: c: d\n", "m.yaml:2: is not YAML"),
        ("m.yaml", "a: 1\na: 2\n", "m.yaml:2: the key 'a' is there twice"),
        ("m.yaml", "a: !!python/object/apply:os.system [ls]\n", "m.yaml:1: unknown tag"),
        ("m.toml", "a: 1", "is not TOML"),
        ("m.py", "a = = 1", "m.py:1: is not Python"),
        ("m.py", "a = '\0'", "is not Python"),
        ("m.json", b'{"a": "\xff"}', "m.json:1: is not UTF-8 text"),
        ("m.png", b"\x89PNG\r\n", "is a PNG picture"),
        ("m.csv", "a,b\n1,2\n", "is a table"),
        ("m.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a Git LFS pointer"),
        ("m.json", '<<<<<<< HEAD\n{"a": 1}\n=======\n{"a": 2}\n>>>>>>> x\n', "holds conflict markers"),
        ("m.yaml", "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x\n", "holds conflict markers"),
        ("m.txt", "word " * 2000, "holds a long text"),
    ],
)
def test_what_cannot_be_read_says_why(path: str, data: str | bytes, said: str) -> None:
    """Every unreadable file is a problem with the file, the line where it is known, a reason and a hint."""
    assert said in _problem(path, data)


@pytest.mark.parametrize("path", ["m.json", "m.yaml", "m.toml", "m.py"])
def test_deep_nesting_is_refused_in_every_format(path: str) -> None:
    """A file that would exhaust a parser's stack is a problem, not a crash."""
    text = "a = " + "[" * 100_000 if path.endswith(("toml", "py")) else "[" * 100_000
    assert "m." in _problem(path, text)
    closed = "[" * 150 + "]" * 150
    assert "deep" in _problem(path, f"a = {closed}" if path.endswith(("toml", "py")) else closed)


def test_a_file_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's metrics are larger than the limit."""
    monkeypatch.setattr(formats, "MAX_BYTES", 100)
    assert "is larger than" in _problem("m.json", '"' + "x" * 200 + '"')


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of values of one file is bounded."""
    monkeypatch.setattr(formats, "MAX_LEAVES", 10)
    assert "more than 10 values" in _problem("m.json", str(list(range(50))))


_nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(_nested)
def test_flatten_finds_every_leaf_at_its_key(values: object) -> None:
    """Walking down a key in the nested values ends at the leaf that it is given."""
    for key, leaf in flatten(values).items():
        reached = values
        for part in key:
            reached = reached[int(part)] if isinstance(reached, list) else reached[part]  # type: ignore[index]
        assert reached == leaf


@given(st.binary(max_size=200), st.sampled_from(["m.json", "m.yaml", "m.toml", "m.py"]))
def test_any_bytes_are_values_or_a_format_error(data: bytes, path: str) -> None:
    """No content, however odd, ends in anything but values or a reason."""
    with contextlib.suppress(FormatError):
        flatten(load(path, data))


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("m.json", b"[" + b"[]," * 2_000_001 + b"1]", "has more than"),
        ("m.yaml", b"[" + b"1," * 1_000_001 + b"1]", "has more than"),
        ("m.toml", b"a." * 100_000 + b"a = 1", "nested too deeply"),
        ("m.toml", b"# x\n" * 2_000_000, "larger than"),
        ("m.py", b"a = [" + b"1," * 500_000 + b"]", "larger than"),
        *((f"m.{suffix}", b"a = 0x" + b"f" * 5000, "too many digits") for suffix in ("yaml", "toml", "py")),
    ],
    ids=["json", "yaml", "dotted keys", "toml", "python", "yaml digits", "toml digits", "python digits"],
)
def test_what_a_parser_would_blow_up_is_refused_before(path: str, data: bytes, reason: str) -> None:
    """Their values would take many times the memory of the text, or time that grows with its square."""
    with pytest.raises(formats.FormatError, match=reason):
        formats.load(path, data)
