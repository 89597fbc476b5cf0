"""Which place a command works on: the command line over seatrial.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.commands.environments import Said, choose_environment
from seatrial.core.environment import Environment
from seatrial.errors import UsageError

POLICY = """\
version: 1
environments:
  production: {to: live, address: "http://a", keep: 2, verify_key: keys/release.pub}
  bucket: {to: "s3://models/live", target: other}
  told: {to: live, registries: [{gto: {}}]}
  nowhere: {}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory without a repository, and a seatrial.yaml in it."""
    (tmp_path / "seatrial.yaml").write_text(POLICY)
    return tmp_path


def test_paths_are_seen_from_the_file_that_names_them(directory: Path, tmp_path: Path) -> None:
    """Wherever the command is started; an address is the same from everywhere."""
    found = choose_environment(directory, "production", Said())
    assert (found.to, found.verify_key) == (str(directory / "live"), str(directory / "keys/release.pub"))
    there = choose_environment(tmp_path / "else", "production", Said(), config_path=directory / "seatrial.yaml")
    assert there == found
    assert choose_environment(directory, "bucket", Said()).to == "s3://models/live"


def test_command_line_wins(directory: Path) -> None:
    """What it says, and nothing else."""
    said = Said(place="here", kind="command", address="", keep=0)
    found = choose_environment(directory, "production", said)
    assert (found.name, found.to, found.target, found.address, found.keep) == (
        "production",
        str(directory / "here"),
        "command",
        "",
        0,
    )


def test_another_place_is_told_to_no_registry(directory: Path) -> None:
    """What is live elsewhere, or in another way, is not what is live in the environment."""
    told = choose_environment(directory, "told", Said(place="live", kind="local")).registries
    assert told == choose_environment(directory, "told", Said()).registries != ()
    assert choose_environment(directory, "told", Said(place="here")).registries == ()
    assert choose_environment(directory, "told", Said(kind="command")).registries == ()


def test_command_line_alone_is_an_environment(tmp_path: Path) -> None:
    """Without a name no file is looked for."""
    assert choose_environment(tmp_path, None, Said(place="a")) == Environment(to=str(tmp_path / "a"))


def test_what_is_not_there_is_a_usage_error(directory: Path, tmp_path: Path) -> None:
    """No place, an unknown name, no file."""
    for name, said, hint in (
        ("nowhere", "environment nowhere names no place", "--to PLACE"),
        (None, "no place is named", "--to PLACE"),
        ("prodution", "there is no environment 'prodution'", "`production`"),
        ("x", "there is no environment 'x'", "production, bucket, told, nowhere"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            choose_environment(directory, name, Said())
        assert hint in caught.value.hint
    with pytest.raises(UsageError, match="there is no environment"):
        choose_environment(tmp_path / "else", "production", Said())
    with pytest.raises(UsageError, match="No such file"):
        choose_environment(tmp_path, "production", Said(), config_path=tmp_path / "nothing.yaml")
