"""An exam put to every contender, one after another, and how far they are is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from streamproc.cli.progress import Count, counting
from streamproc.clock import SystemClock
from streamproc.errors import EvaluationError, MemberError, OperatorError, WorkerFault
from streamproc.local_client import LocalClient
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.evaluation.candidates import Candidate
from streamproc.offline.evaluation.eval_result import Agreement, EvalRun
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.formatting import titled
from streamproc.offline.evaluation.next_token import score_next_tokens
from streamproc.serving.inference.providers import choose_provider
from streamproc.serving.inference.residency import Residency
from streamproc.settings import Settings
from streamproc.types import Int64Array
from streamproc.worker import ensemble_pipeline


def answered(
    settings: Settings,
    contenders: Sequence[Candidate],
    exam: EvalTask,
    params: Mapping[str, Any],
    outstanding: int,
) -> list[EvalRun]:
    """Each contender's marks, by the answers of a pipeline as `streamproc run` has it.

    params: of every request, beside what the exam and the contender say
    Raises OperatorError, EvaluationError when a contender answered nothing at all.
    """
    marks = []
    for contender in contenders:
        with counting(titled(contender), len(exam.requests)) as count:
            answering = _answered(settings, contender, exam, params, outstanding, count)
            marks.append(asyncio.run(answering))
    return marks


def foreseen(settings: Settings, contenders: Sequence[Candidate], ids: Int64Array) -> list[EvalRun]:
    """Each contender's marks for the blocks of tokens `ids`, (blocks, context)."""
    with counting("blocks read", len(ids)) as count:
        provider = choose_provider(settings.device)
        try:
            return score_next_tokens(
                contenders,
                ids,
                provider,
                count,
                SystemClock().monotonic_s,
                Residency(settings.max_resident_bytes),
            )
        except (MemberError, WorkerFault) as fault:
            raise OperatorError(f"the models can't run: {fault}") from None


async def _answered(
    settings: Settings,
    contender: Candidate,
    exam: EvalTask,
    params: Mapping[str, Any],
    outstanding: int,
    count: Count,
) -> EvalRun:
    clock = SystemClock()
    requests = [
        {**request, "params": {**params, **request.get("params", {}), **contender.params}}
        for request in exam.requests
    ]
    responses: list[ResponseBody] = []
    async with ensemble_pipeline(settings, contender.stored, clock) as pipeline:
        began_s = clock.monotonic_s()
        ask = LocalClient(pipeline, clock).ask
        try:
            async with aclosing(ask_each(requests, ask, outstanding)) as answers:
                async for response in answers:
                    responses.append(response)
                    count(len(responses))
        except WorkerFault as fault:
            raise OperatorError(f"the models can't run: {fault}") from None
        seconds = clock.monotonic_s() - began_s
    errors = [response for response in responses if response["status"] == "error"]
    if len(errors) == len(responses):
        raise EvaluationError(
            f"{titled(contender)} answered none of {len(errors)} requests; the first says: "
            f"{errors[0]['error']['detail']}"
        )
    statistics = exam.statistics(responses)
    agreement = exam.agreement(responses)
    return EvalRun(
        contender,
        statistics,
        seconds,
        len(responses),
        len(errors),
        sum(response["status"] == "partial" for response in responses),
        Agreement.on_records(exam.measures[0], agreement, statistics[0]),
    )
