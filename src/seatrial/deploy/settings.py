"""The settings of a target that has more to know than a place: `settings` of an environment, or a file at its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from seatrial.deploy.places import is_address
from seatrial.errors import UsageError

_Settings = TypeVar("_Settings")


def read_settings(
    kind: type[_Settings], place: str, file: str, given: Mapping[str, Any] | None, hint: str
) -> _Settings:
    """The settings as a value; UsageError that names the file and the key. What an environment gives is taken whole."""
    import yaml

    path = Path(place) / file
    if given is None and is_address(place):
        raise UsageError(f"{place}: no settings for this target", hint=f"`settings` of the environment: {hint}")
    source = "settings" if given is not None else str(path)
    try:
        found = given if given is not None else yaml.safe_load(path.read_bytes())
        return msgspec.convert(found, kind)
    except FileNotFoundError:
        raise UsageError(f"{path} is not there", hint=hint) from None
    except (OSError, yaml.YAMLError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{source}: {error}", hint=hint) from error
