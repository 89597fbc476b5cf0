"""The plots of both revisions: what became of each, and the rows or pictures that are drawn."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from seatrial.core.comparison import Side
from seatrial.core.document import Picture
from seatrial.core.metrics import Problem, State

Coordinate = float | str


class Shape(str, Enum):
    """How a plot is drawn: DVC's own templates by their names."""

    LINEAR = "linear"
    SIMPLE = "simple"
    SMOOTH = "smooth"
    SCATTER = "scatter"
    SCATTER_JITTER = "scatter_jitter"
    CONFUSION = "confusion"
    CONFUSION_NORMALIZED = "confusion_normalized"
    BAR_HORIZONTAL = "bar_horizontal"
    BAR_HORIZONTAL_SORTED = "bar_horizontal_sorted"

    @property
    def is_line(self) -> bool:
        """Whether its points are joined in the order of their x."""
        return self in {Shape.LINEAR, Shape.SIMPLE, Shape.SMOOTH}

    @property
    def is_confusion(self) -> bool:
        """Whether it counts pairs of classes."""
        return self in {Shape.CONFUSION, Shape.CONFUSION_NORMALIZED}


class PlotChange(Struct, frozen=True, kw_only=True):
    """What became of one declared plot; `problems` tell what of it can't be read, and on which side.

    `name` is the one in dvc.yaml: a path from the repository's root, or a name that stands for several files.
    """

    name: str
    title: str
    state: State
    problems: tuple[tuple[Side, Problem], ...] = ()


class Series(Struct, frozen=True, kw_only=True):
    """The points of one source on one side: (x, y, weight); all x are numbers or all are names, and so are all y.

    `total` counts the rows of which `points` are an even sample, `lost` those that hold no number to draw.
    """

    side: Side
    name: str
    points: tuple[tuple[Coordinate, Coordinate, float], ...]
    total: int
    lost: int = 0


class PlotData(Struct, frozen=True, kw_only=True):
    """Everything that is drawn of one plot. Pictures have no series; `notes` say what is not as it was declared."""

    name: str
    title: str
    shape: Shape
    x_label: str
    y_label: str
    series: tuple[Series, ...] = ()
    pictures: tuple[tuple[Side, Picture], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The sources, those of the candidate first."""
        ordered = sorted(self.series, key=lambda series: series.side is Side.BASE)
        return tuple(dict.fromkeys(series.name for series in ordered))


class Drawing(Struct, frozen=True, kw_only=True):
    """A plot as values that renderers show: Vega-Lite for screens (`live`) and for paper (`still`), Mermaid, pictures.

    All but the names may be absent; `words` say what is on it.
    """

    name: str
    title: str
    notes: tuple[str, ...] = ()
    words: str = ""
    live: str = ""
    still: str = ""
    mermaid: str = ""
    pictures: tuple[tuple[Side, Picture], ...] = ()


class Plots(Struct, frozen=True, kw_only=True):
    """The plots of both sides; `draw` reads the data of those that are drawn, when somebody asks for it."""

    changes: tuple[PlotChange, ...]
    draw: Callable[[], tuple[Drawing, ...]]
