from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

from tokenizers import Tokenizer

from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.encoder_decoder import OnnxEncoderDecoder
from streamproc.offline.training.ensemble import train_ensemble
from streamproc.offline.training.events import Event, MemberEvent, MemberExported, MemberStarted
from streamproc.offline.training.translation import Translation
from streamproc.repository.manifest import read_manifest
from streamproc.repository.repository import Repository
from tests.support.tiny_corpora import WORDS, pairs
from tests.support.training_plans import sentence_pairs
from tests.support.trainings import changed, events_of

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("translated")
    return folder / "models", events_of(sentence_pairs(folder))


def test_a_member_learns_to_translate(trained: tuple[Path, list[Event]]) -> None:
    (exported,) = [told.exported for told in trained[1] if isinstance(told, MemberExported)]

    # Without a look at the source no more than a third can be predicted.
    assert exported.validation.metrics["next_token_accuracy"] > 0.5
    assert exported.validation.loss == pytest.approx(exported.validation_fp32.loss, rel=0.02)


def test_a_exported_member_writes_token_by_token(trained: tuple[Path, list[Event]]) -> None:
    folder = trained[0] / "tiny" / "part-1-of-1" / "1"
    tokenizer = Tokenizer.from_file(str(trained[0] / "tiny" / "tokenizer.json"))
    member = OnnxEncoderDecoder(folder / "encoder_model.onnx", folder / "decoder_model_merged.onnx")
    source = np.array([tokenizer.encode("the film was good").ids], dtype=np.int64)
    mask = np.ones_like(source)

    written = np.array([[tokenizer.token_to_id("<pad>")]], dtype=np.int64)
    logits, past = member.begin(source, mask, written)
    said: list[int] = []
    while len(said) < 31 and (not said or said[-1] != tokenizer.token_to_id("</s>")):
        said.append(int(logits[0, -1].argmax()))
        logits, past = member.step(np.array([said[-1:]], dtype=np.int64), mask, past)

    words = tokenizer.decode(said).split()
    assert said[-1] == tokenizer.token_to_id("</s>")
    assert words
    assert set(words) <= set(WORDS.values())


def test_the_manifest_names_encoder_decoder_and_how_a_translation_begins_and_ends(
    trained: tuple[Path, list[Event]],
) -> None:
    folder = trained[0] / "tiny"
    manifest = read_manifest((folder / "manifest.toml").read_bytes(), "tiny")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    (member,) = manifest.members

    assert Repository(trained[0]).names() == ["tiny"]
    assert member.decoder is not None
    for file in (member, member.decoder):
        assert (folder / str(file.file)).stat().st_size == file.size_bytes
    assert manifest.decoding is not None
    assert manifest.decoding.start_token == tokenizer.token_to_id("<pad>")
    assert manifest.decoding.end_tokens == (tokenizer.token_to_id("</s>"),)
    assert manifest.decoding.banned_tokens == (manifest.decoding.start_token,)
    assert tokenizer.encode("good film").tokens[-1] == "</s>"


def test_short_sentences_are_also_learned_in_twos(tmp_path: Path) -> None:
    task = Translation(300, layers=1, heads=2, width=32, context=32, joined_share=0.5)
    records = list(task.read(Source("tiny", pairs(tmp_path / "p.jsonl", 100, 1))))
    setup = task.setup(task.prepare(records, 0), 0)
    member = setup.new_member(records, records[:9], 16, 0)

    rows = [len(batch.source) for batch in member.batches(random.Random(0))]

    assert sum(rows) == 75  # 25 in twos, 50 alone
    assert len(rows) == member.steps


def test_padding_changes_neither_what_is_learned_nor_what_is_judged(tmp_path: Path) -> None:
    task = Translation(300, layers=1, heads=2, width=32, context=32, joined_share=0)
    records = list(task.read(Source("tiny", pairs(tmp_path / "p.jsonl", 30, 1))))
    setup = task.setup(task.prepare(records, 0), 0)
    together, alone = (setup.new_member(records, records, size, 0).evaluate() for size in (30, 1))

    assert together.loss == pytest.approx(alone.loss, rel=1e-4)
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-4)


def test_pairs_that_are_too_long_to_learn_from_are_told(tmp_path: Path) -> None:
    plan = changed(sentence_pairs(tmp_path), epochs=1, seed_model_epochs=0)
    long = " ".join([*WORDS] * 20)
    with (tmp_path / "train.jsonl").open("a", encoding="utf-8") as corpus:
        for source, target in [(long, "kurz"), ("short", long), (long, long)]:
            corpus.write(json.dumps({"src": source, "tgt": target}) + "\n")
    told: list[Event] = []
    train_ensemble(plan, told.append, export=False)

    (started,) = (
        one.event
        for one in told
        if isinstance(one, MemberEvent) and isinstance(one.event, MemberStarted)
    )
    assert (started.records, started.too_long) == (803, 3)
