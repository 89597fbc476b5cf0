"""Ports for servers that can't be told to take any."""

from __future__ import annotations

import socket


def find_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
