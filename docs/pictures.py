"""Draw the pictures of the documentation from what the last `make demo` made, with Debian's Chromium."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from example_history import write_example

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo-out"
IMAGES = ROOT / "docs" / "images"
# Page, picture, and the window's size: wide enough for the table, cut below what is worth seeing.
PICTURES = (
    ("pull-request-1.html", "comment-failed.png", "1180,1010"),
    ("pull-request-2.html", "comment-passed.png", "1180,920"),
    ("report-1/report.html", "report.png", "1180,780"),
)
# The part on plots, in both colour schemes: Chromium's 0 is dark, 1 is light.
PLOTS = (("plots.png", "1"), ("plots-dark.png", "0"))
PLOTS_SIZE = "1180,1240"
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
        draw((DEMO / page).as_uri(), picture, size)
    with tempfile.TemporaryDirectory() as directory:
        cut = Path(directory) / "plots.html"
        cut.write_text(cut_plots(), encoding="utf-8")
        for picture, scheme in PLOTS:
            draw(cut.as_uri(), picture, PLOTS_SIZE, f"--blink-settings=preferredColorScheme={scheme}")
    with tempfile.TemporaryDirectory() as directory:
        draw(write_example(Path(directory)).as_uri(), "history.png", "1150,900")
    return 0


def draw(address: str, picture: str, size: str, *flags: str) -> None:
    """Write the picture of a page."""
    target = IMAGES / picture
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", *FLAGS.split(), *flags, f"--user-data-dir={profile}", f"--window-size={size}"]
        subprocess.run([*command, f"--screenshot={target}", address], check=True, capture_output=True)
    sys.stdout.write(f"{target.relative_to(ROOT)}\n")


def cut_plots() -> str:
    """A report on the demo's last merge with nothing but its plots, which stand open."""
    command = [sys.executable, "-m", "seatrial", "-C", str(DEMO / "project"), "compare", "HEAD^1", "HEAD"]
    command += ["--config", str(ROOT / "seatrial.yaml"), "--no-intervals", "--format", "html"]
    page = subprocess.run(command, capture_output=True, encoding="utf-8", check=False).stdout
    start = page.rindex("<details>", 0, page.index("<span>Plots:"))
    before, rest = page[:start], page[start + len("<details>") :]
    # Its parts hold no other ones.
    return (
        f"{before.partition('<main>')[0]}<main><details open>{rest.partition('</details>')[0]}</details></main></html>"
    )


if __name__ == "__main__":
    sys.exit(main())
