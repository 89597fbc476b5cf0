"""The model server beside its peers: answers per second and how long the slowest hundredth waits.

    python benchmarks/serve_vs_peers.py                     all, about 5 minutes after the peers are installed
    python benchmarks/serve_vs_peers.py --seconds 2 --rounds 1 --connections 8
    python benchmarks/serve_vs_peers.py --servers seatrial-skops,mlserver

One logistic regression with 53 features is served by seatrial (as ONNX, the same with a profile of its inputs, by which
their drift is measured, and as scikit-learn's own object out of a skops file), by MLServer's scikit-learn runtime (in
its server's process, which spares it a way through another), and by KServe's Python server with the predictor of its
scikit-learn server. Each peer has an environment of its own, made below --peers at the first run, and fits the model
itself from the same rows, since pickles hold for one version of scikit-learn only. All speak the Open Inference
Protocol v2, and the benchmark stops unless all give the same probabilities.

`wrk` (Debian: `apt-get install wrk`) asks on loopback, one row a request or many. The servers take turns, and the
rounds are repeated: the table shows the best round of each, the one that others on the machine disturbed least. The
processor's time (user and system, of the server and its children) is what an answer costs; it is the figure to compare
on a machine that is busy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from progress import tell

from seatrial.core.release import MANIFEST, ModelFormat, Release, ReleaseFile, digest_files, encode_manifest
from seatrial.profiling import write_profile

FEATURES = 53
_PATIENCE = 120.0
_FIT = f"""
import sys
import numpy as np
from sklearn.linear_model import LogisticRegression

random = np.random.default_rng(53)
features = random.standard_normal((5000, {FEATURES}))
model = LogisticRegression(max_iter=1000).fit(features, features @ random.standard_normal({FEATURES}) > 0)
"""
_DUMP = _FIT + "import joblib\njoblib.dump(model, sys.argv[1])\n"
_DUMP_SKOPS = _FIT + "import skops.io\nskops.io.dump(model, sys.argv[1])\n"
_DUMP_ONNX = f"""{_FIT}
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType

types = [("features", DoubleTensorType([None, {FEATURES}]))]
graph = to_onnx(model, initial_types=types, options={{"zipmap": False}})
open(sys.argv[1], "wb").write(graph.SerializeToString())
"""
_KSERVE = """
import sys
import joblib
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response

class Predictor(Model):
    def __init__(self):
        super().__init__("m")
        self.model = joblib.load(sys.argv.pop(1))
        self.ready = True

    def predict(self, payload, headers=None):
        return get_predict_response(payload, self.model.predict_proba(get_predict_input(payload)), self.name)

ModelServer().start([Predictor()])
"""
_LOAD = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local file = io.open("BODY", "rb")
wrk.body = file:read("*a")
file:close()
function done(summary, latency, requests)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("\\nRESULT %f %f %f %d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, wrong))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Answers per second, and in milliseconds an answer's median, 99th percentile and processor time."""

    rate: float
    median: float
    slow: float
    cost: float


