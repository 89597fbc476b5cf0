"""`compare`, `plan` and `history`: what two revisions, or all of a branch, say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from seatrial.cli.messages import (
    disarm_as,
    disarm_lines,
    print_text,
    runs_in_actions,
    say_nothing,
    tell_progress,
    terminal_options,
)
from seatrial.cli.options import (
    all_option,
    config_option,
    engine_option,
    facts_option,
    fetch_option,
    from_directory,
    named_git_dir,
)
from seatrial.errors import UsageError

_EXAMPLE_COMPARE = """\b
Examples:
  seatrial compare                         the work tree against where it left main
  seatrial compare main HEAD --all         two commits, unchanged values too
  seatrial compare v1.2..v1.3 --format json --output report.json
  seatrial compare --output report.html --output report.md

\b
Exit codes: 0 passed or warned, 1 a gate failed, 2 usage or configuration,
            3 could not compare, or inconclusive, 70 a defect of seatrial."""
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
_FORMATS = (
    *("terminal", "markdown", "json", "html", "junit", "annotations", "code-quality", "gitlab-annotations"),
    *("openmetrics", "dvc-json", "dvc-markdown"),
)
_WITH_PLOTS = frozenset({"html", "json", "markdown"})
_SUFFIXES = {".txt": "terminal", ".md": "markdown", ".json": "json", ".html": "html", ".htm": "html", ".xml": "junit"}
_HISTORY_SUFFIXES = {".txt": "terminal", ".md": "markdown", ".json": "json", ".csv": "csv"}


@click.command(epilog=_EXAMPLE_COMPARE)
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
    callback=from_directory,
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
        git_dir=named_git_dir(),
        fetching=(say_nothing if quiet else tell_progress) if fetch else None,
    )
    in_dvc_shape = RenderOptions(params=params, no_path=no_path, show_all=show_all, precision=precision)
    options = dict.fromkeys(("dvc-json", "dvc-markdown"), in_dvc_shape) | {"terminal": terminal_options()}
    text = write_outputs(measurement, destinations, options, in_actions=runs_in_actions())
    refused = write_plots(measurement, plots_directory) if plots_directory else ()
    if not quiet:
        print_text(text)
        for reason in refused:
            click.echo(disarm_lines(reason), err=True)
    sys.exit(measurement.verdict.exit_code)


@click.command(epilog=_EXAMPLE_PLAN)
@click.argument("base", required=False)
@click.argument("head", required=False)
@facts_option
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
        git_dir=named_git_dir(),
        fetching=tell_progress if fetch else None,
    )
    if shape == "json":
        import msgspec

        facts = msgspec.json.encode(state_plan(prospects, correlation=correlation))
        print_text(msgspec.json.format(facts, indent=2).decode() + "\n")
        return
    from seatrial.render.terminal import render_document

    print_text(disarm_lines(render_document(write_plan(prospects, correlation=correlation), terminal_options())))


@click.command(epilog=_EXAMPLE_HISTORY)
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
    callback=from_directory,
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
    found = read_history(directory, request, config_path=config_path, git_dir=named_git_dir(), tell=tell_progress)
    if site is not None:
        from seatrial.commands.history_site import write_site

        git_dir = named_git_dir()
        pages = write_site(found, directory, site, config_path=config_path, git_dir=git_dir, tell=tell_progress)
        tell_progress(f"wrote {pages} pages: {site / 'index.html'}")
        if not (shape or output):
            return
    path = None if output in {None, "-"} else directory / (output or "")
    text = tell_history(found, chosen, terminal_options(), named=bool(metrics), every_row=every_row, path=path)
    print_text(disarm_as(text, chosen))


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
