"""What is asked again, how long is waited for it, and what is not."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from seatrial.errors import DeliveryError
from seatrial.forges import ForgeAccess
from seatrial.forges.failures import Deed
from seatrial.forges.retries import Patience, PatientRetry, make_retry

POOL = HTTPConnectionPool("forge.example")
ACCESS = ForgeAccess(api_url="https://forge.example", web_url="", project="octo/flights", token="t", patience=100)
DEED = Deed(what="list comments", place="there", permission="paste this")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def policy() -> PatientRetry:
    """The retries of somebody who has not waited yet."""
    return make_retry(Patience(ACCESS, Clock()))


def is_asked_again(method: str, status: int, headers: Mapping[str, str], retry: PatientRetry | None = None) -> bool:
    """What urllib3 concludes from an answer."""
    retry = retry or policy()
    answer = HTTPResponse(status=status, headers=headers)
    if not retry.is_retry(method, status, "Retry-After" in headers):
        return False
    try:
        retry.increment(method, "/", response=answer, _pool=POOL)
    except MaxRetryError:
        return False
    return True


WAIT = {"Retry-After": "60"}
# A moment that is near whenever the test runs: the past.
QUOTA = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000"}


@pytest.mark.parametrize(
    ("method", "status", "headers", "again"),
    [
        ("GET", 502, {}, True),
        ("PATCH", 500, {}, True),
        ("DELETE", 503, {}, True),
        ("GET", 404, {}, False),
        ("GET", 401, {}, False),
        ("GET", 403, {}, False),
        ("POST", 500, {}, False),
        ("POST", 503, WAIT, False),
        ("POST", 403, {}, False),
        ("POST", 403, WAIT, True),
        ("POST", 429, {}, True),
        ("POST", 422, {}, False),
        ("POST", 409, {}, False),
        ("GET", 403, {"Retry-After": "100"}, False),
        ("GET", 429, {"Retry-After": "3600"}, False),
        ("GET", 429, {"Retry-After": "when the moon is full"}, True),
        ("GET", 403, QUOTA, True),
        ("POST", 403, QUOTA, True),
        ("POST", 429, {"RateLimit-Remaining": "0", "RateLimit-Reset": QUOTA["X-RateLimit-Reset"]}, True),
        ("GET", 403, {**QUOTA, "X-RateLimit-Remaining": "9"}, False),
        ("GET", 403, {**QUOTA, "X-RateLimit-Reset": str(int(time.time()) + 999_999)}, False),
        ("GET", 403, {**QUOTA, "X-RateLimit-Reset": "soon"}, False),
    ],
)
def test_only_what_is_safe_is_asked_again(method: str, status: int, headers: Mapping[str, str], again: bool) -> None:
    """A creation is repeated only where the forge says that it did not do it; nobody waits beyond the deadline."""
    assert is_asked_again(method, status, headers) is again


def test_the_quota_names_the_wait() -> None:
    """Where no Retry-After is, the moment when the quota is full again counts, one in the past as now."""
    soon = {**QUOTA, "X-RateLimit-Reset": str(int(time.time()) + 5000)}
    named = policy().get_retry_after(HTTPResponse(status=403, headers=soon))
    assert named is not None
    assert 0 < named <= 5000
    assert policy().get_retry_after(HTTPResponse(status=429, headers={**QUOTA, "X-RateLimit-Reset": "5"})) == 0
    assert policy().get_retry_after(HTTPResponse(status=200, headers=QUOTA)) is None


def test_attempts_come_to_an_end() -> None:
    """A forge that stays in trouble holds a job for seconds, not for minutes, and never comes back at once."""
    retry, waited, attempts = policy(), 0.0, 1
    trouble = HTTPResponse(status=502)
    while not retry.is_exhausted():
        waited += retry.get_backoff_time()
        try:
            retry = retry.increment("GET", "/", response=trouble)
        except MaxRetryError:
            break
        assert retry.get_backoff_time() > 0
        attempts += 1
    assert attempts == 4
    assert waited < 5


def test_two_clients_do_not_come_back_together() -> None:
    """The waits are spread by lot."""
    first = policy().increment("GET", "/", response=HTTPResponse(status=502))
    assert len({first.get_backoff_time() for _ in range(20)}) > 1


def test_a_silent_forge_is_asked_twice() -> None:
    """Silence costs a whole time-out each time."""
    once_more = policy().increment("GET", "/", error=ReadTimeoutError(POOL, "/", "silence"))
    with pytest.raises(MaxRetryError):
        once_more.increment("GET", "/", error=ReadTimeoutError(POOL, "/", "silence"))


def test_nothing_is_begun_after_the_deadline() -> None:
    """Calls share one deadline: when it has passed, neither the same call is tried again nor another one begun."""
    clock = Clock()
    patience = Patience(ACCESS, clock)
    with patience.spend(DEED):
        clock.now += 99
        retry = make_retry(patience)
        assert is_asked_again("GET", 502, {}, retry)
        assert not is_asked_again("GET", 429, {"Retry-After": "2"}, retry)
        clock.now += 2
        assert not is_asked_again("GET", 502, {}, retry)
        assert not is_asked_again("GET", 502, {}, make_retry(patience).new(total=2))
    told = r"forge\.example took more than 100 s altogether.*list comments"
    with pytest.raises(DeliveryError, match=told), patience.spend(DEED):
        pass


def test_only_the_time_of_calls_counts() -> None:
    """Hours of `dvc repro` between two calls take nothing of the deadline, and a call within a call counts once."""
    clock = Clock()
    patience = Patience(ACCESS, clock)
    with patience.spend(DEED), patience.spend(DEED):
        clock.now += 30
    clock.now += 10_000
    assert patience.left == 70
