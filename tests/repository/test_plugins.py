"""The plugins are thin: the action, the template and the command line say the same, and linters find no fault."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from seatrial import __version__
from seatrial.cli.delivery import deploy, rollback
from seatrial.cli.reports import ci

ROOT = Path(__file__).parents[2]
ACTION_FILE = ROOT / "action.yml"
ACTION_FILES = [ACTION_FILE, ROOT / "deploy/action.yml", ROOT / "rollback/action.yml"]
TEMPLATE_FILE = ROOT / ".gitlab-ci-template.yml"
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/github/*.yml")])
GITLAB_EXAMPLES = sorted(ROOT.glob("examples/gitlab/*.yml"))
ACTION: dict[str, Any] = yaml.safe_load(ACTION_FILE.read_text(encoding="utf-8"))
SPEC, TEMPLATE = yaml.safe_load_all(TEMPLATE_FILE.read_text(encoding="utf-8"))
OPTIONS = {
    option.opts[0].removeprefix("--"): option
    for option in ci.params
    if isinstance(option, click.Option) and option.envvar
}
# What isn't said to `seatrial ci`, but to whatever runs it.
ACTION_ONLY = {"token", "working-directory", "python"}
TEMPLATE_ONLY = {"working-directory", "python", "package", "image", "stage", "deploy-package", "deploy-stage"}
# What a step of an action has no use for: it does the thing, and its log is for people.
TERMINAL_ONLY = {"plan", "dry-run", "format"}


def spell(default: object) -> str:
    """A default as a CI system writes it."""
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


def read_defaults() -> dict[str, str]:
    """What the command works with when nothing is said."""
    chosen = ci.make_context("ci", []).params
    return {name: spell(chosen[str(option.name)]) for name, option in OPTIONS.items()}


def test_every_option_of_the_command_can_be_set_by_a_variable() -> None:
    """An option with no variable would be out of the plugins' reach; an older spelling of one that has is hidden."""
    options = [p for p in ci.params if isinstance(p, click.Option) and not p.hidden]
    without = [p.opts for p in options if not p.envvar]
    assert without == []
    assert {option.envvar for option in OPTIONS.values()} == {
        f"SEATRIAL_{name.upper().replace('-', '_')}" for name in OPTIONS
    }


def test_every_input_of_the_action_is_an_option_with_the_same_default() -> None:
    """What the action promises is what the command does."""
    inputs = {name: spell(entry["default"]) for name, entry in ACTION["inputs"].items()}
    assert set(inputs) - ACTION_ONLY == set(OPTIONS)
    assert {name: inputs[name] for name in OPTIONS} == read_defaults()


def test_every_input_of_the_template_is_an_option_with_the_same_default() -> None:
    """What the template promises is what the command does."""
    inputs = {name: spell(entry["default"]) for name, entry in SPEC["spec"]["inputs"].items()}
    assert set(inputs) - TEMPLATE_ONLY == set(OPTIONS)
    assert {name: inputs[name] for name in OPTIONS} == read_defaults()


def test_the_template_offers_what_the_option_takes() -> None:
    """A wrong word is refused before a job starts, and flags are booleans."""
    inputs = SPEC["spec"]["inputs"]
    for name, option in OPTIONS.items():
        choices = list(option.type.choices) if isinstance(option.type, click.Choice) else None
        assert inputs[name].get("options") == choices
        assert (inputs[name].get("type") == "boolean") == (option.is_flag is True)


def test_inputs_reach_the_command_through_variables_alone() -> None:
    """Each input fills the variable of its option, and is used nowhere else."""
    [step] = [step for step in ACTION["runs"]["steps"] if step.get("id") == "seatrial"]
    given = {name: f"${{{{ inputs.{name} }}}}" for name in [*OPTIONS, "token"]}
    assert step["env"] == {f"SEATRIAL_{name.upper().replace('-', '_')}": value for name, value in given.items()}
    variables = TEMPLATE[".seatrial"]["variables"]
    for name, option in OPTIONS.items():
        assert variables[str(option.envvar)] == f"$[[ inputs.{name} ]]"
    assert "$[[" not in str(TEMPLATE[".seatrial"]["script"])


def test_the_command_is_called_once_by_each_plugin() -> None:
    """All that is worth testing happens in Python."""
    scripts = [step["run"] for step in ACTION["runs"]["steps"]]
    assert "".join(scripts).count("seatrial ci") == 1
    assert str(TEMPLATE[".seatrial"]["script"]).count("seatrial ci") == 1


