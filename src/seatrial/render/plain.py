"""Markdown for a forge that shows HTML as it was typed and folds nothing: Bitbucket Cloud."""

from __future__ import annotations

import re

_ZERO_WIDTH_SPACE = "\u200b"
_SUMMARY = re.compile(r"<details><summary>(.*?)</summary>")
_STRONG = re.compile(r"<strong>(.*?)</strong>")
_LEADING = re.compile(r"^(?:<[a-z][^<>]*>)+", re.MULTILINE)
_TAG = re.compile(r"</?[a-z][^<>]*>")
_EMPTY_LINES = re.compile(r"\n{3,}")


def leave_out_html(markdown: str) -> str:
    """The Markdown that our renderer wrote, without its HTML elements.

    Folded parts stand open under their summaries. Every `<` of the text is an element of ours: what others wrote has
    it as an entity, which Bitbucket's Markdown knows.
    """
    text = _SUMMARY.sub(lambda match: f"**{_strip(match[1])}**", markdown)
    text = _STRONG.sub(lambda match: f"**{_strip(match[1])}**", text)
    # What stood within an element must not begin a list or a rule where the element is gone.
    text = _LEADING.sub(_ZERO_WIDTH_SPACE, text)
    return _EMPTY_LINES.sub("\n\n", _strip(text)).strip() + "\n"


def _strip(text: str) -> str:
    return _TAG.sub("", text)
