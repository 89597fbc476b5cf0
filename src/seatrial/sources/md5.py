"""DVC's digest, by CPython's own md5 where it has one.

`hashlib` would load OpenSSL, which takes longer, and more memory, than most comparisons have to hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import md5
else:
    try:
        from _md5 import md5
    except ImportError:  # a Python that is built without it
        from hashlib import md5

__all__ = ["md5"]
