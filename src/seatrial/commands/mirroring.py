"""What is live in a bucket, kept in a directory of this machine, so that whatever serves a directory can serve it."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from seatrial.core.routing import Route
from seatrial.deploy.copies import Copies
from seatrial.deploy.local import LOG, LocalTarget
from seatrial.deploy.objects import ObjectTarget, list_deployed
from seatrial.errors import ReleaseError

SECONDS = 5.0
"""How often the bucket is looked at: what became live there answers here so much later."""


class Mirror:
    """A directory that follows an address, until it is closed and gone.

    ReleaseError where the address can't be read at the beginning. Should the store be away later, what was live before
    stays so. Copies are held against their manifest before `current` names them.
    """

    def __init__(self, address: str, *, seconds: float = SECONDS) -> None:
        self._address = address
        self._seconds = seconds
        self._directory = TemporaryDirectory(prefix="seatrial-mirror-")
        self.root = Path(self._directory.name) / "models"
        self._copies = Copies(root=Path(self._directory.name) / "copies")
        self._sources: dict[str, ObjectTarget] = {}
        self._ending = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="seatrial-mirror", daemon=True)
        try:
            self.look()
        except BaseException:
            self._directory.cleanup()
            raise
        self._follower.start()

    def close(self) -> None:
        """End following, and take the directory away."""
        self._ending.set()
        self._follower.join()
        self._directory.cleanup()

    def _follow(self) -> None:
        while not self._ending.wait(self._seconds):
            with suppress(ReleaseError):
                self.look()

    def look(self) -> None:
        """Bring what is live, and what has a share of the requests, then let the directory name it."""
        for name in list_deployed(self._address):
            if name not in self._sources:
                self._sources[name] = ObjectTarget(self._address, name, copies=self._copies)
            _bring(self._sources[name], LocalTarget(root=self.root, name=name))


def _bring(source: ObjectTarget, mirror: LocalTarget) -> None:
    live, route = source.pointer(), source.read_route()
    for version in dict.fromkeys((*([live] if live else []), *route.versions)):
        place = mirror.locate(version)
        if not place.exists():
            copy = source.locate(version)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(copy)
    _bring_log(source, mirror)
    if route != (mirror.read_route() if mirror.home.exists() else Route()):
        mirror.route(route)
    if live != mirror.pointer():
        mirror.promote(live) if live else mirror.withdraw()


def _bring_log(source: ObjectTarget, mirror: LocalTarget) -> None:
    log = source.read_log()
    if mirror.home.exists() and len(log) != len(mirror.read_log()):
        (mirror.home / LOG).write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in log))
