"""What the predictions of both sides say, for the policy to judge and the report to tell."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from seatrial.commands.answers import Answers, SidedError, find_origin, is_untouched, seek_origin
from seatrial.config import Config
from seatrial.config.evaluations import Evaluation
from seatrial.core.comparison import Side
from seatrial.core.evidence import EvaluationResult
from seatrial.core.metrics import Interval, MetricId, Problem, Snapshot, State
from seatrial.errors import CompareError
from seatrial.git import Repository

_OF_THE_EXTRA = ("numpy", "polars", "scipy", "scipy.special")
_NOT_INSTALLED = "no intervals: install seatrial[stats]"


class Gathered(Struct, frozen=True, kw_only=True):
    """The evaluations' results, the intervals of metrics files, and what the report has to say beside them."""

    results: tuple[EvaluationResult, ...] = ()
    intervals: Mapping[MetricId, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def gather_evidence(
    repository: Repository, config: Config, base: Snapshot | None, head: Snapshot, *, engine: str
) -> Gathered:
    """Evidence of every evaluation and of repeated measurements; what can't be had is said, never faked.

    `engine` is where predictions are summed, `local` or `ray`.
    """
    gathered = [_gather(repository, evaluation, base, head, engine) for evaluation in config.evaluations]
    if config.repeats:
        from seatrial.commands.repeats import compare_repeats

        gathered.append(Gathered(results=compare_repeats(repository, config.repeats, base, head)))
    intervals: dict[MetricId, Interval] = {}
    for one in gathered:
        intervals |= one.intervals
    return Gathered(
        results=tuple(result for one in gathered for result in one.results),
        intervals=intervals,
        notes=tuple(dict.fromkeys(note for one in gathered for note in one.notes)),
    )


def _gather(
    repository: Repository, evaluation: Evaluation, base: Snapshot | None, head: Snapshot, name: str
) -> Gathered:
    try:
        if not evaluation.rules and not evaluation.slicing:
            if base is None or _is_broken(evaluation, base, head):
                return Gathered()  # there is no change to put an interval around, or the file itself is the news
            if is_untouched(repository, evaluation, base, head):
                return Gathered(notes=(f"{evaluation.predictions}: the same on both sides",))
        from seatrial.commands.engines import LOCAL, open_engine
        from seatrial.commands.weighing import Weighing

        # The candidate first: what is wrong on both sides is the candidate's to mend.
        newest = find_origin(repository, evaluation, head, Side.HEAD)
        # A baseline that never had predictions is a first measurement; what it has and can't be read is not.
        oldest = seek_origin(repository, evaluation, base, Side.BASE) if base else None
        with open_engine(evaluation, oldest, newest, name) as engine:
            held = engine is None
            after = Answers.read(evaluation, head, Side.HEAD, newest, held=held)
            before = Answers.read(evaluation, base, Side.BASE, oldest, held=held) if base and oldest else None
            weighing = Weighing(evaluation=evaluation, before=before, after=after, engine=engine)
            result = _count_uses(repository, evaluation, base, weighing.weigh())
            lacks = base is not None and oldest is None
            notes = (f"{evaluation.predictions}: the baseline has none",) if lacks else weighing.describe(result)
            if held and name != LOCAL:
                notes = (*notes, f"{evaluation.name}: compared on this machine, since it can't be summed in parts")
            return Gathered(results=(result,), intervals=weighing.list_intervals(result), notes=notes)
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_EXTRA:
            raise
        return _refuse(evaluation, Side.HEAD, CompareError(_NOT_INSTALLED, hint="pip install 'seatrial[stats]'"))
    except SidedError as error:
        return _refuse(evaluation, error.side, error.cause)
    except CompareError as error:
        return _refuse(evaluation, Side.HEAD, error)


def _count_uses(
    repository: Repository, evaluation: Evaluation, base: Snapshot | None, result: EvaluationResult
) -> EvaluationResult:
    """The result with how often its evaluation set was used, where the policy sets a budget for that."""
    if evaluation.budget is None or base is None or base.revision.sha is None:
        return result
    from seatrial.sources.history import count_uses

    return replace(result, reused=count_uses(repository, base.revision.sha, evaluation.budget, evaluation.predictions))


def _refuse(evaluation: Evaluation, side: Side, error: CompareError) -> Gathered:
    """An evaluation that can't be had: a finding where it has gates, else a remark."""
    if not evaluation.demands:
        subject = evaluation.metrics_file or evaluation.name
        told = error.message if error.message == _NOT_INSTALLED else f"no intervals for {subject}: {error.message}"
        return Gathered(notes=(told,))
    problem = Problem(state=State.UNREADABLE, path=evaluation.predictions, message=error.message, hint=error.hint)
    return Gathered(results=(EvaluationResult(name=evaluation.name, problem=problem, side=side),))


def _is_broken(evaluation: Evaluation, base: Snapshot, head: Snapshot) -> bool:
    return any(file.problem for side in (base, head) for file in side.metrics if file.path == evaluation.metrics_file)
