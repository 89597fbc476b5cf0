"""How often, and how long, a forge is asked again: the same for every client, all of which stand on urllib3."""

from __future__ import annotations

from types import TracebackType

from urllib3 import BaseHTTPResponse, Retry
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import MaxRetryError, ResponseError

LONGEST_WAIT = 20  # seconds of Retry-After that a CI job spends on us
IN_TROUBLE = (500, 502, 503, 504)
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
TOO_MANY_REQUESTS = 429
FORBIDDEN = 403


class PatientRetry(Retry):
    """Three more attempts, one where the forge is silent, at what may be done twice and what was surely not done.

    A POST is asked again only after 429, after 403 with Retry-After (GitHub's secondary limits), and where no
    connection came about: in every other case it may have been carried out.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether the answer is one to ask again after."""
        turned_away = status_code == TOO_MANY_REQUESTS or (status_code == FORBIDDEN and has_retry_after)
        return turned_away or super().is_retry(method, status_code, has_retry_after)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> PatientRetry:
        """One attempt fewer; the end where the forge wants a longer wait than a job can give."""
        wait = self.get_retry_after(response) if response is not None else None
        if wait is not None and wait > LONGEST_WAIT and _pool is not None:
            raise MaxRetryError(_pool, url or "", ResponseError(f"asks to wait {wait:g} s"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


def make_retry() -> PatientRetry:
    """The policy; the last answer is handed to the client, which knows how to read it."""
    return PatientRetry(
        total=3,
        # Each of these can cost a whole time-out.
        connect=1,
        read=1,
        allowed_methods=REPEATABLE,
        status_forcelist=IN_TROUBLE,
        backoff_factor=0.2,
        raise_on_status=False,
    )
