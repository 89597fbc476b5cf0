"""The command line: flags in, text and exit codes out; the one place where errors end a run."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from seatrial import __version__
from seatrial.errors import ExitCode, SeatrialError, UsageError

if TYPE_CHECKING:
    from seatrial.commands.init import InitPlan
    from seatrial.core.deployment import DeploymentRecord
    from seatrial.deploy.engine import Deployment
    from seatrial.publish import Delivery
    from seatrial.render import RenderOptions

_EXAMPLE_COMPARE = """\b
Examples:
  seatrial compare                         the work tree against where it left main
  seatrial compare main HEAD --all         two commits, unchanged values too
  seatrial compare v1.2..v1.3 --format json --output report.json
  seatrial compare --output report.html --output report.md

\b
Exit codes: 0 passed or warned, 1 a gate failed, 2 usage or configuration,
            3 could not compare, or inconclusive, 70 a defect of seatrial."""
_EXAMPLE_CI = """\b
Examples:
  seatrial ci                              in a job of GitHub Actions or GitLab CI
  seatrial ci --comment off --no-check     judge only: files, job summary, exit code
  seatrial ci --comment only-on-change     no comment before there is something to tell
  seatrial ci --reproduce verify           fail if the committed metrics are not what `dvc repro` makes

\b
Exit codes: 0 passed or warned, 1 a gate failed, 2 usage or configuration,
            3 could not compare, or inconclusive, 4 judged but not delivered (with --require-delivery),
            70 a defect of seatrial."""
_EXAMPLE_PLAN = """\b
Examples:
  seatrial plan                            what the gates can tell of a change like the work tree's
  seatrial plan v1.2 v1.3                  of one like that between two commits
  seatrial plan --format json

\b
Exit codes: 0 planned, 2 usage or configuration, 3 could not compare, 70 a defect of seatrial."""
_EXAMPLE_HISTORY = """\b
Examples:
  seatrial history                         every metric of the default branch, commit by commit
  seatrial history recall 'latency.*'      the measurements of some of them
  seatrial history --since 2026-01-01 --format csv --output history.csv
  seatrial history --site public           pages for GitHub Pages or GitLab Pages

\b
Exit codes: 0 told, 2 usage or configuration, 3 git can't be read, 70 a defect of seatrial."""
_EXAMPLE_PUBLISH = """\b
Examples:
  seatrial publish                         in a job of GitHub Actions that runs on workflow_run
  seatrial publish --from-run 1234567890 --repository octo/flights
  seatrial publish --from-run 1234567890 --comment off --no-check

\b
Exit codes: 0 passed or warned, 1 a gate failed, 2 usage or configuration,
            3 refused, could not compare, or inconclusive,
            4 judged but not delivered (with --require-delivery), 70 a defect of seatrial."""
_EXAMPLE_DEPLOY = """\b
Examples:
  seatrial deploy flights-delay --to /srv/models --plan
  seatrial deploy flights-delay --to /srv/models
  seatrial deploy flights-delay --to /srv/models --address http://127.0.0.1:8080

\b
Exit codes: 0 live (or already live), 1 failed, and what was live before is live and proved,
            2 usage or configuration, 3 failed, and what was live before is not proved,
            4 blocked before anything changed (verdict, older commit, lock, altered bytes),
            5 inconclusive (no golden requests), and nothing changed, 70 a defect of seatrial."""
_EXAMPLE_ROLLBACK = """\b
Examples:
  seatrial rollback flights-delay --to /srv/models          the version that was live before
  seatrial rollback flights-delay 3 --to /srv/models --reason "incident 42"

\b
Exit codes: those of seatrial deploy."""
_EXAMPLE_STATUS = """\b
Examples:
  seatrial status --to /srv/models                  every model: what is live, and is it what was deployed?
  seatrial status flights-delay --to /srv/models --prove --format json

\b
Exit codes: 0 all is as it was deployed, 1 something is not, 2 usage, 70 a defect of seatrial."""
_EXAMPLE_RELEASES = """\b
Examples:
  seatrial releases flights-delay --to /srv/models
  seatrial releases flights-delay --to /srv/models --format json

\b
Exit codes: 0 listed, 2 usage, 70 a defect of seatrial."""
_EXAMPLE_SERVE = """\b
Examples:
  seatrial serve /srv/models
  curl localhost:8080/v2/models/flights-delay"""
_EXAMPLE_MONITOR = """\b
Examples:
  seatrial monitor render monitoring
  seatrial monitor render monitoring --models flights-delay --errors 0.02 --p95 0.2 --force
  promtool test rules monitoring/seatrial.rules.test.yml

\b
Exit codes: 0 written (or already so), 2 usage, 70 a defect of seatrial."""
_EXAMPLE_INIT = """\b
Examples:
  seatrial init                            show what would be written, and ask
  seatrial init --dry-run                  only show it
  seatrial init --forge gitlab --yes

\b
Exit codes: 0 written, declined, or nothing to write, 2 usage or configuration, 70 a defect of seatrial."""
_EXAMPLE_DOCTOR = """\b
Examples:
  seatrial doctor                          is all there that a comparison, a gate and a report need?
  seatrial doctor --offline                in a CI job: do not ask the forge what the token may do
  seatrial doctor --format json

\b
Exit codes: 0 nothing fails, 1 something has to be mended, 2 usage, 70 a defect of seatrial."""
_COMMENT_MODES = ("update", "recreate", "hide-and-new", "thread", "only-on-change", "only-on-failure", "off")
_COMMENT_HELP = """What becomes of the comment of an earlier run. update: its text is replaced. recreate: it is
deleted, the new one comes last. hide-and-new: it is folded, the new one comes last (GitHub). thread: update, on a
thread that is resolved while the verdict lets the change merge (GitLab). only-on-change, only-on-failure: update, but
there is none before the first report that tells a change, or a verdict against merging. off: none."""
_FORMATS = (
    *("terminal", "markdown", "json", "html", "junit", "annotations", "code-quality", "gitlab-annotations"),
    *("openmetrics", "dvc-json", "dvc-markdown"),
)
_GIT_DIR = "seatrial.git_dir"
_WITH_PLOTS = frozenset({"html", "json", "markdown"})
_SUFFIXES = {".txt": "terminal", ".md": "markdown", ".json": "json", ".html": "html", ".htm": "html", ".xml": "junit"}

