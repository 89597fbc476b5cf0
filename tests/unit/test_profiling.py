"""The profile of a model's inputs: what is written, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from seatrial.core.profile import MOST_BINS, build_profile_schema, decode_profile, encode_profile
from seatrial.errors import ServeError, UsageError
from seatrial.profiling import build_profile, write_profile

RANDOM = np.random.default_rng(66)
PLAIN: dict[str, Any] = {
    "schema_version": 1,
    "features": [{"name": "hour", "edges": [7.5, 14.5], "counts": [3, 4, 2], "missing": 1}],
    "score": {"edges": [0.5], "counts": [6, 4]},
}


def test_a_profile_counts_every_row_in_few_bins() -> None:
    """Numbers, categories, constants, infinite and missing values: no row is lost, and the last is told apart."""
    rows = 5_000
    holes = RANDOM.normal(size=rows)
    holes[:50], holes[50:60] = np.nan, np.inf
    table = np.column_stack(
        [RANDOM.normal(size=rows), RANDOM.random(rows) < 0.03, np.full(rows, 0.1), holes, np.full(rows, np.nan)]
    )
    profile = build_profile(names=list("abcde"), features=table, scores=RANDOM.random(rows))
    assert {each.rows for each in profile.features} == {profile.rows} == {rows}
    assert [each.missing for each in profile.features] == [0, 0, 0, 50, rows]
    assert max(len(each.counts) for each in profile.features) <= MOST_BINS
    assert profile.features[1].counts == (0, int((table[:, 1] == 0).sum()), int(table[:, 1].sum()))
    assert profile.features[2].counts == (0, rows, 0)
    assert decode_profile(encode_profile(profile), "profile.json") == profile


def test_a_table_of_pandas_is_taken_and_written_whole(tmp_path: Path) -> None:
    """Its values count as an array's do, nothing lies beside the file, and the same table gives the same bytes."""
    frame = pd.DataFrame({"hour": RANDOM.integers(0, 24, 500), "late": RANDOM.random(500) < 0.5})
    path = write_profile(tmp_path, names=list(frame), features=frame, scores=frame["late"])
    first = path.read_bytes()
    assert decode_profile(first, "x") == build_profile(
        names=list(frame), features=frame.to_numpy(), scores=frame["late"]
    )
    write_profile(tmp_path, names=list(frame), features=frame, scores=frame["late"])
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["profile.json"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"names": ["a"]}, "features have 2 columns, and there are 1 names"),
        ({"names": ["a", "a"]}, "'a' is told twice"),
        ({"features": [["x", "y"]]}, "features are no numbers"),
        ({"features": [1.0, 2.0]}, r"features have the shape \(2,\)"),
        ({"features": np.empty((0, 2))}, "with one row at least"),
        ({"scores": [0.5]}, "there are 2 rows of features, and 1 scores"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(tmp_path: Path, given: dict[str, Any], told: str) -> None:
    """One usage error that says what is wrong, and no file."""
    plain: dict[str, Any] = {"names": ["a", "b"], "features": [[1, 2], [3, 4]]}
    with pytest.raises(UsageError, match=told):
        write_profile(tmp_path, **{**plain, **given})
    assert not list(tmp_path.iterdir())


def change(**keys: Any) -> dict[str, Any]:
    """The plain profile with other keys of its feature."""
    return {**PLAIN, "features": [{**PLAIN["features"][0], **keys}]}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({**PLAIN, "schema_version": 2}, "schema_version is 2"),
        ({**PLAIN, "features": []}, r"length >= 1 - at `\$.features`"),
        ({**PLAIN, "more": 1}, "unknown field `more`"),
        ({**PLAIN, "score": {"edges": [0.5], "counts": [6, 5]}}, "the score counts 11 rows, and the first feature 10"),
        ({**PLAIN, "features": PLAIN["features"] * 2}, "'hour' is told twice"),
        (change(name=""), r"`\$.features\[0\].name`"),
        (change(edges=[7.5, 7.5]), "'hour' has edges that do not ascend"),
        (change(edges=[7.5]), "has 1 edges and 3 counts"),
        (change(edges=[7.5, "14"]), r"`\$.features\[0\].edges\[1\]`"),
        (change(counts=[3, -4, 2]), r"`\$.features\[0\].counts\[1\]`"),
        (change(counts=[0, 0, 0], missing=0), "'hour' counts no row"),
        (change(edges=list(range(20)), counts=[1] * 21), r"length <= 19"),
        ([], "Expected `object`"),
    ],
)
def test_other_profiles_are_refused(document: object, told: str) -> None:
    """The file and the key are named."""
    with pytest.raises(ServeError, match=told) as caught:
        decode_profile(json.dumps(document).encode(), "m/profile.json")
    assert caught.value.message.startswith("m/profile.json: ")


@pytest.mark.parametrize("text", [b"", b"{", b'{"features": NaN}', b"\xff", b"[" * 100_000, b'{"edges": 1e999}'])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    """One error, whatever the bytes are."""
    with pytest.raises(ServeError, match=r"^m/profile\.json: "):
        decode_profile(text, "m/profile.json")


def test_the_schema_takes_what_is_written_and_refuses_what_is_not() -> None:
    """A file that is written fits the published schema; one with an unknown key does not."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(build_profile_schema())
    profile = build_profile(names=["a"], features=RANDOM.normal(size=(100, 1)), scores=RANDOM.random(100))
    validator.validate(json.loads(encode_profile(profile)))
    validator.validate(PLAIN)
    assert not validator.is_valid({**PLAIN, "more": 1})
    assert not validator.is_valid(change(counts=[-1, 4, 2]))
