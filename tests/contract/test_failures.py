"""Whatever a forge does to us becomes one error that says what to do, and never a second comment."""

from __future__ import annotations

import re
import socket
import ssl
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from seatrial.errors import DeliveryError
from seatrial.forges import FORGES, ForgeAccess
from seatrial.publish import Delivery, deliver
from tests.contract.conftest import CHANGE, KINDS, STAND_INS, TOKENS, Bench
from tests.fakes.records import TOKEN, Change
from tests.fakes.server import Fault

PERMISSIONS = {
    "github": "`pull-requests: write`. The job needs these:\npermissions:\n  contents: read\n  pull-requests: write\n",
    "gitlab": "scope `api`",
    "gitea": "write:issue",
    "bitbucket": "Pull requests: Write",
}
# In characters; Gitea has none but that of the server in front of it, in bytes.
LIMITS = {"github": 65_536, "gitlab": 1_000_000, "gitea": 1 << 20, "bitbucket": 32_768}


def _problem(bench: Bench, body: str = "report", **access: Any) -> DeliveryError:
    """The error of a publication that has to fail; it shows no token, however it is printed."""
    with pytest.raises(DeliveryError) as caught:
        bench.post(body, forge=bench.opened(**access))
    printed = "".join(traceback.format_exception(caught.value)) + caught.value.hint + repr(bench.access)
    assert not [token for token in (TOKEN, *TOKENS.values()) if token in printed]
    assert caught.value.hint
    return caught.value


def _posts(bench: Bench) -> int:
    return len(bench.stand_in.sent("POST", bench.comments_path))


def test_401_names_the_variable_of_the_token(bench: Bench) -> None:
    """A token that the forge does not accept is named by its variable."""
    error = _problem(bench, token=TOKENS["stranger"], token_variable="MY_TOKEN")
    assert "MY_TOKEN" in error.message
    assert "MY_TOKEN" in error.hint


def test_403_says_which_permission_to_add(bench: Bench) -> None:
    """A token that may not write comes with the lines to paste, or the scope to choose."""
    error = _problem(bench, token=TOKENS["reader"])
    assert PERMISSIONS[bench.kind] in error.hint
    assert bench.bodies() == []


def test_404_names_the_project_and_the_number(bench: Bench) -> None:
    """A change that the token can't see is named."""
    with pytest.raises(DeliveryError) as caught:
        bench.forge.create_comment(99, "text")
    assert "99" in caught.value.message
    assert "octo/flights" in caught.value.message


@pytest.mark.parametrize("bench", ["github", "gitlab"], indirect=True)
@pytest.mark.parametrize("body", ["lone surrogate \udc80", "nul \x00"], ids=["surrogate", "nul"])
def test_a_text_that_the_forge_refuses_says_what_it_refused(bench: Bench, body: str) -> None:
    """422 and 400 carry the forge's own sentence on."""
    error = _problem(bench, body)
    assert "characters" in error.message
    assert bench.bodies() == []


REFUSALS = {
    "github": b'{"message": "Validation Failed", "errors": [{"message": "body is odd"}]}',
    "gitlab": b'{"message": "body is odd"}',
    "gitea": b'{"message": "body is odd", "url": "https://git.example/api/swagger"}',
    "bitbucket": b'{"type": "error", "error": {"message": "Bad request", "detail": "body is odd"}}',
}


@pytest.mark.parametrize("status", [400, 409, 422])
def test_the_forges_own_sentence_is_carried_on(bench: Bench, status: int) -> None:
    """What a forge says of a refusal is what people need to read."""
    bench.break_posts(status=status, body=REFUSALS[bench.kind])
    error = _problem(bench)
    assert "body is odd" in error.message
    assert str(status) in error.message


def test_a_text_that_is_too_long_says_so(bench: Bench) -> None:
    """The budget is within the limit, and beyond the limit the forge's sentence is shown."""
    limit = LIMITS[bench.kind]
    bench.forge.create_comment(CHANGE, "x" * bench.forge.comment_budget)
    assert re.search("too (long|large)", _problem(bench, "x" * (limit + 1)).message, re.IGNORECASE)


def test_an_unreachable_forge_is_named(bench: Bench) -> None:
    """Where nobody listens, the error names host and address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    prefix = bench.access.api_url.rpartition("/api")[2]
    error = _problem(bench, api_url=f"http://127.0.0.1:{port}/api{prefix}")
    assert f"can't reach 127.0.0.1:{port}" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_authority_is_trusted_when_it_is_named(kind: str, tmp_path: Path) -> None:
    """A forge of one's own with a certificate of one's own works, and without its authority the error says so."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with STAND_INS[kind](changes=[Change(number=CHANGE)], tls=tls) as stand_in:
        access = ForgeAccess(
            api_url=stand_in.api_url, web_url=stand_in.web_url, project=stand_in.repository, token=TOKEN
        )
        trusting = FORGES[kind](replace(access, ca_file=str(ca_file)))
        assert trusting.create_comment(CHANGE, "text").body == "text"
        with pytest.raises(DeliveryError, match="certificate"):
            FORGES[kind](access).create_comment(CHANGE, "text")


