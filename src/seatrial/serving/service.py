"""What a request for predictions goes through, whatever server it came by."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from enum import Enum

import msgspec
from msgspec import Struct

from seatrial.serving.live import LiveModel
from seatrial.serving.metrics import ServerMetrics, as_numbers
from seatrial.serving.prediction_log import PredictionLog
from seatrial.serving.protocol import encode_answer, parse_query
from seatrial.serving.runtimes import Array, Tensor
from seatrial.serving.served import Role, Served
from seatrial.serving.shadow import Shadow, Shadowed
from seatrial.serving.tensors import LONGEST_KEY, Query, RequestError
from seatrial.serving.tfserving import encode_predictions, parse_predict

_SMOOTHING = 0.2


class Wire(str, Enum):
    """The protocols in which predictions are asked for."""

    INFER = "Open Inference Protocol"
    PREDICT = "TensorFlow Serving"


class Ask(Struct, frozen=True, kw_only=True):
    """A request for predictions.

    `route_key` says who asks, for sticky shares; without it, equal bodies are answered by the same version.
    `version` or `label` ask for a certain version.
    """

    model: str
    wire: Wire
    body: bytes
    route_key: str = ""
    request_id: str = ""
    version: str = ""
    label: str = ""


class Answer(Struct, frozen=True, kw_only=True):
    """A status, a body of JSON, and the version that gave it, if one was found."""

    status: int
    body: bytes
    served: Served | None = None


class Service:
    """Asks models, counts what came of it, and tells those who listen: the shadow and the log."""

    def __init__(self, metrics: ServerMetrics, log: PredictionLog | None = None) -> None:
        self.metrics = metrics
        self.shadow = Shadow(metrics)
        self._log = log
        if log:
            log.report_to(metrics)

    def answer(self, live: LiveModel, ask: Ask) -> Answer:
        """Answer a request; what is wrong with it is an answer too. Blocks while the model thinks."""
        started = time.perf_counter()
        try:
            served, role = live.take(lambda: _choose_key(ask), version=ask.version, label=ask.label)
        except RequestError as error:
            return Answer(status=error.status, body=encode_error(error.message), served=live.served)
        status = 500
        try:
            body = self._ask(live, served, role, ask)
            status = 200
        except RequestError as error:
            status, body = error.status, encode_error(error.message)
        finally:
            served.end()
            self.count(served, role, status, time.perf_counter() - started)
        return Answer(status=status, body=body, served=served)

    def count(self, served: Served, role: Role, status: int, seconds: float) -> None:
        """Count an answer."""
        labels = (served.release.name, served.release.version, role.value)
        self.metrics.requests.add(*labels, str(status))
        self.metrics.seconds.add(labels, seconds)
        if status == 200:
            before = served.seconds
            served.seconds = seconds if before is None else before + _SMOOTHING * (seconds - before)

    def _ask(self, live: LiveModel, served: Served, role: Role, ask: Ask) -> bytes:
        query = _PARSERS[ask.wire](ask.body, served.inputs, served.outputs)
        # The prediction is looked at even where the client asks for other tensors only.
        extra = () if served.card.output in query.outputs else (served.card.output,)
        try:
            arrays = served.run(query.inputs, (*query.outputs, *extra))
        except ValueError as error:
            raise RequestError(f"the model refuses the request: {error}") from error
        body = _encode(ask.wire, served, query, arrays[: len(query.outputs)])
        self._observe(live, served, role, ask, query, arrays[(*query.outputs, *extra).index(served.card.output)])
        return body

    def _observe(self, live: LiveModel, served: Served, role: Role, ask: Ask, query: Query, answer: Array) -> None:
        if answer.ndim not in (1, 2):
            return
        values = served.card.pick(answer)
        name, version = served.release.name, served.release.version
        if (numbers := as_numbers(values)) is not None:
            self.metrics.predictions.add_all((name, version, role.value), numbers)
        if served.drift and role is not Role.SHADOW:
            served.drift.add(query.inputs[served.card.input], numbers)
        if self._log:
            keys = _name_rows(ask, query, len(values))
            self._log.write(model=name, version=version, role=role.value, keys=keys, values=values)
        if live.arrangement.route.shadow and not ask.version and not ask.label:
            self._offer(live, served, ask, values)

    def _offer(self, live: LiveModel, served: Served, ask: Ask, values: Array) -> None:
        other = live.arrangement.loaded.get(live.arrangement.route.shadow or "")
        if other is None or other is served or not other.begin():
            return
        parse = _PARSERS[ask.wire]
        self.shadow.offer(
            Shadowed(
                served=other,
                parse=lambda: parse(ask.body, other.inputs, other.outputs),
                size=len(ask.body),
                expected=values,
                count=lambda status, seconds: self.count(other, Role.SHADOW, status, seconds),
            )
        )


def encode_error(message: str) -> bytes:
    """An error, as both protocols write it."""
    return msgspec.json.encode({"error": message})


_PARSERS: Mapping[Wire, Callable[[bytes, Sequence[Tensor], Sequence[Tensor]], Query]] = {
    Wire.INFER: parse_query,
    Wire.PREDICT: parse_predict,
}


def _encode(wire: Wire, served: Served, query: Query, arrays: tuple[Array, ...]) -> bytes:
    if wire is Wire.PREDICT:
        return encode_predictions(query=query, arrays=arrays)
    release = served.release
    return encode_answer(name=release.name, version=release.version, query=query, tensors=served.outputs, arrays=arrays)


def _choose_key(ask: Ask) -> bytes:
    return ask.route_key.encode(errors="surrogatepass") or ask.body


def _name_rows(ask: Ask, query: Query, rows: int) -> Sequence[str]:
    """A key for every row: the request's own, or made of its identifier, or made up."""
    if len(query.keys) == rows:
        return query.keys
    name = (query.id or ask.request_id or uuid.uuid4().hex)[:LONGEST_KEY]
    return (name,) if rows == 1 else tuple(f"{name}:{index}" for index in range(rows))
