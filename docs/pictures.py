"""Draw the pictures of the documentation from what the last `make demo` made, with Debian's Chromium."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from example_history import write_example
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

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
# The demo's first try against main, as its author sees it before pushing.
TERMINAL = ("compare", "HEAD^1", "HEAD^2^")
TERMINAL_CELLS = 132, 60
TERMINAL_SIZE = "1160,640"
SCREEN = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 22px 24px; background: #0d1117; color: #e6edf3; }
pre { margin: 0; font: 14px/1.42 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.prompt { color: #7d8590; }
</style><pre><span class="prompt">$</span> seatrial %s

%s</pre>"""
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
        screen = Path(directory) / "terminal.html"
        screen.write_text(SCREEN % (" ".join(TERMINAL), show_screen()), encoding="utf-8")
        draw(screen.as_uri(), "terminal.png", TERMINAL_SIZE)
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


def show_screen() -> str:
    """What a terminal shows of a comparison, as HTML: the command runs in a real one, and so has its colours."""
    screen, program = pty.openpty()
    width, height = TERMINAL_CELLS
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), "LINES": str(height)}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "seatrial", "-C", str(DEMO / "project"), *TERMINAL]
    running = subprocess.Popen(
        [*command, "--config", str(ROOT / "seatrial.yaml")],
        stdout=program, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(program)
    said = b"".join(iter(lambda: _read(screen), b""))
    running.wait()
    recorder = Console(record=True, file=io.StringIO(), width=width)
    recorder.print(Text.from_ansi(said.decode().replace("\r\n", "\n")))
    return recorder.export_html(theme=SVG_EXPORT_THEME, inline_styles=True, code_format="{code}")


def _read(screen: int) -> bytes:
    """The next part, nothing once the program has ended: Linux tells that by an error."""
    try:
        return os.read(screen, 1 << 16)
    except OSError:
        return b""


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
