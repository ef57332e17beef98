"""How good ways to combine members are, by validation data and the models themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager

from streamproc.clock import SystemClock
from streamproc.errors import MemberError, OperatorError, WorkerFault
from streamproc.local_client import LocalClient
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.evaluation.candidates import Candidate
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.measures import CALIBRATION, Measure
from streamproc.offline.evaluation.next_token import MEASURES, score_next_tokens
from streamproc.offline.evaluation.tuning import Judge, Score
from streamproc.repository.repository import StoredEnsemble
from streamproc.serving.inference.providers import choose_provider
from streamproc.settings import Settings
from streamproc.types import FloatArray, Int64Array
from streamproc.worker import Combined, combining_pipelines


@contextmanager
def answering_judge(
    settings: Settings, stored: StoredEnsemble, exam: EvalTask, outstanding: int
) -> Iterator[Judge]:
    """Judges by answers to an exam, as they would be served; raises OperatorError."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        pipelines = combining_pipelines(settings, stored, SystemClock())
        combined = runner.run(stack.enter_async_context(pipelines))

        def judge(candidates: Sequence[StoredEnsemble]) -> list[Score]:
            try:
                return [
                    _score(exam, runner.run(_answers(combined, one, exam, outstanding)))
                    for one in candidates
                ]
            except WorkerFault as fault:
                raise OperatorError(f"the models can't run: {fault}") from None

        try:
            yield judge
        finally:
            runner.run(stack.aclose())


@contextmanager
def foreseeing_judge(settings: Settings, ids: Int64Array) -> Iterator[Judge]:
    """Judges by the perplexity of blocks of tokens, (blocks, context)."""
    provider = choose_provider(settings.device)

    def judge(candidates: Sequence[StoredEnsemble]) -> list[Score]:
        contenders = [Candidate(str(n), "way", one, {}) for n, one in enumerate(candidates)]
        try:
            marks = score_next_tokens(contenders, ids, provider, lambda _: None)
        except (MemberError, WorkerFault) as fault:
            raise OperatorError(f"the models can't run: {fault}") from None
        return [Score(_merit(MEASURES[0], one.statistics[0])) for one in marks]

    yield judge


async def _answers(
    combined: Combined, way: StoredEnsemble, exam: EvalTask, outstanding: int
) -> list[ResponseBody]:
    ask = LocalClient(combined(way), SystemClock()).ask
    async with aclosing(ask_each(exam.requests, ask, outstanding)) as answers:
        return [response async for response in answers]


def _score(exam: EvalTask, responses: Sequence[ResponseBody]) -> Score:
    statistics = exam.statistics(responses)
    merits = {
        measure.name: _merit(measure, own)
        for measure, own in zip(exam.measures, statistics, strict=True)
    }
    first = exam.measures[0].name
    return Score(merits[first], exam.likelihood(responses), merits.get(CALIBRATION.name))


def _merit(measure: Measure, statistics: FloatArray) -> float:
    """More is better."""
    value = measure.value(statistics)
    return value if measure.higher_is_better else -value
