"""Symbolic links: where a path leads to, and why some are not followed."""

from __future__ import annotations

from collections.abc import Callable

# As many as Linux follows on the way to one file.
MOST = 40
_MAX_PATH = 4096  # no link is beyond what an operating system takes


class LinkError(Exception):
    """A path over links that is not followed to its end; `reason` goes behind the path's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def follow(path: str, read_link: Callable[[str], str | None]) -> str:
    """The path that a path leads to, link by link, whether something is there or not.

    Both are from the repository's root. `read_link` gives the text of a link, None for what is none. LinkError for a
    way that leaves the repository, enters `.git` or does not end.
    """
    if len(path) > _MAX_PATH:
        return path
    ahead, reached, followed = path.split("/")[::-1], list[str](), 0
    while ahead:
        part = ahead.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not reached:
                raise LinkError("leads out of the repository by a symbolic link, and is not read")
            reached.pop()
            continue
        if part == ".git":
            raise LinkError("leads into .git by a symbolic link, and is not read")
        reached.append(part)
        target = read_link("/".join(reached))
        if target is None:
            continue
        followed += 1
        if followed > MOST:
            raise LinkError(f"is a symbolic link that leads in a circle, or over more than {MOST} others")
        if not target or target.startswith("/") or "\0" in target:
            raise LinkError("leads out of the repository by a symbolic link, and is not read")
        reached.pop()
        ahead.extend(target.split("/")[::-1])
    return "/".join(reached)
