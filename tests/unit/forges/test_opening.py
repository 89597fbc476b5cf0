"""Opening a forge costs only when it is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seatrial.forges import FORGES, ForgeAccess

ACCESS = ForgeAccess(
    api_url="https://forge.example/api/v4", web_url="https://forge.example", project="octo/flights", token="t"
)


def test_clients_are_imported_only_when_a_forge_is_opened() -> None:
    """Comparing without posting never pays for the clients."""
    code = "import sys, seatrial.publish; print(sorted({'github', 'gitlab', 'requests', 'urllib3'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", FORGES)
def test_a_forge_is_opened_by_its_name_without_a_request(kind: str) -> None:
    """Opening says nothing to the network, and the forge knows its key."""
    assert FORGES[kind](ACCESS).name == kind


def test_the_token_is_not_in_the_representation() -> None:
    """Access that gets into a traceback shows no secret."""
    assert "secret-of-ours" not in repr(
        ForgeAccess(api_url="https://forge.example", web_url="", project="", token="secret-of-ours")
    )
