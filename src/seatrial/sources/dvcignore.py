"""Which paths a project's `.dvcignore` files hide from DVC: the patterns of `.gitignore`, matched part by part.

A pattern is a stranger's text: it is matched in time that grows with its length, never by one large regular expression.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from fnmatch import translate

from msgspec import Struct

FILE = ".dvcignore"
MAX_RULES = 1000
_MAX_PATTERN = 1000


class _Rule(Struct, frozen=True, kw_only=True):
    """One line: the directory it stands in, its parts, whether it brings back, whether it is for directories alone."""

    base: str
    parts: tuple[str | re.Pattern[str], ...]
    brings_back: bool
    directories: bool


class Ignore(Struct, frozen=True):
    """The rules of all `.dvcignore` files of a tree; of several that fit, the last one decides.

    `cut` names the file in which the most rules that are heeded were reached, if any.
    """

    rules: tuple[_Rule, ...] = ()
    cut: str | None = None
    known: dict[str, bool] = {}

    def hides(self, path: str) -> bool:
        """Whether a file, or a directory above it, is ignored; nothing below an ignored directory comes back."""
        if not self.rules:
            return False
        ends = [end for end, letter in enumerate(path) if letter == "/"]
        return any(self._hides_directory(path[:end]) for end in ends) or self._decide(path, directory=False)

    def _hides_directory(self, path: str) -> bool:
        if path not in self.known:
            self.known[path] = self._decide(path, directory=True)
        return self.known[path]

    def _decide(self, path: str, *, directory: bool) -> bool:
        hidden = False
        for rule in self.rules:
            if (directory or not rule.directories) and _fits(rule, path):
                hidden = not rule.brings_back
        return hidden


def read_ignore(files: Mapping[str, bytes]) -> Ignore:
    """The rules of `.dvcignore` files by their path; those of deeper directories come later, and so win."""
    rules: list[_Rule] = []
    for path in sorted(files, key=lambda path: (path.count("/"), path)):
        base = posixpath.dirname(path)
        for line in files[path].decode("utf-8", "replace").splitlines():
            if len(rules) >= MAX_RULES:
                return Ignore(tuple(rules), path)
            rules.extend(_parse(base, line))
    return Ignore(tuple(rules))


def _parse(base: str, line: str) -> Iterable[_Rule]:
    pattern = line.rstrip()
    pattern += line[len(pattern) : len(pattern) + 1] if pattern.endswith("\\") else ""
    if not pattern or pattern.startswith("#") or len(pattern) > _MAX_PATTERN:
        return
    brings_back = pattern.startswith("!")
    pattern = pattern[1:] if brings_back else pattern
    directories = pattern.endswith("/")
    body = pattern.rstrip("/")
    # A slash before the end ties a pattern to its directory; without one it fits at any depth.
    parts = [part for part in body.split("/") if part]
    if not parts:
        return
    if "/" not in body:
        parts.insert(0, "**")
    if parts[-1] == "**":  # what lies inside, not the directory itself
        parts[-1:] = ["*", "**"]
    yield _Rule(base=base, parts=tuple(map(_compile, parts)), brings_back=brings_back, directories=directories)


def _compile(part: str) -> str | re.Pattern[str]:
    """A part without wildcards as the text that it is, which is found fastest."""
    unescaped = _unescape(part)
    plain = unescaped == "**" or not set(unescaped) & set("*?[")
    return unescaped if plain else re.compile(translate(unescaped))


def _unescape(part: str) -> str:
    """A part in the language of `fnmatch`, which has no backslash: a sign that is meant as such stands in brackets."""
    return re.sub(r"\\(.)", lambda found: f"[{found[1]}]" if found[1] in "*?[" else found[1], part)


def _fits(rule: _Rule, path: str) -> bool:
    prefix = f"{rule.base}/" if rule.base else ""
    if not path.startswith(prefix):
        return False
    if len(rule.parts) == 2 and rule.parts[0] == "**":  # at any depth: by far the most patterns
        return _fits_part(rule.parts[1], path[path.rfind("/") + 1 :])
    places = _skip_stars(rule.parts, {0})
    for part in path[len(prefix) :].split("/"):
        reached = {place for place in places if place < len(rule.parts) and rule.parts[place] == "**"}
        named = (place for place in places - reached if place < len(rule.parts))
        reached |= {place + 1 for place in named if _fits_part(rule.parts[place], part)}
        if not reached:
            return False
        places = _skip_stars(rule.parts, reached)
    return len(rule.parts) in places


def _fits_part(pattern: str | re.Pattern[str], part: str) -> bool:
    return pattern == part if isinstance(pattern, str) else pattern.match(part) is not None


def _skip_stars(parts: tuple[str | re.Pattern[str], ...], places: set[int]) -> set[int]:
    """`**` stands for no part as well: the places that are reached without taking one."""
    reached = set(places)
    for place in sorted(places):
        behind = place
        while behind < len(parts) and parts[behind] == "**":
            behind += 1
            reached.add(behind)
    return reached
