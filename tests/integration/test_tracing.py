"""Traces through a real Kafka: from an upstream producer through a batch and back."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from streamproc.settings import Settings
from tests.support.recorded_spans import RecordedSpans, context_of
from tests.support.small_ensembles import write_small_ensembles
from tests.support.traced_worker import TASK, ask_and_read, topics_folder, traced_worker

pytestmark = pytest.mark.kafka
TEXTS = [f"film {'good ' * (number % 7)}" for number in range(40)]


async def test_traces_of_producers_go_through_batches_and_on_to_who_reads_the_answers(
    kafka: str, tmp_path: Path
) -> None:
    name = f"traced-{uuid4().hex[:8]}"
    models, topics = tmp_path / "models", tmp_path / "topics"
    models.mkdir()
    topics.mkdir()
    write_small_ensembles(models, [TASK])
    settings = Settings(
        kafka_bootstrap_servers=kafka,
        group_id=name,
        models_dir=models,
        topics_dir=topics_folder(topics, name),
        web_port=0,
        device="cpu",
    )
    recorded = RecordedSpans()
    async with traced_worker(settings, recorded):
        answers = await ask_and_read(settings, recorded, TEXTS)

    upstream = {context_of(span).trace_id: span for span in recorded.named(f"send {name}.requests")}
    assert len(answers) == len(upstream) == len(TEXTS)
    processed = {}
    for process in recorded.named(f"process {name}.requests"):
        assert process.parent is not None
        assert process.parent.span_id == context_of(upstream[process.parent.trace_id]).span_id
        processed[context_of(process).span_id] = process
        stages = [span.name.split()[0] for span in recorded.children(process)]
        assert stages == ["queue", "inference", "send"]
        send = recorded.children(process)[-1]
        (read,) = recorded.children(send)
        assert read.name == f"process {name}.responses.v1"
    assert len(processed) == len(TEXTS)

    # Each request is in one batch, which runs every member once and says whose chunks it has.
    batches = recorded.named("batch")
    linked = [link.context.span_id for batch in batches for link in batch.links]
    assert sorted(linked) == sorted(processed)
    for batch in batches:
        assert (batch.attributes or {})["streamproc.batch.chunks"] == len(batch.links)
        assert batch.parent is not None
        assert batch.parent.trace_id in {link.context.trace_id for link in batch.links}
        assert len(recorded.children(batch)) == 2
        for link in batch.links:
            process = processed[link.context.span_id]
            _, inference, send = recorded.children(process)
            batched = context_of(batch).span_id
            is_parent = batch.parent.span_id == context_of(inference).span_id
            assert is_parent or batched in {one.context.span_id for one in inference.links}
            assert inference.end_time is not None
            assert send.start_time is not None
            assert inference.end_time <= send.start_time
    assert len(batches) < len(TEXTS)
    assert recorded.open == []