_OPEN_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)
_HISTORY_SUFFIXES = {".txt": "terminal", ".md": "markdown", ".json": "json", ".csv": "csv"}


class _CommentChoice(click.Choice[str]):
    """The modes of a comment; `true` and `false` mean update and off."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The mode."""
        return super().convert({"true": "update", "false": "off"}.get(value, value), param, ctx)


def _from_directory(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """A path as `-C` means it: seen from the directory that the command runs as if started in."""
    return None if path is None else context.obj / path


config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    callback=_from_directory,
    envvar="SEATRIAL_CONFIG",
    help="The policy.  [default: seatrial.yaml at the repository's root, if there is one]",
)
fetch_option = click.option(
    "--fetch/--no-fetch",
    envvar="SEATRIAL_FETCH",
    default=True,
    show_default=True,
    help="Fetch by `dvc` what is nowhere on this machine.",
)
engine_option = click.option(
    "--engine",
    envvar="SEATRIAL_ENGINE",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where predictions are summed: on this machine, or on the Ray cluster of RAY_ADDRESS (seatrial[ray]).",
)
to_option = click.option(
    "--to",
    "root",
    required=True,
    envvar="SEATRIAL_TO",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory that holds the releases.",
)
target_option = click.option(
    "--target",
    "kind",
    envvar="SEATRIAL_TARGET",
    default="local",
    show_default=True,
    help="What kind of place that is: local, command (your scripts), or one that another package brings.",
)
keep_option = click.option(
    "--keep",
    type=click.IntRange(0),
    envvar="SEATRIAL_KEEP",
    default=5,
    show_default=True,
    metavar="N",
    help="Versions to go back to that are kept beside the live one.",
)
address_option = click.option(
    "--address",
    envvar="SEATRIAL_ADDRESS",
    default="",
    metavar="URL",
    help="The server that answers from there: it must name the digest and answer the golden requests, too.",
)
facts_option = click.option(
    "--format",
    "shape",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="For people, or machines.",
)
all_option = click.option("--all", "show_all", is_flag=True, envvar="SEATRIAL_ALL", help="List unchanged values too.")


