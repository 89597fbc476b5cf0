"""Repositories of a Hub: each test's place has one of its own in the stand-in that HF_ENDPOINT names."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from huggingface_hub import HfApi

from seatrial.deploy import open_target
from seatrial.deploy.huggingface import SETTINGS
from seatrial.deploy.target import Target


def name_repo(place: str) -> str:
    """The repository of a place."""
    return f"acme/test-{sha256(place.encode()).hexdigest()[:12]}"


def open_hub(place: str, name: str) -> Target:
    """The target, with the repository and the settings that a user would have made before."""
    root = Path(place)
    root.mkdir(parents=True, exist_ok=True)
    if not (root / SETTINGS).exists():
        HfApi().create_repo(name_repo(place), exist_ok=True)
        draft = root / f".{SETTINGS}"
        draft.write_text(f"repo: {name_repo(place)}\nseconds: 20\n")
        draft.rename(root / SETTINGS)
    return open_target("huggingface", place, name)
