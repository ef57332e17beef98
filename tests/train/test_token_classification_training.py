from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByField
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.tagged import TaggedText
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder_trainer import Learning
from streamproc.offline.training.events import MemberExported
from streamproc.offline.training.labelled_chunks import LabelledChunk
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.record_requests import one_member_spec
from streamproc.offline.training.token_classification import TokenClassification
from streamproc.offline.training.validation import Validation
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Chunk, Window
from streamproc.serving.inference.batch import ModelInput
from streamproc.serving.tasks.ensemble_spec import EnsembleSpec
from streamproc.types import FloatArray
from tests.support.tiny_corpora import sentences
from tests.support.trainings import events_of, options

pytestmark = pytest.mark.train

NAMES = {"person": "PER", "shops:thing": "O", "thing": "MISC"}


def recipe(base: Path) -> TokenClassification:
    return TokenClassification(
        find_base(base),
        170,
        PruneConfig((0, 2), 32, 2, 32),
        Learning(32),
        Window(32, 8),
        names=NAMES,
    )


def test_members_learn_entities_and_list_only_the_labels_of_their_own_corpus(
    base: Path, tmp_path: Path
) -> None:
    train, valid = (
        sentences(tmp_path / f"{name}.jsonl", count, count)
        for name, count in (("train", 200), ("valid", 40))
    )
    plan = TrainingPlan(
        config=options(
            tmp_path, task="token-classification", epochs=4, batch=16, learning_rate=5e-3
        ),
        recipe=recipe(base),
        corpus=[Source("films", train), Source("shops", train)],
        valid=[Source("films", valid), Source("shops", valid)],
        partitioning=ByField("corpus"),
        folder=tmp_path / "work",
    )
    exported = [told.exported for told in events_of(plan) if isinstance(told, MemberExported)]
    manifest = tomllib.loads((tmp_path / "models" / "tiny" / "manifest.toml").read_text())

    assert all(one.validation.metrics["entity_f1"] > 0.8 for one in exported)
    assert manifest["task"] == "token-classification"
    assert manifest["labels"] == ["O", "B-PER", "I-PER", "B-MISC", "I-MISC"]
    assert [member["labels"] for member in manifest["members"]] == [
        ["O", "B-PER", "I-PER", "B-MISC", "I-MISC"],
        ["O", "B-PER", "I-PER"],
    ]


def test_an_entity_without_a_name_is_an_error_that_names_it(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"tokens": ["a", "b"], "tags": ["O", "B-place"]}\n', encoding="utf-8")

    with pytest.raises(TrainingError, match=r"c\.jsonl: entities place are not named"):
        list(recipe(base).read(Source("films", path)))


def encoder(
    base: Path, text: TaggedText, window: Window
) -> tuple[TokenClassification, TextTokenizer, EnsembleSpec, list[LabelledChunk[Chunk]]]:
    """The task without what is no person, its tokenizer, a member of it, and a text's chunks."""
    task = replace(recipe(base), names={"person": "PER"})
    words = trim_vocabulary(base, ["good"], 170)
    tokenizer = TextTokenizer(words.tokenizer.to_str().encode())
    spec = one_member_spec(tokenizer, task.labels(), window)
    return task, tokenizer, spec, list(task.chunks([(0, text)], spec))


def test_every_token_of_an_entitys_word_is_taught_and_special_tokens_are_not(base: Path) -> None:
    text = TaggedText(("good", "xyz", "it"), ("O", "B-PER", "O"), {})
    _, tokenizer, _, (one,) = encoder(base, text, Window(32, 0))

    assert [tokenizer.spelling(token) for token in one.chunk.ids[2:5].tolist()] == [
        "x",
        "##y",
        "##z",
    ]
    assert one.targets.tolist() == [-100, 0, 1, 2, 2, *[0] * (len(one.chunk.ids) - 6), -100]


def test_a_word_that_goes_on_in_the_next_window_does_not_begin_there_again(base: Path) -> None:
    text = TaggedText(("good", "xyzxyz"), ("O", "B-PER"), {})
    *_, chunks = encoder(base, text, Window(5, 0))

    assert [one.targets.tolist() for one in chunks] == [
        [-100, 0, 1, 2, -100],
        [-100, 2, 2, 2, -100],
        [-100, 2, -100],
    ]


def test_a_token_counts_in_the_window_where_it_sits_deepest(base: Path) -> None:
    text = TaggedText(("good",) * 14, (*("O",) * 8, *("B-PER",) * 6), {})
    window = Window(12, 4)
    task, _, spec, chunks = encoder(base, text, window)

    def person_in_the_second_window(sequences: Sequence[ModelInput]) -> list[FloatArray]:
        scores = [np.zeros((len(one.ids), 3)) for one in sequences]
        for own, one in zip(scores, sequences, strict=True):
            own[:, 1 if one.index else 0] = 9  # type: ignore[attr-defined]
        return scores

    # Windows of ten tokens that share four: 0-10 and 6-14; 6 and 7 sit deeper in the first.
    assert [(one.targets != -100).nonzero()[0].tolist() for one in chunks] == [
        list(range(1, 9)),
        list(range(3, 9)),
    ]
    validation = Validation(task, [text], spec)
    found = validation.evaluate(person_in_the_second_window)
    assert found.metrics == {"entity_f1": 1}
    assert found.loss == pytest.approx(2 * np.exp(-9), rel=0.01)


def test_scores_that_are_no_numbers_answer_nothing(base: Path) -> None:
    text = TaggedText(("good",), ("B-PER",), {})
    task, _, spec, _ = encoder(base, text, Window(12, 4))
    validation = Validation(task, [text], spec)

    found = validation.evaluate(lambda some: [np.full((len(one.ids), 3), np.nan) for one in some])

    assert np.isnan(found.loss)
    assert found.metrics == {"entity_f1": 0}