class _ReaderGoneError(Exception):
    """The reader of a pipe went away; click would make it exit code 1, which says that a gate failed."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _ReaderGoneError from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="seatrial")
@click.option(
    "-C",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Run as if started in this directory.",
)
@click.option(
    "--git-dir",
    type=click.Path(path_type=Path),
    help="The repository, where it is not the one around this directory: a bare one, to compare two commits.",
)
@click.pass_context
def cli(context: click.Context, directory: Path, git_dir: Path | None) -> None:
    """Continuous delivery for machine-learning models in DVC projects.

    Compare a change's metrics with those of the main branch, judge them by the gates in seatrial.yaml,
    report, and deliver the model that was judged.
    """
    context.obj = directory
    context.meta[_GIT_DIR] = git_dir


@cli.command(epilog=_EXAMPLE_INIT)
@click.option(
    "--forge",
    type=click.Choice(["github", "gitlab", "gitea", "bitbucket"]),
    help="Whose CI file is written.  [default: what the remote's address or the files tell]",
)
@click.option("-y", "--yes", is_flag=True, help="Write without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be written; write nothing.")
@click.pass_obj
def init(directory: Path, forge: str | None, yes: bool, dry_run: bool) -> None:
    """Write a CI file and a first seatrial.yaml, made for what the repository holds.

    Shows every change as a diff and asks once. A file that is there keeps its text: a policy or workflow stays as
    it is, a .gitlab-ci.yml is added to.
    """
    from seatrial.commands.init import plan_init
    from seatrial.commands.writing import write_changes

    asked = not (yes or dry_run) and sys.stdin is not None and sys.stdin.isatty()
    drafted = plan_init(directory, forge=forge, ask=_ask_forge if asked else None, git_dir=_named_git_dir())
    _show_draft(drafted)
    if dry_run or not drafted.changes:
        return
    names = " and ".join(change.path for change in drafted.changes)
    if not yes and not asked:
        raise UsageError("nothing was written: there is nobody to ask", hint="seatrial init --yes, or --dry-run")
    if not yes and not click.confirm(f"Write {names}?", err=True):
        click.echo("nothing was written", err=True)
        return
    write_changes(drafted.root, drafted.changes)
    _print(f"wrote {names}; next: seatrial doctor, then git add {names.replace(' and ', ' ')}\n")


@cli.command(epilog=_EXAMPLE_DOCTOR)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="For people, or machines.",
)
@click.option("--offline", is_flag=True, help="Ask no forge, even where there is a token.")
@config_option
@click.pass_obj
def doctor(directory: Path, shape: str, offline: bool, config_path: Path | None) -> None:
    """Look for what keeps seatrial from working here, and say what mends each.

    Looks at git, the DVC project, the policy and what it names, the CI files, and in a CI job at what its token may do.
    Nothing is changed.
    """
    from seatrial.commands.doctor import examine

    checkup = examine(directory, os.environ, config_path=config_path, offline=offline, git_dir=_named_git_dir())
    if shape == "json":
        import msgspec

        from seatrial.render.logs import disarm

        text = msgspec.json.format(msgspec.json.encode(checkup), indent=2).decode() + "\n"
        _print(disarm(text, "json") if _runs_in_actions() else text)
    else:
        from seatrial.render.checkup import render_checkup

        _print(_disarm(render_checkup(checkup, _terminal_options())))
    sys.exit(ExitCode.FAILED if checkup.fails else ExitCode.PASSED)


def _ask_forge() -> str:
    choice = click.Choice(["github", "gitlab", "gitea", "bitbucket"])
    asked: str = click.prompt("Which forge?", type=choice, err=True)
    return asked


def _show_draft(drafted: InitPlan) -> None:
    """What was found, every diff, and what is left to do."""
    from seatrial.render.characters import readable
    from seatrial.render.diff import render_diff

    colour = _terminal_options().colour
    parts = ["".join(f"{readable(line)}\n" for line in drafted.found)]
    parts += [render_diff(change.diff(), colour=colour) for change in drafted.changes]
    for change in drafted.kept:
        parts.append(f"only shown, {change.path} is kept:\n{render_diff(change.diff(), colour=colour)}")
    parts.append("".join(f"{_spell_advice(line)}\n" for line in drafted.advice))
    _print(_disarm("\n".join(part for part in parts if part)))


def _spell_advice(text: str) -> str:
    """One piece of advice; the lines of what is to be copied keep their indents."""
    from seatrial.render.characters import readable

    first, *rest = text.splitlines()
    copied = (" " * (len(line) - len(line.lstrip())) + readable(line.lstrip()) for line in rest)
    return "\n  ".join((f"- {readable(first)}", *copied))


@cli.command(epilog=_EXAMPLE_COMPARE)
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(_FORMATS),
    help="May be given several times.  [default: terminal]",
)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="One for each --format, in the same order; - is standard output. Alone, its suffix tells the format.",
)
@all_option
@click.option("--targets", multiple=True, metavar="PATH", help="Only these files or directories (repeat it).")
@click.option(
    "--precision", type=click.IntRange(0, 15), metavar="N", help="Decimals.  [default: what the change needs]"
)
@click.option(
    "--intervals/--no-intervals", default=True, help="Read the predictions too, where seatrial.yaml names them."
)
@fetch_option
@engine_option
@click.option("--json", "shape", flag_value="dvc-json", help="The shape of `dvc metrics diff --json`.")
@click.option("--md", "shape", flag_value="dvc-markdown", help="The table of `dvc metrics diff --md`.")
@click.option("--params", is_flag=True, help="With --json or --md: parameters, as `dvc params diff` has them.")
@click.option("--no-path", is_flag=True, help="No column of paths in the table of --md.")
@click.option(
    "--plots",
    "plots_directory",
    type=click.Path(path_type=Path),
    callback=_from_directory,
    metavar="DIR",
    help="Write each plot that changed as SVG and PNG into this directory.",
)
@config_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; the exit code tells.")
@click.pass_obj
def compare(
    directory: Path,
    base: str | None,
    head: str | None,
    formats: tuple[str, ...],
    outputs: tuple[str, ...],
    show_all: bool,
    targets: tuple[str, ...],
    precision: int | None,
    intervals: bool,
    fetch: bool,
    engine: str,
    shape: str | None,
    params: bool,
    no_path: bool,
    plots_directory: Path | None,
    config_path: Path | None,
    quiet: bool,
) -> None:
    """Compare the metrics of two revisions and judge the difference.

    BASE is where HEAD left the default branch, unless named; HEAD is the work tree, unless named.
    A..B compares A with B, A...B the merge base of both with B.
    """
    from seatrial.commands.compare import Destination, compare_revisions, write_outputs, write_plots
    from seatrial.commands.measure import Selection
    from seatrial.render import RenderOptions

    lean = False
    if shape:
        # DVC's shapes have no room for intervals: what is neither shown nor judged is not computed.
        formats, lean = (*formats, shape), not formats
    destinations = tuple(
        Destination(format=name, path=None if path in {None, "-"} else directory / (path or ""))
        for name, path in _pair_outputs(formats, outputs)
    )
    measurement = compare_revisions(
        directory,
        base=base,
        head=head,
        config_path=config_path,
        selection=Selection(
            targets=targets,
            show_all=show_all,
            precision=precision,
            intervals=intervals,
            lean=lean,
            engine=engine,
            taken_for=("params" if params else "metrics") if lean else None,
            plots=bool(plots_directory)
            or (not targets and bool(_WITH_PLOTS.intersection(each.format for each in destinations))),
        ),
        git_dir=_named_git_dir(),
        fetching=(_say_nothing if quiet else _tell_progress) if fetch else None,
    )
    in_dvc_shape = RenderOptions(params=params, no_path=no_path, show_all=show_all, precision=precision)
    options = dict.fromkeys(("dvc-json", "dvc-markdown"), in_dvc_shape) | {"terminal": _terminal_options()}
    text = write_outputs(measurement, destinations, options, in_actions=_runs_in_actions())
    refused = write_plots(measurement, plots_directory) if plots_directory else ()
    if not quiet:
        _print(text)
        for reason in refused:
            click.echo(_disarm(reason), err=True)
    sys.exit(measurement.verdict.exit_code)


@cli.command(epilog=_EXAMPLE_PLAN)
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["terminal", "json"]),
    default="terminal",
    show_default=True,
    help="For people, or machines.",
)
@click.option(
    "--correlation",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.9,
    show_default=True,
    help="How far two models err alike, where the two that are compared answer alike.",
)
@fetch_option
@config_option
@click.pass_obj
def plan(
    directory: Path,
    base: str | None,
    head: str | None,
    shape: str,
    correlation: float,
    fetch: bool,
    config_path: Path | None,
) -> None:
    """Say what each gate can tell: the change it can see, the harmless changes it stops, the samples it needs.

    The spread is that of the difference between BASE and HEAD, which are chosen as `seatrial compare` chooses them.
    """
    from seatrial.commands.plan import plan_gates, state_plan
    from seatrial.core.planning import write_plan

    prospects = plan_gates(
        directory,
        base=base,
        head=head,
        config_path=config_path,
        correlation=correlation,
        git_dir=_named_git_dir(),
        fetching=_tell_progress if fetch else None,
    )
    if shape == "json":
        import msgspec

        facts = msgspec.json.encode(state_plan(prospects, correlation=correlation))
        _print(msgspec.json.format(facts, indent=2).decode() + "\n")
        return
    from seatrial.render.terminal import render_document

    _print(_disarm(render_document(write_plan(prospects, correlation=correlation), _terminal_options())))


@cli.command(epilog=_EXAMPLE_HISTORY)
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option("--branch", metavar="REV", help="A branch, tag or commit.  [default: the default branch]")
@click.option("--since", metavar="DATE", help="From the first commit on that day or later: 2026-01-31.")
@click.option("--most", type=click.IntRange(1), metavar="N", help="The latest N commits.")
@click.option("--targets", multiple=True, metavar="PATH", help="Only these files or directories (repeat it).")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["terminal", "markdown", "json", "csv"]),
    help="How it is told.  [default: what the suffix of --output says, else terminal]",
)
@click.option("--output", metavar="FILE", help="Write it there; - is standard output.")
@click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    callback=_from_directory,
    help="Write a static site there: an index, and a page for each metric.",
)
@click.option("--all", "every_row", is_flag=True, help="List every measurement, not the latest thirty.")
@config_option
@click.pass_obj
def history(
    directory: Path,
    metrics: tuple[str, ...],
    branch: str | None,
    since: str | None,
    most: int | None,
    targets: tuple[str, ...],
    shape: str | None,
    output: str | None,
    site: Path | None,
    every_row: bool,
    config_path: Path | None,
) -> None:
    """Tell how the metrics of a branch came to be: their values in every commit of its own line (first parents).

    METRIC is a name or pattern as in seatrial.yaml: FILE:KEY, or KEY in any file, with * and ?. Without one
    all metrics are told, one line each. What can't be read in a commit is a gap, with its reason.
    """
    from seatrial.commands.history import HistoryRequest, read_history, tell_history

    chosen = shape or (_guess_format(output, _HISTORY_SUFFIXES) if output else "terminal")
    request = HistoryRequest(metrics=metrics, branch=branch, since=since, most=most, targets=targets)
    found = read_history(directory, request, config_path=config_path, git_dir=_named_git_dir(), tell=_tell_progress)
    if site is not None:
        from seatrial.commands.history_site import write_site

        git_dir = _named_git_dir()
        pages = write_site(found, directory, site, config_path=config_path, git_dir=git_dir, tell=_tell_progress)
        _tell_progress(f"wrote {pages} pages: {site / 'index.html'}")
        if not (shape or output):
            return
    path = None if output in {None, "-"} else directory / (output or "")
    text = tell_history(found, chosen, _terminal_options(), named=bool(metrics), every_row=every_row, path=path)
    _print(_disarm_as(text, chosen))


@cli.command(epilog=_EXAMPLE_CI)
@config_option
@click.option(
    "--base", envvar="SEATRIAL_BASE", metavar="REV", help="The baseline.  [default: what fits the measured tree]"
)
@click.option("--key", envvar="SEATRIAL_KEY", default="default", show_default=True, help="One comment for each key.")
@click.option(
    "--reproduce",
    envvar="SEATRIAL_REPRODUCE",
    type=click.Choice(["no", "verify", "yes"]),
    default="no",
    show_default=True,
    help="no: judge what is committed. verify: also fail if `dvc repro` makes other metrics. yes: judge what it makes.",
)
@fetch_option
@engine_option
@click.option(
    "--comment",
    envvar="SEATRIAL_COMMENT",
    type=_CommentChoice(_COMMENT_MODES),
    default="update",
    show_default=True,
    help=_COMMENT_HELP,
)
@click.option("--no-comment", is_flag=True, hidden=True, help="The same as --comment off.")
@click.option(
    "--images/--no-images",
    envvar="SEATRIAL_IMAGES",
    default=True,
    show_default=True,
    help="Show the first plots that changed as pictures in the comment, where the forge itself hosts them.",
)
@click.option(
    "--image-branch",
    envvar="SEATRIAL_IMAGE_BRANCH",
    metavar="NAME",
    help="GitHub's place for them: a branch that is there. Needs contents: write.  [default: no pictures on GitHub]",
)
@click.option(
    "--check/--no-check",
    envvar="SEATRIAL_CHECK",
    default=True,
    show_default=True,
    help="Show a check (GitHub) or commit status on the head commit, under way at first, concluded at the end.",
)
@click.option(
    "--require-delivery/--no-require-delivery",
    envvar="SEATRIAL_REQUIRE_DELIVERY",
    default=False,
    show_default=True,
    help="Exit with 4 if the verdict passed but a report did not reach its place.",
)
@click.option(
    "--report-dir",
    envvar="SEATRIAL_REPORT_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("seatrial-report"),
    show_default=True,
    help="Receives report.md, report.html, report.json and report.junit.xml.",
)
@all_option
@click.pass_obj
def ci(
    directory: Path,
    config_path: Path | None,
    base: str | None,
    key: str,
    reproduce: str,
    fetch: bool,
    engine: str,
    comment: str,
    no_comment: bool,
    images: bool,
    image_branch: str | None,
    check: bool,
    require_delivery: bool,
    report_dir: Path,
    show_all: bool,
) -> None:
    """Judge the change that this CI job is about, and report it.

    Works in GitHub Actions and GitLab CI. The job's own variables tell the change, its baseline and where
    to report; whatever can't be delivered is said once and never changes the verdict.
    """
    from seatrial.commands.ci import CIRequest, Reproduce, run_ci
    from seatrial.commands.picturing import check_branch
    from seatrial.commands.reporting import Channels
    from seatrial.publish import CommentMode
    from seatrial.render import RENDERERS, RenderOptions

    _end_when_terminated()
    channels = Channels(
        key=key,
        comment=CommentMode.OFF if no_comment else CommentMode(comment),
        check=check,
        report_dir=report_dir,
        required=require_delivery,
        images=images,
        image_branch=check_branch(image_branch),
    )
    request = CIRequest(
        config_path=config_path,
        base=base,
        reproduce=Reproduce(reproduce),
        channels=channels,
        show_all=show_all,
        fetch=fetch,
        engine=engine,
    )
    result = run_ci(directory, os.environ, request, _tell_progress, _named_git_dir())
    _print(_disarm(RENDERERS["terminal"](result.measurement.report, RenderOptions())))
    for delivery in result.deliveries:
        _show_delivery(delivery)
    _print(result.commands)
    sys.exit(result.exit_code)


@cli.command(epilog=_EXAMPLE_PUBLISH)
@click.option(
    "--from-run", "run", type=click.IntRange(1), metavar="ID", help="The run.  [default: the one that started this job]"
)
@click.option("--repository", metavar="OWNER/NAME", help="Whose run it is.  [default: GITHUB_REPOSITORY]")
@click.option(
    "--workflow",
    default=".github/workflows/fork-measure.yml",
    show_default=True,
    metavar="PATH",
    help="The file of the workflow that measures; runs of others are refused.",
)
@click.option(
    "--artifact",
    default="seatrial-report",
    show_default=True,
    metavar="NAME",
    help="The artifact that holds report.json.",
)
@config_option
@click.option("--key", envvar="SEATRIAL_KEY", default="default", show_default=True, help="One comment for each key.")
@fetch_option
@click.option(
    "--comment",
    envvar="SEATRIAL_COMMENT",
    type=_CommentChoice(_COMMENT_MODES),
    default="update",
    show_default=True,
    help=_COMMENT_HELP,
)
@click.option("--check/--no-check", default=True, show_default=True, help="Conclude the check on the head commit.")
@click.option(
    "--require-delivery/--no-require-delivery",
    envvar="SEATRIAL_REQUIRE_DELIVERY",
    default=False,
    show_default=True,
    help="Exit with 4 if the verdict passed but a report did not reach its place.",
)
@click.option(
    "--report-dir",
    envvar="SEATRIAL_REPORT_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("seatrial-report"),
    show_default=True,
    help="Receives the report as it is judged here: report.md, report.html, report.json, report.junit.xml.",
)
@click.pass_obj
def publish(
    directory: Path,
    run: int | None,
    repository: str | None,
    workflow: str,
    artifact: str,
    config_path: Path | None,
    key: str,
    fetch: bool,
    comment: str,
    check: bool,
    require_delivery: bool,
    report_dir: Path,
) -> None:
    """Report what a run without rights has measured: a pull request from a fork.

    The pull request is found by the run's repository and commit, which GitHub tells. Of the run's artifact only numbers
    and names count: policy and baseline are those of the base branch, which has to be checked out, and it is judged
    and written again here. Whatever is not as it should be is refused, which the check says too.
    """
    from seatrial.commands.publishing import PublishRequest, publish_run
    from seatrial.commands.reporting import Channels
    from seatrial.publish import CommentMode
    from seatrial.render import RENDERERS, RenderOptions

    _end_when_terminated()
    channels = Channels(
        key=key, comment=CommentMode(comment), check=check, report_dir=report_dir, required=require_delivery
    )
    request = PublishRequest(
        run=run,
        repository=repository,
        artifact=artifact,
        workflow=workflow,
        config_path=config_path,
        channels=channels,
        fetch=fetch,
    )
    result = publish_run(directory, os.environ, request, _tell_progress, _named_git_dir())
    if result.measurement:
        _print(_disarm(RENDERERS["terminal"](result.measurement.report, RenderOptions())))
    if result.refusal:
        _show_error(result.refusal.message, result.refusal.hint)
    for delivery in result.deliveries:
        _show_delivery(delivery)
    sys.exit(result.exit_code)


@cli.command(epilog=_EXAMPLE_DEPLOY)
@click.argument("artifact")
@to_option
@target_option
@click.option("--base", metavar="REV", help="What the commit is judged against.  [default: its first parent]")
@click.option("--plan", "--dry-run", "only_plan", is_flag=True, help="Print what would be done; change nothing.")
@click.option(
    "--override", default="", metavar="REASON", help="Deliver in spite of the verdict; the reason is recorded."
)
@click.option("--allow-older", is_flag=True, help="Deploy a commit that is older than the one that is live.")
@click.option("--allow-unproved", is_flag=True, help="Deploy a model that brings no golden requests.")
@click.option("--breaking", is_flag=True, help="Deploy a model that refuses requests which the live one takes.")
@click.option("--no-return", is_flag=True, help="Deploy even if what is live could not be put back.")
@keep_option
@address_option
@facts_option
@fetch_option
@config_option
@click.pass_obj
def deploy(
    directory: Path,
    artifact: str,
    root: Path,
    kind: str,
    base: str | None,
    only_plan: bool,
    override: str,
    allow_older: bool,
    allow_unproved: bool,
    breaking: bool,
    no_return: bool,
    keep: int,
    address: str,
    shape: str,
    fetch: bool,
    config_path: Path | None,
) -> None:
    """Deliver a model of the current commit, if the gates let it.

    ARTIFACT is a name under `artifacts:` in dvc.yaml. The commit is judged again; the model's bytes come from
    DVC's cache or its remote, are checked against dvc.lock, answer their golden requests, and only then go live.
    Whatever fails is undone, and what was live before is proved.
    """
    from seatrial.commands.delivery import open_place, plan_delivery, recover_open
    from seatrial.commands.deploy import describe_plan, state_plan
    from seatrial.commands.proving import ModelProver, require_runtimes
    from seatrial.deploy.engine import Terms, apply

    target, prover = open_place(directory, kind, root, artifact), ModelProver(address=address)
    _tell_recovered(recover_open(target, prover))
    planned = plan_delivery(
        directory,
        artifact=artifact,
        target=target,
        base=base,
        config_path=config_path,
        override=override,
        allow_older=allow_older,
        git_dir=_named_git_dir(),
        fetching=_tell_progress if fetch else None,
    )
    if only_plan:
        _show_facts(state_plan(planned), describe_plan(planned), shape)
        return
    require_runtimes()
    _tell_columns(describe_plan(planned))
    terms = Terms(unproved=allow_unproved, breaking=breaking, no_return=no_return, keep=keep)
    _conclude(apply(planned, target=target, prover=prover, terms=terms), shape)


@cli.command(epilog=_EXAMPLE_ROLLBACK)
@click.argument("artifact")
@click.argument("version", required=False)
@to_option
@target_option
@click.option("--reason", default="", metavar="TEXT", help="Why; the log keeps it.")
@click.option("--plan", "--dry-run", "only_plan", is_flag=True, help="Print what would be done; change nothing.")
@keep_option
@address_option
@facts_option
@click.pass_obj
def rollback(
    directory: Path,
    artifact: str,
    version: str | None,
    root: Path,
    kind: str,
    reason: str,
    only_plan: bool,
    keep: int,
    address: str,
    shape: str,
) -> None:
    """Make an earlier version live again: VERSION, or the last one that was proved live before.

    Needs no repository: the version is on the target, is checked against its manifest, and answers its golden
    requests before and after the switch.
    """
    from seatrial.commands.delivery import recover_open
    from seatrial.commands.deploy import state_plan
    from seatrial.commands.proving import ModelProver, require_runtimes
    from seatrial.commands.rollback import describe_rollback, roll_back
    from seatrial.commands.status import open_models
    from seatrial.deploy.engine import plan_rollback

    target, prover = open_models(directory, kind, root, artifact)[artifact], ModelProver(address=address)
    _tell_recovered(recover_open(target, prover))
    planned = plan_rollback(target, version, reason=reason)
    if only_plan:
        _show_facts(state_plan(planned), describe_rollback(planned), shape)
        return
    require_runtimes()
    _tell_columns(describe_rollback(planned))
    _conclude(roll_back(target, planned, prover, keep=keep), shape)


@cli.command(epilog=_EXAMPLE_STATUS)
@click.argument("artifact", required=False)
@to_option
@target_option
@click.option("--prove", is_flag=True, help="Load what is live and ask its golden requests, too.")
@facts_option
@click.pass_obj
def status(directory: Path, artifact: str | None, root: Path, kind: str, prove: bool, shape: str) -> None:
    """Tell what is live, and whether its bytes are those that were deployed.

    A deployment that was cut off is finished or undone first, as by every command.
    """
    from seatrial.commands.proving import ModelProver
    from seatrial.commands.status import describe_status, examine_model, open_models

    targets, prover = open_models(directory, kind, root, artifact), ModelProver()
    found = [examine_model(name, target, prover, prove=prove) for name, target in targets.items()]
    _show_facts({"models": found}, tuple(line for each in found for line in describe_status(each)), shape)
    sys.exit(ExitCode.FAILED if any(each.problems for each in found) else ExitCode.PASSED)


@cli.command(epilog=_EXAMPLE_RELEASES)
@click.argument("artifact")
@to_option
@target_option
@facts_option
@click.pass_obj
def releases(directory: Path, artifact: str, root: Path, kind: str, shape: str) -> None:
    """List the versions of a model on a target: state, digest, commit, verdict and metrics."""
    from seatrial.commands.proving import ModelProver
    from seatrial.commands.status import describe_releases, list_releases, open_models

    target = open_models(directory, kind, root, artifact)[artifact]
    found = list_releases(target, ModelProver())
    _show_facts({"name": artifact, "releases": found}, describe_releases(artifact, found), shape)


@cli.command(epilog=_EXAMPLE_SERVE)
@click.argument("root", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes any free port.")
@click.option(
    "--max-body", type=click.IntRange(1), default=8, show_default=True, metavar="MIB", help="Largest body of a request."
)
@click.option(
    "--route-header",
    default="X-Route-Key",
    show_default=True,
    help="Header that says who asks, so that a caller keeps its version while a canary has a share.",
)
@click.option(
    "--log-predictions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Log predictions as JSON lines with key and score.  [default: none are logged]",
)
@click.option(
    "--log-share",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="The part of all keys that is logged.",
)
@click.option(
    "--log-size",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    metavar="MIB",
    help="Room for the log; what is older is dropped.",
)
@click.option(
    "--environment", default="local", show_default=True, help="Label of the deployments that /metrics counts."
)
def serve(
    root: Path,
    host: str,
    port: int,
    max_body: int,
    route_header: str,
    log_predictions: Path | None,
    log_share: float,
    log_size: int,
    environment: str,
) -> None:
    """Answer requests with the live releases below ROOT.

    Speaks the Open Inference Protocol v2 and TensorFlow Serving's REST API, follows the next deployment without a
    restart, lets a canary have the share that ROOT/NAME/route.json gives it, and tells Prometheus at /metrics.
    """
    from seatrial.commands.serve import ServeSettings
    from seatrial.commands.serve import serve as run_server

    settings = ServeSettings(
        max_body=max_body * 2**20,
        route_header=route_header,
        log_path=log_predictions,
        log_share=log_share,
        log_size=log_size * 2**20,
        environment=environment,
    )
    run_server(root, host=host, port=port, settings=settings, announce=click.echo)


@cli.group(epilog=_EXAMPLE_MONITOR)
def monitor() -> None:
    """Watch served models by Prometheus, and what reads from it."""


@monitor.command(epilog=_EXAMPLE_MONITOR)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), callback=_from_directory)
@click.option("--models", multiple=True, metavar="NAME", help="Only this model (repeat it).  [default: all]")
@click.option("--window", default="5m", show_default=True, metavar="TIME", help="For rates and times of requests.")
@click.option("--prediction-window", default="1h", show_default=True, metavar="TIME", help="For distributions.")
@click.option("--for", "hold", default="5m", show_default=True, metavar="TIME", help="For how long, before an alert.")
@click.option(
    "--digests-for", default="15m", show_default=True, metavar="TIME", help="For how long two digests may be live."
)
@click.option("--errors", type=_OPEN_SHARE, default=0.05, show_default=True, help="Share of answers that are 5xx.")
@click.option(
    "--worse-errors",
    type=_OPEN_SHARE,
    default=0.01,
    show_default=True,
    help="Share of answers that are not 2xx, beyond the stable version's.",
)
@click.option(
    "--p95",
    type=click.FloatRange(0.001, 10, max_open=True),  # the histogram ends at 10 s
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="95th percentile of the time to an answer.",
)
@click.option(
    "--slower",
    type=click.FloatRange(1, 1000, min_open=True),
    default=1.25,
    show_default=True,
    metavar="TIMES",
    help="The same of a canary, over the stable version's.",
)
@click.option(
    "--shift",
    type=click.FloatRange(0, 0.9, min_open=True),
    default=0.1,
    show_default=True,
    help="Distance of a canary's or shadow's predictions from the stable version's, beyond chance.",
)
@click.option(
    "--min-requests",
    type=click.IntRange(1, 10**9),
    default=100,
    show_default=True,
    metavar="N",
    help="Requests in a window, below which it is not judged.",
)
@click.option("--force", is_flag=True, help="Overwrite files that hold other text.")
def render(
    directory: Path,
    models: tuple[str, ...],
    window: str,
    prediction_window: str,
    hold: str,
    digests_for: str,
    errors: float,
    worse_errors: float,
    p95: float,
    slower: float,
    shift: float,
    min_requests: int,
    force: bool,
) -> None:
    """Write rules, their tests, a dashboard and settings into DIRECTORY.

    Recording and alert rules for Prometheus, tests of every alert for promtool, a dashboard for Grafana, and examples
    for Alertmanager, an OpenTelemetry collector that sends to New Relic, and Argo Rollouts.
    """
    from seatrial.commands.monitor import write_monitoring
    from seatrial.core.monitoring import Limits, parse_duration

    limits = Limits(
        models=models,
        window=parse_duration(window),
        prediction_window=parse_duration(prediction_window),
        hold=parse_duration(hold),
        digests_hold=parse_duration(digests_for),
        errors=errors,
        worse_errors=worse_errors,
        p95=p95,
        slower=slower,
        shift=shift,
        min_requests=min_requests,
    )
    written = write_monitoring(directory, limits, force=force)
    _print(_disarm("".join(f"{directory / name}\n" for name in written)))
    _tell(f"{len(written)} files written" if written else "nothing to write: all is as it would be")


def _conclude(deployment: Deployment, shape: str) -> NoReturn:
    """Say what was done, what failed on standard error, and end with its exit code."""
    from seatrial.commands.deploy import describe_deployment, state_deployment

    line, code = describe_deployment(deployment), deployment.outcome.exit_code
    if code:
        _show_error(line, "")
    if shape == "json" or not code:
        _show_facts(state_deployment(deployment), (line,), shape)
    sys.exit(code)


def _tell_recovered(record: DeploymentRecord | None) -> None:
    """That this command found a deployment that was cut off, and what became of it."""
    if record is not None:
        _tell_progress(f"version {record.version} of {record.name}: {record.reason}; it is {record.event.value} now")


def _show_facts(facts: object, lines: tuple[str, ...], shape: str) -> None:
    """The same for machines or for people, on standard output."""
    if shape == "json":
        import msgspec

        _print(_disarm_as(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n", "json"))
        return
    _print(_disarm("".join(f"{_spell_columns(line)}\n" for line in lines)))


def _tell_columns(lines: tuple[str, ...]) -> None:
    """Lines in columns, on standard error."""
    with contextlib.suppress(OSError):  # that nobody can be told does not change the exit code
        click.echo(_disarm("\n".join(map(_spell_columns, lines))), err=True)


def _spell_columns(line: str) -> str:
    """A line in which two spaces and more part columns, and stay."""
    import re

    from seatrial.render.characters import readable

    return "".join(part if part.isspace() else readable(part) for part in re.split(r"( {2,})", line))


def _named_git_dir() -> Path | None:
    """What the global option `--git-dir` named."""
    named: Path | None = click.get_current_context().meta[_GIT_DIR]
    return named


def _tell_progress(line: str) -> None:
    """What takes its time, on standard error."""
    _tell(f"seatrial: {line}")


def _say_nothing(_: str) -> None:
    """The same for `--quiet`."""


def _end_when_terminated() -> None:
    """Let a termination end the run as an exception does, so that what it has begun on a forge is concluded."""
    import signal

    def end(number: int, _: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one must not cut the conclusion off
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def _show_delivery(delivery: Delivery) -> None:
    if delivery.ok:
        _tell(f"{delivery.step}: {delivery.detail or 'done'}")
    else:
        _show_error(f"{delivery.step}: {delivery.problem}", delivery.hint)


def _pair_outputs(formats: tuple[str, ...], outputs: tuple[str, ...]) -> list[tuple[str, str | None]]:
    if not formats and outputs:
        return [(_guess_format(output, _SUFFIXES), output) for output in outputs]
    if not outputs and len(formats) <= 1:
        return [(formats[0] if formats else "terminal", None)]
    if len(formats) != len(outputs):
        raise UsageError(
            f"{len(formats)} --format but {len(outputs)} --output: it is unclear what goes where",
            hint="give one --output for each --format, in the same order; - is standard output",
        )
    return list(zip(formats, outputs, strict=True))


def _guess_format(output: str, suffixes: Mapping[str, str]) -> str:
    suffix = Path(output).suffix.lower()
    if output == "-":
        return "terminal"
    if suffix not in suffixes:
        formats = dict.fromkeys(suffixes.values())
        raise UsageError(
            f"--output {output}: the suffix does not tell the format", hint=f"add --format {'|'.join(formats)}"
        )
    return suffixes[suffix]


def _terminal_options() -> RenderOptions:
    """Colour and width of a terminal, plain text for anything else."""
    from seatrial.render import RenderOptions

    if not (sys.stdout and sys.stdout.isatty()):  # None where a script has closed it
        return RenderOptions()
    import shutil

    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return RenderOptions(colour=colour, width=shutil.get_terminal_size().columns)


def _print(text: str) -> None:
    """The text for standard output, as it is; UsageError where the disk behind it is full."""
    try:
        click.echo(text, nl=False, color=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"standard output can't be written: {error.strerror}") from None


def _tell(text: str) -> None:
    """One line on standard error, whoever wrote its words."""
    from seatrial.render.characters import readable

    _tell_lines(readable(text))


def _tell_lines(text: str) -> None:
    """The same for a text whose lines and indents are ours, such as a piece of YAML to copy."""
    from seatrial.render.characters import readable

    shown = _conceal_tokens(text).splitlines()
    lines = [" " * (len(line) - len(line.lstrip())) + readable(line.lstrip()) for line in shown]
    with contextlib.suppress(OSError):  # that nobody can be told does not change the exit code
        click.echo(_disarm("\n".join(lines)), err=True)


_TOKENS = (
    "SEATRIAL_TOKEN",
    "REPO_TOKEN",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "CI_JOB_TOKEN",
    "FORGEJO_TOKEN",
    "GITEA_TOKEN",
    "BITBUCKET_TOKEN",
)


def _conceal_tokens(text: str) -> str:
    """The text without the forge's tokens: an exception of somebody else's library may hold one."""
    for name in _TOKENS:
        token = os.environ.get(name, "").strip()
        for form in (token, repr(token)[1:-1]):  # what holds a line end is shown escaped
            text = text.replace(form, "***") if form else text
    return text


def _disarm(text: str) -> str:
    """Text for a log of GitHub Actions in which no line is a command to its runner (`::add-mask::`, `##[group]`).

    Names out of a pull request stand in it, and the runner obeys whatever a step prints.
    """
    if not _runs_in_actions():
        return text
    from seatrial.render.logs import disarm_text

    return disarm_text(text)


def _disarm_as(text: str, shape: str) -> str:
    """The same for a text in one of the formats that machines read."""
    if not _runs_in_actions():
        return text
    from seatrial.render.logs import disarm

    return disarm(text, shape)


def _runs_in_actions() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def main() -> NoReturn:
    """Run the command line and exit; every error becomes one message, one hint and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another character set still gets the verdict; its signs are spelled as codes there.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        result = cli.main(prog_name="seatrial", standalone_mode=False)
    except SeatrialError as error:
        _show_error(error.message, error.hint)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        _show_error("interrupted", "")
        sys.exit(130)
    except (BrokenPipeError, _ReaderGoneError):
        # The reader of a pipe went away (`| head`): nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the boundary: a defect must not look like a verdict
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            _show_error(f"{error.filename or 'standard output'} can't be written: {error.strerror}", "make room there")
            sys.exit(ExitCode.USAGE)
        _show_defect(error)
        sys.exit(ExitCode.DEFECT)
    sys.exit(result if isinstance(result, int) else 0)


def _head(word: str, colour: str) -> None:
    with contextlib.suppress(OSError):
        click.secho(word, fg=colour, bold=True, err=True, nl=False)


def _show_error(message: str, hint: str) -> None:
    _head("error: ", "red")
    _tell(message)
    if hint:
        _head("next:  ", "cyan")
        _tell_lines(hint)


def _show_defect(error: Exception) -> None:
    """Tell a defect as a report that can be sent as it is; nothing of the environment is in it."""
    import platform
    import traceback

    _show_error(
        f"a defect of seatrial: {type(error).__name__}: {error}",
        "please report it at https://github.com/seatrial/seatrial/issues with the lines below",
    )
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    _tell(f"seatrial {__version__}, {python}")
    _tell_lines("".join(traceback.format_exception(error)))
