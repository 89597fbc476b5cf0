"""A place that only scripts reach, for the target `command`: a directory that stands for another machine."""

from __future__ import annotations

from pathlib import Path

from seatrial.deploy import open_command
from seatrial.deploy.command import SETTINGS
from seatrial.deploy.target import Target

SCRIPT = """#!/bin/sh
set -eu
there=../remote/$SEATRIAL_MODEL
mkdir -p "$there"
case $1 in
stage)
    rm -rf "$there/.new-$SEATRIAL_VERSION" "$there/$SEATRIAL_VERSION"
    cp -r "$SEATRIAL_DIRECTORY" "$there/.new-$SEATRIAL_VERSION"
    mv "$there/.new-$SEATRIAL_VERSION" "$there/$SEATRIAL_VERSION" ;;
promote)
    printf '{"version": "%s", "digest": "%s"}' "$SEATRIAL_VERSION" "$SEATRIAL_DIGEST" > "$there/.live-$$"
    mv "$there/.live-$$" "$there/live" ;;
observe)
    if [ -f "$there/live" ]; then cat "$there/live"; else echo '{"version": "", "digest": ""}'; fi ;;
retire)
    rm -rf "${there:?}/$SEATRIAL_VERSION" ;;
esac
"""


def open_remote(place: str, name: str) -> Target:
    """The target, with the settings and the script that a user would have written before."""
    root = Path(place)
    root.mkdir(parents=True, exist_ok=True)
    script = root / "remote.sh"
    if not script.exists():
        draft = root / ".remote.sh"
        draft.write_text(SCRIPT)
        draft.chmod(0o755)
        draft.rename(script)
        verbs = ("stage", "promote", "observe", "retire")
        (root / SETTINGS).write_text("".join(f"{verb}: [./remote.sh, {verb}]\n" for verb in verbs))
    return open_command(place, name)
