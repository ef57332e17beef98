from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optimum")

from safetensors.torch import load_file, save_file

from streamproc.errors import TrainingError
from streamproc.offline.corpus.partitioning import ByHash
from streamproc.offline.corpus.records import read_labelled_texts
from streamproc.offline.corpus.rows import Source
from streamproc.offline.training.base import find_base
from streamproc.offline.training.encoder_trainer import Learning
from streamproc.offline.training.events import MemberExported
from streamproc.offline.training.labelled_chunks import mixed_lengths
from streamproc.offline.training.plan import TrainingPlan
from streamproc.offline.training.prefix import Prefix
from streamproc.offline.training.pruning import PruneConfig
from streamproc.offline.training.record_requests import one_member_spec
from streamproc.offline.training.scoring import onnx_scorer
from streamproc.offline.training.shared_artifacts import taken_over
from streamproc.offline.training.text_classification import TextClassification
from streamproc.offline.training.token_classification import TokenClassification
from streamproc.offline.training.training_task import TrainingTask
from streamproc.serving.chunking.tokens import TextTokenizer
from streamproc.serving.chunking.windows import Window
from streamproc.serving.tasks.text_classification import TextClassification as Served
from streamproc.serving.verification.scores import count_batch_variant
from streamproc.settings import read_settings
from streamproc.worker import verify_ensemble
from tests.support.tiny_corpora import sentences
from tests.support.trainings import events_of, options

pytestmark = pytest.mark.train

LABELS = {"0": "negative", "1": "positive"}


@pytest.fixture(scope="module")
def repository(
    corpus: Path, base: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[MemberExported]]:
    """Two ensembles of different tasks that froze the same layers over the same words."""
    folder = tmp_path_factory.mktemp("frozen")
    reviews = [Source("reviews", corpus / f"{name}.jsonl") for name in ("train", "valid")]
    tagged = [
        Source("tagged", sentences(folder / f"{name}.jsonl", count, count))
        for name, count in (("train", 90), ("valid", 30))
    ]
    shared = (reviews[0], tagged[0])
    shape, size = PruneConfig((1, 2), 32, positions=32), Window(32, 8)
    start, learning = find_base(base), Learning(32)
    names = {"person": "PER", "thing": "O"}
    recipes: dict[str, tuple[TrainingTask[Any], list[Source]]] = {
        "moods": (
            TextClassification(start, 170, shape, learning, size, 1, shared, names=LABELS),
            reviews,
        ),
        "names": (
            TokenClassification(start, 170, shape, learning, size, 1, shared, names=names),
            tagged,
        ),
    }
    exported: list[MemberExported] = []
    for name, (recipe, (train, valid)) in recipes.items():
        plan = TrainingPlan(
            config=options(
                folder,
                ensemble=name,
                task=recipe.task,
                seed=1,
                epochs=10,
                patience=10,
                batch=16,
                learning_rate=5e-3,
            ),
            recipe=recipe,
            corpus=[train],
            valid=[valid],
            partitioning=ByHash(2),
            folder=folder / "work" / name,
        )
        exported += [told for told in events_of(plan) if isinstance(told, MemberExported)]
    return folder / "models", exported


