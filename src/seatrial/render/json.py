"""A report's facts as strict JSON, the schema of that JSON, and its reading on the other side of a trust boundary."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from seatrial.core.facts import SCHEMA_VERSION, ReportFacts
from seatrial.core.report import Report
from seatrial.errors import CompareError
from seatrial.render import RenderOptions

SCHEMA_ID = "https://github.com/seatrial/seatrial/blob/main/docs/reference/report.schema.json"
MAX_BYTES = 16 * 1024 * 1024
_HINT = "write it with `seatrial compare --format json` of the same version"


def render(report: Report, options: RenderOptions) -> str:
    """The facts with their keys in the order of the schema, indented, ending with a newline."""
    return dump(report.facts)


def dump(facts: ReportFacts) -> str:
    """The facts as text that `parse` gives back unchanged (code points that UTF-8 can't hold become U+FFFD)."""
    # A report of a million values is large: no more copies of it than there must be.
    encoded = msgspec.json.format(encode(facts), indent=2)
    text = encoded.decode()
    text += "\n"
    return text


def encode(facts: Struct) -> bytes:
    """Facts of any kind as strict JSON in one line; ValueError where one of their numbers is not finite."""
    if _is_finite(facts):  # msgspec would write null for what is not
        with contextlib.suppress(UnicodeEncodeError):
            return msgspec.json.encode(facts)
    return msgspec.json.encode(_checked(msgspec.to_builtins(facts), "report"))


def _is_finite(facts: Struct | tuple[Any, ...]) -> bool:
    """Whether all numbers of some facts are finite."""
    for value in structs.astuple(facts) if isinstance(facts, Struct) else facts:
        if isinstance(value, float):
            if not math.isfinite(value):
                return False
        elif isinstance(value, (Struct, tuple)) and not _is_finite(value):
            return False
    return True


def _checked(value: Any, place: str) -> Any:
    """A copy without lone surrogates; a number that is not finite is a defect of whoever made the facts."""
    match value:
        case dict():
            return {key: _checked(inner, f"{place}.{key}") for key, inner in value.items()}
        case list() | tuple():
            return [_checked(inner, f"{place}[{at}]") for at, inner in enumerate(value)]
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case float() if not math.isfinite(value):
            raise ValueError(f"{place} is {value}: facts hold finite numbers only")
        case _:
            return value


def parse(data: bytes) -> ReportFacts:
    """Facts from bytes that nobody has vouched for: capped, strict, finite, with no key that the schema lacks.

    Raises `CompareError` with the place of the first fault.
    """
    if len(data) > MAX_BYTES:
        raise CompareError(f"the report has {len(data):,} bytes, more than {MAX_BYTES:,} are not read", hint=_HINT)
    try:
        raw = msgspec.json.decode(data)
        _refuse_other_version(raw)
        facts = msgspec.convert(raw, ReportFacts)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CompareError(f"the report is not valid: {error}", hint=_HINT) from error
    if (extra := _find_extra(raw, msgspec.to_builtins(facts), "$")) is not None:
        raise CompareError(f"the report is not valid: unknown key at `{extra}`", hint=_HINT)
    return facts


def _refuse_other_version(raw: object) -> None:
    """Before anything else: a newer report differs in more than its version, and that would be said instead."""
    version = raw.get("schema_version") if isinstance(raw, Mapping) else SCHEMA_VERSION
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise CompareError(
            f"the report has schema_version {version}, this seatrial reads {SCHEMA_VERSION}",
            hint="use one version of seatrial in both jobs",
        )


def _find_extra(raw: object, known: object, place: str) -> str | None:
    """The place of the first key that reading the facts has passed over."""
    if isinstance(raw, dict) and isinstance(known, dict):
        for key, inner in raw.items():
            if key not in known:
                return f"{place}.{ascii(key[:60])[1:-1]}"
            if (extra := _find_extra(inner, known[key], f"{place}.{key}")) is not None:
                return extra
    if isinstance(raw, list) and isinstance(known, (list, tuple)):
        for at, (inner, known_inner) in enumerate(zip(raw, known, strict=True)):
            if (extra := _find_extra(inner, known_inner, f"{place}[{at}]")) is not None:
                return extra
    return None


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the JSON report, made from the classes in `seatrial.core.facts`."""
    return describe(ReportFacts, SCHEMA_ID, "seatrial report", SCHEMA_VERSION)


def describe(kind: type[Struct], schema_id: str, title: str, version: int) -> dict[str, Any]:
    """The JSON Schema (2020-12) of facts of one kind, which have a `schema_version`."""
    (_,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["additionalProperties"] = False
        if "description" in definition:
            definition["description"] = " ".join(definition["description"].split())
    top = definitions.pop(kind.__name__)
    top["properties"]["schema_version"] = {"const": version}
    whole: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_id,
        **top,
        "title": title,
        "$defs": dict(sorted(definitions.items())),
    }
    # As JSON has it: a default that is a tuple is a list there.
    return msgspec.json.decode(msgspec.json.encode(whole), type=dict[str, Any])


def dump_schema() -> str:
    """The schema as the text of `docs/reference/report.schema.json`."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(dump_schema())
