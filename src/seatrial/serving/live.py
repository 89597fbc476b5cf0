"""What is live: each model as its store's pointer and route name it now, loaded once and switched while serving."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from seatrial.core.release import Release
from seatrial.core.routing import ROUTE, Route, choose_version
from seatrial.errors import ReleaseError, SeatrialError
from seatrial.serving.drift import WINDOW, DriftWatch, read_profile
from seatrial.serving.runtimes import load_model
from seatrial.serving.served import Role, Served, State, VersionState
from seatrial.serving.tensors import RequestError

_REMEMBERED = 8  # versions that left service, and whose state and numbers are still told


class ReleaseStore(Protocol):
    """Where the releases of one model are."""

    def pointer(self) -> str | None:
        """The live version, or None; called on every request, so it must be cheap."""

    def route(self) -> Route:
        """Which versions share the requests; as cheap as `pointer`. ReleaseError for one that can't be meant."""

    def open_verified(self, version: str) -> tuple[Release, Path]:
        """A version whose bytes were just checked against its manifest; ReleaseError if they differ."""


class Arrangement(Struct, frozen=True, kw_only=True):
    """Who answers what: replaced as a whole, so that a request sees one and never a mixture."""

    stable: Served | None = None
    route: Route = Route()
    loaded: Mapping[str, Served] = MappingProxyType({})

    def choose(self, key: bytes) -> tuple[Served | None, Role]:
        """Who answers this key: a version whose share it is, or the live one."""
        served = self.loaded.get(choose_version(self.route, key) or "")
        if served is None or served is self.stable:
            return self.stable, Role.STABLE
        return served, Role.CANARY

    def find_role(self, served: Served) -> Role:
        """The role of a loaded version; one that has a share and shadows the rest is a canary."""
        if served is self.stable:
            return Role.STABLE
        version = served.release.version
        return Role.SHADOW if version == self.route.shadow and not self.route.weights.get(version) else Role.CANARY


class Following(Struct, frozen=True, kw_only=True):
    """A change of versions that is under way since `started` (monotonic seconds)."""

    started: float
    done: Future[None]


class _Wish(Struct, frozen=True, kw_only=True):
    """What the store names; where it can't be told, what it named before and why."""

    pointer: str | None
    route: Route
    problem: str = ""
    route_problem: str = ""


