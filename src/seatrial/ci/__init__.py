"""Which CI job we are in: its variables, files and outputs. Environment and files, never network.

A CI system is one file with the three functions of `_System`, and one line in `_SYSTEMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from seatrial.ci import bitbucket, gitea, github, gitlab
from seatrial.ci.follower import Follower, Measured, read_follower
from seatrial.ci.job import BaselineHint, CIJob, System
from seatrial.errors import DeliveryError

__all__ = [
    "BaselineHint",
    "CIJob",
    "Follower",
    "Measured",
    "System",
    "detect",
    "read_follower",
    "write_outputs",
    "write_summary",
]

# GitHub drops a step's whole summary beyond this, without a word to the reader.
SUMMARY_BYTES = 1024 * 1024


class _System(Protocol):
    """What one CI system must answer."""

    def is_present(self, env: Mapping[str, str]) -> bool: ...

    def read_job(self, env: Mapping[str, str], checked_out: str) -> CIJob: ...

    def write_outputs(self, path: Path, outputs: Mapping[str, str]) -> None: ...


# Gitea's runner calls itself GitHub's too, so it is asked for first.
_SYSTEMS: Mapping[System, _System] = {
    System.GITEA: gitea,
    System.GITHUB: github,
    System.GITLAB: gitlab,
    System.BITBUCKET: bitbucket,
}


def detect(env: Mapping[str, str], *, checked_out: str) -> CIJob | None:
    """The CI job that these variables describe, or None outside of one.

    `checked_out` is the commit of the work tree: it decides what the baseline of the measured tree is.
    Raises `UsageError` where a system is recognised but its variables or files are absent or garbled.
    """
    present = next((system for system in _SYSTEMS.values() if system.is_present(env)), None)
    return present.read_job(env, checked_out) if present else None


def write_summary(job: CIJob, markdown: str) -> None:
    """Append to the job's summary page; nothing where the system has none.

    Raises `DeliveryError` where the page would outgrow what the system shows, or can't be written.
    """
    if job.summary_file is None:
        return
    text = markdown if markdown.endswith("\n") else f"{markdown}\n"
    try:
        used = job.summary_file.stat().st_size if job.summary_file.exists() else 0
        if used + len(text.encode()) > SUMMARY_BYTES:
            raise DeliveryError(
                f"the job summary has no room for {len(text.encode())} more bytes: {SUMMARY_BYTES} are shown",
                hint="The whole report is in the report directory; upload it as an artifact.",
            )
        with job.summary_file.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise DeliveryError(f"the job summary {job.summary_file} can't be written: {error.strerror}") from error


def write_outputs(job: CIJob, outputs: Mapping[str, str]) -> None:
    """Hand values to the steps or jobs that follow; nothing where no file was named for them.

    Raises `DeliveryError` where the file can't be written or would be refused.
    """
    if job.output_file is None:
        return
    try:
        _SYSTEMS[job.system].write_outputs(job.output_file, outputs)
    except OSError as error:
        raise DeliveryError(f"the outputs can't be written to {job.output_file}: {error.strerror}") from error
