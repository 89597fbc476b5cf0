"""Draw the pictures of the documentation from what the last `make demo` made, with Debian's Chromium."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo-out"
IMAGES = ROOT / "docs" / "images"
# Page, picture, and the window's size: wide enough for the table, cut below what is worth seeing.
PICTURES = (
    ("pull-request-1.html", "comment-failed.png", "1180,1010"),
    ("pull-request-2.html", "comment-passed.png", "1180,920"),
    ("report-1/report.html", "report.png", "1180,780"),
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --hide-scrollbars"
)


def main() -> int:
    """Make every picture anew."""
    if not DEMO.exists():
        sys.stderr.write("there is nothing to draw: run `make demo` first\n")
        return 2
    for page, picture, size in PICTURES:
        with tempfile.TemporaryDirectory() as profile:
            command = ["chromium", *FLAGS.split(), f"--user-data-dir={profile}", f"--window-size={size}"]
            target = IMAGES / picture
            subprocess.run(
                [*command, f"--screenshot={target}", (DEMO / page).as_uri()], check=True, capture_output=True
            )
            sys.stdout.write(f"{target.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