def main() -> int:
    """Measure, and print a table."""
    arguments = _parse()
    if shutil.which("wrk") is None:
        return _fail("wrk is not installed: apt-get install wrk")
    names = arguments.servers.split(",")
    with tempfile.TemporaryDirectory() as place:
        commands = {name: _SERVERS[name](Path(place), arguments.peers) for name in names}
        results: dict[tuple[str, int, int], list[Result]] = {}
        expected: list[float] = []
        for turn in range(arguments.rounds):
            for name in names:
                with _serving(name, commands[name]) as (base, server):
                    output = commands[name].output
                    expected = _check(name, base, output, expected)
                    for rows, connections in arguments.loads:
                        tell(f"round {turn + 1}: {name}, {rows} rows, {connections} connections")
                        body = _make_body(rows, output)
                        result = _measure(base, server, Path(place), body, connections, arguments.seconds)
                        results.setdefault((name, rows, connections), []).append(result)
    for line in _tabulate(results):
        print(line)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The model server beside its peers.")
    parser.add_argument("--servers", default=",".join(_SERVERS), help="which, separated by commas")
    parser.add_argument("--peers", type=Path, default=Path.home() / ".cache/seatrial-peers", help="their environments")
    parser.add_argument("--seconds", type=int, default=8, help="of load, for each row of the table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100], help="in a request")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    arguments = parser.parse_args()
    arguments.loads = [(rows, connections) for rows in arguments.rows for connections in arguments.connections]
    return arguments


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


# --- The servers ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a server is started on a port, and how it calls the tensor of probabilities."""

    arguments: Sequence[str]
    output: str
    environment: Mapping[str, str] = field(default_factory=dict)


def _prepare_seatrial(
    place: Path, dump: str, suffix: str, card: Mapping[str, object], *, profiled: bool = False
) -> Command:
    """A root directory as `seatrial deploy` leaves it, with one release."""
    root = place / f"seatrial-{suffix}{'-drift' if profiled else ''}"
    version = root / "m/versions/1"
    version.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", dump, str(version / f"model.{suffix}")], check=True)
    plain = {"name": "m", "format": suffix, "path": f"model.{suffix}", "input": "features", "output_column": 1}
    names = [f"x{number}" for number in range(FEATURES)]
    (version / "model.json").write_text(json.dumps({**plain, **card, "inputs": names}))
    if profiled:
        random = np.random.default_rng(53)
        write_profile(
            version, names=names, features=random.standard_normal((50_000, FEATURES)), scores=random.random(50_000)
        )
    files = tuple(
        ReleaseFile(path=path.name, size=path.stat().st_size, sha256=sha256(path.read_bytes()).hexdigest())
        for path in sorted(version.iterdir())
    )
    release = Release(
        name="m",
        version="1",
        digest=digest_files(files),
        format=ModelFormat(suffix),
        files=files,
        commit="0" * 40,
        lock_digest="",
        verdict="passed",
        override="",
        metrics={},
    )
    (version / MANIFEST).write_bytes(encode_manifest(release))
    (root / "m/current").symlink_to("versions/1")
    program = [sys.executable, "-m", "seatrial", "serve", str(root), "--port", "{port}"]
    return Command(arguments=program, output=str(card["output"]))


def _prepare_onnx(place: Path, _: Path) -> Command:
    return _prepare_seatrial(place, _DUMP_ONNX, "onnx", {"output": "probabilities"})


def _prepare_drift(place: Path, _: Path) -> Command:
    return _prepare_seatrial(place, _DUMP_ONNX, "onnx", {"output": "probabilities"}, profiled=True)


def _prepare_skops(place: Path, _: Path) -> Command:
    return _prepare_seatrial(place, _DUMP_SKOPS, "skops", {"output": "predict_proba"})


def _prepare_mlserver(place: Path, peers: Path) -> Command:
    home = place / "mlserver"
    home.mkdir()
    python = _make_environment(peers / "mlserver", "mlserver", "mlserver-sklearn")
    subprocess.run([python, "-c", _DUMP, str(home / "model.joblib")], check=True)
    settings = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "model.joblib"}}
    (home / "model-settings.json").write_text(json.dumps(settings))
    environment = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{other}",
        "MLSERVER_METRICS_PORT": "{third}",
        "MLSERVER_PARALLEL_WORKERS": "0",
    }
    program = [str(Path(python).with_name("mlserver")), "start", str(home)]
    return Command(arguments=program, output="predict_proba", environment=environment)


def _prepare_kserve(place: Path, peers: Path) -> Command:
    home = place / "kserve"
    home.mkdir()
    python = _make_environment(peers / "kserve", "kserve", "scikit-learn", "joblib")
    subprocess.run([python, "-c", _DUMP, str(home / "model.joblib")], check=True)
    (home / "server.py").write_text(_KSERVE)
    ports = ["--http_port", "{port}", "--enable_grpc", "false"]
    program = [python, str(home / "server.py"), str(home / "model.joblib"), *ports]
    return Command(arguments=program, output="output-0")


_SERVERS = {
    "seatrial-onnx": _prepare_onnx,
    "seatrial-onnx-drift": _prepare_drift,
    "seatrial-skops": _prepare_skops,
    "mlserver": _prepare_mlserver,
    "kserve": _prepare_kserve,
}


