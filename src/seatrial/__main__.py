"""The program `seatrial`, and `python -m seatrial`."""

from __future__ import annotations

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    # Nearly all that a comparison makes lives until its end: looking for garbage every 700 objects finds none.
    gc.set_threshold(200_000)
    from seatrial.cli import main as run

    try:
        run()
    finally:
        gc.freeze()  # or the interpreter would look through all of it twice more before it ends


if __name__ == "__main__":
    main()
