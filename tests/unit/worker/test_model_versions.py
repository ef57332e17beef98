"""A running worker's versions: taken over between two requests, drained, or refused."""

from __future__ import annotations

import asyncio
import gc
import re
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tenacity import stop_after_attempt

from streamproc.clock import SystemClock
from streamproc.errors import ModelRefused
from streamproc.messages.cloudevents import Envelope, Form
from streamproc.messages.lane import Lane
from streamproc.messages.model_choice import ModelChoice, VersionDigest
from streamproc.messages.request import Request
from streamproc.messages.response import Response
from streamproc.metrics import Metrics
from streamproc.repository.repository import Repository, StoredEnsemble
from streamproc.serving.answerer import Answerer
from streamproc.serving.engine import Engine
from streamproc.settings import Settings
from streamproc.testing import build_tokenizer
from streamproc.worker.model_memory import SPARE_BYTES
from streamproc.worker.model_versions import ModelVersions
from streamproc.worker.models import Models
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.priorities import Priorities
from tests.support.signing_keys import key_pair

TASK = "text-classification"


def write(root: Path, version: int, **changes: Any) -> None:
    """The ensemble "tiny" in a version that says other things than the others."""
    model = changes.pop("model", None)
    words = build_tokenizer().vocabulary_size
    folder = root / ("tiny" if version == 1 else f"tiny@{version}")
    write_ensemble(folder, [model or classifier(words, seed=version)], **changes)


def choice(root: Path, version: int, *before: int, at_ms: int = 0) -> ModelChoice:
    def digest(number: int) -> VersionDigest:
        stored = Repository(root).open(f"tiny@{number}")
        return VersionDigest(version=str(number), manifest=stored.digest)

    return ModelChoice(
        group="g",
        ensemble="tiny",
        serves=digest(version),
        before=[digest(one) for one in before],
        at_ms=at_ms,
    )


class Worker:
    """What of a worker has to do with versions."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        key = options.pop("model_key", None)
        settings = Settings(models_dir=root, device="cpu", threads=1, model_key=key)
        self.metrics = Metrics()
        self.models = Models(settings, SystemClock(), self.metrics)
        pins = options.pop("pins", {})
        self.versions = ModelVersions(self.models, pins, SystemClock(), self.metrics, **options)

    def load(self, choices: Mapping[str, ModelChoice] | None = None) -> None:
        self.versions.load([TASK], choices or {})
        self.answerer = Answerer(
            TASK,
            self.versions.by_task[TASK],
            default_ensemble="tiny",
            lane=Lane.INTERACTIVE,
            clock=SystemClock(),
            metrics=self.metrics,
            stop_after=stop_after_attempt(1),
        )

    @property
    def engine(self) -> Engine:
        return self.versions.by_task[TASK]["tiny"]

    @property
    def serves(self) -> str:
        return self.engine.spec.version

    @property
    def refused_for(self) -> str | None:
        """What is wrong with the signature of the version that is refused, in a clause."""
        refusal = self.versions.refusal("tiny")
        found = refusal and re.search(
            "it has no manifest.toml.sig|another key has signed it", refusal.reason
        )
        return found[0] if found else None

    async def tell(self, told: ModelChoice) -> None:
        self.versions.tell({"tiny": told})
        async with asyncio.timeout(60):
            await self.versions.settled.wait()

    async def ask(self, text: str = "good") -> Response:
        inputs = {"text": text}
        envelope = Envelope(Form.PLAIN)
        return await self.answerer.answer(
            Request("1", None, inputs, inputs.keys(), {}, None, None, envelope, "t:0:0")
        )

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for is many things
            await asyncio.sleep(0.01)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A models folder with two versions that differ."""
    write(tmp_path, 1)
    write(tmp_path, 2)
    return tmp_path


