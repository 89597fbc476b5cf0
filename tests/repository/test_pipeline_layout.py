"""The pipeline at the root and its scripts are one thing."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "scripts").glob("*.py"))
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}


def tracked(*paths: str) -> list[str]:
    """The files of the repository below `paths`."""
    listed = subprocess.run(["git", "ls-files", "-z", *paths], cwd=ROOT, capture_output=True, check=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


def imports_of(script: str) -> set[str]:
    """The top-level packages that a script imports, inside its functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / script).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_scripts_holds_exactly_what_the_pipeline_names() -> None:
    """No script without a stage, no stage without its script, and nothing else in the directory."""
    named = {dep for stage in STAGES.values() for dep in stage["deps"] if dep.startswith("scripts/")}
    assert named == set(SCRIPTS)
    assert set(tracked("scripts")) <= named


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_the_script_of_its_own_name(name: str) -> None:
    """One script a stage, called as the stage is called, and a dependency of it."""
    run = re.findall(r"scripts/\w+\.py", STAGES[name]["cmd"])
    assert run == [f"scripts/{name}.py"]
    assert run[0] in STAGES[name]["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_every_module_that_its_script_imports(name: str) -> None:
    """A change of shared code runs the stages again that use it."""
    modules = {Path(script).stem for script in SCRIPTS}
    imported = imports_of(f"scripts/{name}.py") & modules
    assert {f"scripts/{module}.py" for module in imported} <= set(STAGES[name]["deps"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_stand_alone(script: str) -> None:
    """They never import seatrial, nor anything that pickles."""
    assert not imports_of(script) & {"seatrial", "pickle", "joblib", "cloudpickle", "dill"}


def test_every_parameter_is_used_by_a_stage() -> None:
    """A choice that no stage depends on would change nothing."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    singles = next(entry["single"] for entry in PIPELINE["vars"] if "single" in entry)
    named = {key for stage in STAGES.values() for key in stage.get("params", ())}
    named |= set(singles) if "${item}" in named else set()
    groups = {key.partition(".")[0] for key in named}
    assert set(params) == groups - {"${item}"}
    for group in {key.partition(".")[0] for key in named if "." in key}:
        keys = {key.partition(".")[2] for key in named if key.startswith(f"{group}.")}
        assert group in named or keys == set(params[group])


def test_what_is_measured_is_in_git_and_what_is_heavy_is_not() -> None:
    """Metrics and plot data are tracked by git, everything that DVC caches is ignored by it."""
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))
    outs = {out["path"] for stage in lock["stages"].values() for out in stage["outs"]}
    small = {path for path in outs if path.endswith(".json")}
    assert small == {path for path in tracked("reports") if path.endswith(".json")}
    assert not [path for path in tracked(*(outs - small)) if not path.endswith(".gitignore")]


def test_what_the_pipeline_tracks_knows_no_machine() -> None:
    """No path of the place where it was made is in what is tracked, and no file of it is a pickle."""
    places = (".dvc", ".dvcignore", "data", "dvc.lock", "dvc.yaml", "models", "params.yaml", "reports", "scripts")
    pattern = r"(^|[^[:alnum:]_.])/(home|root|work|tmp|Users)/"
    found = subprocess.run(
        ["git", "grep", "--cached", "-nE", pattern, "--", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout or found.stderr
    assert not [name for name in tracked(*places) if Path(name).suffix in {".pkl", ".pickle", ".joblib"}]
