"""What `.dvcignore` hides; the library that DVC matches with is the oracle."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seatrial.sources.dvcignore import Ignore, read_ignore

PATHS = ("a", "b", "ab", "a/b", "a/b/c", "b/a", "a.txt", "a/b.txt", "x/y/a/b", "a b/c", "!a", "#a", "a/x/b", "a/x/y/b")


def _ignore(text: str, base: str = "") -> Ignore:
    return read_ignore({f"{base}.dvcignore": text.encode()})


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("a", {"a", "a/b", "a/b/c", "b/a", "x/y/a/b", "a/b.txt", "a/x/b", "a/x/y/b"}),
        ("/a", {"a", "a/b", "a/b/c", "a/b.txt", "a/x/b", "a/x/y/b"}),
        ("a/", {"a/b", "a/b/c", "x/y/a/b", "a/b.txt", "a/x/b", "a/x/y/b"}),
        ("a/b", {"a/b", "a/b/c"}),
        ("*.txt", {"a.txt", "a/b.txt"}),
        ("*.txt\n!a.txt", {"a/b.txt"}),
        ("a\n!a/b", {"a", "a/b", "a/b/c", "b/a", "x/y/a/b", "a/b.txt", "a/x/b", "a/x/y/b"}),
        ("a/**/b", {"a/b", "a/b/c", "a/x/b", "a/x/y/b"}),
        ("**/c", {"a/b/c", "a b/c"}),
        ("a/**", {"a/b", "a/b/c", "a/b.txt", "a/x/b", "a/x/y/b"}),
        ("[ab]", set(PATHS) - {"ab", "a.txt", "a b/c", "!a", "#a"}),
        ("a?b", {"a b/c"}),
        (r"\!a", {"!a"}),
        (r"\#a", {"#a"}),
        ("# a\n\n", set()),
        ("/", set()),
    ],
)
def test_patterns_hide_what_they_say(text: str, hidden: set[str]) -> None:
    """Anchors, directories, stars, negation and escapes, as in .gitignore."""
    ignore = _ignore(text)
    assert {path for path in PATHS if ignore.hides(path)} == hidden


def test_a_deeper_file_decides_for_its_directory() -> None:
    """A .dvcignore below the root counts from its own directory, and after those above it."""
    ignore = read_ignore({".dvcignore": b"*.json\n", "sub/.dvcignore": b"!keep.json\n/top\n"})
    assert ignore.hides("keep.json")
    assert not ignore.hides("sub/keep.json")
    assert ignore.hides("sub/top/x")
    assert not ignore.hides("top/x")


_lines = st.lists(st.text(alphabet="ab*/!.?", min_size=1, max_size=6), min_size=1, max_size=3)
_paths = st.lists(st.sampled_from(["a", "b", "ab", "a.b", "ba"]), min_size=1, max_size=4).map("/".join)


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # DVC's own choice of the oracle
@given(_lines, _paths)
@example(["a/**"], "a/b")
@example(["**/a/**/b"], "a/b")
def test_any_pattern_means_what_it_means_to_dvc(lines: list[str], path: str) -> None:
    """Random patterns and paths: a path is hidden where it, or a directory above it, is."""
    from pathspec import PathSpec

    if any("***" in line or "//" in line or line.strip("!/") == "" or "!!" in line for line in lines):
        return  # not patterns: every implementation of .gitignore reads these in its own way
    spec = PathSpec.from_lines("gitwildmatch", lines)
    parents = [path[:end] + "/" for end, letter in enumerate(path) if letter == "/"]
    assert _ignore("\n".join(lines)).hides(path) == any(map(spec.match_file, [*parents, path]))


def test_a_pattern_of_many_stars_is_matched_in_no_time() -> None:
    """A pattern made to be slow is not."""
    ignore = _ignore("/".join(["**", "*a*a*a*a*a*a*a*b"] * 20))
    assert not ignore.hides("/".join(["a" * 200] * 60))


def test_a_flood_of_patterns_is_cut_and_told() -> None:
    """The file is named in which the limit was reached; what came before counts."""
    ignore = read_ignore({".dvcignore": b"first\n" + b"*a*b*\n" * 5000, "x/.dvcignore": b"second\n"})
    assert (ignore.cut, ignore.hides("first"), ignore.hides("x/second")) == (".dvcignore", True, False)


def test_a_line_of_blanks_costs_no_time() -> None:
    """Blanks at the end count only behind a backslash, however many there are."""
    ignore = read_ignore({".dvcignore": b"a" + b" " * 200_000 + b"b\nplain   \nkept\\ \n"})
    assert (ignore.hides("plain"), ignore.hides("kept "), ignore.hides("kept")) == (True, True, False)
