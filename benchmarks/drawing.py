"""SVG pictures of the benchmarks: panels with axes, lines, bars and words, written as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import TypeAlias

BLUE, ORANGE, GREEN, RED, GREY, PALE = "#0b62a4", "#b75301", "#2a7a3f", "#b3261e", "#777", "#ddd"
Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from `low` to `high` with its labelled ticks."""

    low: float
    high: float
    ticks: Mapping[float, str]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one; values beyond stay at the end."""
        low, high, at = (log10(one) if self.logarithmic else one for one in (self.low, self.high, value))
        return min(max((at - low) / (high - low), 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A rectangle of a picture with two axes; all methods return SVG."""

    left: float
    top: float
    width: float
    height: float
    x: Scale
    y: Scale

    def place(self, x: float, y: float) -> Point:
        """Where a point of the axes lies in the picture."""
        return self.left + self.x.share(x) * self.width, self.top + (1 - self.y.share(y)) * self.height

    def frame(self, title: str = "", *, x_title: str = "", y_labels: bool = True) -> list[str]:
        """Grid, labels of the ticks, and titles."""
        parts = [line((self.place(x, self.y.low), self.place(x, self.y.high)), PALE, 1) for x in self.x.ticks]
        parts += [line((self.place(self.x.low, y), self.place(self.x.high, y)), PALE, 1) for y in self.y.ticks]
        bottom = self.top + self.height
        parts += [write(self.place(x, self.y.low)[0], bottom + 15, text) for x, text in self.x.ticks.items()]
        if y_labels:
            parts += [
                write(self.left - 6, self.place(self.x.low, y)[1] + 4, text, anchor="end")
                for y, text in self.y.ticks.items()
            ]
        if title:
            parts.append(write(self.left, self.top - 8, title, anchor="start", bold=True))
        if x_title:
            parts.append(write(self.left + self.width / 2, bottom + 32, x_title))
        return parts

    def band(self, low: float, high: float, colour: str = "#e6f0e6") -> str:
        """The rows of the axis between two values, tinted."""
        (x1, y1), (x2, y2) = self.place(self.x.low, high), self.place(self.x.high, low)
        return f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" fill="{colour}"/>'

    def draw(self, points: Iterable[Point], colour: str, *, width: float = 2, dash: str = "") -> str:
        """A line through points of the axes."""
        return line([self.place(*point) for point in points], colour, width, dash)

    def dots(self, points: Iterable[Point], colour: str, *, radius: float = 4) -> list[str]:
        """Points of the axes, as dots."""
        places = [self.place(*point) for point in points]
        return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>' for x, y in places]

    def label(
        self, at: Point, text: str, colour: str, *, right: float = 6, up: float = 4, anchor: str = "start"
    ) -> str:
        """Words beside a point of the axes."""
        x, y = self.place(*at)
        return write(x + right, y - up, text, anchor=anchor, colour=colour)


def line(places: Sequence[Point], colour: str, width: float = 2, dash: str = "") -> str:
    """A line through places of the picture."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes} points="{path}"/>'


def bar(left: float, top: float, width: float, height: float, colour: str) -> str:
    """A filled rectangle of the picture."""
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def write(
    x: float, y: float, text: str, *, anchor: str = "middle", colour: str = "#333", bold: bool = False, size: int = 12
) -> str:
    """Words at a place of the picture."""
    weight = ' font-weight="bold"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}"{weight}>{escape(text)}</text>'


def draw_picture(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """The whole picture; the title is for those who hear it read."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    ground = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>"]) + "\n"
