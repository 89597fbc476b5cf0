"""One algorithm for all forges: exactly one current comment, one check, and deliveries that never change a verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from seatrial.core.verdict import Status
from seatrial.errors import DeliveryError
from seatrial.forges import Comment, Conclusion, Forge, UncertainDeliveryError

DEFAULT_KEY = "default"
_VERSION = 1
_MARKER = re.compile(r"<!-- seatrial (?P<json>\{.*\}) -->")
# The last line of what CML posts: an image with or without a title, which holds the label that a project chose.
_CML = re.compile(
    r"!\[CML watermark\]\(https://raw\.githubusercontent\.com/iterative/cml/master/assets/watermark\.svg\)"
    r"|!\[\]\(https://cml\.dev/watermark\.png(?:#[0-9a-fA-F]*)? \"CML watermark[^\n]*\"\)"
)
_CONCLUSIONS: Mapping[Status, Conclusion] = {
    Status.PASSED: Conclusion.SUCCESS,
    Status.WARNED: Conclusion.NEUTRAL,
    Status.FAILED: Conclusion.FAILURE,
    Status.INCONCLUSIVE: Conclusion.ACTION_REQUIRED,
}


class CommentMode(str, Enum):
    """What becomes of the comment of an earlier run when there is a new report.

    `update` replaces its text; `recreate` deletes it and posts a new one; `hide-and-new` folds it and posts a new one,
    where the forge can fold; `thread` is `update` on a thread that is resolved while the verdict lets the change merge,
    where the forge has such; `only-on-change` and `only-on-failure` are `update` that starts with the first report that
    tells a change, or a verdict against merging; `off` leaves all comments alone.
    """

    UPDATE = "update"
    RECREATE = "recreate"
    HIDE_AND_NEW = "hide-and-new"
    THREAD = "thread"
    ONLY_ON_CHANGE = "only-on-change"
    ONLY_ON_FAILURE = "only-on-failure"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """The first line of our comments: `key` tells one report from another, `run` (RUN_ID.ATTEMPT) old from new.

    `series` tells that the comments before it were folded, and are no copies to be removed.
    """

    key: str
    head: str
    run: str
    series: bool = False


class Outcome(str, Enum):
    """What became of a comment."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED_NEWER = "skipped-newer"
    NOT_NEEDED = "not-needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentResult:
    """Where the one comment is (nowhere: empty), how many others were discarded, and what went otherwise than asked."""

    outcome: Outcome
    url: str
    removed: int = 0
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How one step of a delivery went: `detail` is what it brought about, `problem` and `hint` why it did not."""

    step: str
    ok: bool
    detail: str = ""
    problem: str = ""
    hint: str = ""


Step = tuple[str, Callable[[], str | None]]


# -- the comment


def render_marker(key: str, head: str, run: str, *, series: bool = False) -> str:
    """The marker as a comment's first line; no value can end the HTML comment, whatever is in it."""
    fields = {"v": _VERSION, "key": key, "head": head, "run": run} | ({"series": True} if series else {})
    return "<!-- seatrial " + json.dumps(fields, separators=(",", ":")).replace(">", "\\u003e") + " -->"


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
    return Marker(**named, series=fields.get("series") is True)


def upsert_comment(
    forge: Forge,
    change: int,
    body: str | Callable[[str], str],
    marker: Marker,
    *,
    mode: CommentMode = CommentMode.UPDATE,
    create: bool = True,
    good: bool = True,
) -> CommentResult:
    """Make `body` the one current comment of the marker's key, unless a newer run has been there.

    The marker is put before a body that does not start with it; a function that makes the body is given what our
    comment says now (nothing where there is none). `create` False only brings a comment that is there up to date;
    `good` tells whether a thread is to be resolved. Raises `DeliveryError` where the forge says no.
    """
    compose = body if callable(body) else lambda _: _drop_marker(body, marker)
    poster = _Poster(forge=forge, change=change, compose=compose, marker=marker, mode=mode, good=good)
    return poster.post(create=create)


def _drop_marker(body: str, marker: Marker) -> str:
    return body.partition("\n")[2] if parse_marker(body) == marker else body


