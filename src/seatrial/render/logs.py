"""Text for the log of GitHub Actions, whose runner obeys whatever a step prints: `::add-mask::…`, `##[group]…`.

Names out of a pull request stand in a report. Each format has its own way to write a sign so that its readers see
what they would have seen, and the runner does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
_OLD_COMMAND = "##["


def disarm(text: str, form: str) -> str:
    """A report in one of the formats of `RENDERERS` in which no line is a command to the runner."""
    return _WAYS.get(form, disarm_text)(text)


def disarm_text(text: str) -> str:
    """Text for people: a blank parts what would be a command."""
    return _COMMAND.sub(r"\1: ", text).replace(_OLD_COMMAND, "## [")


def _disarm_json(text: str) -> str:
    """The sign stands only within strings, where no line begins."""
    return text.replace(_OLD_COMMAND, "\\u0023#[")


def _disarm_markup(text: str) -> str:
    return _COMMAND.sub(r"\1&#58;", text).replace(_OLD_COMMAND, "&#35;#[")


_WAYS: dict[str, Callable[[str], str]] = {
    "json": _disarm_json,
    "dvc-json": _disarm_json,
    "code-quality": _disarm_json,
    "gitlab-annotations": _disarm_json,
    "annotations": lambda text: text,  # commands are what it is for, and every text in them is escaped
    "html": _disarm_markup,
    "junit": _disarm_markup,
}
