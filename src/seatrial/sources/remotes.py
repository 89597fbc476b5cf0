"""DVC's default remote, as the settings of a project name it; nothing is asked of it."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from seatrial.sources.fetching import read_settings


class Remote(Struct, frozen=True, kw_only=True):
    """A remote by its name, and the scheme of its address (`s3`, `gs`, …; empty for a directory)."""

    name: str
    scheme: str


def read_default_remote(project: Path) -> Remote | None:
    """The default remote of the DVC project in a directory; None where it has none, or its settings can't be read."""
    from configparser import Error as SettingsError

    values: dict[tuple[str, str], str] = {}
    try:
        for name in ("config", "config.local"):  # the second overrides the first
            settings = read_settings(project / ".dvc" / name)
            for section in settings.sections():
                values |= {(section.strip("'\" "), key): value for key, value in settings.items(section)}
    except (OSError, SettingsError, UnicodeDecodeError):
        return None
    remote = values.get(("core", "remote"), "").strip("'\" ")
    url = values.get((f'remote "{remote}', "url"), values.get((f'remote "{remote}"', "url"), "")).strip("'\" ")
    if not remote:
        return None
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", url)
    return Remote(name=remote, scheme=scheme[1].lower() if scheme else "")
