"""What is asked again, and what is not."""

from __future__ import annotations

import pytest
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from seatrial.forges.retries import make_retry

POOL = HTTPConnectionPool("forge.example")


@pytest.mark.parametrize(
    ("method", "status", "has_retry_after", "again"),
    [
        ("GET", 502, False, True),
        ("PATCH", 500, False, True),
        ("DELETE", 503, False, True),
        ("GET", 404, False, False),
        ("GET", 403, False, False),
        ("POST", 500, False, False),
        ("POST", 503, True, False),
        ("POST", 403, False, False),
        ("POST", 403, True, True),
        ("POST", 429, False, True),
        ("POST", 422, False, False),
    ],
)
def test_only_what_is_safe_is_asked_again(method: str, status: int, has_retry_after: bool, again: bool) -> None:
    """A creation is repeated only where the forge says that it did not do it."""
    assert make_retry().is_retry(method, status, has_retry_after) is again


def test_attempts_come_to_an_end() -> None:
    """A forge that stays in trouble holds a job for seconds, not for minutes."""
    retry, waited, attempts = make_retry(), 0.0, 1
    trouble = HTTPResponse(status=502)
    while not retry.is_exhausted():
        waited += retry.get_backoff_time()
        try:
            retry = retry.increment("GET", "/", response=trouble)
        except MaxRetryError:
            break
        attempts += 1
    assert attempts == 4
    assert waited < 5


def test_a_silent_forge_is_asked_twice() -> None:
    """Silence costs a whole time-out each time."""
    once_more = make_retry().increment("GET", "/", error=ReadTimeoutError(POOL, "/", "silence"))
    with pytest.raises(MaxRetryError):
        once_more.increment("GET", "/", error=ReadTimeoutError(POOL, "/", "silence"))
