"""How the inputs and the predictions of a model were distributed in the data that it was judged on.

`profile.json` lies beside the model and holds counts of rows in bins, never a row:

    {"schema_version": 1,
     "features": [{"name": "hour", "edges": [7.5, 14.5], "counts": [310, 402, 288], "missing": 0}],
     "score": {"edges": [0.1, 0.4], "counts": [500, 350, 150]}}

A value on an edge is in the bin below; the first and the last bin are open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from seatrial.errors import ServeError

PROFILE = "profile.json"
PROFILE_VERSION = 1
MOST_BINS = 20
MOST_FEATURES = 1000

_Count = Annotated[int, Meta(ge=0, le=2**53)]
_Edges = Annotated[tuple[float, ...], Meta(max_length=MOST_BINS - 1)]
_Counts = Annotated[tuple[_Count, ...], Meta(min_length=1, max_length=MOST_BINS)]


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rows in each bin of a column: one bin more than there are `edges`, which ascend; `missing` have no value."""

    edges: _Edges
    counts: _Counts
    missing: _Count = 0

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.counts) + self.missing


class FeatureColumn(Column, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A feature; its name is one of `inputs` in `model.json`."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file; every column is of the same rows. `score` is None where predictions are no numbers."""

    features: Annotated[tuple[FeatureColumn, ...], Meta(min_length=1, max_length=MOST_FEATURES)]
    score: Column | None = None
    schema_version: int = PROFILE_VERSION

    @property
    def rows(self) -> int:
        """The rows that were counted."""
        return self.features[0].rows


def decode_profile(data: bytes, place: str) -> Profile:
    """Read a profile; ServeError names `place` and the key that is wrong."""
    try:
        profile = msgspec.json.decode(data, type=Profile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refuse(place, str(error)) from error
    check_profile(profile, place)
    return profile


def check_profile(profile: Profile, place: str) -> None:
    """ServeError for what types alone don't tell: edges, numbers of bins and rows, and names."""
    if profile.schema_version != PROFILE_VERSION:
        raise _refuse(place, f"schema_version is {profile.schema_version}; this seatrial reads {PROFILE_VERSION}")
    names = [feature.name for feature in profile.features]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise _refuse(place, f"the feature {twice!r} is told twice")
    named: list[tuple[str, Column]] = [(f"the feature {each.name!r}", each) for each in profile.features]
    for told, column in (*named, *([("the score", profile.score)] if profile.score else [])):
        if problem := _find_problem(column, profile.rows):
            raise _refuse(place, f"{told} {problem}")


def check_names(profile: Profile, inputs: Sequence[str], place: str) -> None:
    """ServeError for a feature that the model does not take."""
    for feature in profile.features:
        if feature.name not in inputs:
            raise _refuse(place, f"the feature {feature.name!r} is none of the inputs that model.json names")


def encode_profile(profile: Profile) -> bytes:
    """The file; the same profile gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=1) + b"\n"


def build_profile_schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    schema = msgspec.json.schema(Profile)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"seatrial's {PROFILE}", **schema}


def _find_problem(column: Column, rows: int) -> str:
    if not all(map(math.isfinite, column.edges)):
        return "has an edge that is no finite number"
    if any(low >= high for low, high in zip(column.edges, column.edges[1:], strict=False)):
        return "has edges that do not ascend"
    if len(column.counts) != len(column.edges) + 1:
        return f"has {len(column.edges)} edges and {len(column.counts)} counts; there is one bin more than edges"
    if column.rows < 1:
        return "counts no row"
    return "" if column.rows == rows else f"counts {column.rows} rows, and the first feature {rows}"


def _refuse(place: str, problem: str) -> ServeError:
    return ServeError(
        f"{place}: {problem}", hint="write it by seatrial.profiling.write_profile; drift needs it, the model does not"
    )
