"""Rules of this repository that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from seatrial.cli import cli

ROOT = Path(__file__).parents[2]


def list_tests() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield path.relative_to(ROOT).as_posix(), node


def test_every_test_states_its_promise() -> None:
    """A name says what is tested; the sentence says what a user may rely on."""
    silent = [f"{path}:{node.lineno} {node.name}" for path, node in list_tests() if not ast.get_docstring(node)]
    assert silent == []


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_has_help_with_examples(name: str) -> None:
    """Whoever asks for --help is shown a call that works."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=f"seatrial {name}"))
    assert "Examples:" in text
    assert f"seatrial {name}" in text.partition("Examples:")[2]
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_every_command_is_in_the_readme(name: str) -> None:
    """A stranger finds what there is."""
    assert f"seatrial {name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_links_between_pages_lead_somewhere() -> None:
    """Of README, and the files beside it; MkDocs checks the pages among themselves."""
    links = {
        page: re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")) for page in ROOT.glob("*.md")
    }
    broken = [f"{page.name}: {link}" for page, found in links.items() for link in found if not (ROOT / link).exists()]
    assert broken == []


def test_nothing_names_the_machine_that_it_was_made_on() -> None:
    """No path of a home directory is committed."""
    listed = subprocess.run(
        ["git", "grep", "-lIE", r"(^|[^A-Za-z./])/(home|root|Users)/[a-z]"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.stdout.splitlines() == []
