"""The evaluations of a policy: where predictions are, what is measured on them, and what that must show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace as replace_struct

from seatrial.config.amounts import read_count, read_limit, read_margin
from seatrial.config.document import Document, Path
from seatrial.config.raw import (
    RawBudget,
    RawEvaluation,
    RawFlips,
    RawGap,
    RawGate,
    RawMeasure,
    RawSlices,
    RawThreshold,
    list_names,
)
from seatrial.core.evidence_rules import (
    AnyEvidenceRule,
    Bound,
    BudgetRule,
    Correction,
    EvidenceRule,
    FlipRule,
    GapRule,
)
from seatrial.core.metrics import Direction
from seatrial.core.verdict import Severity
from seatrial.stats.names import DEFAULT_CUTOFF, SPECS, Measure, MetricSpec, Task

# What each task needs: all of the first, and one of the second.
_NEEDED: Mapping[Task, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Task.BINARY: (("label", "score"), ()),
    Task.MULTICLASS: (("label",), ("prediction", "probabilities")),
    Task.REGRESSION: (("label", "prediction"), ()),
    Task.RANKING: (("query", "label", "score"), ()),
    Task.SCORES: (("score",), ()),
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "f_beta": {"beta": 2.0},
    "pinball": {"quantile": 0.5},
    "top_k": {"k": 5},
    "ndcg": {"k": DEFAULT_CUTOFF},
    "recall": {"k": DEFAULT_CUTOFF},
    "precision": {"k": DEFAULT_CUTOFF},
}
_PARTS = ("gates", "slices", "flips", "gaps", "metrics", "budget")


class Pairing(str, Enum):
    """What is done where the two sides were not evaluated on the same samples."""

    REQUIRE = "require"
    INTERSECT = "intersect"
    UNPAIRED = "unpaired"


class Slicing(Struct, frozen=True, kw_only=True):
    """How an evaluation set is cut: by columns and their crosses, and by named conditions."""

    by: tuple[tuple[str, ...], ...] = ()
    where: tuple[tuple[str, str], ...] = ()
    min_n: int = 200
    correction: Correction = Correction.BENJAMINI_HOCHBERG
    q: float = 0.05
    measures: tuple[Measure, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it cuts by; those of conditions are known to who reads them."""
        return tuple(dict.fromkeys(column for columns in self.by for column in columns))


class Grouping(Struct, frozen=True, kw_only=True):
    """A metric whose largest difference between the groups of a column counts; groups below `min_n` are left out."""

    measure: Measure
    by: str
    min_n: int


class Columns(Struct, frozen=True, kw_only=True):
    """Which columns of a predictions file hold what."""

    key: tuple[str, ...]
    label: str | None = None
    score: str | None = None
    prediction: str | None = None
    probabilities: tuple[tuple[str, str], ...] = ()
    query: str | None = None
    weight: str | None = None
    group: str | None = None


class Evaluation(Struct, frozen=True, kw_only=True):
    """Where the per-sample predictions of a model are, and what is measured on them.

    `metrics_file` was computed from them. `measures` are shown and judged as a whole, `gaps` are held between groups;
    `rules` what all that must show.
    """

    name: str
    task: Task
    predictions: str
    columns: Columns
    threshold: float | str = 0.5
    metrics_file: str | None = None
    measures: tuple[Measure, ...] = ()
    pairing: Pairing = Pairing.REQUIRE
    slicing: Slicing | None = None
    gaps: tuple[Grouping, ...] = ()
    budget: str | None = None
    rules: tuple[AnyEvidenceRule, ...] = ()

    @property
    def demands(self) -> bool:
        """Whether anything is demanded: by rules, or that slices are there."""
        return bool(self.rules or (self.slicing and self.slicing.required))


def build_evaluations(document: Document, items: list[Any]) -> tuple[Evaluation, ...]:
    """Check every evaluation; their names must differ."""
    built = tuple(_build(document, ("evaluations", index), item) for index, item in enumerate(items))
    names: set[str] = set()
    for index, evaluation in enumerate(built):
        if evaluation.name in names:
            raise document.fault(
                ("evaluations", index),
                f"evaluations.{index}: another evaluation is called {evaluation.name!r}",
                hint="give each a `name:`",
            )
        names.add(evaluation.name)
    return built


