"""`seatrial history`: the metrics of every commit of a branch's own line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seatrial.charts.mermaid import line_chart
from seatrial.charts.sparkline import sparkline
from seatrial.commands.compare import load_config, write_whole
from seatrial.commands.measure import Progress
from seatrial.core.document import Diagram, Document
from seatrial.core.history import Commit, History, Series, build_series
from seatrial.core.history_wording import Drawing, write_history
from seatrial.core.metrics import MetricId, State, guess_direction
from seatrial.core.policy import Rule
from seatrial.core.revision import Revision
from seatrial.errors import UsageError
from seatrial.git import LineCommit, Repository
from seatrial.render import RenderOptions
from seatrial.sources.history import Line, read_line


class HistoryRequest(Struct, frozen=True, kw_only=True):
    """What is wanted: metrics by name or pattern (all, where none is named), of which commits, out of which files.

    `branch` is the default one unless named; `since` is a day or a moment of ISO 8601, `most` a number of commits.
    """

    metrics: tuple[str, ...] = ()
    branch: str | None = None
    since: str | None = None
    most: int | None = None
    targets: tuple[str, ...] = ()


def read_history(
    directory: Path,
    request: HistoryRequest,
    *,
    config_path: Path | None,
    git_dir: Path | None = None,
    tell: Progress | None = None,
) -> History:
    """Read the branch's own line, and build a series for each metric that is wanted."""
    repository = Repository.discover(directory, git_dir)
    policy = load_config(repository, config_path).policy
    name = request.branch or repository.default_branch() or "HEAD"
    tip = repository.resolve(name)
    since = parse_moment(request.since) if request.since else None
    found = list(repository.read_line(tip, most=request.most))
    commits = _cut(found, since, name)
    line = read_line(repository, commits, targets=request.targets, tell=tell)
    series, words = build_series(
        line.stretches,
        line.turns,
        line.blind,
        newest=len(commits) - 1,
        direction_of=lambda identity: policy.direction_of(identity) or guess_direction(identity.key),
    )
    if not series:
        raise _explain_nothing(name, commits, line, request.targets)
    history = History(
        branch=Revision(name=name, sha=tip),
        commits=tuple(Commit(sha=one.sha, time=one.time, subject=one.subject) for one in reversed(commits)),
        series=series,
        words=words,
        notes=(*_tell_shallow(repository, len(commits) == len(found) != request.most), *_tell_elsewhere(line)),
    )
    return _select(history, request.metrics) if request.metrics else history


def lay_out(history: History, *, named: bool, every_row: bool) -> Document:
    """The document for people; measurement by measurement where metrics were named, or there is but one."""
    detailed = [series.id for series in history.series] if named or len(history.series) == 1 else []
    return write_history(history, detailed, Drawing(bars=sparkline, chart=_draw), every_row=every_row)


def _draw(history: History, series: Series, label: str) -> Diagram | None:
    points = [(history.commits[reading.first].short, reading.value) for reading in series.readings]
    title = f"{label} on {history.branch.name}"
    source = line_chart(title=title, unit=series.id.dotted or series.id.file, points=points)
    return Diagram(title=title, source=source) if source else None


def parse_moment(text: str) -> int:
    """Seconds of Unix of a day (its start, in UTC) or a moment; UsageError for anything else."""
    try:
        # Before Python 3.11 no Z was read.
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    except ValueError:
        raise UsageError(
            f"--since {text}: is no date", hint="write it as 2026-01-31, or 2026-01-31T12:00:00Z"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())


def _cut(found: list[LineCommit], since: int | None, name: str) -> list[LineCommit]:
    """The commits from the newest to the oldest that is not before a moment; clocks differ, so some between may be."""
    if since is None:
        return found
    kept = [at for at, commit in enumerate(found) if commit.time >= since]
    if not kept:
        newest = Commit(sha=found[0].sha, time=found[0].time, subject="")
        raise UsageError(
            f"{name} has no commit since then: its newest, {newest.short}, is of {newest.date}",
            hint="choose an earlier --since",
        )
    return found[: kept[-1] + 1]


def _select(history: History, patterns: tuple[str, ...]) -> History:
    """The series that any of the patterns names, in the order of the patterns."""
    chosen: dict[MetricId, Series] = {}
    for pattern in patterns:
        rule = Rule(pattern=pattern, place="")
        # The name of a metric may be a pattern that does not match itself: `a[1]`.
        found = [one for one in history.series if str(one.id) == pattern or rule.matches(one.id)]
        if not found:
            raise _explain_unknown(pattern, history)
        chosen |= {one.id: one for one in found}
    return replace(history, series=tuple(chosen.values()), words=())


def _explain_unknown(pattern: str, history: History) -> UsageError:
    import difflib

    ids = [one.id for one in history.series]
    if any(Rule(pattern=pattern, place="").matches(identity) for identity in history.words):
        return UsageError(f"{pattern} is never a number", hint="seatrial history lists the metrics that are")
    known = list(dict.fromkeys([*(identity.dotted for identity in ids), *map(str, ids)]))
    near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"no metric of {history.branch.name} is named {pattern}",
        hint=f"{meant}seatrial history lists all of them; FILE:KEY, KEY, * and ? are understood",
    )


def _explain_nothing(name: str, commits: Sequence[LineCommit], line: Line, targets: tuple[str, ...]) -> UsageError:
    if targets:
        return UsageError(
            f"--targets {' '.join(targets)}: no metrics file of {name} in {len(commits):,} commits",
            hint="name a file or a directory from the repository's root",
        )
    if line.blind:
        problem = next(iter(line.blind.values()))
        return UsageError(f"no metrics in {len(commits):,} commits of {name}: {problem.message}", hint=problem.hint)
    hint = "declare a metrics file in dvc.yaml, or name one: --targets metrics.json"
    return UsageError(f"no commit of {name} declares metrics ({len(commits):,} were read)", hint=hint)


def _tell_shallow(repository: Repository, whole: bool) -> tuple[str, ...]:
    if not (whole and repository.is_shallow()):
        return ()
    return ("this clone is shallow, older commits are not here: git fetch --unshallow (in CI: fetch-depth: 0)",)


def _tell_elsewhere(line: Line) -> tuple[str, ...]:
    files = {
        stretch.metrics.path
        for stretch in line.stretches
        if stretch.metrics.problem and stretch.metrics.problem.state is State.MISSING_CACHE
    }
    if not files:
        return ()
    named = ", ".join(sorted(files)[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    below = " ".join(sorted(files)[:3])
    return (f"of {named} not every version is on this machine: dvc fetch --all-commits {below}",)


def tell_history(
    history: History, shape: str, options: RenderOptions, *, named: bool, path: Path | None, every_row: bool = False
) -> str:
    """The text for standard output: the history in one of four formats, unless it went into a file."""
    text = _render(history, shape, options if path is None else RenderOptions(), named=named, every_row=every_row)
    if path is None:
        return text
    write_whole(path, text)
    return ""


def _render(history: History, shape: str, options: RenderOptions, *, named: bool, every_row: bool) -> str:
    if shape == "json":
        from seatrial.render.history import render_json

        return render_json(history)
    if shape == "csv":
        from seatrial.render.history import render_csv

        return render_csv(history)
    document = lay_out(history, named=named, every_row=every_row)
    if shape == "markdown":
        from seatrial.render import markdown

        return markdown.render_document(document, options)
    from seatrial.render import terminal

    return terminal.render_document(document, options)
