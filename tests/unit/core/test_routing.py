"""Routes: what a file may say, and that keys stay where they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.routing import Route, choose_version, decode_route, encode_route
from seatrial.errors import ReleaseError

KEYS = [str(number).encode() for number in range(4000)]


def test_shares_are_those_of_the_weights() -> None:
    """Of many keys each version gets about its percent, and the live version the rest."""
    route = Route(weights={"2": 10, "3": 25})
    chosen = [choose_version(route, key) for key in KEYS]
    shares = {version: chosen.count(version) / len(KEYS) for version in ("2", "3", None)}
    assert shares == pytest.approx({"2": 0.10, "3": 0.25, None: 0.65}, abs=0.02)


@given(st.floats(0, 100), st.floats(0, 100), st.binary(max_size=20))
def test_growing_weight_keeps_its_keys(one: float, other: float, key: bytes) -> None:
    """Whoever was answered by the canary is answered by it when its weight grows."""
    small, large = sorted((one, other))
    if choose_version(Route(weights={"2": small}), key) == "2":
        assert choose_version(Route(weights={"2": large}), key) == "2"


def test_route_survives_the_file() -> None:
    """What is written is what is read."""
    route = Route(weights={"2": 10.5, "10": 0}, shadow="3")
    assert decode_route(encode_route(route), "route.json") == route
    assert route.versions == ("2", "10", "3")
    assert decode_route(b"{}", "route.json") == Route()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "not a route"),
        ("", "not a route"),
        ('{"weight": {"2": 10}}', "unknown field `weight`"),
        ('{"weights": {"two": 10}}', "'two' is not a version's number"),
        ('{"shadow": "../1"}', "'../1' is not a version's number"),
        ('{"weights": {"2": -1}}', "the weight of version 2 is -1"),
        ('{"weights": {"2": 60, "3": 50}}', "the weights add up to 110"),
        ('{"weights": {"2": "all"}}', "Expected `float`, got `str`"),
    ],
)
def test_wrong_route_is_refused_in_plain_words(text: str, said: str) -> None:
    """A route that can't be meant is an error that names the file."""
    with pytest.raises(ReleaseError, match=r"^here: ") as caught:
        decode_route(text.encode(), "here")
    assert said in caught.value.message
