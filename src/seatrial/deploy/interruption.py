"""SIGTERM and SIGINT while a deployment runs: an atomic step is finished, anything else ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The deployment was told to end, and reverts what it did; no `except Exception` around a model swallows this."""


class Interruption:
    """Whether signals raise `Interrupted` now, later, or not at all any more."""

    def __init__(self) -> None:
        self._holding = 0
        self._pending = False
        self._over = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Finish what is within before a signal is obeyed."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
        if self._pending and not self._holding:
            self._obey()

    def ignore(self) -> None:
        """Obey no signal from here on: what follows makes the deployment's end known, or reverts it."""
        self._over = True

    def receive(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of both signals."""
        if self._over:
            return
        if self._holding:
            self._pending = True
        else:
            self._obey()

    def _obey(self) -> None:
        self._over = True
        raise Interrupted


@contextmanager
def watch_signals() -> Iterator[Interruption]:
    """Take the signals over until the end of the block; outside of the main thread there are none to take."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in _SIGNALS:
            signal.signal(number, interruption.receive)
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
