from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("optimum")

from tokenizers import Tokenizer

from streamproc.errors import TrainingError
from streamproc.offline.corpus.passages import Passage
from streamproc.offline.training.byte_level import byte_level_bpe
from streamproc.offline.training.decoder import OnnxDecoder
from streamproc.offline.training.events import Event, MemberEvent, MemberExported, MemberStarted
from streamproc.offline.training.text_generation import END_OF_TEXT, UNKNOWN, blocks
from streamproc.repository.manifest import read_manifest
from tests.support.training_plans import SONG, songs
from tests.support.trainings import changed, events_of

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("written")
    return folder / "models" / "tiny", events_of(songs(folder))


def test_members_learn_what_comes_next(trained: tuple[Path, list[Event]]) -> None:
    exported = [told.exported for told in trained[1] if isinstance(told, MemberExported)]

    assert len(exported) == 2
    for one in exported:
        assert one.validation.metrics["next_token_accuracy"] > 0.7
        # Eight bits a weight are near enough.
        assert one.validation.loss == pytest.approx(one.validation_fp32.loss, rel=0.02)


def test_weights_are_stored_in_a_quarter_of_their_size(
    trained: tuple[Path, list[Event]],
) -> None:
    def weights_bytes(path: Path) -> int:
        return sum(one.ByteSize() for one in onnx.load(str(path)).graph.initializer)

    fp32 = trained[0].parents[1] / "work" / "a" / "model.onnx"

    assert weights_bytes(trained[0] / "a" / "1" / "model.onnx") < 0.35 * weights_bytes(fp32)


def test_the_manifest_says_how_texts_end_and_what_is_never_written(
    trained: tuple[Path, list[Event]],
) -> None:
    manifest = read_manifest((trained[0] / "manifest.toml").read_bytes(), "tiny")
    tokenizer = Tokenizer.from_file(str(trained[0] / "tokenizer.json"))

    assert manifest.labels == ()
    assert manifest.decoding is not None
    assert manifest.decoding.end_tokens == (tokenizer.token_to_id("<|endoftext|>"),)
    assert manifest.decoding.banned_tokens == (tokenizer.token_to_id("<unk>"),)
    assert manifest.decoding.max_tokens == manifest.window.max_tokens == 32


def test_a_exported_member_reads_on_where_it_stopped(trained: tuple[Path, list[Event]]) -> None:
    tokenizer = Tokenizer.from_file(str(trained[0] / "tokenizer.json"))
    member = OnnxDecoder(trained[0] / "a" / "1" / "model.onnx")
    ids = np.array([tokenizer.encode(SONG).ids[:20]], dtype=np.int64)

    first, past = member.step(ids[:, :11], member.nothing(1))
    second, _ = member.step(ids[:, 11:], past)

    whole = member.read(ids)
    np.testing.assert_allclose(np.concatenate((first, second), axis=1), whole, atol=1e-4)
    assert tokenizer.decode([int(whole[0, -1].argmax())]) in SONG


def test_the_same_seed_gives_the_same_ensemble(
    trained: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    events_of(songs(tmp_path))

    def digests(folder: Path) -> list[str]:
        manifest = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
        return [one["sha256"] for one in (manifest["tokenizer"], *manifest["members"])]

    assert digests(tmp_path / "models" / "tiny") == digests(trained[0])


def test_members_branch_off_a_model_of_the_whole_corpus(tmp_path: Path) -> None:
    learning_nothing_more = changed(
        songs(tmp_path),
        seed_model_epochs=16,
        seed_model_learning_rate=1e-2,
        epochs=1,
        learning_rate=0.0,
    )

    told = events_of(learning_nothing_more)

    assert MemberEvent("_seed_model", MemberStarted("_seed_model", 0, 0, records=2)) in told
    first, second = [one.exported for one in told if isinstance(one, MemberExported)]
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.validation.metrics["next_token_accuracy"] > 0.7
    content = (tmp_path / "models" / "tiny" / "manifest.toml").read_bytes()
    for member in read_manifest(content, "tiny").members:
        assert member.provenance["seed_model"] == "one model of the whole corpus, at most 16 epochs"


def test_any_text_comes_back_from_its_tokens_unchanged() -> None:
    tokenizer = byte_level_bpe(iter([SONG]), 300, [END_OF_TEXT, UNKNOWN])

    for text in ("Grüße, 世界 👩‍👩‍👧!", " \t\r\n  x", "e\u0301", "مرحبا"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_texts_fill_blocks_one_after_another_with_an_end_before_each() -> None:
    tokenizer = byte_level_bpe(iter([SONG]), 300, [END_OF_TEXT, UNKNOWN])
    passages = [Passage(SONG * 3, {}), Passage("x", {})]

    joined = np.concatenate(list(blocks(passages, tokenizer, 16)))

    expected = [0, *tokenizer.encode(SONG * 3).ids, 0, *tokenizer.encode("x").ids]
    assert joined.tolist() == expected[: len(expected) // 16 * 16]
    with pytest.raises(TrainingError, match="2 tokens do not fill a context of 16"):
        blocks([Passage("x", {})], tokenizer, 16)
