"""What a forge refused or failed to do, in words that say what to do next. No token ever enters a message."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from seatrial.errors import DeliveryError
from seatrial.forges import ForgeAccess, UncertainDeliveryError

# What clients raise over an answer that is not what the API promises: no JSON, a field absent or of another type.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something asked of a forge.

    `what` completes "could not …"; `permission` is the hint for a token that may not do it; `place` names what a 404
    did not find; `creates` tells that doing it twice would leave two.
    """

    what: str
    place: str
    permission: str
    creates: bool = False


def explain_answer(
    access: ForgeAccess, deed: Deed, status: int, reason: str, *, retry_after: str | None = None
) -> DeliveryError:
    """The error for an answer with an error status; `reason` is the forge's own sentence."""
    host = _host(access)
    message = f"{host} could not {deed.what}: {status}{f' {reason}' if reason else ''}"
    match status:
        case 401:
            return DeliveryError(
                f"{host} does not accept the token in {access.token_variable} (401)",
                hint=f"Set {access.token_variable} to a token that is valid there and has not expired.",
            )
        case 403 if _is_rate_limit(reason) or retry_after:
            return _rate_limited(message, retry_after)
        case 403:
            return DeliveryError(message, hint=deed.permission)
        case 404 | 410:
            return DeliveryError(
                f"{host} finds no {deed.place} ({status})",
                hint=f"Check the project and the number, and that the token in {access.token_variable} can see them.",
            )
        case 429:
            return _rate_limited(message, retry_after)
        case _ if status >= 500 and deed.creates:
            return UncertainDeliveryError(message, hint="The forge is in trouble: run the job again later.")
        case _ if status >= 500:
            return DeliveryError(message, hint="The forge is in trouble: run the job again later.")
        case _:
            return DeliveryError(message, hint="The forge refused the text or one of its fields, as it says above.")


def explain_silence(access: ForgeAccess, deed: Deed, failure: requests.RequestException) -> DeliveryError:
    """The error for a request that no answer came to."""
    host = _host(access)
    match failure:
        case requests.exceptions.SSLError():
            hint = "Give the forge's certificate authority: SSL_CERT_FILE or REQUESTS_CA_BUNDLE names a PEM file."
            return DeliveryError(f"{host} shows a certificate that is not trusted here", hint=hint)
        case requests.exceptions.TooManyRedirects():
            return DeliveryError(
                f"{host} redirects instead of answering",
                hint=f"Was {access.project} renamed, or is {_address(access)} not the address of the API?",
            )
        case requests.exceptions.ConnectTimeout():
            return _unreachable(access)
        case requests.exceptions.Timeout():
            message = f"{host} did not answer within {access.timeout} s when asked to {deed.what}"
        case requests.exceptions.ConnectionError() if _was_never_sent(failure):
            return _unreachable(access)
        case _:
            message = f"the connection to {host} broke when it was asked to {deed.what}"
    kind = UncertainDeliveryError if deed.creates else DeliveryError
    return kind(message, hint="Run the job again; if it stays so, look at the forge's status page.")


def explain_impatience(access: ForgeAccess, deed: Deed) -> DeliveryError:
    """The error for a request that was not begun, because those before it took all the time that there is."""
    return DeliveryError(
        f"{_host(access)} took more than {access.patience:g} s altogether: it was not asked to {deed.what}",
        hint="The forge is slow: run the job again later.",
    )


def explain_nonsense(access: ForgeAccess, deed: Deed) -> DeliveryError:
    """The error for an answer that is not what the API promises."""
    kind = UncertainDeliveryError if deed.creates else DeliveryError
    return kind(
        f"{_host(access)} gave an answer that can't be read when asked to {deed.what}",
        hint=f"Is {_address(access)} the address of the API, and not of a proxy's log-in page?",
    )


def _unreachable(access: ForgeAccess) -> DeliveryError:
    return DeliveryError(
        f"can't reach {_host(access)}",
        hint=f"Check the address {_address(access)}, the network and the proxy of this machine.",
    )


def _rate_limited(message: str, retry_after: str | None) -> DeliveryError:
    wait = f"in {retry_after} seconds" if retry_after and retry_after.isdigit() else "later"
    return DeliveryError(message, hint=f"The forge's rate limit is used up: run the job again {wait}.")


def _is_rate_limit(reason: str) -> bool:
    return "rate limit" in reason.lower()


def _was_never_sent(failure: requests.exceptions.ConnectionError) -> bool:
    """Whether no connection came about; requests tells it only by the error that it wraps."""
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    cause = failure.args[0] if failure.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _host(access: ForgeAccess) -> str:
    return urlsplit(_address(access)).netloc or _address(access)


def _address(access: ForgeAccess) -> str:
    """The API's address, without the user and password that one may hold."""
    parts = urlsplit(access.api_url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
