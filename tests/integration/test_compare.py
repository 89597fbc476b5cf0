"""`seatrial compare` in real git repositories: the right baseline, and one clear error for each wrong input."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from seatrial.render.json import schema
from tests.integration.repositories import Scratch, run_seatrial

GATED = "version: 1\nmetrics:\n  recall: {max_decrease: 0.01}\n"
HOSTILE = "a|b <img src=x> @all"


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch.create(tmp_path / "project")


def test_the_work_tree_is_compared_with_where_its_branch_left_main(scratch: Scratch) -> None:
    """Main's later commits are not the change's doing, and the report counts them."""
    scratch.measure(recall=0.8)
    scratch.git("checkout", "-q", "-b", "feature")
    scratch.measure(recall=0.7)
    scratch.git("checkout", "-q", "main")
    scratch.measure(recall=0.9)
    scratch.git("checkout", "-q", "feature")
    scratch.write({"metrics.json": '{"recall": 0.75}', "seatrial.yaml": GATED})
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    (metric,) = answer.facts["metrics"]
    assert (metric["base"], metric["head"], answer.code) == (0.8, 0.75, 1)
    assert (answer.facts["baseline_reason"], answer.facts["baseline_moved"]) == ("merge base with main", 1)
    jsonschema.validate(answer.facts, schema())


@pytest.mark.parametrize(
    ("arguments", "base", "head"),
    [
        (("v1", "v2"), 0.1, 0.2),
        (("v1..v2",), 0.1, 0.2),
        (("v2", "v1"), 0.2, 0.1),
        (("v2...side",), 0.1, 0.3),
        (("v1",), 0.1, 0.3),
        (("v1..",), 0.1, 0.3),
    ],
)
def test_two_revisions_mean_what_they_mean_in_git(
    scratch: Scratch, arguments: tuple[str, ...], base: float, head: float
) -> None:
    """A B, A..B and A...B."""
    scratch.measure(recall=0.1)
    scratch.git("tag", "v1")
    scratch.git("checkout", "-q", "-b", "side")
    scratch.measure(recall=0.3)
    scratch.git("checkout", "-q", "main")
    scratch.measure(recall=0.2)
    scratch.git("tag", "v2")
    scratch.git("checkout", "-q", "side")
    (metric,) = run_seatrial(scratch.directory, "compare", *arguments, "--format", "json").facts["metrics"]
    assert (metric["base"], metric["head"]) == (base, head)


def test_two_names_of_one_commit_are_no_change(scratch: Scratch) -> None:
    """Nothing differs, and that is said."""
    scratch.measure(recall=0.1)
    scratch.git("tag", "v1")
    answer = run_seatrial(scratch.directory, "compare", "v1", "main", "--format", "json")
    assert answer.facts["headline"].startswith("No change: metrics are those of v1")


def test_a_baseline_without_metrics_is_walked_back(scratch: Scratch) -> None:
    """The nearest commit that holds metrics counts, and its age is told."""
    scratch.measure(recall=0.1)
    scratch.git("rm", "-q", "metrics.json", "dvc.yaml")
    scratch.commit({})
    scratch.commit({"README": "x"})
    dvc_yaml = scratch.git("show", "HEAD~2:dvc.yaml") + "\n"
    scratch.write({"metrics.json": '{"recall": 0.2}', "dvc.yaml": dvc_yaml})
    facts = run_seatrial(scratch.directory, "compare", "--format", "json").facts
    assert (facts["baseline_older"], facts["metrics"][0]["base"]) == (2, 0.1)


def test_a_first_measurement_says_so(scratch: Scratch) -> None:
    """No baseline is no failure, and no pass of a relative gate either."""
    scratch.commit({"README": "x"})
    scratch.write({"metrics.json": '{"recall": 0.2}', "seatrial.yaml": GATED})
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert answer.code == 0
    assert answer.facts["base"] is None
    assert [finding["outcome"] for finding in answer.facts["findings"]] == ["not-judged"]


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (b'{"recall": 0.', "unreadable"),
        (b"", "unreadable"),
        (b'{"recall": NaN}', "not-finite"),
        (b'{"recall": null}', "missing"),
        (b"\xff\xfe\x00", "unreadable"),
        (None, "missing"),
    ],
)
def test_a_broken_candidate_fails_with_its_state(scratch: Scratch, content: bytes | None, state: str) -> None:
    """Corrupt, empty, NaN, null, binary, absent: each fails, ungated, and is named."""
    scratch.measure(recall=0.1)
    path = scratch.directory / "metrics.json"
    path.unlink() if content is None else path.write_bytes(content)
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert answer.code == 1
    assert [metric["state"] for metric in answer.facts["metrics"]] == [state]
    assert answer.facts["metrics"][0]["reason"]


def test_a_broken_baseline_can_not_be_compared_with(scratch: Scratch) -> None:
    """Exit code 3: the candidate is not to blame, and does not pass."""
    scratch.commit({"metrics.json": "{", "seatrial.yaml": GATED})
    scratch.git("checkout", "-q", "-b", "feature")
    scratch.write({"metrics.json": '{"recall": 0.2}'})
    answer = run_seatrial(scratch.directory, "compare", "main", "--format", "json")
    assert (answer.code, answer.facts["verdict"]) == (3, "inconclusive")


def test_a_hostile_name_stays_a_name(scratch: Scratch) -> None:
    """It is in the JSON as it is, and in the Markdown without effect."""
    scratch.measure(**{HOSTILE: 0.1})
    scratch.write({"metrics.json": json.dumps({HOSTILE: 0.2})})
    answer = run_seatrial(scratch.directory, "compare", "--format", "json")
    assert answer.facts["metrics"][0]["key"] == [HOSTILE]
    markdown = run_seatrial(scratch.directory, "compare", "--format", "markdown").out
    assert "<img" not in markdown
    assert "@all" not in markdown


def test_several_outputs_are_written_whole(scratch: Scratch) -> None:
    """Each format goes to its own file; the suffix tells the format."""
    scratch.measure(recall=0.1)
    names = ("r.json", "r.md", "r.html", "r.xml", "r.txt")
    arguments = [part for name in names for part in ("--output", f"out/{name}")]
    answer = run_seatrial(scratch.directory, "compare", *arguments)
    assert (answer.code, answer.out) == (0, "")
    assert sorted(path.name for path in (scratch.directory / "out").iterdir()) == sorted(names)
    assert stat.S_IMODE((scratch.directory / "out" / "r.md").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "nowhere"), "unknown revision"),
        (("compare", "--upload-pack=x"), "No such option"),
        (("compare", "--", "--all"), "unknown revision"),
        (("compare", "main..HEAD", "HEAD"), "already names two revisions"),
        (("compare", "--targets", "other.json"), "other.json"),
        (("compare", "--targets", "other.json"), "metrics files: metrics.json; parameters files: none are declared"),
        (("compare", "--config", "absent.yaml"), "absent.yaml"),
        (("compare", "--output", "report.doc"), "the suffix does not tell the format"),
        (("compare", "--format", "json", "--format", "html", "--output", "x"), "it is unclear what goes where"),
        (("compare", "--output", "dvc.yaml/x.md"), "can't be written"),
        (("ci",), "this is no CI job"),
    ],
)
def test_a_wrong_call_ends_with_one_error_and_a_hint(
    scratch: Scratch, arguments: tuple[str, ...], message: str
) -> None:
    """Exit code 2, the word that is wrong, and what to do; nothing on standard output."""
    scratch.measure(recall=0.1)
    answer = run_seatrial(scratch.directory, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    """No git repository."""
    answer = run_seatrial(tmp_path, "compare", env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert answer.code == 2
    assert "git repository" in answer.err


def test_a_wrong_policy_is_told_by_line(scratch: Scratch) -> None:
    """seatrial.yaml:3."""
    scratch.measure(recall=0.1)
    scratch.write({"seatrial.yaml": "version: 1\nmetrics:\n  recall: {at_leest: 1}\n"})
    answer = run_seatrial(scratch.directory, "compare")
    assert answer.code == 2
    assert "seatrial.yaml:3: metrics.recall has no key `at_leest`" in answer.err
    assert "did you mean `at_least`?" in answer.err


def test_a_shallow_clone_is_deepened(scratch: Scratch, tmp_path: Path) -> None:
    """The merge base is fetched from where the clone came from."""
    scratch.measure(recall=0.1)
    scratch.git("checkout", "-q", "-b", "feature")
    for value in range(5):
        scratch.measure(recall=value)
    shallow = tmp_path / "shallow"
    scratch.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{scratch.directory}", str(shallow))
    facts = run_seatrial(shallow, "compare", "origin/main...HEAD", "--format", "json").facts
    assert (facts["metrics"][0]["base"], facts["metrics"][0]["head"]) == (0.1, 4)


def test_a_shallow_clone_without_its_remote_names_the_command(scratch: Scratch, tmp_path: Path) -> None:
    """Exit code 3, and what to run."""
    scratch.measure(recall=0.1)
    scratch.git("checkout", "-q", "-b", "feature")
    scratch.measure(recall=1)
    scratch.measure(recall=2)
    shallow = tmp_path / "shallow"
    scratch.git("clone", "-q", "--depth=1", "--no-single-branch", f"file://{scratch.directory}", str(shallow))
    scratch.directory.rename(tmp_path / "gone")
    answer = run_seatrial(shallow, "compare", "origin/main...HEAD")
    assert answer.code == 3
    assert "git fetch" in answer.err


def test_plain_output_has_no_colour(scratch: Scratch) -> None:
    """A pipe gets text."""
    scratch.measure(recall=0.1)
    assert "\x1b" not in run_seatrial(scratch.directory, "compare", "--all").out


def test_quiet_prints_nothing(scratch: Scratch) -> None:
    """The exit code tells."""
    scratch.measure(recall=0.1)
    answer = run_seatrial(scratch.directory, "compare", "-q")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_a_hand_edited_metric_is_called_so(scratch: Scratch) -> None:
    """dvc.lock tells what the stage wrote."""
    written = '{"recall": 0.1}'
    digest = hashlib.md5(written.encode()).hexdigest()
    lock = f"schema: '2.0'\nstages:\n  train:\n    cmd: train\n    outs:\n    - {{path: metrics.json, md5: {digest}}}\n"
    scratch.commit({"metrics.json": written, "dvc.lock": lock})
    scratch.write({"metrics.json": '{"recall": 0.9}'})
    facts = run_seatrial(scratch.directory, "compare", "--format", "json").facts
    assert facts["verdict"] == "warned"
    assert [finding["reason"] for finding in facts["findings"]] == ["metrics.json is not what its stage made"]
    scratch.write({"seatrial.yaml": "version: 1\nstale: fail\n"})
    assert run_seatrial(scratch.directory, "compare").code == 1


@pytest.mark.parametrize("value", ["9" * 30, "-1" + "0" * 25, "1" + "0" * 400, "1e400", "1e-320", "-0.0", "1.7e308"])
def test_extreme_numbers_are_reported_in_every_format(scratch: Scratch, value: str) -> None:
    """No number of a metrics file makes a report impossible; what is not finite fails."""
    scratch.measure(recall=-1.7e308)
    scratch.git("checkout", "-q", "-b", "extreme")
    scratch.write({"metrics.json": f'{{"recall": {value}}}'})
    outputs = [
        word for name in ("report.json", "report.md", "report.html", "report.xml") for word in ("--output", name)
    ]
    answer = run_seatrial(scratch.directory, "compare", *outputs)
    assert (answer.code, answer.err) == (1 if value in {"1e400", "1" + "0" * 400} else 0, "")
    facts = json.loads((scratch.directory / "report.json").read_text())
    assert facts["metrics"][0]["key"] == ["recall"]


def test_no_name_is_a_command_to_the_runner(scratch: Scratch) -> None:
    """GitHub's runner obeys what a step prints at the start of a line, on either stream."""
    names = {"::add-mask::0": 1, "::stop-commands::x": 1, "##[add-mask]0": 1}
    scratch.measure(**names)
    scratch.git("checkout", "-q", "-b", "hostile")
    scratch.write({"metrics.json": json.dumps(dict.fromkeys(names, 2))})
    env = {"GITHUB_ACTIONS": "true"}
    report = run_seatrial(scratch.directory, "compare", "--all", env=env)
    assert report.out.count("add-mask") == 2
    scratch.write({"seatrial.yaml": 'version: 1\nmetrics: {"a\\n::add-mask::0\\e[31m": {at_leest: 1}}\n'})
    wrong = run_seatrial(scratch.directory, "compare", env=env)
    assert wrong.code == 2
    assert "\x1b" not in wrong.err
    for line in (report.out + wrong.err).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line