@dataclass(slots=True, kw_only=True)
class _Poster:
    """One publication of one report.

    `author` is learnt from the first comment where the token does not tell it; `seen` are the ids of our comments that
    were there before.
    """

    forge: Forge
    change: int
    compose: Callable[[str], str]
    marker: Marker
    mode: CommentMode
    good: bool
    text: str = ""
    author: str | None = None
    seen: frozenset[int] = frozenset()

    def post(self, *, create: bool) -> CommentResult:
        """Bring the comment that is there up to date, or take its place, or add the first one."""
        self.author = self.forge.whoami()
        every = self._find()
        self.seen = frozenset(comment.id for comment in every)
        # A series goes on in every mode: only by it those that were folded before are known.
        series = self.mode is CommentMode.HIDE_AND_NEW or any(map(_is_in_series, every))
        self.marker = replace(self.marker, series=series)
        ours = _list_shown(every)
        if not ours and not create:
            return CommentResult(outcome=Outcome.NOT_NEEDED, url="")
        self.text = self.compose(max(ours, key=lambda comment: _order(comment.body)).body if ours else "")
        if not ours:
            return self._add([])
        if self.mode not in (CommentMode.RECREATE, CommentMode.HIDE_AND_NEW):
            return self._settle(ours)
        newest = max(_order(comment.body) for comment in ours)
        if newest > _order(self.body):
            return self._keep(ours, self._remove if self.mode is CommentMode.RECREATE else self._hide)
        if newest == _order(self.body):
            return self._settle([comment for comment in ours if _order(comment.body) == newest])
        if self.mode is CommentMode.HIDE_AND_NEW and (refusal := self._hide(ours)):
            # Two that are both shown would be worse than one that is brought up to date.
            settled = self._settle(ours)
            return replace(settled, remark=_join(f"updated in its place: {refusal}", settled.remark))
        return self._add(ours)

    @property
    def body(self) -> str:
        """The comment as it is to be, marker first."""
        marker = self.marker
        return f"{render_marker(marker.key, marker.head, marker.run, series=marker.series)}\n{self.text}"

    def _find(self) -> list[Comment]:
        """Our comments of this key, lowest id first; in a thread without any of ours the newest of CML's."""
        if self.author is None:
            return []
        mine = [comment for comment in self.forge.list_comments(self.change) if comment.author == self.author]
        mine.sort(key=lambda comment: comment.id)
        marked = [(comment, marker) for comment in mine if (marker := parse_marker(comment.body))]
        if not marked:
            # The first report takes the place of what CML posted under the same name.
            return [comment for comment in mine if _is_of_cml(comment.body)][-1:]
        return [comment for comment, marker in marked if marker.key == self.marker.key]

    def _add(self, before: list[Comment]) -> CommentResult:
        """Post anew, then look what else is there: another job may have raced us.

        Only now is it sure, too, under which name a GitHub App comments.
        """
        created = self._create()
        self.author = created.author
        every = [replace(one, handle=created.handle) if one.id == created.id else one for one in self._find()]
        every = every or [created]
        fresh = [comment for comment in every if comment.id not in self.seen]
        if self.mode is CommentMode.HIDE_AND_NEW:
            return self._keep(fresh, self._hide)
        if self.mode is CommentMode.RECREATE:
            return self._keep([*before, *fresh], self._remove)
        settled = self._settle(_list_shown(every))
        return replace(settled, outcome=Outcome.CREATED) if settled.outcome is Outcome.UNCHANGED else settled

    def _create(self) -> Comment:
        """Create the comment; where no answer comes, look whether it is there before asking a second and last time."""
        resolvable = self.mode is CommentMode.THREAD
        try:
            return self.forge.create_comment(self.change, self.body, resolvable=resolvable)
        except UncertainDeliveryError:
            for comment in self._find():
                if comment.id not in self.seen and parse_marker(comment.body) == self.marker:
                    return comment
        return self.forge.create_comment(self.change, self.body, resolvable=resolvable)

    def _settle(self, ours: list[Comment]) -> CommentResult:
        """Leave the oldest of our comments with the newest run's body, and remove the others.

        Every job that races us comes to the same result, whichever of them acts last.
        """
        kept, *others = ours
        newest = max(ours, key=lambda comment: _order(comment.body))
        overtaken = _order(newest.body) > _order(self.body)
        wanted = newest.body if overtaken else self.body
        same = _normal(kept.body) == _normal(wanted)
        if not same:
            try:
                kept = self.forge.update_comment(kept, self.change, wanted)
            except DeliveryError as refusal:
                return self._look_again(kept, refusal)
        remark = _join(self._remove(others), "" if overtaken else self._resolve(kept))
        outcome = Outcome.SKIPPED_NEWER if overtaken else Outcome.UNCHANGED if same else Outcome.UPDATED
        return CommentResult(outcome=outcome, url=kept.url, removed=len(others), remark=remark)

    def _look_again(self, kept: Comment, refusal: DeliveryError) -> CommentResult:
        """What an update that was refused means: a newer run has taken its place, somebody deleted it, or no."""
        try:
            there = self._find()
        except DeliveryError:
            raise refusal from None
        newest = max(there, key=lambda comment: _order(comment.body), default=kept)
        if _order(newest.body) > _order(self.body):
            return CommentResult(outcome=Outcome.SKIPPED_NEWER, url=newest.url)
        if not there:
            return self._add([])
        raise refusal

    def _keep(self, ours: list[Comment], discard: Callable[[list[Comment]], str]) -> CommentResult:
        """Keep the newest run's comment, of several the oldest, and discard the others."""
        kept = max(ours, key=lambda comment: (_order(comment.body), -comment.id))
        others = [comment for comment in ours if comment.id != kept.id]
        outcome = Outcome.SKIPPED_NEWER if _order(kept.body) > _order(self.body) else Outcome.CREATED
        return CommentResult(outcome=outcome, url=kept.url, removed=len(others), remark=discard(others))

    # What may fail without the report being lost: each tells what went wrong, or nothing.

    def _remove(self, comments: list[Comment]) -> str:
        try:
            for comment in comments:
                self.forge.delete_comment(comment, self.change)
        except DeliveryError as refusal:
            return f"an older copy is left: {refusal.message}"
        return ""

    def _hide(self, comments: list[Comment]) -> str:
        try:
            if comments:
                self.forge.hide_comments(comments, self.change)
        except DeliveryError as refusal:
            return refusal.message
        return ""

    def _resolve(self, comment: Comment) -> str:
        if self.mode is not CommentMode.THREAD:
            return ""
        if comment.resolved is None:
            return "it is no thread that can be resolved"
        try:
            if comment.resolved is not self.good:
                self.forge.resolve_comment(comment, self.change, resolved=self.good)
        except DeliveryError as refusal:
            return refusal.message
        return ""


