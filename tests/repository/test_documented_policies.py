"""Policies in the documentation are policies that are taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from seatrial.config import build_schema, parse_config

ROOT = Path(__file__).parents[2]
KEYS = "|".join(build_schema()["$defs"]["RawConfig"]["properties"])
BLOCK = re.compile(rf"^```yaml\n((?:#[^\n]*\n)*(?:{KEYS}):.*?)^```", re.DOTALL | re.MULTILINE)


def list_policies() -> Iterator[tuple[str, str]]:
    """Each block of YAML that begins with a key of seatrial.yaml, and where it stands."""
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]):
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text[: found.start()].count("\n") + 1
            yield f"{page.relative_to(ROOT)}:{line}", found[1]


@pytest.mark.parametrize(("place", "text"), [*list_policies()])
def test_documented_policy_is_taken(place: str, text: str) -> None:
    """Whoever copies it gets no error; a part of a policy needs its version in front alone."""
    whole = text if re.search(r"^version:", text, re.MULTILINE) else f"version: 1\n{text}"
    parse_config(whole.encode(), place)


def test_there_are_documented_policies() -> None:
    """The pages that show some are found."""
    pages = {place.partition(":")[0] for place, _ in list_policies()}
    assert {"docs/how-to/canary.md", "docs/how-to/deploy.md", "docs/how-to/gates.md"} <= pages
