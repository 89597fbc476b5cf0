"""What all golden files share: how one is held to its text or written anew, and the style and the script of pages.

In a golden file `{{report.css}}` stands for a whole asset of the package, and `{{sha256 report.css}}` for its digest in
the page's policy; `+` joins several. The assets themselves are pinned by their digests, in `assets.sha256`: a change of
style shows in one line, not in every page.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from seatrial import __version__
from seatrial.render.html import read_asset

PINNED = Path(__file__).parent / "assets.sha256"
NAMES = ("report.css", "report.js", "site.css")
# Those that stand in one element, the longest first.
_BLOCKS = (("report.css", "site.css"), ("report.css",), ("report.js",))
_MARK = re.compile(r"\{\{(sha256 )?([\w.+]+)\}\}")


def settle(golden: Path, text: str) -> None:
    """Hold a text to its golden file, to the last character; UPDATE_GOLDEN asks for the file to be written anew."""
    stable = text.replace(f'"seatrial_version": "{__version__}"', '"seatrial_version": "0.0.0"')
    if os.environ.get("UPDATE_GOLDEN"):
        assert "PYTEST_XDIST_WORKER" not in os.environ, "golden files are written by one process, without -n"
        golden.parent.mkdir(exist_ok=True)
        PINNED.write_text(list_assets(), encoding="utf-8", newline="")
        golden.write_text(_collapse(stable), encoding="utf-8", newline="")
    assert _expand(golden.read_bytes().decode()) == stable


def list_assets() -> str:
    """The assets with their digests, as `sha256sum` writes them."""
    return "".join(f"{hashlib.sha256(_read(name).encode()).hexdigest()}  {name}\n" for name in NAMES)


def _expand(golden: str) -> str:
    """A golden file as the page that it stands for."""
    return _MARK.sub(lambda mark: _digest(mark[2]) if mark[1] else _read(mark[2]), golden)


def _collapse(page: str) -> str:
    """A page as its golden file, which stands for the page again."""
    for block in _BLOCKS:
        name = "+".join(block)
        page = page.replace(_read(name), f"{{{{{name}}}}}").replace(_digest(name), f"{{{{sha256 {name}}}}}")
    return page


def _read(name: str) -> str:
    return "\n".join(read_asset(part) for part in name.split("+"))


def _digest(name: str) -> str:
    return base64.b64encode(hashlib.sha256(_read(name).encode()).digest()).decode()
