"""Scores of ways to combine members, by validation data and the models themselves."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager

from streamproc.clock import SystemClock
from streamproc.errors import EvaluationError, MemberError, OperatorError, WorkerFault
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.evaluation.confidence_fit import fit_confidence
from streamproc.offline.evaluation.eval_metrics import CALIBRATION, Metric
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.perplexity import METRICS, score_next_tokens
from streamproc.offline.evaluation.systems import System
from streamproc.offline.evaluation.tuning import Score, Scorer
from streamproc.repository.repository import StoredEnsemble
from streamproc.request_pipeline import Pipeline
from streamproc.serving.ensembling.confidence import IDENTITY
from streamproc.serving.inference.providers import choose_provider
from streamproc.settings import Settings
from streamproc.types import FloatArray, Int64Array
from streamproc.worker import Combined, combining_pipelines
from streamproc.worker.local_client import LocalClient


@contextmanager
def running_pipelines(
    settings: Settings, stored: StoredEnsemble, *, remembers: bool = True
) -> Iterator[tuple[asyncio.Runner, Combined]]:
    """Pipelines of an ensemble whose models are loaded once, and what runs them.

    remembers: what members say of a chunk
    Raises OperatorError, also where the block raises that the models can't run.
    """
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        pipelines = combining_pipelines(settings, stored, SystemClock(), remembers=remembers)
        combined = runner.run(stack.enter_async_context(pipelines))
        try:
            yield runner, combined
        except WorkerFault as fault:
            raise OperatorError(f"the models can't run: {fault}") from None
        finally:
            runner.run(stack.aclose())


@contextmanager
def answer_scorer(
    settings: Settings, stored: StoredEnsemble, task: EvalTask, outstanding: int
) -> Iterator[Scorer]:
    """Scores answers to an evaluation task, as they would be served; raises OperatorError."""
    with running_pipelines(settings, stored) as (runner, combined):
        yield lambda candidates: [
            _score(task, runner.run(answers_to(task, combined(one), outstanding)))
            for one in candidates
        ]


def perplexity_scorer(settings: Settings, ids: Int64Array) -> Scorer:
    """Scores by the perplexity of blocks of tokens, (blocks, context)."""
    provider = choose_provider(settings.device)

    def scores(candidates: Sequence[StoredEnsemble]) -> list[Score]:
        systems = [System(str(n), "strategy", one) for n, one in enumerate(candidates)]
        try:
            runs = score_next_tokens(systems, ids, provider, lambda _: None)
        except (MemberError, WorkerFault) as fault:
            raise OperatorError(f"the models can't run: {fault}") from None
        return [Score(more_is_better(METRICS[0], one.statistics[0])) for one in runs]

    return scores


async def answers_to(task: EvalTask, pipeline: Pipeline, outstanding: int) -> list[ResponseBody]:
    """What a pipeline answers to an evaluation task, in the order of its requests."""
    ask = LocalClient(pipeline, SystemClock()).ask
    async with aclosing(ask_each(task.requests, ask, outstanding)) as answers:
        return [response async for response in answers]


def _score(task: EvalTask, responses: Sequence[ResponseBody]) -> Score:
    found = {
        metric.name: more_is_better(metric, own)
        for metric, own in zip(task.metrics, task.statistics(responses), strict=True)
    }
    require_defined(task.metrics[0], found[task.metrics[0].name])
    likelihood, pairs = task.likelihood(responses), task.confidences(responses)
    confidence = IDENTITY if pairs is None else fit_confidence(*pairs)
    calibration = found.get(CALIBRATION.name, math.nan)
    return Score(
        found[task.metrics[0].name],
        likelihood,
        # Undefined where nothing was found that has a score.
        None if math.isnan(calibration) else calibration,
        confidence,
    )


def require_defined(metric: Metric, value: float) -> None:
    """Raise EvaluationError where validation data say nothing by which one could choose."""
    if math.isnan(value):
        raise EvaluationError(
            f"{metric.name} is undefined on this data, where nothing is to be found and nothing "
            "was: nothing can be chosen by it; use other validation data"
        )


def more_is_better(metric: Metric, statistics: FloatArray) -> float:
    """The metric's value, negated where less is better."""
    value = metric.value(statistics)
    return value if metric.higher_is_better else -value
