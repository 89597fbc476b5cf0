"""A loaded version, from its first request to its last one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from seatrial.core.release import Release
from seatrial.serving.drift import DriftWatch
from seatrial.serving.runtimes import Array, LoadedModel, Runtime


class Role(str, Enum):
    """Why a version answered; also the labels by which a version can be asked for."""

    STABLE = "stable"
    CANARY = "canary"
    SHADOW = "shadow"


class State(str, Enum):
    """The life of a version, in TensorFlow Serving's words."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    UNLOADING = "UNLOADING"
    END = "END"


class VersionState(Struct, frozen=True, kw_only=True):
    """A version, where it is in its life, and what is wrong with it."""

    version: str
    state: State
    problem: str = ""


class Served:
    """A model that answers, and the release that it is.

    Whoever asks it says so by `begin` and `end`: once the version left service, the last `end` lets the model go.
    """

    def __init__(self, release: Release, model: LoadedModel, drift: DriftWatch | None = None) -> None:
        self.release = release
        self.drift = drift
        self.card = model.card
        self.inputs = model.inputs
        self.outputs = model.outputs
        self.seconds: float | None = None  # a moving average of what an answer took
        self._runtime: Runtime | None = model.runtime
        self._asking = 0
        self._leaving = False
        self._changing = threading.Lock()

    def begin(self) -> bool:
        """Say that a request is about to ask; False where the version has left service."""
        with self._changing:
            if self._leaving:
                return False
            self._asking += 1
            return True

    def end(self) -> None:
        """Say that a request is answered."""
        with self._changing:
            self._asking -= 1
            self._let_go()

    def leave(self) -> None:
        """Take no more requests; those that run are still answered."""
        with self._changing:
            self._leaving = True
            self._let_go()

    def _let_go(self) -> None:
        if self._leaving and not self._asking:
            self._runtime = None

    def run(self, inputs: Mapping[str, Array], outputs: tuple[str, ...]) -> tuple[Array, ...]:
        """Ask the model, between `begin` and `end`; ValueError where it refuses."""
        assert self._runtime is not None, "asked without begin"
        return self._runtime.run(inputs, outputs)

    @property
    def state(self) -> State:
        """Where this version is in its life."""
        if not self._leaving:
            return State.AVAILABLE
        return State.UNLOADING if self._asking else State.END
