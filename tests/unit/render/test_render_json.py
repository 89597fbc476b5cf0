"""Facts as JSON: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from seatrial.core.facts import ChangeFacts, ReportFacts
from seatrial.errors import CompareError
from seatrial.render import RenderOptions
from seatrial.render import json as report_json
from tests.golden.cases import CASES

FACTS = CASES["failed"].facts
VALIDATOR = Draft202012Validator(report_json.schema())


def as_data(facts: ReportFacts = FACTS) -> dict[str, Any]:
    """A report as Python's own parser reads it, to be broken by a test."""
    data: dict[str, Any] = json.loads(report_json.dump(facts))
    return data


@pytest.mark.parametrize("case", CASES)
def test_what_is_written_is_read_back(case: str) -> None:
    """Writing and reading give the same facts, and the text is valid by its own schema."""
    text = report_json.render(CASES[case], RenderOptions())
    assert report_json.parse(text.encode()) == CASES[case].facts
    VALIDATOR.validate(json.loads(text))


def test_the_schema_is_a_schema() -> None:
    """The published schema is valid, closed, and says what each part is."""
    schema = report_json.schema()
    Draft202012Validator.check_schema(schema)
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False and part["description"] for part in parts)
    assert schema["$id"].startswith("https://")
    assert json.loads(report_json.dump_schema()) == schema


def test_keys_are_in_the_order_of_the_schema() -> None:
    """Two reports can be compared line by line."""
    assert list(as_data()) == list(report_json.schema()["properties"])


@settings(max_examples=60)
@given(
    value=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    key=st.lists(st.text(), max_size=3),
)
def test_any_value_survives(value: bool | float | str | None, key: list[str]) -> None:
    """Values and keys of any kind come back as they were."""
    change = ChangeFacts(
        file="m.json", key=tuple(key), state="changed", base=value, head=None, absolute=None, relative=None,
        direction=None, effect="unknown", interval=None, reason="",
    )  # fmt: skip
    facts = replace(FACTS, metrics=(change,))
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return
    assert report_json.parse(report_json.dump(facts).encode()) == facts


def test_lone_surrogates_are_replaced() -> None:
    """A file name that is no UTF-8 does not keep the report from being written."""
    text = report_json.dump(replace(FACTS, headline="x\udce9y"))
    assert json.loads(text)["headline"] == "x\ufffdy"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_never_written(number: float) -> None:
    """Facts hold finite numbers only; JSON has no other, and null would be a silent loss."""
    change = replace(FACTS.metrics[0], absolute=number)
    with pytest.raises(ValueError, match=r"report\.metrics\[0\]\.absolute"):
        report_json.dump(replace(FACTS, metrics=(change,)))


def broken() -> dict[str, tuple[bytes, str]]:
    """Reports that must be refused, and what the refusal says."""
    text = report_json.dump(FACTS)
    unknown, nested, missing, newer, mistyped, listed = (as_data() for _ in range(6))
    unknown["comment"] = "<img>"
    nested["findings"][1]["html"] = "x"
    del missing["verdict"]
    newer["schema_version"] = 2
    newer["added"] = True
    mistyped["metrics"][0]["absolute"] = "−0.1"
    listed["findings"] = {}
    return {
        "empty": (b"", "not valid"),
        "not JSON": (b"<html>", "not valid"),
        "cut short": (text.encode()[:-20], "not valid"),
        "a list": (b"[]", "not valid"),
        "unknown key": (json.dumps(unknown).encode(), "$.comment"),
        "unknown key inside": (json.dumps(nested).encode(), "$.findings[1].html"),
        "missing key": (json.dumps(missing).encode(), "verdict"),
        "newer": (json.dumps(newer).encode(), "schema_version 2"),
        "wrong type": (json.dumps(mistyped).encode(), "$.metrics[0].absolute"),
        "object for list": (json.dumps(listed).encode(), "$.findings"),
        "NaN": (text.replace("-0.031", "NaN").encode(), "not valid"),
        "infinite": (text.replace("-0.031", "-1e999").encode(), "not valid"),
        "not UTF-8": (text.replace("main", "m\udcff").encode("utf-8", "surrogateescape"), "not valid"),
        "surrogate": (text.replace('"main"', '"\\ud800"').encode(), "not valid"),
        "deep": (b"[" * 200_000, "not valid"),
        "two documents": (text.encode() * 2, "not valid"),
    }


@pytest.mark.parametrize("name", broken())
def test_a_broken_report_is_refused(name: str) -> None:
    """What a stranger's job hands over is refused with its first fault, and with what to do."""
    data, fault = broken()[name]
    with pytest.raises(CompareError) as caught:
        report_json.parse(data)
    assert fault in caught.value.message
    assert caught.value.hint


def test_a_huge_report_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap is checked before anything is parsed."""
    monkeypatch.setattr(report_json, "MAX_BYTES", 100)
    with pytest.raises(CompareError, match="more than 100 are not read"):
        report_json.parse(report_json.dump(FACTS).encode())


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    """Schema and reader agree on unknown, missing and mistyped keys."""
    for name in ("unknown key", "unknown key inside", "missing key", "newer", "wrong type", "object for list"):
        assert not VALIDATOR.is_valid(json.loads(broken()[name][0]))