def _list_shown(ours: list[Comment]) -> list[Comment]:
    """Those that are not folded: in a series all before its newest are."""
    series = list(filter(_is_in_series, ours))
    if not series:
        return ours
    shown = max(series, key=lambda comment: (_order(comment.body), -comment.id))
    return [comment for comment in ours if comment.id >= shown.id]


def _is_in_series(comment: Comment) -> bool:
    marker = parse_marker(comment.body)
    return marker is not None and marker.series


def _is_of_cml(body: str) -> bool:
    return _CML.fullmatch(body.rstrip().rpartition("\n")[2].strip()) is not None


def _order(body: str) -> tuple[int, ...]:
    """The run of a comment, `1234.2` as (1234, 2); one that is not of numbers comes before all others."""
    marker = parse_marker(body)
    parts = marker.run.split(".") if marker else []
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()


def _normal(body: str) -> str:
    """A body as forges keep it: line ends of one kind, nothing after the last word."""
    return body.replace("\r\n", "\n").rstrip()


def _join(*remarks: str) -> str:
    return "; ".join(filter(None, remarks))


# -- the check


def name_check(key: str) -> str:
    """The name of a report's check: it stays, so that it can be required."""
    return "seatrial" if key == DEFAULT_KEY else f"seatrial: {key}"


def choose_conclusion(status: Status) -> Conclusion:
    """How a check ends that shows a verdict."""
    return _CONCLUSIONS[status]


# -- the ladder


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
