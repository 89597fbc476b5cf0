"""How far a long benchmark is."""

from __future__ import annotations

import sys


def tell(text: str) -> None:
    """Progress, on a terminal alone."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
