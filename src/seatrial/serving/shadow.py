"""A version that is asked what others are asked, behind them: nobody waits for its answers, and nobody sees them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import numpy as np
from msgspec import Struct

from seatrial.serving.metrics import ServerMetrics, as_numbers
from seatrial.serving.runtimes import Array
from seatrial.serving.served import Role, Served
from seatrial.serving.tensors import Query, RequestError

RELATIVE, ABSOLUTE = 1e-4, 1e-6
"""Differences up to these are the noise of 32-bit floats, as for golden requests."""
_WAITING = 256  # requests
_WAITING_BYTES = 32 * 1024 * 1024


class Shadowed(Struct, frozen=True, kw_only=True):
    """A request that was answered, and the predictions of the answer, shape (rows,)."""

    served: Served
    parse: Callable[[], Query]
    size: int
    expected: Array
    count: Callable[[int, float], None]


class Shadow:
    """Asks shadows on one thread; what it has no time for is dropped and counted."""

    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics
        self._waiting: queue.Queue[Shadowed] = queue.Queue(_WAITING)
        self._bytes = 0
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None

    def offer(self, asked: Shadowed) -> None:
        """Take a request whose version was begun, or drop it; never waits."""
        with self._changing:
            self._start()
            if self._bytes + asked.size <= _WAITING_BYTES and not self._waiting.full():
                self._bytes += asked.size
                self._waiting.put_nowait(asked)
                return
        asked.served.end()
        self._metrics.dropped.add(asked.served.release.name, asked.served.release.version)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="seatrial-shadow", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            asked = self._waiting.get()
            try:
                self._compare(asked)
            finally:
                asked.served.end()
                with self._changing:
                    self._bytes -= asked.size
                self._waiting.task_done()

    def _compare(self, asked: Shadowed) -> None:
        served = asked.served
        labels = (served.release.name, served.release.version)
        started = time.perf_counter()
        answer, code = _ask(asked)
        asked.count(code, time.perf_counter() - started)
        if answer is not None and (numbers := as_numbers(answer)) is not None:
            self._metrics.predictions.add_all((*labels, Role.SHADOW.value), numbers)
        self._metrics.compared.add(*labels)
        if answer is None or not agree(asked.expected, answer, served.card.threshold):
            self._metrics.mismatched.add(*labels)

    def settle(self) -> None:
        """Wait until every request that was taken is answered."""
        self._waiting.join()


def _ask(asked: Shadowed) -> tuple[Array | None, int]:
    """The shadow's predictions, or None and the status that a client would have got."""
    served = asked.served
    try:
        query = asked.parse()
        (answer,) = served.run(query.inputs, (served.card.output,))
        return served.card.pick(answer), 200
    except RequestError as error:
        return None, error.status
    except ValueError:
        return None, 400
    except Exception:  # noqa: BLE001 - whatever the shadow does wrong is a mismatch, and no one else's problem
        return None, 500


def agree(expected: Array, answered: Array, threshold: float | None) -> bool:
    """Whether two predictions of shape (rows,) mean the same.

    With a threshold: every row is on the same side of it. Without: they are equal, up to noise for numbers.
    """
    if expected.shape != answered.shape:
        return False
    one, other = as_numbers(expected), as_numbers(answered)
    if one is None or other is None:
        return bool(np.array_equal(expected, answered))
    if threshold is not None:
        return bool(((one >= threshold) == (other >= threshold)).all())
    return bool(np.allclose(other, one, rtol=RELATIVE, atol=ABSOLUTE))
