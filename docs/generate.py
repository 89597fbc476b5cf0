"""Write the files of the documentation that are made from the code; `--check` fails where one is not fresh."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from seatrial.config import build_schema
from seatrial.core.profile import build_profile_schema
from seatrial.render import history
from seatrial.render.json import schema

REFERENCE = Path(__file__).parent / "reference"


def generate() -> Mapping[Path, str]:
    """Every generated file, with the text that it should have."""
    return {
        REFERENCE / "history.schema.json": _spell(history.schema()),
        REFERENCE / "profile.schema.json": _spell(build_profile_schema()),
        REFERENCE / "report.schema.json": _spell(schema()),
        REFERENCE / "seatrial.schema.json": _spell(build_schema()),
    }


def _spell(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the files, or with `--check` compare them."""
    files = generate()
    if "--check" not in sys.argv:
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        sys.stderr.write(f"{path.relative_to(Path.cwd())} is not fresh: run `make generate` and commit it\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
