"""Releases of small models in a directory, as a deployment leaves them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np

from seatrial.core.release import MANIFEST, ModelFormat, Release, ReleaseFile, digest_files, encode_manifest
from seatrial.profiling import write_profile
from tests.unit.serving.stores import write_model

FACTORS = {"1": 2.0, "2": 3.0}
"""By what each version multiplies its two features."""

JUDGED = np.random.default_rng(6).normal(size=(20_000, 2))
"""What the features were when the model was judged."""


def write_releases(root: Path, name: str = "m", *, profiled: bool = True) -> dict[str, str]:
    """Both versions of a model, the first one live; their digests."""
    digests = {version: _write_release(root / name, name, version, profiled=profiled) for version in FACTORS}
    promote(root, "1", name)
    return digests


def _write_release(home: Path, name: str, version: str, *, profiled: bool) -> str:
    place = write_model(home / "versions" / version, times=FACTORS[version], name=name)
    if profiled:
        write_profile(place, names=("hour", "distance"), features=JUDGED, scores=FACTORS[version] * JUDGED[:, 0])
    files = tuple(
        ReleaseFile(path=path.name, size=path.stat().st_size, sha256=sha256(path.read_bytes()).hexdigest())
        for path in sorted(place.iterdir())
    )
    release = Release(
        name=name,
        version=version,
        digest=digest_files(files),
        format=ModelFormat.ONNX,
        files=files,
        commit="5601846",
        lock_digest="",
        verdict="passed",
        override="",
        metrics={},
    )
    (place / MANIFEST).write_bytes(encode_manifest(release))
    return release.digest


def promote(root: Path, version: str, name: str = "m") -> None:
    """Make a version live by a rename, as the target does."""
    link = root / name / ".current-next"
    link.symlink_to(f"versions/{version}")
    link.replace(root / name / "current")


def write_route(root: Path, text: str, name: str = "m") -> None:
    """Put a route into force by a rename."""
    draft = root / name / ".route-next"
    draft.write_text(text)
    draft.replace(root / name / "route.json")
