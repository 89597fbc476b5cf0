"""The target `local` under the part of the conformance suite for shares of the requests."""

from __future__ import annotations

from seatrial.deploy.conformance_routing import RoutingConformance


class TestLocalRoutes(RoutingConformance):
    """What it does with route.json, and what that survives."""

    opener = "seatrial.deploy:open_local"
