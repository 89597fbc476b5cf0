"""Which requests go to which version: what the file `route.json` beside a model's versions says.

    {"weights": {"2": 10}, "shadow": "3"}

Of every hundred keys, ten are answered by version 2 and the rest by the live version; version 3 is asked what
those are asked, and nobody sees its answers. No file means that the live version answers everything. A version
with the weight 0 is loaded, and answers only those who ask for it by its number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from seatrial.errors import ReleaseError

ROUTE = "route.json"
WHOLE = 100.0


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights in percent by version, what they leave being the live version's, and the version that shadows."""

    weights: Mapping[str, float] = MappingProxyType({})
    shadow: str | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that is named, once each."""
        return tuple(dict.fromkeys((*self.weights, *([self.shadow] if self.shadow else []))))


def decode_route(data: bytes, place: str) -> Route:
    """Read a route; ReleaseError names `place` and what is wrong."""
    try:
        route = msgspec.json.decode(data, type=Route)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseError(f"{place}: not a route: {error}", hint=_HINT) from error
    for version in route.versions:
        if not (version.isascii() and version.isdecimal()):
            raise ReleaseError(f"{place}: {version!r} is not a version's number", hint=_HINT)
    wrong = [version for version, weight in route.weights.items() if not 0 <= weight <= WHOLE]
    if wrong or math.fsum(route.weights.values()) > WHOLE:
        what = f"the weight of version {wrong[0]} is" if wrong else "the weights add up to"
        amount = route.weights[wrong[0]] if wrong else math.fsum(route.weights.values())
        raise ReleaseError(f"{place}: {what} {amount:g}; weights are percents, 100 in all at most", hint=_HINT)
    return route


_HINT = 'write {"weights": {"VERSION": PERCENT}, "shadow": "VERSION"}, or take the file away'


def encode_route(route: Route) -> bytes:
    """The file's content; the same route gives the same bytes."""
    return msgspec.json.encode({"weights": dict(route.weights), "shadow": route.shadow}, order="sorted") + b"\n"


def choose_version(route: Route, key: bytes) -> str | None:
    """The version that answers a key, or None for the live one.

    A key stays with its version while the weights stay, and a version whose weight grows keeps the keys that it has:
    shares are laid side by side in the order of the versions' numbers, from 0 on.

    >>> choose_version(Route(weights={"2": 100}), b"any")
    '2'
    >>> choose_version(Route(weights={"2": 0}), b"any") is None
    True
    """
    if not route.weights:
        return None
    place = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") / 2**64 * WHOLE
    for version in sorted(route.weights, key=int):
        place -= route.weights[version]
        if place < 0:
            return version
    return None