def _make_environment(place: Path, *packages: str) -> str:
    """The interpreter of an environment with these packages, which is made once."""
    python = place / "bin/python"
    if not (place / ".ready").exists():
        tell(f"installing {', '.join(packages)} below {place}")
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (place / ".ready").touch()
    return str(python)


@contextmanager
def _serving(name: str, command: Command) -> Iterator[tuple[str, int]]:
    """A server in processes of its own; its address, and the identifier of the first of them."""
    ports = dict(zip(("port", "other", "third"), _find_ports(), strict=True))
    environment = {key: value.format(**ports) for key, value in command.environment.items()}
    process = subprocess.Popen(
        [argument.format(**ports) for argument in command.arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    base = f"http://127.0.0.1:{ports['port']}/v2"
    try:
        _wait(name, process, f"{base}/models/m/ready")
        yield base, process.pid
    finally:
        process.terminate()
        process.wait(60)


def _find_ports() -> list[int]:
    """Three ports that were free a moment ago."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def _wait(name: str, process: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{name} did not become ready")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


# --- The load ---------------------------------------------------------------------------------------------------------


def _make_body(rows: int, output: str) -> bytes:
    values = np.random.default_rng(rows).standard_normal((rows, FEATURES)).round(4)
    tensor = {"name": "features", "shape": [rows, FEATURES], "datatype": "FP64", "data": values.ravel().tolist()}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": output}]}).encode()


def _check(name: str, base: str, output: str, expected: list[float]) -> list[float]:
    """The probabilities of ten rows, which have to be those of the servers before."""
    request = urllib.request.Request(
        f"{base}/models/m/infer", data=_make_body(10, output), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[float] = json.load(answer)["outputs"][0]["data"]
    if len(found) != 20 or (expected and not np.allclose(found, expected, atol=1e-5)):
        sys.exit(f"{name} gives other probabilities than those before it")
    return found


def _measure_processor(server: int) -> float:
    """Seconds of the processor that a process and its children have had so far."""
    total, family = 0, {server}
    for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = text.rpartition(")")[2].split()
        if int(path.parent.name) in family or int(fields[1]) in family:
            family.add(int(path.parent.name))
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def _measure(base: str, server: int, place: Path, body: bytes, connections: int, seconds: int) -> Result:
    """One run of wrk; a wrong answer ends the benchmark."""
    sent, script = place / "body.json", place / "load.lua"
    sent.write_bytes(body)
    script.write_text(_LOAD.replace("BODY", str(sent)))
    load = ["wrk", "--threads", "1", "--connections", str(connections), "--latency", "--timeout", "30s"]
    address = f"{base}/models/m/infer"
    subprocess.run([*load, "--duration", "1s", "--script", str(script), address], check=True, capture_output=True)
    run = [*load, "--duration", f"{seconds}s", "--script", str(script), address]
    before = _measure_processor(server)
    told = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    spent = _measure_processor(server) - before
    line = next(line for line in told.splitlines() if line.startswith("RESULT "))
    rate, median, slow, wrong = map(float, line.split()[1:])
    if wrong:
        sys.exit(f"{wrong:.0f} requests to {address} went wrong")
    return Result(rate=rate, median=median, slow=slow, cost=spent / (rate * seconds) * 1e3)


def _tabulate(results: Mapping[tuple[str, int, int], list[Result]]) -> Iterator[str]:
    yield "| rows | connections | server | answers/s | median | 99 % | processor per answer | beside seatrial-skops |"
    yield "|--:|--:|:--|--:|--:|--:|--:|--:|"
    best = {
        key: Result(
            rate=max(one.rate for one in found),
            median=min(one.median for one in found),
            slow=min(one.slow for one in found),
            cost=min(one.cost for one in found),
        )
        for key, found in results.items()
    }
    for (name, rows, connections), one in sorted(best.items(), key=lambda item: item[0][1:]):
        ours = best.get(("seatrial-skops", rows, connections))
        beside = f"{one.cost / ours.cost:.1f}×" if ours else ""
        times = f"{one.median:.2f} ms | {one.slow:.2f} ms"
        yield f"| {rows} | {connections} | {name} | {one.rate:,.0f} | {times} | {one.cost:.2f} ms | {beside} |"


if __name__ == "__main__":
    sys.exit(main())