def test_no_printed_format_commands_a_runner(scratch: Scratch) -> None:
    """Programs read what they would have read elsewhere, and the runner of GitHub Actions finds nothing to obey."""
    scratch.measure(**{"::add-mask::0": 1, "##[add-mask]0": 1})
    scratch.measure(**{"::add-mask::0": 2, "##[add-mask]0": 2})
    for form in ("json", "junit", "html", "markdown"):
        arguments = ("compare", "HEAD~1", "HEAD", "--all", "--format", form)
        said = run_seatrial(scratch.directory, *arguments, env={"GITHUB_ACTIONS": "true"}).out
        assert not [line for line in said.splitlines() if line.lstrip().startswith("::") or "##[" in line]
        if form == "json":
            assert json.loads(said) == json.loads(run_seatrial(scratch.directory, *arguments).out)


def test_another_character_set_does_not_hide_the_verdict(scratch: Scratch) -> None:
    """Signs that it lacks are spelled as codes."""
    scratch.measure(recall=0.8)
    scratch.git("checkout", "-q", "-b", "same")
    answer = run_seatrial(scratch.directory, "compare", env={"PYTHONIOENCODING": "iso8859-2"})
    assert answer.code == 0
    assert answer.out.startswith("\\u2713 No change")


def test_pipes_and_devices_are_written_not_replaced(scratch: Scratch) -> None:
    """`--output /dev/stdout` prints; a pipe stays a pipe."""
    scratch.measure(recall=0.8)
    scratch.git("checkout", "-q", "-b", "same")
    answer = run_seatrial(scratch.directory, "compare", "--format", "terminal", "--output", "/dev/stdout")
    assert (answer.code, answer.out.partition(":")[0]) == (0, "✓ No change")
    assert Path("/dev/stdout").is_symlink()
    full = run_seatrial(scratch.directory, "compare", "--format", "json", "--output", "/dev/full")
    assert (full.code, full.err.partition("\n")[0]) == (
        2,
        "error: /dev/full can't be written: No space left on device",
    )
    assert Path("/dev/full").is_char_device()


def test_an_output_that_can_not_be_is_one_error(scratch: Scratch) -> None:
    """A directory, a file below a file, a name that is too long."""
    scratch.measure(recall=0.8)
    for output in (".", "metrics.json/report.json", f"{'x' * 300}.json"):
        answer = run_seatrial(scratch.directory, "compare", "HEAD", "--format", "json", "--output", output)
        assert (answer.code, "can't be written" in answer.err) == (2, True)


@pytest.mark.parametrize("target", ["metrics.json", "./metrics.json", ".", "sub/../metrics.json"])
def test_a_target_is_known_however_it_is_spelled(scratch: Scratch, target: str) -> None:
    """What a shell completes is taken."""
    scratch.measure(recall=0.8)
    assert run_seatrial(scratch.directory, "compare", "HEAD", "--targets", target).code == 0


def test_a_reader_that_goes_away_is_no_verdict(scratch: Scratch) -> None:
    """`seatrial compare | head -1` in a script with pipefail does not say that a gate failed."""
    scratch.measure(recall=0.8)
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "seatrial", "compare"]
    done = subprocess.run(command, cwd=scratch.directory, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
