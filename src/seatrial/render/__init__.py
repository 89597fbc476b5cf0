"""Report → text: one file a format, each a function `render(report, options) -> str`.

A renderer escapes for its own medium and nothing else: what is said, and in which order, is the
document's business (`seatrial.core.document`). To add a format, write one file and one line in `RENDERERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from msgspec import Struct

from seatrial.core.report import Report

Flavour = Literal["github", "gitlab", "bitbucket"]


class HostedPicture(Struct, frozen=True, kw_only=True):
    """Where the forge shows a picture, by an address of its own, and how wide it is in CSS pixels."""

    address: str
    width: int


class RenderOptions(Struct, frozen=True, kw_only=True):
    """What a renderer may need to know of the place where its text will stand.

    `width` is in terminal cells (None: as wide as the text), `budget` in UTF-8 bytes (None: no limit).
    `full_report_url` is where a reader finds what a short report had to leave out; `pictures` are those that
    the forge hosts, by the plot's name. The last four are for the shapes
    of DVC's own diffs: parameters in the place of metrics, no column of paths, unchanged values too, decimals.
    """

    colour: bool = False
    width: int | None = None
    budget: int | None = None
    flavour: Flavour = "github"
    full_report_url: str | None = None
    pictures: Mapping[str, tuple[HostedPicture, ...]] = {}
    params: bool = False
    no_path: bool = False
    show_all: bool = False
    precision: int | None = None


class Renderer(Protocol):
    """Turns a report into the text of one format."""

    def __call__(self, report: Report, options: RenderOptions) -> str:
        """The report as text, ending with a newline."""
        ...


def _terminal(report: Report, options: RenderOptions) -> str:
    from seatrial.render import terminal

    return terminal.render(report, options)


def _markdown(report: Report, options: RenderOptions) -> str:
    from seatrial.render import markdown

    return markdown.render(report, options)


def _json(report: Report, options: RenderOptions) -> str:
    from seatrial.render import json

    return json.render(report, options)


def _html(report: Report, options: RenderOptions) -> str:
    from seatrial.render import html

    return html.render(report, options)


def _junit(report: Report, options: RenderOptions) -> str:
    from seatrial.render import junit

    return junit.render(report, options)


def _annotations(report: Report, options: RenderOptions) -> str:
    from seatrial.render import github_annotations

    return github_annotations.render(report, options)


def _code_quality(report: Report, options: RenderOptions) -> str:
    from seatrial.render import code_quality

    return code_quality.render(report, options)


def _gitlab_annotations(report: Report, options: RenderOptions) -> str:
    from seatrial.render import gitlab_annotations

    return gitlab_annotations.render(report, options)


def _openmetrics(report: Report, options: RenderOptions) -> str:
    from seatrial.render import openmetrics

    return openmetrics.render(report, options)


def _dvc_json(report: Report, options: RenderOptions) -> str:
    from seatrial.render import dvc

    return dvc.render_json(report, options)


def _dvc_markdown(report: Report, options: RenderOptions) -> str:
    from seatrial.render import dvc

    return dvc.render_markdown(report, options)


# Each is imported when it is called: `seatrial compare` must not wait for a format that nobody asked for.
RENDERERS: dict[str, Renderer] = {
    "terminal": _terminal,
    "markdown": _markdown,
    "json": _json,
    "html": _html,
    "junit": _junit,
    "annotations": _annotations,
    "code-quality": _code_quality,
    "gitlab-annotations": _gitlab_annotations,
    "openmetrics": _openmetrics,
    "dvc-json": _dvc_json,
    "dvc-markdown": _dvc_markdown,
}