@pytest.mark.parametrize("command", [deploy, rollback], ids=lambda command: str(command.name))
def test_deploying_actions_say_what_their_commands_do(command: click.Command) -> None:
    """Inputs are the command's arguments and options, by their variables alone, with the defaults of the command."""
    action = yaml.safe_load((ROOT / f"{command.name}/action.yml").read_text(encoding="utf-8"))
    named = {p.opts[-1].lstrip("-"): p for p in command.params}
    known = {"to-version" if name == "version" else name: p for name, p in named.items() if name not in TERMINAL_ONLY}
    inputs = action["inputs"]
    assert set(inputs) == set(known) | {"token", "working-directory", "python", "extras"}
    [step] = [step for step in action["runs"]["steps"] if step.get("id") == "seatrial"]
    variables = {name: f"SEATRIAL_{name.upper().replace('-', '_')}" for name in [*known, "token"]}
    assert step["env"] == {variable: f"${{{{ inputs.{name} }}}}" for name, variable in variables.items()}
    chosen = command.make_context("x", ["model"]).params
    for name, parameter in known.items():
        assert parameter.envvar == variables[name]
        expected = None if parameter.required else spell(chosen[str(parameter.name)])
        assert inputs[name].get("default") == expected, name
    assert step["run"].count(f"seatrial {command.name}") == 1
    for name, entry in action["outputs"].items():
        assert entry["value"] == f"${{{{ steps.seatrial.outputs.{name} }}}}"


@pytest.mark.parametrize("command", ["deploy", "rollback"])
def test_deploying_jobs_run_alone_and_are_never_cut_off(command: str) -> None:
    """One deployment to an environment at a time; what a model is deployed as reaches the command by variables."""
    job = TEMPLATE[f".seatrial-{command}"]
    assert (job["interruptible"], job["resource_group"]) == (False, job["environment"]["name"])
    assert str(job["script"]).count(f"seatrial {command}") == 1
    assert "$[[" not in str(job["script"])


def test_outputs_are_handed_on_under_their_own_names() -> None:
    """An output of the action is the output of the same name of its step."""
    for name, entry in ACTION["outputs"].items():
        assert entry["value"] == f"${{{{ steps.seatrial.outputs.{name} }}}}"


def list_scripts(value: object) -> Iterator[str]:
    """Every `run:` below a value."""
    if isinstance(value, dict):
        if isinstance(value.get("run"), str):
            yield value["run"]
        for inner in value.values():
            yield from list_scripts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from list_scripts(inner)


@pytest.mark.parametrize("path", [*ACTION_FILES, *WORKFLOWS], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_expression_is_pasted_into_a_script(path: Path) -> None:
    """A branch's name reaches a shell through `env:` or not at all."""
    scripts = list(list_scripts(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert not [script for script in scripts if "${{" in script]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_tell_their_version(path: Path) -> None:
    """A tag can be moved; a commit can't, and its comment says which release it is."""
    for line in path.read_text(encoding="utf-8").splitlines():
        used = line.strip().removeprefix("- ").partition("uses: ")[2]
        if used and not used.startswith(("./", "seatrial/seatrial@", "seatrial/seatrial/")):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), line


def test_the_release_that_users_copy_is_this_one() -> None:
    """Template, examples and guides name the version of the package."""
    files = [TEMPLATE_FILE, ROOT / "README.md", *WORKFLOWS, *GITLAB_EXAMPLES, *ROOT.glob("docs/**/*.md")]
    files.append(ROOT / "examples/jenkins/Jenkinsfile")
    named = {
        found
        for path in files
        for found in re.findall(
            r"seatrial/seatrial(?:/deploy|/rollback)?(?:@|/)v(\d[\w.]*\w)", path.read_text(encoding="utf-8")
        )
    }
    assert named == {__version__}


def run_tool(*command: str) -> None:
    """Run a linter of this environment; its findings are the failure."""
    tool = Path(sys.executable).with_name(command[0])
    assert tool.exists(), f"{command[0]} is not installed: pip install --group test"
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("github-actions", ACTION_FILES), ("github-workflows", WORKFLOWS), ("gitlab-ci", GITLAB_EXAMPLES)],
    ids=["action", "workflows", "gitlab"],
)
def test_files_fit_the_published_schemas(schema: str, paths: list[Path]) -> None:
    """Keys and values are those that the CI systems know."""
    assert paths
    run_tool("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths))


def test_the_template_fits_the_published_schema(tmp_path: Path) -> None:
    """The part after the template's header is a pipeline as GitLab describes it."""
    pipeline = tmp_path / "template.yml"
    pipeline.write_text(yaml.safe_dump(TEMPLATE), encoding="utf-8")
    run_tool("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(pipeline))
    assert all(entry["description"] and "default" in entry for entry in SPEC["spec"]["inputs"].values())


def test_zizmor_finds_nothing() -> None:
    """No workflow or action of ours is a way in, and none that users copy from us."""
    run_tool("zizmor", "--offline", "--no-progress", "--persona=auditor", *map(str, [*ACTION_FILES, *WORKFLOWS]))
