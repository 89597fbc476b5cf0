"""One algorithm for all forges: exactly one current comment, and a ladder of deliveries that never change a verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from seatrial.errors import DeliveryError
from seatrial.forges import Comment, Forge, UncertainDeliveryError

DEFAULT_KEY = "default"
_VERSION = 1
_MARKER = re.compile(r"<!-- seatrial (?P<json>\{.*\}) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The first line of our comments: `key` tells one report from another, `run` (RUN_ID.ATTEMPT) old from new."""

    key: str
    head: str
    run: str


class Outcome(str, Enum):
    """What became of a comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED_NEWER = "skipped-newer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentResult:
    """Where the one comment is, and how many of ours beside it were removed."""

    outcome: Outcome
    url: str
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How one step of a delivery went: `detail` is what it brought about, `problem` and `hint` why it did not."""

    step: str
    ok: bool
    detail: str = ""
    problem: str = ""
    hint: str = ""


Step = tuple[str, Callable[[], str | None]]


def render_marker(key: str, head: str, run: str) -> str:
    """The marker as a comment's first line; no value can end the HTML comment, whatever is in it."""
    fields = json.dumps({"v": _VERSION, "key": key, "head": head, "run": run}, separators=(",", ":"))
    return "<!-- seatrial " + fields.replace(">", "\\u003e") + " -->"


def parse_marker(body: str) -> Marker | None:
    """The marker that the body starts with; None where the first line is anything else."""
    match = _MARKER.fullmatch(body.partition("\n")[0].rstrip())
    if match is None:
        return None
    try:
        fields = json.loads(match["json"])
    except (ValueError, RecursionError):
        return None
    named = {name: fields.get(name) for name in ("key", "head", "run")}
    if fields.get("v") != _VERSION or not all(isinstance(value, str) for value in named.values()):
        return None
    return Marker(**named)


def upsert_comment(forge: Forge, change: int, body: str, marker: Marker) -> CommentResult:
    """Make `body` the one comment of the marker's key, unless a newer run has been there.

    The marker is put before a body that does not start with it. Raises `DeliveryError` where the forge says no.
    """
    if parse_marker(body) != marker:
        body = f"{render_marker(marker.key, marker.head, marker.run)}\n{body}"
    author = forge.whoami()
    if ours := _find(forge, change, marker.key, author):
        return _settle(forge, change, body, ours)
    created = _create(forge, change, body, marker.key, author)
    # Another job may have raced us; and only now is it sure under which name a GitHub App comments.
    ours = _find(forge, change, marker.key, created.author) or [created]
    settled = _settle(forge, change, body, ours)
    return replace(settled, outcome=Outcome.CREATED) if settled.outcome is Outcome.UNCHANGED else settled


def deliver(steps: Iterable[Step]) -> tuple[Delivery, ...]:
    """Take every step, whatever became of those before it; a step returns what it brought about."""
    return tuple(_take(name, step) for name, step in steps)


def _take(name: str, step: Callable[[], str | None]) -> Delivery:
    try:
        return Delivery(step=name, ok=True, detail=step() or "")
    except DeliveryError as error:
        return Delivery(step=name, ok=False, problem=error.message, hint=error.hint)
    except OSError as error:
        return Delivery(step=name, ok=False, problem=str(error), hint="Is the file's folder there and writable?")
    except Exception as error:  # noqa: BLE001 - posting is not judging: not even a defect of ours takes the verdict away
        problem = f"a defect of seatrial: {type(error).__name__}: {error}"
        return Delivery(step=name, ok=False, problem=problem, hint="Please report it; the verdict stands.")


def _find(forge: Forge, change: int, key: str, author: str | None) -> list[Comment]:
    """Our comments of this key, lowest id first: by author, and by a first line that is our marker."""
    if author is None:
        return []
    ours = [comment for comment in forge.list_comments(change) if comment.author == author and _key(comment) == key]
    return sorted(ours, key=lambda comment: comment.id)


def _key(comment: Comment) -> str | None:
    marker = parse_marker(comment.body)
    return marker.key if marker else None


def _create(forge: Forge, change: int, body: str, key: str, author: str | None) -> Comment:
    """Create the comment; where no answer comes, look whether it is there before asking a second and last time."""
    try:
        return forge.create_comment(change, body)
    except UncertainDeliveryError:
        if there := _find(forge, change, key, author):
            return there[0]
    return forge.create_comment(change, body)


def _settle(forge: Forge, change: int, body: str, ours: list[Comment]) -> CommentResult:
    """Leave the oldest of our comments with the newest run's body, and remove the others.

    Every job that races us comes to the same result, whichever of them acts last.
    """
    kept, *others = ours
    newest = max(ours, key=lambda comment: _order(comment.body))
    overtaken = _order(newest.body) > _order(body)
    wanted = newest.body if overtaken else body
    same = _normal(kept.body) == _normal(wanted)
    if not same:
        kept = forge.update_comment(kept, change, wanted)
    for comment in others:
        forge.delete_comment(comment, change)
    outcome = Outcome.SKIPPED_NEWER if overtaken else Outcome.UNCHANGED if same else Outcome.UPDATED
    return CommentResult(outcome=outcome, url=kept.url, removed=len(others))


def _order(body: str) -> tuple[int, ...]:
    """The run of a comment, `1234.2` as (1234, 2); one that is not of numbers comes before all others."""
    marker = parse_marker(body)
    parts = marker.run.split(".") if marker else []
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()


def _normal(body: str) -> str:
    """A body as forges keep it: line ends of one kind, nothing after the last word."""
    return body.replace("\r\n", "\n").rstrip()
