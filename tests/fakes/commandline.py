"""How a stand-in is started as a process of its own: `make demo` and the end-to-end tests do this."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any, Protocol

from tests.fakes.records import Change


class StandIn(Protocol):
    """A stand-in as a process sees it."""

    web_url: str
    api_url: str

    def page_url(self, change: int) -> str: ...
    def serve_forever(self) -> None: ...
    def close(self) -> None: ...


class Opening(Protocol):
    """The stand-in's class."""

    def __call__(
        self, *, repository: str, changes: tuple[Change, ...], state: Path | None, host: str, port: int
    ) -> Any: ...


def serve(opening: Opening, *, project: str, described: str) -> None:
    """Read the command line, print the addresses as KEY=VALUE lines, serve until interrupted or terminated."""
    arguments = _parser(project, described).parse_args()
    change = Change(
        number=arguments.change,
        title=arguments.title,
        head_ref=arguments.head_ref,
        head_sha=arguments.head,
        base_sha=arguments.base,
        pipeline=arguments.pipeline,
    )
    stand_in: StandIn = opening(
        repository=arguments.project,
        changes=(change,),
        state=arguments.state,
        host=arguments.host,
        port=arguments.port,
    )
    sys.stdout.write(f"web={stand_in.web_url}\napi={stand_in.api_url}\npage={stand_in.page_url(change.number)}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        stand_in.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        stand_in.close()


def _parser(project: str, described: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=described, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--state", type=Path, help="folder that keeps comments and checks over restarts")
    parser.add_argument("--project", default=project)
    parser.add_argument("--change", type=int, default=1, help="number of the pull or merge request")
    parser.add_argument("--title", default=Change(number=1).title)
    parser.add_argument("--head-ref", default="feature", help="its branch")
    parser.add_argument("--head", default="1" * 40, help="its commit")
    parser.add_argument("--base", default="2" * 40, help="the commit that it is compared with")
    parser.add_argument("--pipeline", type=int, help="GitLab: the pipeline of its commit")
    return parser
