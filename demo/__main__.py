"""A pull request from its first push to the served model: this repository's pipeline, a stand-in forge, no network.

python -m demo [--out DIR] [--stay]
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from demo.delivery import ARTIFACT, ask, deploy, serve, swap_model
from demo.pull_request import BRANCH, NUMBER, REPOSITORY, Project, Push, describe_job, judge
from demo.terminal import environment, reproduce, run, say, step
from tests.fakes.github import GitHubStandIn
from tests.fakes.records import TOKEN, Change

ROOT = Path(__file__).resolve().parents[1]
STEPS = 9


def main() -> None:
    """Tell the story, and end by saying what was made and where."""
    arguments = _parse()
    out: Path = arguments.out.resolve()
    say("seatrial, from a pull request to a served model, on 336,776 real flights.")
    say("About 5 minutes on 2 cores the first time; what DVC has computed before is not computed again.")
    project = _clone(out)
    with step(1, STEPS, "main: `dvc repro` trains and evaluates the models of the main branch"):
        _reproduce(project, out, "main")
        project.commit("Reproduce the pipeline")
    change = Change(number=NUMBER, title="Call a flight late from 30 % on: fewer false alarms", head_ref=BRANCH)
    with GitHubStandIn(repository=REPOSITORY, changes=(change,)) as forge:
        with step(2, STEPS, "pull request: evaluate.threshold 0.25 → 0.30, reproduced by DVC"):
            project.git("checkout", "--quiet", "-b", BRANCH)
            project.change_parameter("threshold", "0.25", "0.30")
            _reproduce(project, out, "first")
            project.commit("Call a flight late from 30 % on")
        with step(3, STEPS, "CI: `seatrial ci` compares, judges, reports and gates the merge"):
            _judge(project, forge, change, out, run_number=1, expected=1)
        with step(4, STEPS, "second push: the threshold is back, and the boosted trees learn longer"):
            project.git("checkout", "--quiet", BRANCH)
            project.change_parameter("threshold", "0.30", "0.25")
            project.change_parameter("max_iter", "200", "300")
            _reproduce(project, out, "second")
            project.commit("Keep the threshold, train the boosted trees longer")
        with step(5, STEPS, "CI again: the same comment is updated"):
            _judge(project, forge, change, out, run_number=2, expected=0)
        with step(6, STEPS, "merge: `seatrial deploy` delivers the model that was judged"):
            commit = project.merge()
            say(f"      main is now {commit[:7]}")
            deploy(project, out / "models")
        with serve(out / "models") as address:
            live = out / "models" / ARTIFACT / "current"
            with step(7, STEPS, "serve: the model answers as it was evaluated"):
                ask(address, live)
            with step(8, STEPS, "a bad release: somebody commits another model.onnx, whose digests are all in order"):
                swap_model(project)
                deploy(project, out / "models", expected=1)
                ask(address, live)
            with step(9, STEPS, "the TensorFlow model as champion: forbidden, then taken to a trial with a reason"):
                project.git("reset", "--quiet", "--hard", commit)
                project.change_parameter("champion", "auto", "network")
                _reproduce(project, out, "network")
                project.commit("Let the network be the champion")
                deploy(project, out / "models", expected=4)
                deploy(project, out / "trial", "--override", "a trial of the network, which no traveller sees")
                with serve(out / "trial") as trial:
                    ask(trial, out / "trial" / ARTIFACT / "current")
            _finish(out, forge, address, stay=arguments.stay)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "demo-out", help="directory for everything that is made")
    parser.add_argument("--stay", action="store_true", default=sys.stdin.isatty(), help="keep serving until Ctrl-C")
    return parser.parse_args()


def _clone(out: Path) -> Project:
    """A clone to work in, whose DVC cache is this repository's: what is there need not be computed."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    project = Project(out / "project")
    run("git", "clone", "--quiet", str(ROOT), str(project.directory), cwd=out)
    project.git("checkout", "--quiet", "-B", "main")
    project.git("remote", "remove", "origin")
    run("dvc", "config", "--local", "cache.dir", str(ROOT / ".dvc" / "cache"), cwd=project.directory)
    # What an earlier run left in the cache is taken from there; on a first run there is nothing to take.
    subprocess.run(
        ("dvc", "checkout", "--quiet"), cwd=project.directory, env=environment(), capture_output=True, check=False
    )
    return project


def _reproduce(project: Project, out: Path, name: str) -> None:
    log = out / f"dvc-repro-{name}.log"
    ran = reproduce(project.directory, log)
    say(f"      stages that ran: {ran}; the others did not depend on what changed")


def _judge(
    project: Project, forge: GitHubStandIn, change: Change, out: Path, *, run_number: int, expected: int
) -> None:
    push: Push = project.push()
    change.head_sha, change.base_sha = push.head, push.base
    job = describe_job(push, run_number=run_number, web=forge.web_url, api=forge.api_url, work=out)
    code, printed = judge(project, job, TOKEN)
    (out / f"seatrial-ci-{run_number}.log").write_text(printed, encoding="utf-8")
    _show(_cut_after_gates(printed) if code == expected else printed)
    (check,) = forge.checks(push.head)
    comments = forge.comments(NUMBER)
    say(f"      exit code {code} · check: {check.conclusion} · {len(comments)} comment on the pull request")
    if code != expected or len(comments) != 1:
        sys.exit(f"expected exit code {expected} and one comment")
    with urllib.request.urlopen(forge.page_url(NUMBER), timeout=30) as page:
        (out / f"pull-request-{run_number}.html").write_bytes(page.read())


def _cut_after_gates(report: str) -> str:
    """The report's first part: the verdict, the numbers that decided, the gates; the rest is in the files."""
    before, line, after = report.partition("────\n")
    return before + line + after.partition("\n\n")[0]


def _show(text: str) -> None:
    for line in text.rstrip().splitlines():
        say(f"      {line}")


def _finish(out: Path, forge: GitHubStandIn, address: str, *, stay: bool) -> None:
    shown = out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out
    say("\nDone. What was made:")
    say(f"  the pull request, refused      {shown}/pull-request-1.html")
    say(f"  the pull request, accepted     {shown}/pull-request-2.html")
    say(f"  the reports                    {shown}/report-1/report.html  {shown}/report-2/report.html")
    say(f"  the deployed model             {shown}/models/{ARTIFACT}/current")
    say(f"  every deployment, the bad too  {shown}/models/{ARTIFACT}/deployments.jsonl")
    say(f"  the network on trial           {shown}/trial/{ARTIFACT}/current")
    say(f"  the project and its history    {shown}/project")
    say(f"  the comment's address          {forge.page_url(NUMBER)}{'' if stay else '  (gone now; --stay keeps it)'}")
    if stay:
        say(f"  the model's address            {address}/v2/models/{ARTIFACT}")
        say("\nBoth addresses answer until you press Ctrl-C.")
        try:
            signal.pause()
        except KeyboardInterrupt:
            say()


if __name__ == "__main__":
    main()
