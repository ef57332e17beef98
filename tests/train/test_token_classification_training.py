from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optimum")

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByField
from streamproc.offline.corpus.rows import Source
from streamproc.offline.corpus.tagged import TaggedText
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder import Learning
from streamproc.offline.training.events import MemberExported
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.scoring import WindowSize
from streamproc.offline.training.token_classification import (
    TaggedTexts,
    TokenClassification,
    entity_f1,
    spans,
)
from streamproc.offline.training.vocabulary import trim_vocabulary
from streamproc.offline.training.windows import Batch
from tests.support.trainings import events_of, options
from tests.train.conftest import BAD, GOOD, NEUTRAL

pytestmark = pytest.mark.train

NAMES = {"person": "PER", "shops:thing": "O", "thing": "MISC"}


def sentences(path: Path, count: int, seed: int) -> Path:
    """Words of GOOD are persons, words of BAD things; one record in three is longer than 20."""
    draw = random.Random(seed)
    lines = []
    for number in range(count):
        words = draw.choices(NEUTRAL, k=draw.randint(2, 30 if number % 3 == 0 else 8))
        tags = ["O"] * len(words)
        for names, kind in ((GOOD, "person"), (BAD, "thing")):
            place = draw.randrange(len(words))
            words.insert(place, draw.choice(names))
            tags.insert(place, f"B-{kind}")
        lines.append(json.dumps({"tokens": words, "tags": tags}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def course(base: Path) -> TokenClassification:
    return TokenClassification(
        find_base(base),
        170,
        PruneConfig((0, 2), 32, 2, 32),
        Learning(32),
        WindowSize(32, 8),
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
        recipe=course(base),
        corpus=[Source("films", train), Source("shops", train)],
        valid=[Source("films", valid), Source("shops", valid)],
        partitioning=ByField("corpus"),
        folder=tmp_path / "work",
    )
    shipped = [told.exported for told in events_of(plan) if isinstance(told, MemberExported)]
    manifest = tomllib.loads((tmp_path / "models" / "tiny" / "manifest.toml").read_text())

    assert all(one.shipped.metrics["entity_f1"] > 0.8 for one in shipped)
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
        list(course(base).read(Source("films", path)))


def test_every_token_of_an_entitys_word_is_taught_and_special_tokens_are_not(base: Path) -> None:
    tokenizer = trim_vocabulary(base, ["good"], 170).tokenizer
    read = TaggedTexts(
        [TaggedText(("good", "xyz", "it"), ("O", "B-PER", "O"), {})],
        tokenizer,
        ("O", "B-PER", "I-PER"),
    )

    (window,) = read.windows(32)

    assert [tokenizer.id_to_token(token) for token in window.ids[2:5]] == ["x", "##y", "##z"]
    assert window.target.tolist() == [-100, 0, 1, 2, 2, *[0] * (len(window.ids) - 6), -100]


def test_a_token_counts_in_the_window_where_it_sits_deepest(base: Path) -> None:
    tokenizer = trim_vocabulary(base, ["good"], 170).tokenizer
    read = TaggedTexts([TaggedText(("good",) * 14, ("O",) * 14, {})], tokenizer, ("O", "B-PER"))

    def says_person_in_the_second_window(batch: Batch) -> np.ndarray:
        first = np.array([window.first for window in batch.windows])
        logits = np.zeros((*batch.input_ids.shape, 2), np.float32)
        logits[first > 0, :, 1] = 9
        return logits

    # Windows of ten tokens that share four: 0-10 and 6-14; 6 and 7 sit deeper in the first.
    tags = read.tags(read.scores(says_person_in_the_second_window, WindowSize(12, 4)))

    assert tags == [["O"] * 8 + ["B-PER"] * 6]


def test_only_exact_words_and_kind_count_as_an_entity_found() -> None:
    right = ["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]

    assert spans(right) == {(0, 2, "PER"), (3, 4, "LOC"), (4, 5, "LOC")}
    assert spans(["I-PER", "I-LOC", "I-LOC"]) == {(0, 1, "PER"), (1, 3, "LOC")}
    assert entity_f1([right], [right]) == 1
    assert entity_f1([right], [["B-PER", "O", "O", "B-LOC", "I-LOC"]]) == 0
    assert entity_f1([right], [["B-PER", "I-PER", "O", "B-ORG", "O"]]) == pytest.approx(2 / 5)
