"""Plain scalars of YAML 1.2 as DVC reads them: which type a text has, and its value.

The core schema (https://yaml.org/spec/1.2.2/#103-core-schema), with the underscores in numbers that DVC's reader,
ruamel.yaml, accepts too. Dates stay text; `.5e3` without a sign in its exponent is text, as in DVC.
"""

from __future__ import annotations

import re
from collections.abc import Callable

STR, SEQ, MAP = "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"
INT, FLOAT, BOOL = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"
NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"

_WORDS = dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), BOOL)
_WORDS |= dict.fromkeys(("", "~", "null", "Null", "NULL"), NULL)
_WORDS |= dict.fromkeys((".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"), FLOAT)
_WORDS |= {sign + word: FLOAT for word in (".inf", ".Inf", ".INF") for sign in "+-"}
_WORDS["<<"] = MERGE

_FLOAT_FORM = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9_]+(?:[eE][-+][0-9]+)?)"
)
_INT_FORM = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9_]+)")
_NUMBER_STARTS = frozenset("+-.0123456789")
_BASES = {"0b": 2, "0o": 8, "0x": 16}


def resolve(text: str) -> str:
    """The tag of a plain scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in _NUMBER_STARTS:
        if _FLOAT_FORM.fullmatch(text):
            return FLOAT
        if _INT_FORM.fullmatch(text):
            return INT
    return STR


def _build_int(text: str) -> int:
    digits = text.replace("_", "").lower()
    sign, digits = (-1 if digits.startswith("-") else 1), digits.lstrip("+-")
    base = _BASES.get(digits[:2])
    return sign * (int(digits[2:], base) if base else int(digits))


def _build_float(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))


def _build_bool(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


# KeyError or ValueError where the text does not fit an explicit tag.
BUILDERS: dict[str, Callable[[str], object]] = {
    INT: _build_int,
    FLOAT: _build_float,
    BOOL: _build_bool,
    NULL: lambda text: None,
}
