"""How long a golden request takes, one at a time: in this process, or by a server."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from seatrial.core.deployment import Answer, Check
from seatrial.core.environment import LatencyLimits
from seatrial.errors import ReleaseError
from seatrial.serving.golden import read_golden
from seatrial.serving.runtimes import NUMPY_TYPES, load_model

_WARM_UP = 5
_TIMEOUT = 30.0
# Of fewer requests, a percentile is the slowest one of them.
_FEWEST = {"p50_ms": 2, "p95_ms": 20, "p99_ms": 100}


def measure_model(directory: Path, limits: LatencyLimits, pickles: Collection[str] = ()) -> Check:
    """Ask the model of a directory in this process."""
    golden = read_golden(directory)
    if golden is None:
        return _NOTHING
    model = load_model(directory, pickles)
    datatype = next(tensor.datatype for tensor in model.runtime.inputs if tensor.name == model.card.input)
    rows = [np.array([row.features], dtype=NUMPY_TYPES[datatype]) for row in golden.rows]
    return _judge(_time(model.predict, rows, limits.requests), limits, "in this process")


def measure_served(address: str, name: str, directory: Path, limits: LatencyLimits) -> Check:
    """Ask a server for the live version of a model, over one connection."""
    times = replay(address, name, directory, limits.requests)
    return _judge(times, limits, f"at {address}") if times else _NOTHING


def replay(address: str, name: str, directory: Path, count: int) -> list[float]:
    """Send golden requests to a server, one after the other; milliseconds of each, none where there are none to send.

    ReleaseError where the server does not take them.
    """
    golden = read_golden(directory)
    if golden is None:
        return []
    with _connect(address) as send:
        # What is live may call its tensor by another name than the model of the directory.
        (tensor,) = json.loads(send("GET", f"/v2/models/{name}", None))["inputs"]
        bodies = []
        for row in golden.rows:
            sent = {"name": tensor["name"], "datatype": tensor["datatype"], "shape": [1, len(row.features)]}
            bodies.append(json.dumps({"inputs": [{**sent, "data": row.features}]}).encode())
        return _time(lambda body: send("POST", f"/v2/models/{name}/infer", body), bodies, count)


_NOTHING = Check(name="latency", answer=Answer.INCONCLUSIVE, detail="there are no golden requests to ask")


def _time(ask: Callable[[Any], object], rows: list[Any], count: int) -> list[float]:
    """Milliseconds of each request, after a few that are not counted."""
    times = []
    for row in islice(cycle(rows), _WARM_UP + count):
        started = time.perf_counter()
        ask(row)
        times.append(1000 * (time.perf_counter() - started))
    return times[_WARM_UP:]


def _judge(times: list[float], limits: LatencyLimits, where: str) -> Check:
    told, answers = [], {Answer.PASS}
    for key, share in (("p50_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
        limit = getattr(limits, key)
        if limit is None:
            continue
        if len(times) < _FEWEST[key]:
            answers.add(Answer.INCONCLUSIVE)
            told.append(f"p{share} needs {_FEWEST[key]} requests")
            continue
        found = float(np.percentile(times, share))
        if found > limit:
            answers.add(Answer.FAIL)
        told.append(f"p{share} {found:.3g} ms" + (f" (at most {limit:g})" if found > limit else ""))
    worst = next(each for each in (Answer.FAIL, Answer.INCONCLUSIVE, Answer.PASS) if each in answers)
    return Check(name="latency", answer=worst, detail=f"{', '.join(told)}, {len(times)} requests {where}")


@contextmanager
def _connect(address: str) -> Iterator[Callable[[str, str, bytes | None], bytes]]:
    """One connection that stays: what is timed is the request, and not how it is begun."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT)

    def send(method: str, path: str, body: bytes | None) -> bytes:
        connection.request(method, parts.path.rstrip("/") + path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise ReleaseError(f"{address}{path} answers {answer.status}: {content[:300].decode(errors='replace')}")
        return content

    try:
        yield send
    except (OSError, http.client.HTTPException) as error:
        raise ReleaseError(f"{address}: {error}") from error
    finally:
        connection.close()