@pytest.mark.parametrize("status", [429, 403])
def test_a_short_wait_is_kept_and_then_posted_once(bench: Bench, status: int) -> None:
    """A forge that says when to come back is asked again then: what it turned away it has not done."""
    bench.break_posts(status=status, headers={"Retry-After": "1"})
    bench.post("report")
    assert _posts(bench) == 2
    assert bench.bodies() == ["report"]


@pytest.mark.parametrize("status", [429, 403])
def test_a_long_wait_is_an_error_at_once(bench: Bench, status: int) -> None:
    """A job is not kept for the hour that a forge asks for."""
    limit = b'{"message": "You have exceeded a secondary rate limit"}'
    bench.break_posts(status=status, headers={"Retry-After": "3600"}, body=limit)
    error = _problem(bench)
    assert "rate limit" in error.hint
    assert _posts(bench) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_forge_in_trouble_is_asked_again_for_what_may_be_repeated(bench: Bench, status: int) -> None:
    """Two failures of a listing pass unnoticed."""
    bench.break_lists(status=status, times=2)
    bench.post("report")
    assert bench.bodies() == ["report"]


def test_an_update_that_fails_once_is_repeated(bench: Bench) -> None:
    """Changing a comment twice does no harm, so a failure of it is tried again."""
    bench.post("old", run="1.1")
    bench.stand_in.fail(Fault(method=bench.updates, path="/[0-9]+$", status=502, carried_out=True))
    bench.post("new", run="2.1")
    assert bench.bodies() == ["new"]


def test_a_forge_that_stays_in_trouble_is_an_error(bench: Bench) -> None:
    """After four attempts the run goes on without the comment."""
    bench.break_lists(status=502, times=4)
    assert "502" in _problem(bench).message
    assert len(bench.stand_in.sent("GET", bench.comments_path)) == 4


LOST_ANSWERS = [
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 502, "body": b"<html>bad gateway</html>"}, id="502"),
    pytest.param({"how": "stall", "seconds": 3.0}, id="time-out"),
    pytest.param({"how": "reset"}, id="reset"),
    pytest.param({"how": "garbage"}, id="garbage"),
]


@pytest.mark.parametrize("carried_out", [True, False], ids=["done", "not-done"])
@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_a_lost_answer_leaves_exactly_one_comment(bench: Bench, fault: dict[str, Any], carried_out: bool) -> None:
    """Whether or not the comment was made before its answer got lost, in the end there is one."""
    bench.break_posts(**fault, carried_out=carried_out)
    bench.post("report")
    assert bench.bodies() == ["report"]
    assert _posts(bench) == (1 if carried_out else 2)


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_answers_that_stay_lost_are_an_error(bench: Bench, fault: dict[str, Any]) -> None:
    """The comment is asked for twice, and then the run goes on."""
    bench.break_posts(**fault, times=2)
    _problem(bench)
    assert _posts(bench) == 2
    assert bench.bodies() == []


@pytest.mark.parametrize("how", ["garbage", "reset"])
def test_a_listing_that_can_not_be_read_posts_nothing(bench: Bench, how: str) -> None:
    """Without knowing what is there, nothing is added."""
    bench.break_lists(how=how, times=4)
    _problem(bench)
    assert _posts(bench) == 0


def test_a_log_in_page_is_not_taken_for_an_answer(bench: Bench) -> None:
    """HTML with status 200, as a proxy gives it, is said to be unreadable."""
    bench.break_lists(status=200, body=b"<html>please log in</html>")
    assert "can't be read" in _problem(bench).message


def test_a_redirect_is_not_followed(bench: Bench) -> None:
    """The token is not carried to wherever an answer points, and no empty thread is read into the answer."""
    elsewhere = f"{bench.stand_in.web_url}/elsewhere"
    bench.break_lists(status=302, headers={"Location": elsewhere}, body=b"")
    _problem(bench)
    assert not bench.stand_in.sent("GET", "/elsewhere")
    assert _posts(bench) == 0


def test_an_empty_answer_is_not_an_empty_thread(bench: Bench) -> None:
    """Where an answer says nothing, nothing is concluded from it: no second comment appears."""
    bench.post("report", run="1.1")
    bench.break_lists(status=200, body=b"")
    _problem(bench)
    assert bench.bodies() == ["report"]


def test_a_failed_comment_is_reported_and_the_next_step_taken(bench: Bench) -> None:
    """Posting is not judging: the ladder goes on, and tells what went wrong."""
    bench.break_posts(status=500, times=2)
    comment, check = deliver([("comment", lambda: bench.post("report").url), ("check", lambda: "concluded")])
    assert (comment.ok, comment.step) == (False, "comment")
    assert "500" in comment.problem
    assert check == Delivery(step="check", ok=True, detail="concluded")
