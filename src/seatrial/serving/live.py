"""What is live: each model as the store's pointer names it now, loaded once and switched while serving."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seatrial.core.release import Release
from seatrial.errors import SeatrialError
from seatrial.serving.runtimes import LoadedModel, load_model


class ReleaseStore(Protocol):
    """Where the releases of one model are."""

    def pointer(self) -> str | None:
        """The live version, or None; called on every request, so it must be cheap."""

    def open_verified(self, version: str) -> tuple[Release, Path]:
        """A version whose bytes were just checked against its manifest; ReleaseError if they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model that answers, and the release that it is."""

    release: Release
    model: LoadedModel


class LiveModel:
    """Follows one store's pointer.

    Requests keep the model that they began with, so a switch never touches an answer. A version that can't
    be loaded is reported by `problem` and never served; the one before keeps answering.
    """

    def __init__(self, store: ReleaseStore) -> None:
        self._store = store
        self._switching = threading.Lock()
        self._seen: str | None = None
        self._served: Served | None = None
        self.problem = "not loaded yet"

    @property
    def served(self) -> Served | None:
        """What answers now, without looking whether the pointer moved."""
        return self._served

    @property
    def moved(self) -> bool:
        """Whether the pointer names another version than the one that was looked at last."""
        return self._store.pointer() != self._seen

    def follow(self) -> None:
        """Load what the pointer names, if that changed. Blocks; callers wait for the new version."""
        with self._switching:
            version = self._store.pointer()
            if version == self._seen:
                return
            try:
                self._served = self._load(version)
                self.problem = ""
            except SeatrialError as error:
                self.problem = error.message
            self._seen = version

    def _load(self, version: str | None) -> Served | None:
        if version is None:
            raise SeatrialError("no version is live")
        release, directory = self._store.open_verified(version)
        return Served(release=release, model=load_model(directory))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The models of a server: which names there are, and how their stores are opened."""

    list_names: Callable[[], tuple[str, ...]]
    open_store: Callable[[str], ReleaseStore]


class LiveModels:
    """All live models by name; one that is deployed for the first time appears by itself."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._models: dict[str, LiveModel] = {}
        self._growing = threading.Lock()

    def find(self, name: str) -> LiveModel | None:
        """The model of a name, or None where the catalog has no such name."""
        model = self._models.get(name)
        if model is not None or name not in self._catalog.list_names():
            return model
        with self._growing:
            return self._models.setdefault(name, LiveModel(self._catalog.open_store(name)))

    def all(self) -> dict[str, LiveModel]:
        """Every model that the catalog names now."""
        found = {name: self.find(name) for name in self._catalog.list_names()}
        return {name: model for name, model in found.items() if model is not None}
