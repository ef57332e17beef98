"""Every system answers the evaluation's requests, one after another, and progress is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from streamproc import __version__
from streamproc.cli.progress import Count, counting
from streamproc.clock import SystemClock
from streamproc.errors import (
    EvaluationError,
    MemberError,
    OperatorError,
    SettingsError,
    WorkerFault,
)
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.corpus.rows import described
from streamproc.offline.evaluation.comparison import compare
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.eval_tasks import Data, eval_task_for, require_labels
from streamproc.offline.evaluation.groups import grouped
from streamproc.offline.evaluation.perplexity import Blocks, read_blocks, score_next_tokens
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.results import Agreement, EvalResults, EvalRun
from streamproc.offline.evaluation.systems import System, systems_to_compare
from streamproc.repository.files import sha256
from streamproc.repository.repository import Repository
from streamproc.serving.inference.providers import choose_provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import Settings
from streamproc.worker import ensemble_pipeline
from streamproc.worker.local_client import LocalClient


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """The options of `streamproc evaluate`; params: of every request, as JSON."""

    against: Sequence[str]
    by: str | None
    limit: int | None
    params: str | None
    draws: int
    seed: int
    outstanding: int


def run_evaluation(
    settings: Settings, ensemble: str, data: Data, options: EvalOptions, command: str
) -> tuple[EvalResults, Provenance]:
    """An ensemble and all that it is compared with, on labelled data.

    command: as it was given, for the reports
    Raises OperatorError, EvaluationError when a system answered nothing at all.
    """
    repository = Repository(settings.models_dir)
    stored = repository.open(ensemble)
    others = [repository.open(name) for name in options.against]
    systems = systems_to_compare(stored, task_named(stored.manifest.task), others)
    params = _params(options.params)
    if "combine" in params:
        raise SettingsError("--params: every way to combine has a row of its own; leave it out")
    work: EvalTask | Blocks
    if stored.manifest.task == "text-generation":
        if params:
            raise SettingsError("--params is for requests; text-generation is measured without any")
        every = read_blocks(stored, data)
        work, available = every.subsample(options.limit), len(every.ids)
    else:
        work, available = eval_task_for(stored.manifest, data, options.limit)
        require_labels(work, systems)
    # Before the models run, which may take long: whether there is such a field.
    grouping = grouped(work.fields, options.by) if options.by else None
    if isinstance(work, Blocks):
        runs = _score_blocks(settings, systems, work)
    else:
        runs = [_ask_all(settings, one, work, params, options.outstanding) for one in systems]
    results = compare(work.metrics, runs, grouping, draws=options.draws, seed=options.seed)
    provenance = Provenance(
        data=tuple(described([source]) for source in data.sources),
        digests=tuple(sha256(source.path) for source in data.sources),
        of=available,
        unit=work.unit,
        timed=work.timed,
        confidence_of=work.confidence_of,
        device=choose_provider(settings.device).device,
        draws=options.draws,
        seed=options.seed,
        version=__version__,
        command=command,
    )
    return results, provenance


def _params(written: str | None) -> dict[str, Any]:
    try:
        params = orjson.loads(written or "{}")
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"--params {written!r} is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise SettingsError(f"--params {written!r} is not a JSON object")
    return params


def _score_blocks(settings: Settings, systems: Sequence[System], blocks: Blocks) -> list[EvalRun]:
    provider, now_s = choose_provider(settings.device), SystemClock().monotonic_s
    residency = Residency(settings.max_resident_bytes)
    with counting("blocks read", len(blocks.ids)) as count:
        try:
            return score_next_tokens(systems, blocks.ids, provider, count, now_s, residency)
        except (MemberError, WorkerFault) as fault:
            raise OperatorError(f"the models can't run: {fault}") from None


def _ask_all(
    settings: Settings, system: System, task: EvalTask, params: Mapping[str, Any], outstanding: int
) -> EvalRun:
    """The run of a system, by the answers of a pipeline as `streamproc run` has it.

    params: of every request, beside what the task and the system say
    """
    requests = [
        {**request, "params": {**params, **request.get("params", {}), **system.params}}
        for request in task.requests
    ]
    with counting(system.title, len(requests)) as count:
        responses, seconds = asyncio.run(_answers(settings, system, requests, outstanding, count))
    errors = [response for response in responses if response["status"] == "error"]
    if len(errors) == len(responses):
        raise EvaluationError(
            f"{system.title} answered none of {len(errors)} requests; the first says: "
            f"{errors[0]['error']['detail']}"
        )
    statistics = task.statistics(responses)
    return EvalRun(
        system,
        statistics,
        seconds,
        len(responses),
        len(errors),
        sum(response["status"] == "partial" for response in responses),
        Agreement.on_records(task.metrics[0], task.agreement(responses), statistics[0]),
    )


async def _answers(
    settings: Settings,
    system: System,
    requests: Sequence[Mapping[str, Any]],
    outstanding: int,
    count: Count,
) -> tuple[list[ResponseBody], float]:
    """The answers in the order of the requests, and the seconds that they took."""
    clock = SystemClock()
    responses: list[ResponseBody] = []
    async with ensemble_pipeline(settings, system.stored, clock) as pipeline:
        began_s = clock.monotonic_s()
        ask = LocalClient(pipeline, clock).ask
        try:
            async with aclosing(ask_each(requests, ask, outstanding)) as answers:
                async for response in answers:
                    responses.append(response)
                    count(len(responses))
        except WorkerFault as fault:
            raise OperatorError(f"the models can't run: {fault}") from None
        return responses, clock.monotonic_s() - began_s
