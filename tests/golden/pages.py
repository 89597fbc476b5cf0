"""Golden pages without the style and the script that all of them share: those are kept once, in `page/`.

In a golden file `{{report.css}}` stands for a whole file of `page/`, and `{{sha256 report.css}}` for its digest in the
page's policy; `+` joins several. What is compared is the whole page, to the last byte.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from seatrial.render.html import read_asset

PARTS = Path(__file__).parent / "page"
NAMES = ("report.css", "report.js", "site.css")
# Those that stand in one element, the longest first.
_BLOCKS = (("report.css", "site.css"), ("report.css",), ("report.js",))
_MARK = re.compile(r"\{\{(sha256 )?([\w.+]+)\}\}")


def update_parts() -> None:
    """Write the shared files anew, as they are in the package."""
    PARTS.mkdir(exist_ok=True)
    for name in NAMES:
        (PARTS / name).write_text(read_asset(name), encoding="utf-8", newline="")


def expand(golden: str) -> str:
    """A golden file as the page that it stands for."""
    return _MARK.sub(lambda mark: _digest(mark[2]) if mark[1] else _read(mark[2]), golden)


def collapse(page: str) -> str:
    """A page as its golden file; its `expand` is the page again."""
    for block in _BLOCKS:
        name = "+".join(block)
        page = page.replace(_read(name), f"{{{{{name}}}}}").replace(_digest(name), f"{{{{sha256 {name}}}}}")
    return page


def _read(name: str) -> str:
    return "\n".join((PARTS / part).read_bytes().decode() for part in name.split("+"))


def _digest(name: str) -> str:
    return base64.b64encode(hashlib.sha256(_read(name).encode()).digest()).decode()
