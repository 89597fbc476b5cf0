"""Places that models are deployed to: the path of a directory, or an address such as `s3://bucket/prefix`."""

from __future__ import annotations

from pathlib import Path

_MARK = "://"


def is_address(place: str) -> bool:
    """Whether a place is an address; anything else is the path of a directory.

    >>> is_address("s3://models/production"), is_address("/srv/models")
    (True, False)
    """
    return _MARK in place


def get_scheme(place: str) -> str:
    """What kind of address a place is, in lower case.

    >>> get_scheme("S3://models/production")
    's3'
    """
    return place.partition(_MARK)[0].lower()


def resolve_place(directory: Path, place: str) -> str:
    """A place as it is seen from a directory: an address is the same from everywhere.

    >>> resolve_place(Path("/repo"), "models"), resolve_place(Path("/repo"), "s3://models")
    ('/repo/models', 's3://models')
    """
    return place if is_address(place) else str(directory / place)
