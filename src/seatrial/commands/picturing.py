"""The pictures of plots in a comment: which, hosted where, and what is said where they can't be."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from seatrial.ci import CIJob, System
from seatrial.core.report import Report
from seatrial.errors import DeliveryError, UsageError
from seatrial.forges import Forge
from seatrial.render import HostedPicture

MOST = 4
# git's own rules and a little more, so that a name needs no escaping anywhere.
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))[A-Za-z0-9_](?:[\w./-]{0,198}[\w-])?", re.ASCII)
_UPLOADED = re.compile(r"/uploads/[0-9a-f]+/([0-9a-f]{64}\.[a-z]+)", re.ASCII)


class Hosting(Struct, frozen=True, kw_only=True):
    """The pictures that a comment can show, by the plots' names, and what is to be told of them."""

    shown: Mapping[str, tuple[HostedPicture, ...]] = {}
    told: str = ""


def check_branch(name: str | None) -> str | None:
    """The name of a branch for pictures; UsageError where it can't be one."""
    if name and not _BRANCH.fullmatch(name):
        raise UsageError(
            f"--image-branch {name!a} is no name for a branch of pictures",
            hint="give it letters, digits, dots, dashes and slashes alone, as in seatrial-images",
        )
    return name or None


def has_host(job: CIJob, branch: str | None) -> bool:
    """Whether the job's forge hosts pictures: GitLab by itself, GitHub on a branch that somebody named."""
    return job.system is System.GITLAB or (job.system is System.GITHUB and branch is not None)


def host_pictures(forge: Forge, job: CIJob, report: Report, *, branch: str | None, before: str) -> Hosting:
    """Have the forge host the first pictures of plots that changed; `before` is our comment so far, if there is one.

    Whatever goes wrong is told, and costs the pictures alone: the report shows its plots without.
    """
    try:
        return _host(forge, job, report, branch if job.system is System.GITHUB else None, before)
    except DeliveryError as refusal:
        return Hosting(told=f"no pictures of plots: {refusal.message}\n{refusal.hint}".rstrip())
    except Exception as error:  # noqa: BLE001 - a comment without pictures is better than none
        return Hosting(told=f"no pictures of plots: a defect of seatrial: {type(error).__name__}: {error}")


def _host(forge: Forge, job: CIJob, report: Report, branch: str | None, before: str) -> Hosting:
    from seatrial.render.comment_pictures import draw_pictures

    if job.from_fork:
        return Hosting(told="no pictures of plots: a fork's change leaves nothing in this project")
    if branch is not None and branch in (job.head_name, job.base_name):
        return Hosting(told=f"no pictures of plots: {branch} is a branch of the change itself")
    drawn, refused = draw_pictures(report, most=MOST)
    files = {file.name: file for group in drawn.values() for file in group}
    known = {found[1]: found[0] for found in _UPLOADED.finditer(before)} if branch is None else {}
    wanted = {name: file.content for name, file in files.items() if name not in known}
    addresses = {**known, **(forge.host_pictures(wanted, branch=branch) if wanted else {})}
    shown = {
        name: tuple(HostedPicture(address=addresses[file.name], width=file.width) for file in group)
        for name, group in drawn.items()
    }
    number = sum(map(len, shown.values()))
    counted = [f"{number} picture{'s' * (number != 1)} of plots"] if number else []
    return Hosting(shown=shown, told="; ".join([*counted, *(f"no picture of {reason}" for reason in refused)]))