class LiveModel:
    """Follows one store.

    Requests keep the model that they began with, so a switch never touches an answer. A version that can't
    be loaded is told by `problem` (the live one) or `warnings` (others) and never asked; the one before, or the
    live one, answers in its place. `drift_window` is in seconds.
    """

    def __init__(self, store: ReleaseStore, *, drift_window: float = WINDOW) -> None:
        self._store = store
        self._drift_window = drift_window
        self._switching = threading.Lock()
        self._starting = threading.Lock()
        self._seen: _Wish | None = None
        self._following: Following | None = None
        self._loading = ""
        self._gone: deque[Served] = deque(maxlen=_REMEMBERED)
        self.arrangement = Arrangement()
        self.problem = "not loaded yet"
        self.warnings: Mapping[str, str] = {}

    @property
    def served(self) -> Served | None:
        """The live version, without looking whether the pointer moved."""
        return self.arrangement.stable

    @property
    def moved(self) -> bool:
        """Whether the store names something else than what was looked at last."""
        return self._watch() != self._seen

    def _watch(self) -> _Wish:
        seen = self._seen or _Wish(pointer=None, route=Route())
        pointer, problem, route, route_problem = seen.pointer, "", seen.route, ""
        try:
            pointer = self._store.pointer()
        except ReleaseError as error:
            problem = error.message
        try:
            route = self._store.route()
        except ReleaseError as error:
            route_problem = error.message
        return _Wish(pointer=pointer, route=route, problem=problem, route_problem=route_problem)

    def begin_following(self) -> Following | None:
        """Load what the store names beside the requests; None where nothing changed. Only one runs at a time."""
        with self._starting:
            if self._following and not self._following.done.done():
                return self._following
            if not self.moved:
                return None
            self._following = Following(started=time.monotonic(), done=Future())
            threading.Thread(target=self._follow_beside, args=(self._following.done,), daemon=True).start()
            return self._following

    def _follow_beside(self, done: Future[None]) -> None:
        try:
            self.follow()
        except BaseException as error:  # noqa: BLE001 - whoever waits gets it
            done.set_exception(error)
        else:
            done.set_result(None)

    def follow(self) -> None:
        """Load what the store names, if that changed, and let go what it names no more. Blocks."""
        with self._switching:
            wish = self._watch()
            if wish == self._seen:
                return
            before = self.arrangement
            self.arrangement = self._arrange(wish, before)
            self._seen = wish
            for version, served in before.loaded.items():
                if self.arrangement.loaded.get(version) is not served:
                    self._gone.append(served)
                    served.leave()

    def _arrange(self, wish: _Wish, before: Arrangement) -> Arrangement:
        loaded: dict[str, Served] = {}
        stable, problem = self._open(wish.pointer, before)
        self.problem = wish.problem or problem
        stable = stable or before.stable
        if stable:
            loaded[stable.release.version] = stable
        warnings = {ROUTE: wish.route_problem} if wish.route_problem else {}
        for version in wish.route.versions:
            if version not in loaded:
                other, problem = self._open(version, before)
                loaded |= {version: other} if other else {}
                warnings |= {f"version {version}": problem} if problem else {}
        self.warnings = warnings
        return Arrangement(stable=stable, route=wish.route, loaded=loaded)

    def _open(self, version: str | None, before: Arrangement) -> tuple[Served | None, str]:
        """A version as it is loaded already, or loaded now; or why it can't be."""
        if version is None:
            return None, "no version is live"
        if version in before.loaded:
            return before.loaded[version], ""
        self._loading = version
        try:
            release, directory = self._store.open_verified(version)
            model = load_model(directory, release.pickles)
            profile = read_profile(directory, model)
            model.warm_up()
            drift = DriftWatch(profile, model.card.inputs, window=self._drift_window) if profile else None
            return Served(release, model, drift), ""
        except SeatrialError as error:
            return None, error.message
        finally:
            self._loading = ""

    def take(self, key: Callable[[], bytes], *, version: str = "", label: str = "") -> tuple[Served, Role]:
        """The version that answers a request, begun: whoever takes it must `end` it.

        `key` is asked for only where versions share the requests. RequestError where there is no such version.
        """
        while True:
            now = self.arrangement
            served, role = self._pick(now, key, version, label)
            if served.begin():
                return served, role

    def _pick(self, now: Arrangement, key: Callable[[], bytes], version: str, label: str) -> tuple[Served, Role]:
        if now.stable is None:
            raise RequestError(f"there is no version to answer: {self.problem}", status=503)
        if label:
            version = _find_label(now, label)
        if version:
            served = now.loaded.get(version)
            if served is None:
                raise RequestError(self._explain_absence(version, now), status=404)
            return served, now.find_role(served)
        served, role = now.choose(key()) if now.route.weights else (now.stable, Role.STABLE)
        assert served is not None
        return served, role

    def _explain_absence(self, version: str, now: Arrangement) -> str:
        problem = self.warnings.get(f"version {version}", "")
        loaded = ", ".join(now.loaded)
        return f"version {version} is not served" + (f": {problem}" if problem else f"; served: {loaded}")

    def list_states(self) -> tuple[VersionState, ...]:
        """Every version of which something is known: loaded, being loaded, refused, and the last that left."""
        states = [_tell(served) for served in self.arrangement.loaded.values()]
        states += [_tell(served) for served in self._gone]
        if loading := self._loading:
            states.append(VersionState(version=loading, state=State.LOADING))
        for place, problem in self.warnings.items():
            if place.startswith("version "):
                states.append(VersionState(version=place.split()[-1], state=State.END, problem=problem))
        if self.problem and self._seen and self._seen.pointer:
            states.append(VersionState(version=self._seen.pointer, state=State.END, problem=self.problem))
        newest = {state.version: state for state in reversed(states)}
        return tuple(sorted(newest.values(), key=_count, reverse=True))


def _count(state: VersionState) -> tuple[int, str]:
    return len(state.version), state.version


def _tell(served: Served) -> VersionState:
    return VersionState(version=served.release.version, state=served.state)


def _find_label(now: Arrangement, label: str) -> str:
    """The version with a label: `stable`, `canary` (the first one) or `shadow`."""
    for served in now.loaded.values():
        if now.find_role(served).value == label:
            return served.release.version
    known = ", ".join(sorted({now.find_role(served).value for served in now.loaded.values()}))
    raise RequestError(f"no version has the label {label!r}; there is {known}", status=404)


class Catalog(Struct, frozen=True, kw_only=True):
    """The models of a server: which names there are, and how their stores are opened."""

    list_names: Callable[[], tuple[str, ...]]
    open_store: Callable[[str], ReleaseStore]


class LiveModels:
    """All live models by name; one that is deployed for the first time appears by itself."""

    def __init__(self, catalog: Catalog, *, drift_window: float = WINDOW) -> None:
        self._catalog = catalog
        self._drift_window = drift_window
        self._models: dict[str, LiveModel] = {}
        self._growing = threading.Lock()

    def find(self, name: str) -> LiveModel | None:
        """The model of a name, or None where the catalog has no such name."""
        model = self._models.get(name)
        if model is not None or name not in self._catalog.list_names():
            return model
        with self._growing:
            model = LiveModel(self._catalog.open_store(name), drift_window=self._drift_window)
            return self._models.setdefault(name, model)

    def all(self) -> dict[str, LiveModel]:
        """Every model that the catalog names now."""
        found = {name: self.find(name) for name in self._catalog.list_names()}
        return {name: model for name, model in found.items() if model is not None}

    @property
    def known(self) -> dict[str, LiveModel]:
        """Every model that was asked for so far, without a look at the catalog."""
        return dict(self._models)
