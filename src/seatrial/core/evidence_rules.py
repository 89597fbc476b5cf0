"""What the gates on evidence demand, by intent: of metrics, newly wrong samples, groups, the evaluation set."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from seatrial.core.metrics import Direction
from seatrial.core.verdict import Margin, Severity


class Bound(str, Enum):
    """What of the candidate's value a floor or ceiling is held against: the value, or its less favourable end."""

    POINT = "point"
    CONFIDENT = "confident"


class Correction(str, Enum):
    """How the number of slices is allowed for."""

    BENJAMINI_HOCHBERG = "benjamini-hochberg"
    HOLM = "holm"
    NONE = "none"


class EvidenceRule(Struct, frozen=True, kw_only=True):
    """What one evaluation demands of one metric; `sliced` rules speak of every slice.

    `q` is the rate of false alarms that slices are held to, `correction` how their number is allowed for.
    """

    evaluation: str
    metric: str
    place: str
    direction: Direction
    no_worse_than: Margin | None = None
    not_harmed: Margin | None = None
    better_by: Margin | None = None
    at_most_better_by: Margin | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    bound: Bound = Bound.POINT
    sliced: bool = False
    q: float = 0.05
    correction: Correction = Correction.BENJAMINI_HOCHBERG
    severity: Severity = Severity.FAIL

    @property
    def margins(self) -> dict[str, Margin]:
        """Demands on the change."""
        named = {
            "no_worse_than": self.no_worse_than,
            "not_harmed": self.not_harmed,
            "better_by": self.better_by,
            "at_most_better_by": self.at_most_better_by,
        }
        return {name: margin for name, margin in named.items() if margin is not None}

    @property
    def bounds(self) -> dict[str, Decimal]:
        """Demands on the candidate's value alone."""
        named = {"at_least": self.at_least, "at_most": self.at_most}
        return {name: limit for name, limit in named.items() if limit is not None}


class FlipRule(Struct, frozen=True, kw_only=True):
    """How many samples the candidate may newly get wrong: a count, or a share of all."""

    evaluation: str
    place: str
    max_newly_wrong: Margin
    severity: Severity = Severity.FAIL


class GapRule(Struct, frozen=True, kw_only=True):
    """How far apart the groups of a column may lie, and by how much the candidate may widen that."""

    evaluation: str
    metric: str
    by: str
    place: str
    max_gap: Decimal | None = None
    max_gap_increase: Margin | None = None
    bound: Bound = Bound.POINT
    severity: Severity = Severity.FAIL


class BudgetRule(Struct, frozen=True, kw_only=True):
    """How many models of the main branch may be judged on one evaluation set, `data`, before it is worn out."""

    evaluation: str
    place: str
    data: str
    most: int
    severity: Severity = Severity.WARN


AnyEvidenceRule = EvidenceRule | FlipRule | GapRule | BudgetRule


def spell_limit(check: str, margin: Margin, direction: Direction) -> str:
    """The demand on Δ = candidate − baseline: `Δ ≥ −0.002` where higher is better, else `Δ ≤ +0.002`."""
    higher = direction is Direction.HIGHER
    if not margin.amount:
        rises = higher == (check != "at_most_better_by")
        return f"Δ {'>' if rises else '<'} 0" if check == "better_by" else f"Δ {'≥' if rises else '≤'} 0"
    match check:
        case "no_worse_than" | "not_harmed":
            return f"Δ ≥ −{margin}" if higher else f"Δ ≤ +{margin}"
        case "better_by":
            return f"Δ ≥ +{margin}" if higher else f"Δ ≤ −{margin}"
        case _:
            return f"Δ ≤ +{margin}" if higher else f"Δ ≥ −{margin}"


def spell_bound(check: str, limit: Decimal, bound: Bound) -> str:
    """The demand on the candidate's value: `≥ 0.6`, with `(CI)` where its whole interval must meet it."""
    return f"{'≥' if check == 'at_least' else '≤'} {limit:f}{'' if bound is Bound.POINT else ' (CI)'}"
