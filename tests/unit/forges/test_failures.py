"""What a forge refuses becomes one sentence and one hint."""

from __future__ import annotations

import pytest
import requests

from seatrial.forges import ForgeAccess, UncertainDeliveryError
from seatrial.forges.failures import Deed, explain_answer, explain_nonsense, explain_silence

ACCESS = ForgeAccess(
    api_url="https://user:pass@ghe.example:8443/api/v3",
    web_url="https://ghe.example:8443",
    project="octo/flights",
    token="the-token",
    token_variable="REPORT_TOKEN",
)
DEED = Deed(what="add a comment on pull request 3", place="pull request 3 in octo/flights", permission="paste this")
CREATION = Deed(what=DEED.what, place=DEED.place, permission=DEED.permission, creates=True)


@pytest.mark.parametrize(
    ("status", "reason", "message", "hint"),
    [
        (400, "note is blank", "400 note is blank", "refused the text"),
        (401, "Bad credentials", "the token in REPORT_TOKEN", "Set REPORT_TOKEN"),
        (403, "Forbidden", "403 Forbidden", "paste this"),
        (403, "API rate limit exceeded for 1.2.3.4", "403 API rate limit", "run the job again later"),
        (404, "Not Found", "no pull request 3 in octo/flights", "Check the project and the number"),
        (410, "Gone", "no pull request 3 in octo/flights", "Check the project and the number"),
        (422, "body is too long", "422 body is too long", "refused the text"),
        (429, "Too Many Requests", "429 Too Many Requests", "run the job again later"),
        (503, "", "could not add a comment on pull request 3: 503", "in trouble"),
    ],
)
def test_each_status_says_what_to_do(status: int, reason: str, message: str, hint: str) -> None:
    """Status and the forge's own sentence are there, and the hint fits them."""
    error = explain_answer(ACCESS, DEED, status, reason)
    assert message in error.message
    assert hint in error.hint


def test_a_wait_that_the_forge_names_is_in_the_hint() -> None:
    """People learn when to come back."""
    assert "in 90 seconds" in explain_answer(ACCESS, DEED, 403, "Forbidden", retry_after="90").hint


def test_no_secret_is_in_any_message() -> None:
    """Neither the token nor a password in the address gets out."""
    errors = [explain_answer(ACCESS, DEED, status, "no") for status in (401, 403, 404, 422, 429, 500)]
    errors += [explain_silence(ACCESS, DEED, requests.ConnectionError("reset")), explain_nonsense(ACCESS, DEED)]
    errors += [explain_silence(ACCESS, DEED, kind()) for kind in (requests.ConnectTimeout, requests.TooManyRedirects)]
    printed = "".join(error.message + error.hint for error in errors) + repr(ACCESS)
    assert "the-token" not in printed
    assert "user:pass" not in "".join(error.message + error.hint for error in errors)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (requests.exceptions.SSLError(), "certificate"),
        (requests.exceptions.ConnectTimeout(), "can't reach ghe.example:8443"),
        (requests.exceptions.TooManyRedirects(), "redirects"),
        (requests.exceptions.ReadTimeout(), "did not answer within 15 s"),
        (requests.exceptions.ConnectionError("reset by peer"), "broke"),
    ],
)
def test_silence_is_explained_by_its_cause(failure: requests.RequestException, words: str) -> None:
    """A certificate, an address and a slow forge are different errands."""
    assert words in explain_silence(ACCESS, DEED, failure).message


def test_only_a_creation_whose_answer_is_lost_is_uncertain() -> None:
    """Looking again is for what may have been done; a refusal is certain, and so is an address that nobody has."""
    lost = requests.exceptions.ReadTimeout()
    assert isinstance(explain_silence(ACCESS, CREATION, lost), UncertainDeliveryError)
    assert isinstance(explain_answer(ACCESS, CREATION, 502, ""), UncertainDeliveryError)
    assert isinstance(explain_nonsense(ACCESS, CREATION), UncertainDeliveryError)
    certain = [
        explain_silence(ACCESS, CREATION, requests.exceptions.ConnectTimeout()),
        explain_answer(ACCESS, CREATION, 422, ""),
        explain_answer(ACCESS, DEED, 502, ""),
        explain_silence(ACCESS, DEED, lost),
    ]
    assert not [error for error in certain if isinstance(error, UncertainDeliveryError)]
