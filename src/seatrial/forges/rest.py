"""JSON over HTTP, for forges of which we need half a dozen addresses.

PyPI's clients for Gitea, Forgejo and Bitbucket are generated whole, asynchronous, under the GPL or no longer kept, and
none lets its caller decide what is asked again and for how long. requests does, and is what the other forges stand on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from seatrial.errors import DeliveryError
from seatrial.forges import ForgeAccess
from seatrial.forges.failures import UNREADABLE, Deed, explain_answer, explain_nonsense, explain_silence
from seatrial.forges.retries import Patience, make_retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer: its JSON (None where there was no text to be), and its headers."""

    value: Any
    headers: Mapping[str, str]


class HeaderToken(AuthBase):
    """A token in the header `Authorization`; being the request's own, no netrc file takes its place."""

    def __init__(self, scheme: str, token: str) -> None:
        self._header = f"{scheme} {token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with the header."""
        request.headers["Authorization"] = self._header
        return request


class Rest:
    """A forge's API; `read_reason` finds the forge's own sentence in the JSON of an answer that says no."""

    def __init__(self, access: ForgeAccess, auth: AuthBase, read_reason: Callable[[Any], str]) -> None:
        self._access = access
        self._auth = auth
        self._read_reason = read_reason
        self._patience = Patience(access)
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "seatrial"})
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=make_retry(self._patience)))

    def ask(
        self,
        deed: Deed,
        method: str,
        address: str,
        *,
        body: object = None,
        query: Mapping[str, str | int] | None = None,
        lets: tuple[int, ...] = (),
    ) -> Answer | None:
        """The answer; None where its status is one that the caller `lets` pass.

        `address` is a path below the API's, or one that the API itself named, which has to be below it too.
        Raises `DeliveryError` in every other case.
        """
        url = self._locate(deed, address)
        with self._patience.spend(deed):
            try:
                response = self._session.request(
                    method,
                    url,
                    params=query,
                    json=body,
                    auth=self._auth,
                    timeout=self._access.timeout,
                    verify=self._access.ca_file or True,
                    # A redirect would carry the token to wherever it points.
                    allow_redirects=False,
                )
            except requests.RequestException as failure:
                raise explain_silence(self._access, deed, failure) from None
        if response.status_code in lets:
            return None
        return self._read(deed, response)

    @contextmanager
    def reading(self, deed: Deed) -> Iterator[None]:
        """Turns what goes wrong while an answer is taken apart into the error for an answer that can't be read."""
        try:
            yield
        except DeliveryError:
            raise
        except UNREADABLE:
            raise explain_nonsense(self._access, deed) from None

    def _locate(self, deed: Deed, address: str) -> str:
        base = self._access.api_url.rstrip("/")
        if address.startswith("/"):
            return base + address
        given, own = urlsplit(address), urlsplit(base)
        if (given.scheme, given.netloc) != (own.scheme, own.netloc.rpartition("@")[2]):
            raise explain_nonsense(self._access, deed)  # the token goes to no other host
        return address

    def _read(self, deed: Deed, response: requests.Response) -> Answer:
        status = response.status_code
        if response.is_redirect or status in range(300, 400):
            raise explain_silence(self._access, deed, requests.exceptions.TooManyRedirects())
        if status >= requests.codes.bad_request:
            wait = response.headers.get("Retry-After")
            raise explain_answer(self._access, deed, status, self._find_reason(response), retry_after=wait)
        with self.reading(deed):
            value = None if status == requests.codes.no_content else response.json()
            return Answer(value=value, headers=response.headers)

    def _find_reason(self, response: requests.Response) -> str:
        try:
            reason = self._read_reason(response.json())
        except UNREADABLE:
            reason = response.reason or ""
        return " ".join(reason.split())[:300]


def read_next_link(headers: Mapping[str, str]) -> str | None:
    """The address of the next page that the header `Link` names."""
    links = requests.utils.parse_header_links(headers.get("Link", ""))
    return next((link["url"] for link in links if link.get("rel") == "next"), None)