def manifest(models: Path, name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((models / name / "manifest.toml").read_text("utf-8"))


def test_members_learn_behind_frozen_layers(repository: tuple[Path, list[MemberExported]]) -> None:
    moods = [told.exported for told in repository[1][:2]]

    for one in moods:
        assert one.validation.metrics["accuracy"] > 0.75
        assert one.export_difference < 1e-4


def test_ensembles_of_two_tasks_share_one_file(
    repository: tuple[Path, list[MemberExported]],
) -> None:
    models = repository[0]
    moods, names = (manifest(models, name) for name in ("moods", "names"))

    (path,) = (models / "prefixes").iterdir()
    assert moods["prefix"] == names["prefix"]
    assert path.name == f"{moods['prefix']['sha256']}.onnx"
    assert moods["tokenizer"]["sha256"] == names["tokenizer"]["sha256"]


def test_what_was_trained_so_can_be_served(repository: tuple[Path, list[MemberExported]]) -> None:
    settings = read_settings(models_dir=repository[0])

    for name in ("moods", "names"):
        assert verify_ensemble(settings, name).device == "cpu"


def test_another_ensemble_takes_words_and_frozen_layers_over(
    repository: tuple[Path, list[MemberExported]], corpus: Path, base: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    shutil.copytree(repository[0], models)
    reviews = [Source("reviews", corpus / f"{name}.jsonl") for name in ("train", "valid")]
    recipe = TextClassification(
        find_base(base), 300, PruneConfig((1, 2), 32, positions=32), Learning(32), Window(32, 8), 1,
        prefix_of=models / "names", names=LABELS,
    )  # fmt: skip
    plan = TrainingPlan(
        config=options(tmp_path, ensemble="again", epochs=1, batch=16, learning_rate=5e-3),
        recipe=recipe,
        corpus=reviews[:1],
        valid=reviews[1:],
        partitioning=ByHash(2),
        folder=tmp_path / "work",
    )
    events_of(plan)

    assert manifest(models, "again")["prefix"] == manifest(models, "names")["prefix"]
    assert len(list((models / "prefixes").iterdir())) == 1
    assert verify_ensemble(read_settings(models_dir=models), "again").device == "cpu"


def test_what_can_not_be_taken_over_is_told(
    repository: tuple[Path, list[MemberExported]], base: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"--prefix-of .*there is no ensemble|no ensemble"):
        taken_over(tmp_path / "nothing", find_base(base), 1, 32)
    other = tmp_path / "other"
    shutil.copytree(base, other)
    tokenizer = json.loads((base / "tokenizer.json").read_text("utf-8"))
    word = next(word for word in tokenizer["model"]["vocab"] if word.isalpha() and len(word) > 3)
    tokenizer["model"]["vocab"]["elsewhere"] = tokenizer["model"]["vocab"].pop(word)
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    kept = json.loads((repository[0] / "names" / "tokenizer.json").read_text("utf-8"))
    assert word in kept["model"]["vocab"]
    with pytest.raises(TrainingError, match="it has words that other has not"):
        taken_over(repository[0] / "names", find_base(other), 1, 32)
    with pytest.raises(TrainingError, match="--window can be at most 32, not 33"):
        taken_over(repository[0] / "names", find_base(base), 1, 33)
    with pytest.raises(TrainingError, match="has frozen 1 layers: say --freeze-layers 1"):
        taken_over(repository[0] / "names", find_base(base), 2, 32)
    weights = load_file(base / "model.safetensors")
    changed = {name: values + 1 for name, values in weights.items()}
    save_file(changed, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(TrainingError, match=r"another base, .*: name it by --base"):
        taken_over(repository[0] / "names", find_base(other), 1, 32)


def test_the_layers_give_a_text_the_same_states_in_any_batch(
    repository: tuple[Path, list[MemberExported]], corpus: Path, base: Path
) -> None:
    models = repository[0]
    (path,) = (models / "prefixes").iterdir()
    task = TextClassification(find_base(base), names=LABELS)
    tokenizer = TextTokenizer((models / "moods" / "tokenizer.json").read_bytes())
    spec = one_member_spec(tokenizer, task.labels(), Window(32, 8))
    texts = read_labelled_texts(corpus / "valid.jsonl")
    chunks = [labelled.chunk for labelled in task.chunks(enumerate(texts), spec)]
    batches = mixed_lengths(chunks, 60)

    # Another prefix object each time: the states of a chunk are kept.
    prefix = Prefix(path.read_bytes())
    signature = Served().signature(labels=2).behind_backbone(prefix.width)
    member = onnx_scorer(models / "moods" / "part-1-of-2" / "1" / "model.onnx", signature)
    assert (
        count_batch_variant(lambda batch: member(Prefix(path.read_bytes()).read(batch)), batches)
        == 0
    )
    states = [Prefix(path.read_bytes()).read(batch) for batch in batches]
    assert len({b"".join(row.hidden.tobytes() for row in one) for one in states}) == len(batches)


def test_a_corpus_of_no_texts_to_choose_words_by_is_refused(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps({"title": "x"}) + "\n", "utf-8")
    recipe = TextClassification(
        find_base(base), names=LABELS, frozen=2, shared=[Source("odd", path)]
    )

    with pytest.raises(TrainingError, match=r"odd\.jsonl, line 1: no field 'text'"):
        recipe.prepare([], 0)
