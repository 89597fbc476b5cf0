"""The branch that keeps pictures: its name needs no escaping anywhere."""

from __future__ import annotations

import pytest

from seatrial.commands.picturing import check_branch
from seatrial.errors import UsageError


@pytest.mark.parametrize("name", ["seatrial-images", "bots/pictures", "a", "v1.2_x"])
def test_a_plain_name_is_taken(name: str) -> None:
    """What people call branches."""
    assert check_branch(name) == name


@pytest.mark.parametrize("name", [None, ""])
def test_no_name_is_no_branch(name: str | None) -> None:
    """An empty input of the action says nothing."""
    assert check_branch(name) is None


@pytest.mark.parametrize(
    "name", ["a..b", "-x", "a b", "a/", "a.", "x.lock", "x.lock/y", "a//b", "\u00e9", "a:b", "a/.x", "a\n", "x" * 300]
)
def test_a_name_that_can_be_no_branch_is_a_usage_error(name: str) -> None:
    """It is refused before anything is measured."""
    with pytest.raises(UsageError, match="--image-branch"):
        check_branch(name)