def _build(document: Document, path: Path, value: Any) -> Evaluation:
    parts = value if isinstance(value, dict) else {}
    if isinstance(parts.get("metrics"), str):
        hint = f"name the file that was computed from the predictions with `metrics_file: {parts['metrics']}`"
        raise document.fault((*path, "metrics"), "`metrics` is a list of metrics' names", hint=hint)
    plain = {key: each for key, each in parts.items() if key not in _PARTS} if isinstance(value, dict) else value
    raw = document.convert(path, plain, RawEvaluation)
    task = Task(raw.task)
    _require_columns(document, path, raw, task)
    reader = _Reader(document, task, raw.name or raw.predictions)
    shown = tuple(reader.read_measures((*path, "metrics"), parts.get("metrics")))
    gates = tuple(reader.read_gates((*path, "gates"), parts.get("gates")))
    slicing, guards = reader.read_slices((*path, "slices"), parts.get("slices"), shown or _measures(gates))
    gaps, gap_rules = reader.read_gaps((*path, "gaps"), parts.get("gaps"))
    flips = reader.read_flips((*path, "flips"), parts.get("flips"))
    budget = reader.read_budget((*path, "budget"), parts.get("budget"))
    return Evaluation(
        name=reader.name,
        task=task,
        predictions=raw.predictions,
        columns=_read_columns(raw),
        threshold=_read_threshold(document, path, raw),
        metrics_file=raw.metrics_file,
        measures=tuple(dict.fromkeys((*shown, *_measures(gates)))),
        pairing=Pairing(raw.same_eval_set),
        slicing=slicing,
        gaps=gaps,
        budget=budget.data if budget else None,
        rules=(
            *(rule for _, rule in gates),
            *guards,
            *gap_rules,
            *flips,
            *reader.limit_reuse((*path, "budget"), budget),
        ),
    )


def _starts(names: list[str], columns: tuple[str, ...]) -> bool:
    """Whether the parts of a slice's name speak of these columns; a value may hold a comma."""
    return [name for name in names if name in columns][: len(columns)] == list(columns)


def _read_threshold(document: Document, path: Path, raw: RawEvaluation) -> float | str:
    if not isinstance(raw.threshold, RawThreshold):
        return float(raw.threshold)
    file, _, key = raw.threshold.param.rpartition(":")
    if not file or not key:
        message = f"`param` names no parameter: {raw.threshold.param}"
        raise document.fault((*path, "threshold", "param"), message, hint="write FILE:KEY, params.yaml:threshold")
    return raw.threshold.param


def _measures(gates: Iterable[tuple[Measure, EvidenceRule]]) -> tuple[Measure, ...]:
    return tuple(dict.fromkeys(measure for measure, _ in gates))


def _read_columns(raw: RawEvaluation) -> Columns:
    return Columns(
        key=list_names(raw.key),
        label=raw.label,
        score=raw.score,
        prediction=raw.prediction,
        probabilities=tuple(raw.probabilities.items()),
        query=raw.query,
        weight=raw.weight,
        group=raw.group,
    )


def _require_columns(document: Document, path: Path, raw: RawEvaluation, task: Task) -> None:
    where = ".".join(str(part) for part in path)
    needed, either = _NEEDED[task]
    for name in needed:
        if not getattr(raw, name):
            raise document.fault(path, f"{where}: a {task.value} evaluation needs `{name}`, the name of a column")
    if either and not any(getattr(raw, name) for name in either):
        raise document.fault(path, f"{where}: a {task.value} evaluation needs {' or '.join(f'`{n}`' for n in either)}")
    if not raw.key:
        raise document.fault((*path, "key"), f"{where}: `key` names no column")