@asynccontextmanager
async def running(
    root: Path, choices: Mapping[str, ModelChoice] | None = None, **options: Any
) -> AsyncIterator[Worker]:
    worker = Worker(root, **options)
    worker.load(choices)
    keeping = asyncio.create_task(worker.versions.keep())
    try:
        yield worker
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await worker.versions.close()
        await worker.models.close()


async def test_a_promoted_version_answers_what_comes_after_it(root: Path) -> None:
    async with running(root) as worker:
        before = await worker.ask()
        await worker.tell(choice(root, 2, 1))
        after = await worker.ask()
        await worker.tell(choice(root, 1))
        again = await worker.ask()

    first, second = (Repository(root).open(f"tiny@{number}").digest for number in (1, 2))
    assert [before.manifest, after.manifest, again.manifest] == [first, second, first]
    assert before.result == again.result != after.result


async def test_a_version_is_loaded_in_a_worker_that_may_not_lower_its_niceness(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Priorities(10).take_effect(monkeypatch)
    async with running(root) as worker:
        await worker.tell(choice(root, 2, 1))
        assert (worker.serves, worker.versions.refusal("tiny")) == ("2", None)


async def test_metrics_name_the_version_that_serves_and_it_alone(root: Path) -> None:
    async with running(root) as worker:
        await worker.tell(choice(root, 2, 1))
        for number, shown in ((1, None), (2, 1.0)):
            digest = Repository(root).open(f"tiny@{number}").digest
            labels = {"ensemble": "tiny", "task": TASK, "version": str(number)}
            value = worker.metric("streamproc_ensemble_info", manifest=digest, **labels)
            assert value == shown
        took = {"ensemble": "tiny", "outcome": "taken-over"}
        assert worker.metric("streamproc_model_reloads_total", **took) == 1
        assert worker.metric("streamproc_model_refused", ensemble="tiny") == 0
        assert worker.metric("streamproc_queued_tokens", ensemble="tiny") == 0


async def test_what_the_old_version_has_begun_it_finishes_before_it_is_let_go(root: Path) -> None:
    async with running(root) as worker:
        old = worker.engine
        job = old.task.begin({"text": "good bad " * 40}, {}, old.spec)
        scored = old.scored_chunks(job, Lane.BULK)
        chunk, outputs = await anext(scored)
        job.add(chunk, outputs.result)

        await worker.tell(choice(root, 2, 1))
        assert worker.serves == "2"
        assert len(old.jobs) == 1
        assert worker.versions._draining

        async for chunk, outputs in scored:
            job.add(chunk, outputs.result)
        assert job.answer().coverage.chunks > 1
        await until(lambda: not worker.versions._draining)


async def test_a_version_that_is_let_go_is_freed_without_the_collector(root: Path) -> None:
    """What was there at a worker's start is out of the collector's sight."""
    async with running(root) as worker:
        await worker.ask()
        scorer: Any = worker.engine.scorer
        sessions = [member._session for member in scorer._run.__self__._members]
        gone = [weakref.ref(one) for one in (scorer, *sessions)]
        del scorer, sessions
        gc.disable()
        try:
            await worker.tell(choice(root, 2, 1))
            await until(lambda: not worker.versions._draining)
            # A model's thread lets go of its last call a moment after that is answered.
            await until(lambda: [one() for one in gone] == [None] * len(gone))
        finally:
            gc.enable()


def _broken_file(root: Path) -> None:
    write(root, 3)
    (root / "tiny@3" / "m0.onnx").write_bytes(b"not a model")


def _no_model(root: Path) -> None:
    write(root, 3, model=b"not a model")


def _other_labels(root: Path) -> None:
    write(root, 3, labels=("negative", "neutral"))


def _other_task(root: Path) -> None:
    words = build_tokenizer().vocabulary_size
    model = classifier(words, per_token=True)
    write(root, 3, task="token-classification", model=model)


def _other_problem(root: Path) -> None:
    write(root, 3)
    _in_manifest(root, 'task = "', 'problem_type = "multi_label_classification"\ntask = "')


def _infinite(root: Path) -> None:
    write(root, 3, model=classifier(build_tokenizer().vocabulary_size, divisor=0.0))


def _depends_on_its_batch(root: Path) -> None:
    write(root, 3, model=classifier(build_tokenizer().vocabulary_size, batch_dependent=True))


def _in_manifest(root: Path, old: str, new: str) -> None:
    manifest = root / "tiny@3" / "manifest.toml"
    manifest.write_text(manifest.read_text().replace(old, new, 1))


BAD: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "broken file": (_broken_file, r"m0\.onnx is not the file the manifest names"),
    "no model": (_no_model, "m0"),
    "labels": (_other_labels, "it lacks positive and adds neutral"),
    "task": (_other_task, "is for token-classification"),
    "problem type": (_other_problem, "multi_label_classification"),
    "infinite": (_infinite, "not finite"),
    "batch": (_depends_on_its_batch, "batch"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_version_never_serves_and_a_good_one_does_after_it(
    root: Path, name: str
) -> None:
    spoil, reason = BAD[name]
    spoil(root)
    async with running(root) as worker:
        before = await worker.ask()
        with capture_logs() as logs:
            await worker.tell(choice(root, 3, 1))
        assert worker.serves == "1"
        assert (await worker.ask()).result == before.result
        refusal = worker.versions.refusal("tiny")
        assert refusal is not None
        assert refusal.wanted.version == "3"
        (line,) = [one for one in logs if one["event"] == "version refused"]
        assert line["reason"] == refusal.reason
        assert re.search(reason, refusal.reason), refusal.reason
        assert worker.metric("streamproc_model_refused", ensemble="tiny") == 1

        await worker.tell(choice(root, 2, 1))
        assert worker.serves == "2"
        assert worker.versions.refusal("tiny") is None
        assert worker.metric("streamproc_model_refused", ensemble="tiny") == 0


async def test_a_manifest_that_is_not_the_promoted_one_is_refused(root: Path) -> None:
    promoted = choice(root, 2, 1)
    manifest = root / "tiny@2" / "manifest.toml"
    manifest.write_text(manifest.read_text() + "\n# changed\n")
    async with running(root) as worker:
        await worker.tell(promoted)
        assert worker.serves == "1"
        refusal = worker.versions.refusal("tiny")
        assert refusal is not None
        assert promoted.serves.manifest[:12] in refusal.reason


async def test_files_that_come_later_are_found(root: Path) -> None:
    promoted = choice(root, 2, 1)
    (root / "tiny@2").rename(root / ".away")
    async with running(root, look_again_s=0.05) as worker:
        await worker.tell(promoted)
        refusal = worker.versions.refusal("tiny")
        assert refusal is not None
        assert "no version '2'" in refusal.reason
        (root / ".away").rename(root / "tiny@2")
        await until(lambda: worker.serves == "2")


async def test_a_version_that_nobody_trusted_has_signed_never_serves_until_one_has(
    root: Path, tmp_path: Path
) -> None:
    ours, theirs = (key_pair(tmp_path / "keys", name) for name in ("ours", "theirs"))
    ours.sign(root, "tiny")
    async with running(root, model_key=ours.public, look_again_s=0.05) as worker:
        await worker.tell(choice(root, 2, 1))
        assert (worker.serves, worker.refused_for) == ("1", "it has no manifest.toml.sig")
        theirs.sign(root, "tiny@2")
        await until(lambda: worker.refused_for == "another key has signed it")
        assert worker.serves == "1"
        ours.sign(root, "tiny@2")
        await until(lambda: worker.serves == "2")


async def test_at_the_start_the_last_version_that_is_signed_serves(
    root: Path, tmp_path: Path
) -> None:
    ours = key_pair(tmp_path / "keys")
    with pytest.raises(ModelRefused, match="tiny is not signed"):
        Worker(root, model_key=ours.public).load()
    ours.sign(root, "tiny")
    async with running(root, {"tiny": choice(root, 2, 1)}, model_key=ours.public) as worker:
        assert (worker.serves, worker.refused_for) == ("1", "it has no manifest.toml.sig")


async def test_what_is_refused_is_not_loaded_again_while_its_files_are_the_same(
    root: Path,
) -> None:
    _no_model(root)
    async with running(root, look_again_s=0.02) as worker:
        await worker.tell(choice(root, 3, 1))
        await asyncio.sleep(0.2)
        refused = {"ensemble": "tiny", "outcome": "refused"}
        assert worker.metric("streamproc_model_reloads_total", **refused) == 1
        # Promoted anew by somebody, it is tried anew.
        await worker.tell(choice(root, 3, 1, at_ms=1))
        assert worker.metric("streamproc_model_reloads_total", **refused) == 2


async def test_without_room_beside_the_old_one_it_is_refused_until_there_is(root: Path) -> None:
    free = [SPARE_BYTES]
    async with running(root, free_bytes=lambda: free[0], look_again_s=0.05) as worker:
        await worker.tell(choice(root, 2, 1))
        refusal = worker.versions.refusal("tiny")
        assert refusal is not None
        assert "MiB are missing" in refusal.reason
        assert worker.serves == "1"
        free[0] = 10 * SPARE_BYTES
        await until(lambda: worker.serves == "2")


async def test_what_is_taken_back_while_it_loads_never_serves(root: Path) -> None:
    async with running(root) as worker:
        begun, may_end = threading.Event(), threading.Event()
        load = worker.models.load
        served = []

        def slowly(stored: StoredEnsemble) -> Engine:
            begun.set()
            may_end.wait(30)
            return load(stored)

        worker.models.load = slowly  # type: ignore[method-assign]
        worker.versions.tell({"tiny": choice(root, 2, 1)})
        await asyncio.to_thread(begun.wait, 30)
        served.append(worker.serves)
        worker.versions.tell({"tiny": choice(root, 1)})
        may_end.set()
        async with asyncio.timeout(30):
            await worker.versions.settled.wait()
        served.append(worker.serves)
        assert served == ["1", "1"]
        assert worker.versions.refusal("tiny") is None
        took = {"ensemble": "tiny", "outcome": "taken-over"}
        assert worker.metric("streamproc_model_reloads_total", **took) is None


async def test_a_worker_that_starts_loads_what_is_promoted(root: Path) -> None:
    async with running(root, {"tiny": choice(root, 2, 1)}) as worker:
        assert worker.serves == "2"


@pytest.mark.parametrize("bad", ["no model", "labels"])
async def test_at_the_start_the_version_before_a_bad_one_serves(root: Path, bad: str) -> None:
    BAD[bad][0](root)
    promoted = choice(root, 3, 1, 2)
    async with running(root, {"tiny": promoted}) as worker:
        assert worker.serves == "2"
        await worker.tell(promoted)
        refusal = worker.versions.refusal("tiny")
        assert refusal is not None
        assert refusal.wanted.version == "3"


async def test_a_worker_that_is_pinned_by_its_settings_follows_nobody(root: Path) -> None:
    async with running(root, {"tiny": choice(root, 1)}, pins={"tiny": "2"}) as worker:
        assert worker.serves == "2"
        await worker.tell(choice(root, 1, 2))
        assert worker.serves == "2"
        assert worker.versions.refusal("tiny") is None


@pytest.mark.parametrize(
    ("pins", "reason"),
    [({"tny": "2"}, "did you mean 'tiny'"), ({"tiny": "7"}, "there are: 1, 2")],
)
def test_a_pin_that_can_not_be_served_is_told_at_the_start(
    root: Path, pins: dict[str, str], reason: str
) -> None:
    worker = Worker(root, pins=pins)
    with pytest.raises(ModelRefused, match=reason):
        worker.load()
