"""Opening a forge costs only when it is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

from seatrial.errors import DeliveryError
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


@pytest.mark.parametrize("token", ["secret-of\nours", "secret-of-ours\N{EURO SIGN}", "secret-of\tours"])
def test_a_token_that_fits_no_header_is_refused_unseen(token: str) -> None:
    """Libraries show the header that they refuse, and this one is a secret."""
    with pytest.raises(DeliveryError, match="the token in CI_TOKEN holds characters that no token has") as caught:
        ForgeAccess(api_url="https://forge.example", web_url="", project="", token=token, token_variable="CI_TOKEN")
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    "address", ["", "not a url", "/api/v4", "ftp://forge.example", "https://[", "http://a:b:c@x:y"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """A variable that was set wrongly is named as what it is, not as a defect of a client."""
    with pytest.raises(DeliveryError, match="the address of the forge's API is none") as caught:
        ForgeAccess(api_url=address, web_url="", project="", token="t")
    assert "GITHUB_API_URL" in caught.value.hint
    assert "a:b:c" not in caught.value.message
