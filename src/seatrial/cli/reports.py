"""`ci` and `publish`: a change judged and reported where its reviewers look."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from seatrial.cli.messages import disarm_lines, print_text, show_error, tell, tell_progress
from seatrial.cli.options import all_option, config_option, engine_option, fetch_option, named_git_dir

if TYPE_CHECKING:
    from seatrial.publish import Delivery

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
_EXAMPLE_PUBLISH = """\b
Examples:
  seatrial publish                         in a job of GitHub Actions that runs on workflow_run
  seatrial publish --from-run 1234567890 --repository octo/flights
  seatrial publish --from-run 1234567890 --comment off --no-check

\b
Exit codes: 0 passed or warned, 1 a gate failed, 2 usage or configuration,
            3 refused, could not compare, or inconclusive,
            4 judged but not delivered (with --require-delivery), 70 a defect of seatrial."""
_COMMENT_MODES = ("update", "recreate", "hide-and-new", "thread", "only-on-change", "only-on-failure", "off")
_COMMENT_HELP = """What becomes of the comment of an earlier run. update: its text is replaced. recreate: it is
deleted, the new one comes last. hide-and-new: it is folded, the new one comes last (GitHub). thread: update, on a
thread that is resolved while the verdict lets the change merge (GitLab). only-on-change, only-on-failure: update, but
there is none before the first report that tells a change, or a verdict against merging. off: none."""


class _CommentChoice(click.Choice[str]):
    """The modes of a comment; `true` and `false` mean update and off."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The mode."""
        return super().convert({"true": "update", "false": "off"}.get(value, value), param, ctx)


_key_option = click.option(
    "--key", envvar="SEATRIAL_KEY", default="default", show_default=True, help="One comment for each key."
)
_comment_option = click.option(
    "--comment",
    envvar="SEATRIAL_COMMENT",
    type=_CommentChoice(_COMMENT_MODES),
    default="update",
    show_default=True,
    help=_COMMENT_HELP,
)
_require_delivery_option = click.option(
    "--require-delivery/--no-require-delivery",
    envvar="SEATRIAL_REQUIRE_DELIVERY",
    default=False,
    show_default=True,
    help="Exit with 4 if the verdict passed but a report did not reach its place.",
)


@click.command(epilog=_EXAMPLE_CI)
@config_option
@click.option(
    "--base", envvar="SEATRIAL_BASE", metavar="REV", help="The baseline.  [default: what fits the measured tree]"
)
@_key_option
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
@_comment_option
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
@_require_delivery_option
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

    Works in GitHub Actions, GitLab CI, Forgejo and Gitea Actions and Bitbucket Pipelines. The job's own
    variables tell the change, its baseline and where to report; whatever can't be delivered is said once and
    never changes the verdict.
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
    result = run_ci(directory, os.environ, request, tell_progress, named_git_dir())
    print_text(disarm_lines(RENDERERS["terminal"](result.measurement.report, RenderOptions())))
    for delivery in result.deliveries:
        _show_delivery(delivery)
    print_text(result.commands)
    sys.exit(result.exit_code)


@click.command(epilog=_EXAMPLE_PUBLISH)
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
@_key_option
@fetch_option
@_comment_option
@click.option("--check/--no-check", default=True, show_default=True, help="Conclude the check on the head commit.")
@_require_delivery_option
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
    result = publish_run(directory, os.environ, request, tell_progress, named_git_dir())
    if result.measurement:
        print_text(disarm_lines(RENDERERS["terminal"](result.measurement.report, RenderOptions())))
    if result.refusal:
        show_error(result.refusal.message, result.refusal.hint)
    for delivery in result.deliveries:
        _show_delivery(delivery)
    sys.exit(result.exit_code)


def _end_when_terminated() -> None:
    """Let a termination end the run as an exception does, so that what it has begun on a forge is concluded."""
    import signal

    def end(number: int, _: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one must not cut the conclusion off
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def _show_delivery(delivery: Delivery) -> None:
    if delivery.ok:
        tell(f"{delivery.step}: {delivery.detail or 'done'}")
    else:
        show_error(f"{delivery.step}: {delivery.problem}", delivery.hint)
