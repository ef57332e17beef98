"""Every system answers the evaluation's requests, one after another, and progress is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
from streamproc.local_client import LocalClient
from streamproc.messages.client import ResponseBody
from streamproc.offline.bulk.ask_each import ask_each
from streamproc.offline.corpus.rows import described
from streamproc.offline.evaluation.comparison import compare
from streamproc.offline.evaluation.eval_metrics import Metric
from streamproc.offline.evaluation.eval_task import EvalTask
from streamproc.offline.evaluation.eval_tasks import Data, eval_task_for, require_labels
from streamproc.offline.evaluation.groups import grouped
from streamproc.offline.evaluation.perplexity import (
    CONFIDENCE_OF,
    METRICS,
    Blocks,
    read_blocks,
    score_next_tokens,
)
from streamproc.offline.evaluation.provenance import Provenance
from streamproc.offline.evaluation.results import Agreement, EvalResults, EvalRun
from streamproc.offline.evaluation.systems import System, systems_to_compare
from streamproc.repository.digests import sha256
from streamproc.repository.repository import Repository
from streamproc.serving.inference.providers import choose_provider
from streamproc.serving.inference.residency import Residency
from streamproc.serving.tasks.catalogue import task_named
from streamproc.settings import Settings
from streamproc.worker import ensemble_pipeline


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """How an ensemble is evaluated; see the options of `streamproc evaluate`.

    params: of every request, as JSON
    """

    against: Sequence[str]
    by: str | None
    limit: int | None
    params: str | None
    draws: int
    seed: int
    outstanding: int


@dataclass(frozen=True, slots=True)
class _Workload:
    """What all systems are measured by; `run` does it.

    fields: of each record; available: how many records there are, of which some were taken
    unit, timed, confidence_of: see Provenance
    """

    run: Callable[[], list[EvalRun]]
    metrics: Sequence[Metric]
    fields: Sequence[Mapping[str, str]]
    available: int
    unit: str
    timed: str
    confidence_of: str


def run_evaluation(
    settings: Settings, ensemble: str, data: Data, options: EvalOptions, command: str
) -> tuple[EvalResults, Provenance]:
    """An ensemble and all that it is compared with, on labelled data.

    command: as it was given, to be told
    Raises OperatorError, EvaluationError when a system answered nothing at all.
    """
    repository = Repository(settings.models_dir)
    stored = repository.open(ensemble)
    others = [repository.open(name) for name in options.against]
    systems = systems_to_compare(stored, task_named(stored.manifest.task), others)
    prepare = _blocks if stored.manifest.task == "text-generation" else _requests
    workload = prepare(settings, systems, data, options)
    # Before the models run, which may take long: whether there is such a field.
    grouping = grouped(workload.fields, options.by) if options.by else None
    results = compare(
        workload.metrics, workload.run(), grouping, draws=options.draws, seed=options.seed
    )
    provenance = Provenance(
        data=tuple(described([source]) for source in data.sources),
        digests=tuple(sha256(source.path) for source in data.sources),
        of=workload.available,
        unit=workload.unit,
        timed=workload.timed,
        confidence_of=workload.confidence_of,
        device=choose_provider(settings.device).device,
        draws=options.draws,
        seed=options.seed,
        version=__version__,
        command=command,
    )
    return results, provenance


def _blocks(
    settings: Settings, systems: Sequence[System], data: Data, options: EvalOptions
) -> _Workload:
    if _params(options.params):
        raise SettingsError("--params is for requests; text-generation is measured without any")
    every = read_blocks(systems[0].stored, data)
    chosen = every.subsample(options.limit)
    unit = f"blocks of {every.ids.shape[1]} tokens"
    return _Workload(
        lambda: _score_blocks(settings, systems, chosen),
        METRICS,
        chosen.fields,
        len(every.ids),
        unit,
        unit,
        CONFIDENCE_OF,
    )


def _requests(
    settings: Settings, systems: Sequence[System], data: Data, options: EvalOptions
) -> _Workload:
    params = _params(options.params)
    task, available = eval_task_for(systems[0].stored.manifest, data, options.limit)
    require_labels(task, systems)

    def run() -> list[EvalRun]:
        runs = []
        for system in systems:
            with counting(system.title, len(task.requests)) as count:
                run = _ask(settings, system, task, params, options.outstanding, count)
                runs.append(asyncio.run(run))
        return runs

    return _Workload(
        run, task.metrics, task.fields, available, "records", "requests", task.confidence_of
    )


def _params(written: str | None) -> dict[str, Any]:
    try:
        params = orjson.loads(written or "{}")
    except orjson.JSONDecodeError as error:
        raise SettingsError(f"--params {written!r} is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise SettingsError(f"--params {written!r} is not a JSON object")
    return params


def _score_blocks(settings: Settings, systems: Sequence[System], blocks: Blocks) -> list[EvalRun]:
    with counting("blocks read", len(blocks.ids)) as count:
        try:
            return score_next_tokens(
                systems,
                blocks.ids,
                choose_provider(settings.device),
                count,
                SystemClock().monotonic_s,
                Residency(settings.max_resident_bytes),
            )
        except (MemberError, WorkerFault) as fault:
            raise OperatorError(f"the models can't run: {fault}") from None


async def _ask(
    settings: Settings,
    system: System,
    task: EvalTask,
    params: Mapping[str, Any],
    outstanding: int,
    count: Count,
) -> EvalRun:
    """The run of a system, by the answers of a pipeline as `streamproc run` has it.

    params: of every request, beside what the task and the system say
    """
    clock = SystemClock()
    requests = [
        {**request, "params": {**params, **request.get("params", {}), **system.params}}
        for request in task.requests
    ]
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
        seconds = clock.monotonic_s() - began_s
    errors = [response for response in responses if response["status"] == "error"]
    if len(errors) == len(responses):
        raise EvaluationError(
            f"{system.title} answered none of {len(errors)} requests; the first says: "
            f"{errors[0]['error']['detail']}"
        )
    statistics = task.statistics(responses)
    agreement = task.agreement(responses)
    return EvalRun(
        system,
        statistics,
        seconds,
        len(responses),
        len(errors),
        sum(response["status"] == "partial" for response in responses),
        Agreement.on_records(task.metrics[0], agreement, statistics[0]),
    )