class _Reader(Struct, frozen=True):
    """Reads the parts of one evaluation whose meaning depends on its task."""

    document: Document
    task: Task
    name: str

    def read_measures(self, path: Path, value: Any) -> Iterator[Measure]:
        for index, item in enumerate(self._list(path, value)):
            name, settings = self._split((*path, index), item)
            raw = self.document.convert((*path, index, name), settings, RawMeasure)
            yield self._measure((*path, index, name), (*path, index, name), name, raw)

    def read_gates(
        self, path: Path, value: Any, *, cut: RawSlices | None = None
    ) -> Iterator[tuple[Measure, EvidenceRule]]:
        """The gates of a list, those of every slice where the set is cut."""
        for index, item in enumerate(self._list(path, value)):
            name, demands = self._split((*path, index), item)
            here = (*path, index, name)
            raw = self.document.convert(here, demands, RawGate)
            measure = self._measure(here, here, name, raw)
            rule = self._gate(here, measure, raw)
            yield (
                measure,
                replace_struct(rule, sliced=True, q=cut.q, correction=Correction(cut.correction)) if cut else rule,
            )

    def read_slices(
        self, path: Path, value: Any, shown: tuple[Measure, ...]
    ) -> tuple[Slicing | None, tuple[EvidenceRule, ...]]:
        if value is None:
            return None, ()
        plain = {key: each for key, each in value.items() if key != "gates"} if isinstance(value, dict) else value
        raw = self.document.convert(path, plain, RawSlices)
        gates = tuple(self.read_gates((*path, "gates"), value.get("gates"), cut=raw))
        if not raw.by and not raw.where:
            raise self.document.fault(path, "slices: nothing is cut", hint="add `by:` columns, or `where:` conditions")
        if not gates and not shown and not raw.required:
            raise self.document.fault(path, "slices: nothing is measured", hint="add `gates:`, or `metrics:` above")
        self._check_required((*path, "required"), raw)
        slicing = Slicing(
            by=tuple(map(list_names, raw.by)),
            where=tuple(raw.where.items()),
            min_n=raw.min_n,
            correction=Correction(raw.correction),
            q=raw.q,
            measures=_measures(gates) or shown[:1],
            required=raw.required,
        )
        return slicing, tuple(rule for _, rule in gates)

    def _check_required(self, path: Path, raw: RawSlices) -> None:
        """A required slice must be one that is cut: a typing error would be told as rows that are gone."""
        cuts = [list_names(by) for by in raw.by]
        for index, name in enumerate(raw.required):
            parts = [part.partition("=")[0] for part in name.split(", ")]
            if name in raw.where or any(_starts(parts, columns) for columns in cuts):
                continue
            from seatrial.config.faults import suggest

            known = [*raw.where, *(", ".join(f"{column}=…" for column in columns) for columns in cuts)]
            hint = suggest(name, known, f"slices that are cut: {', '.join(known)}")
            raise self.document.fault((*path, index), f"slices.required: no slice is called {name!r}", hint=hint)

    def read_gaps(self, path: Path, value: Any) -> tuple[tuple[Grouping, ...], tuple[GapRule, ...]]:
        found: list[Grouping] = []
        rules = []
        for index, item in enumerate(self._list(path, value)):
            here = (*path, index)
            raw = self.document.convert(here, item, RawGap)
            measure = self._measure((*here, "metric"), here, raw.metric, raw)
            if raw.max_gap is UNSET and raw.max_gap_increase is UNSET:
                raise self.document.fault(here, "gaps: demands nothing", hint="add max_gap or max_gap_increase")
            if raw.max_gap is UNSET and raw.bound != "point":
                raise self.document.fault((*here, "bound"), "gaps: only max_gap has a bound", hint="add max_gap")
            grouping = Grouping(measure=measure, by=raw.by, min_n=raw.min_n)
            if any((one.measure, one.by) == (measure, raw.by) and one != grouping for one in found):
                message = f"gaps: {measure} by {raw.by} stands twice, with another min_n"
                raise self.document.fault((*here, "min_n"), message, hint="keep one min_n for both")
            found.append(grouping)
            rules.append(
                GapRule(
                    evaluation=self.name,
                    metric=str(measure),
                    by=raw.by,
                    place=self.document.place(here),
                    max_gap=read_limit(self.document, (*here, "max_gap"), raw.max_gap),
                    max_gap_increase=read_margin(self.document, (*here, "max_gap_increase"), raw.max_gap_increase),
                    bound=Bound.POINT if raw.bound == "point" else Bound.CONFIDENT,
                    severity=Severity(raw.severity),
                )
            )
        return tuple(dict.fromkeys(found)), tuple(rules)

    def read_flips(self, path: Path, value: Any) -> tuple[FlipRule, ...]:
        if value is None:
            return ()
        if self.task not in {Task.BINARY, Task.MULTICLASS}:
            raise self.document.fault(path, f"flips: a {self.task.value} evaluation takes no decisions")
        raw = self.document.convert(path, value, RawFlips)
        margin = read_count(self.document, (*path, "max_newly_wrong"), raw.max_newly_wrong)
        severity = Severity(raw.severity)
        return (
            FlipRule(evaluation=self.name, place=self.document.place(path), max_newly_wrong=margin, severity=severity),
        )

    def read_budget(self, path: Path, value: Any) -> RawBudget | None:
        return None if value is None else self.document.convert(path, value, RawBudget)

    def limit_reuse(self, path: Path, raw: RawBudget | None) -> tuple[BudgetRule, ...]:
        if raw is None:
            return ()
        place, severity = self.document.place(path), Severity(raw.severity)
        return (BudgetRule(evaluation=self.name, place=place, data=raw.data, most=raw.max, severity=severity),)

    def _gate(self, path: Path, measure: Measure, raw: RawGate) -> EvidenceRule:
        document = self.document
        rule = EvidenceRule(
            evaluation=self.name,
            metric=str(measure),
            place=self.document.place(path),
            direction=Direction.HIGHER if SPECS[self.task][measure.name].higher_is_better else Direction.LOWER,
            no_worse_than=read_margin(document, (*path, "no_worse_than"), raw.no_worse_than),
            not_harmed=read_margin(document, (*path, "not_harmed"), raw.not_harmed),
            better_by=read_margin(document, (*path, "better_by"), raw.better_by),
            at_most_better_by=read_margin(document, (*path, "at_most_better_by"), raw.at_most_better_by),
            at_least=read_limit(document, (*path, "at_least"), raw.at_least),
            at_most=read_limit(document, (*path, "at_most"), raw.at_most),
            bound=Bound.POINT if raw.bound == "point" else Bound.CONFIDENT,
            severity=Severity(raw.severity),
        )
        if not rule.margins and not rule.bounds:
            names = "no_worse_than, not_harmed, better_by, at_most_better_by, at_least, at_most"
            raise document.fault(path, f"{measure}: demands nothing", hint=f"add one of {names}")
        if raw.bound != "point" and not rule.bounds:
            raise document.fault((*path, "bound"), f"{measure}: only at_least and at_most have a bound")
        wrong = {"lower": rule.at_most, "upper": rule.at_least}.get(raw.bound)
        if wrong is not None:
            fitting = "upper" if raw.bound == "lower" else "lower"
            message = f"{measure}: this limit has no {raw.bound} bound"
            raise document.fault((*path, "bound"), message, hint=f"use bound: {fitting}")
        return rule

    def _measure(self, path: Path, settings: Path, name: str, raw: RawMeasure) -> Measure:
        """A metric of this task; `path` is where its name stands, `settings` what its settings stand below."""
        spec = self._spec(path, name)
        given = {field: getattr(raw, field) for field in ("at", "k", "beta", "quantile")}
        for field, value in given.items():
            if value is not None and field not in spec.settings:
                takes = f"it takes {', '.join(spec.settings)}" if spec.settings else "it takes no settings"
                raise self.document.fault((*settings, field), f"{name} has no setting `{field}`", hint=takes)
        usual = {field: each for field, each in _DEFAULTS.get(name, {}).items() if field in spec.settings}
        return replace(
            Measure(name=name, **usual), **{field: each for field, each in given.items() if each is not None}
        )

    def _spec(self, path: Path, name: str) -> MetricSpec:
        known = SPECS[self.task]
        if name in known:
            return known[name]
        from seatrial.config.faults import suggest

        hint = suggest(name, known, f"known metrics: {', '.join(known)}")
        raise self.document.fault(path, f"a {self.task.value} evaluation has no metric `{name}`", hint=hint)

    def _split(self, path: Path, item: Any) -> tuple[str, Any]:
        """A metric's name with what is said of it: `roc_auc`, or `{roc_auc: {…}}`."""
        if isinstance(item, str):
            return item, {}
        if isinstance(item, dict) and len(item) == 1:
            ((name, inner),) = item.items()
            return name, inner if inner is not None else {}
        raise self.document.fault(path, "must be a metric's name, or one name with its settings: `{recall: {at: 0.4}}`")

    def _list(self, path: Path, value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            hint = "write each of its entries on a line of its own that starts with `- `"
            raise self.document.fault(path, f"`{path[-1]}` must be a list", hint=hint)
        return value
